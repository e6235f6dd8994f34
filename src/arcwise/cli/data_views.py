"""`arcwise data views`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.screen import left_out
from arcwise.cli.train import DEFAULT, value_of
from arcwise.recipes import recipe as named
from arcwise.training.config import TrainConfig
from arcwise.verbs.data_views import views as draw


def command_for(words: Sequence[str]) -> Callable[..., int]:
    """The command with the defaults of the recipe that the words name."""
    name = value_of(words, "--recipe") or DEFAULT
    chosen = named(name)

    def command(
        data: Positional[Path],
        sheet: Positional[Path],
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = chosen,
        recipe: str = name,
        pictures: int = 6,
        views: int = 8,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Draw what training sees: pictures of its first batch, each beside its views.

        Args:
            data: A data set in any form: a folder of folders, a table, an archive.
            sheet: The picture to write, .jpg or .png.
            config: The run, field by field, as in `arcwise train`.
            recipe: What the fields below start from.
            pictures: Rows of the sheet.
            views: Views of each picture.
            naming: How a table calls things.
        """
        done = draw(naming.open(data), sheet, config, pictures=pictures, count=views)
        left_out("pictures could not be read and are not shown", done.failures)
        print(f"{done.pictures} pictures with {views} views each: {sheet}")
        return 0

    return command
