"""`arcwise data views`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.positionals import Data
from arcwise.cli.run_options import chosen_by, options_of, run_command
from arcwise.cli.screen import counted, left_out
from arcwise.verbs.data_views import views as draw

Sheet = Annotated[Path, Positional, arg(metavar="SHEET")]


def answer(words: Sequence[str]) -> int:
    """Run the command with the defaults of the recipe, config file and loss in its words."""
    begin = chosen_by(words)
    defaults = options_of(begin.config, words)

    def command(
        source: Data,
        sheet: Sheet,
        options: Any = defaults,
        recipe: str = begin.recipe,
        config: Path | None = None,
        rows: int = 6,
        views: int = 8,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Draw what training sees: images of its first batch, each with its views.

        These are the everyday options; --help-all shows every one.

        Args:
            source: Data set in any form: a folder of folders, a table, an archive.
            sheet: Image to write, .jpg or .png.
            options: Fields of the run, as in `arcwise train`.
            recipe: Recipe that the options start from.
            config: A .yaml or .json file with fields of the config, over the recipe.
            rows: Images on the sheet, at most; each has a row.
            views: Views of each image.
            naming: Names of the columns and folders of a table.
        """
        settings = options.config(begin.config)
        done = draw(naming.open(source), sheet, settings, rows=rows, count=views)
        left_out("images that could not be read and are not shown", done.failures)
        print(f"{counted(done.images, 'image')} with {counted(views, 'view')} each: {sheet}")
        return 0

    return run_command(command, words, "data views")
