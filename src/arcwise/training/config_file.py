"""A config in a file: YAML or JSON, written by hand or by a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from arcwise.errors import ArcwiseError
from arcwise.files import os_error_reason
from arcwise.training.config import TrainConfig

OLDER = "of a run that an older Arcwise began, whose config has other names"
"""What a config without sections is."""


class ConfigFile(NamedTuple):
    """What a file says.

    Attributes:
        path: of the file.
        values: fields by name, in sections.
        recipe: the recipe that a run began with; empty where the file does not say.
    """

    path: Path
    values: Mapping[str, Any]
    recipe: str

    def over(self, base: TrainConfig) -> TrainConfig:
        """Return a config with what the file says.

        Raises:
            ArcwiseError: an unknown field or a value that does not fit; it names the file.
        """
        try:
            return base.replace(**{str(name): value for name, value in self.values.items()})
        except ArcwiseError as error:
            raise ArcwiseError(f"{self.path}: {error}") from None


def read_config(path: Path) -> ConfigFile:
    """Return what a .yaml, .yml or .json file says, a run's config.json included.

    Raises:
        ArcwiseError: it cannot be read, or holds something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArcwiseError(f"{path}: {os_error_reason(error)}") from None
    try:
        values = json.loads(content) if path.suffix.lower() == ".json" else _yaml(content)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ArcwiseError(f"{path}: neither YAML nor JSON that can be read ({reason})") from None
    if not isinstance(values, Mapping):
        raise ArcwiseError(f"{path}: holds {values!r:.60}; expected fields by name, in sections")
    recipe = values.get("recipe", "")
    if isinstance(values.get("config"), Mapping):  # a run's, with what it was run on
        values = values["config"]
    if is_older(values):
        raise ArcwiseError(f"{path}: {OLDER}; expected sections: encoder, objective, data, …")
    return ConfigFile(path, values, str(recipe))


def is_older(values: Mapping[str, Any]) -> bool:
    """Return whether a config is of before there were sections."""
    return isinstance(values.get("encoder"), str)


def _yaml(content: bytes) -> Any:
    """What YAML says, where 1e-3 is a number as it is in YAML 1.2."""
    import yaml

    class Loader(yaml.SafeLoader):
        """A safe loader with the numbers of YAML 1.2."""

    number = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", number, list("-+.0123456789"))
    try:
        return yaml.load(content, Loader) or {}  # a SafeLoader
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
