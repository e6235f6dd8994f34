"""The steps of the Dockerfile, in a clean environment where no engine runs: `make test-deploy`."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from arcwise.serving.keys import new_key
from tests.serving.conftest import form

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(
        "ARCWISE_DEPLOY" not in os.environ, reason="installs 200 MB from PyPI: make test-deploy"
    ),
    pytest.mark.timeout(1200),
]


class Image:
    """What the Dockerfile builds, below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(root), "EXTRAS": ""}
        self.health: list[str] = []
        self.command: list[str] = []
        text = (ROOT / "deploy" / "Dockerfile").read_text().replace("\\\n", " ")
        for line in text.splitlines():
            word, _, rest = line.partition(" ")
            if word in ("ARG", "ENV"):
                for one in shlex.split(rest):
                    name, _, value = one.partition("=")
                    value = value.replace("$PATH", self.environment["PATH"])
                    self.environment[name] = self.inside(value)
            elif word == "COPY" and not rest.startswith("--from"):
                *sources, target = shlex.split(rest)
                self.copy(sources, Path(self.inside(target)), folder=target.endswith("/"))
            elif word == "RUN" and "useradd" not in rest:
                subprocess.run(
                    self.inside(rest), shell=True, check=True, env=self.environment, cwd=root
                )
            elif word == "HEALTHCHECK":
                self.health = json.loads(rest[rest.index("[") :])
            elif word in ("ENTRYPOINT", "CMD"):
                self.command += json.loads(rest)

    def inside(self, text: str) -> str:
        return re.sub(r"(?<![\w.])/(opt/arcwise|source|data)\b", rf"{self.root}/\1", text)

    def copy(self, sources: list[str], target: Path, *, folder: bool) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for one in sources:
            if (ROOT / one).is_dir():
                ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
                shutil.copytree(ROOT / one, target, dirs_exist_ok=True, ignore=ignored)
            else:
                assert folder
                shutil.copy(ROOT / one, target)


def test_image(tmp_path: Path, model: Path, images: list[bytes]) -> None:
    """It installs no torch, serves the page and searches, is healthy, and stops in order."""
    image = Image(tmp_path)
    data = tmp_path / "data"
    shutil.copytree(model, data / "model")
    made = new_key("admin")
    settings = (ROOT / "deploy" / "serve.toml").read_text().replace("0" * 64, made.digest)
    (data / "serve.toml").write_text(settings.replace('role = "read"', 'role = "admin"'))
    environment = {**image.environment, "ARCWISE_SERVE__HOST": "127.0.0.1"}
    command = [image.inside(one) for one in image.command]
    python = shutil.which("python", path=environment["PATH"])
    assert python
    assert python.startswith(str(tmp_path))
    listed = subprocess.run(
        [python, "-m", "pip", "list"], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert "onnxruntime" in listed
    assert "torch" not in listed
    program = shutil.which(command[0], path=environment["PATH"])
    assert program
    server = subprocess.Popen(
        [program, *command[1:]], env=environment, cwd=data, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        said = [server.stdout.readline() for _ in range(5)]
        assert made.digest not in "".join(said)
        until = time.monotonic() + 60
        health = [python, *image.health[1:]]
        while subprocess.run(health, env=environment, check=False, stderr=-3).returncode:
            assert time.monotonic() < until
            time.sleep(0.5)
        kind, body = form(images[:1])
        (data / "body").write_bytes(body)
        ask = """if True:
            import sys
            from urllib.request import Request, urlopen
            base, key, kind = sys.argv[1:]
            head = {"Authorization": "Bearer " + key, "Content-Type": kind}
            body = open("body", "rb").read()
            for path in ("enrol?identity=one", "search"):
                print(urlopen(Request(base + "/v1/galleries/shop/" + path, body, head)).read())
            print(urlopen(base + "/").read(), urlopen(base + "/page/page.js").status)
        """
        answers = subprocess.run(
            [python, "-c", ask, "http://127.0.0.1:8000", made.key, kind],
            env=environment, cwd=data, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        assert '"identity":"one"' in answers
        assert "<title>Arcwise</title>" in answers
    finally:
        server.send_signal(signal.SIGTERM)
        rest, _ = server.communicate(timeout=60)
    assert (server.returncode, "stopped" in rest) == (0, True)
