"""`arcwise data views`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.screen import counted, left_out
from arcwise.cli.train import DEFAULT, value_of
from arcwise.recipes import recipe as named
from arcwise.training.config import TrainConfig
from arcwise.verbs.data_views import views as draw

Sheet = Annotated[Path, Positional, tyro.conf.arg(metavar="SHEET")]


def command_for(words: Sequence[str]) -> Callable[..., int]:
    """Return the command with the defaults of the recipe that the words name."""
    name = value_of(words, "--recipe") or DEFAULT
    chosen = named(name)

    def command(
        data: Data,
        sheet: Sheet,
        config: Annotated[TrainConfig, tyro.conf.arg(name="")] = chosen,
        recipe: str = name,
        rows: int = 6,
        views: int = 8,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Draw what training sees: images of its first batch, each with its views.

        Args:
            data: Data set in any form: a folder of folders, a table, an archive.
            sheet: Image to write, .jpg or .png.
            config: Fields of the run, as in `arcwise train`.
            recipe: Recipe that the fields below start from.
            rows: Images on the sheet, at most; each has a row.
            views: Views of each image.
            naming: Names of the columns and folders of a table.
        """
        done = draw(naming.open(data), sheet, config, rows=rows, count=views)
        left_out("images could not be read and are not shown", done.failures)
        print(f"{counted(done.images, 'image')} with {counted(views, 'view')} each: {sheet}")
        return 0

    return command
