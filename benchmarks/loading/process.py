"""A function of this benchmark in its own process, pinned to some cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

_PATHS = os.pathsep.join(path for path in sys.path if path)


class Running:
    """A running job.

    Args:
        function: of a module of the benchmark; its arguments and result are JSON values.
        cores: to run on, with as many threads as cores.
        arguments: of the function.
    """

    def __init__(self, function: Callable[..., Any], cores: Sequence[int], **arguments: Any):
        code = (
            f"import json, sys; from {function.__module__} import {function.__name__} as job; "
            "print(json.dumps(job(**json.loads(sys.argv[1]))))"
        )
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(len(cores)))
        self._process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), sys.executable, "-c", code,
             json.dumps(arguments)],
            env=os.environ | threads | {"PYTHONPATH": _PATHS},
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def result(self) -> Any:
        """Wait for the job and return its result."""
        out, _ = self._process.communicate()
        if self._process.returncode:
            sys.exit(f"a job failed with {self._process.returncode}")
        return json.loads(out.splitlines()[-1])
