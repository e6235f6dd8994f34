"""What schemathesis makes of the OpenAPI, in the environment that `make test-hostile` makes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from arcwise.gallery import open_gallery
from tests.serving.conftest import keyed, running

PROGRAM = os.environ.get("ARCWISE_SCHEMATHESIS", "")
EXAMPLES = os.environ.get("ARCWISE_SCHEMATHESIS_EXAMPLES", "200")
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance", "unsupported_method", "ignored_auth",
)  # fmt: skip

pytestmark = [
    pytest.mark.skipif(not PROGRAM, reason="`make test-hostile` runs schemathesis"),
    pytest.mark.timeout(3600),
]


def test_every_route(make, gallery: Path, tmp_path: Path) -> None:
    """No answer but those that the OpenAPI describes; another gallery is as it was."""
    other = tmp_path / "other.gallery"
    keys, settings = keyed(admin=("admin", ["shop"]))
    with open_gallery(gallery, mode="r") as one:
        model = one.about().model_path
    galleries = {
        name: {"path": str(p), "model": model} for name, p in (("shop", gallery), ("other", other))
    }
    limits = {"rate": 1e6, "burst": 10**6}
    with running(make(galleries=galleries, keys=settings, limits=limits)) as served:
        done = subprocess.run(
            [
                PROGRAM, "run", f"{served.server.url}/v1/openapi.json",
                "--header", f"Authorization: Bearer {keys['admin']}", "--checks", ",".join(CHECKS),
                "--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing", "--seed", "0",
                "--warnings", "off", "--no-color",
            ],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        print(done.stdout)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        said = served.ask("GET", "/metrics", key=keys["admin"]).body.decode()
        assert 'status="500"' not in said
    for path in (gallery, other):
        with open_gallery(path, mode="r") as one:
            one.check()
    with open_gallery(other, mode="r") as one:
        assert not one.identities()
