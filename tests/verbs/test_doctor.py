"""What is there is named with its version, what is missing with the command that brings it."""

from __future__ import annotations

import os
import re
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

from arcwise.verbs import doctor as module
from arcwise.verbs.doctor import doctor


def test_this_machine() -> None:
    machine = doctor()
    assert machine.python == ".".join(map(str, sys.version_info[:3]))
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.problem == ""
    assert machine.bf16 in (True, False)
    parts = {part.name: part for part in machine.capabilities}
    assert ("torch", version("torch")) in parts["train"].installed
    assert [
        part.name for part in machine.capabilities if bool(part.missing) != bool(part.remedy)
    ] == []


def test_every_package_is_one_that_arcwise_asks_for() -> None:
    """A name that nothing installs would be missing for ever."""
    from importlib.metadata import requires

    asked = {re.split(r"[\[<>;=]", line)[0] for line in requires("arcwise") or ()}
    assert {package for needs in module.CAPABILITIES.values() for package in needs} <= asked


def test_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(package: str) -> str:
        if package in ("torch", "numpy"):
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(module, "version", without)
    machine = doctor()
    parts = {part.name: part for part in machine.capabilities}
    assert (machine.gpus, machine.bf16, machine.problem) == ((), None, "")
    assert (parts["train"].missing, parts["train"].remedy) == (
        ("torch",),
        "pip install 'arcwise[train]'",
    )
    assert parts["images and galleries"].remedy == "pip install 'arcwise'"
    assert parts["reports"].missing == ()


def test_a_torch_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    machine = doctor()
    assert "torch" in machine.problem
    assert machine.bf16 is None
