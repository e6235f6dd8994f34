"""The files that run a server are what the tools and the server itself take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from arcwise.errors import ArcwiseError
from arcwise.serving.settings import read_settings

DEPLOY = Path(__file__).parents[2] / "deploy"


class _Compose(yaml.SafeLoader):
    """YAML with the tags of Compose."""


_Compose.add_constructor("!override", lambda loader, node: loader.construct_mapping(node))


def services(name: str) -> dict[str, Any]:
    return yaml.load((DEPLOY / name).read_text(), _Compose)["services"]


def test_settings() -> None:
    settings = read_settings(DEPLOY / "serve.toml", {}, {})
    assert settings.galleries["shop"].path == str(DEPLOY / "shop.gallery")
    assert settings.keys[0].role == "read"
    shown = "\n".join(settings.shown())
    assert settings.keys[0].digest not in shown
    assert "replace-me" in shown


def test_settings_of_compose() -> None:
    """Variables alone are enough; a secret among them is not printed."""
    environment = {
        key: re.sub(r"\$\{\w+:\?[^}]*\}", "a" * 64, str(value))
        for key, value in services("compose.yaml")["arcwise"]["environment"].items()
    }
    settings = read_settings(None, environment, {})
    assert settings.galleries["shop"].path.startswith("postgresql://")
    assert settings.galleries["shop"].thumbnails is True
    assert [one.name for one in settings.keys] == ["first"]
    assert "a" * 64 not in "\n".join(settings.shown())
    with pytest.raises(ArcwiseError, match="no key"):
        read_settings(None, {**environment, "ARCWISE_SERVE__KEYS": "[]"}, {})


def test_compose() -> None:
    first, over = services("compose.yaml"), services("compose.milvus.yaml")
    assert first.keys() == {"arcwise", "database"}
    assert over.keys() == {"arcwise", "milvus"}
    for every in (first, over):
        for one in every["arcwise"]["depends_on"]:
            assert "healthcheck" in every[one]
    assert first["arcwise"]["build"]["dockerfile"] == "deploy/Dockerfile"
    assert first["arcwise"]["ports"][0].startswith("127.0.0.1:")


def test_dockerfile_runs_as_somebody_else() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    words = [line.split()[0] for line in lines if line and not line.startswith("#")]
    assert words.index("USER") < words.index("ENTRYPOINT")
    assert not [line for line in lines if line.startswith("USER root")]
    assert {"HEALTHCHECK", "STOPSIGNAL", "EXPOSE"} <= set(words)


def test_dockerfile_copies_what_the_folder_lets_through() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1:-1] for line in lines if re.match(r"COPY (?!--from)", line)]
    assert {f"!{name}" for names in copied for name in names} <= set(ignored)
    assert [line for line in lines if "-c /source/constraints.txt" in line]


def test_no_restart_after_a_mistake_in_the_settings() -> None:
    """`arcwise serve` ends with status 2 then, as its tests say."""
    unit = (DEPLOY / "arcwise.service").read_text().splitlines()
    assert {"Restart=on-failure", "RestartPreventExitStatus=2"} <= set(unit)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_unit(tmp_path: Path) -> None:
    """Verified with a program that is here; nothing is unknown or misspelt."""
    text = (DEPLOY / "arcwise.service").read_text()
    unit = tmp_path / "arcwise.service"
    unit.write_text(text.replace("/opt/arcwise/bin/arcwise", shutil.which("true") or "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False
    )
    said = [line for line in done.stderr.splitlines() if "arcwise" in line]
    assert said == []
    scored = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    exposure = re.search(r"exposure level.*service: ([\d.]+)", scored.stdout)
    if exposure is not None:  # an older systemd-analyze has no --offline
        assert float(exposure[1]) < 3
