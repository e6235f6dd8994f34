"""`arcwise data views`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from arcwise.cli.naming import USUAL, NamingOptions
from arcwise.cli.run_options import chosen_by, options_of, run_command
from arcwise.cli.screen import left_out
from arcwise.verbs.data_views import views as draw


def answer(words: Sequence[str]) -> int:
    """Run the command with the defaults of the recipe, config file and loss in its words."""
    begin = chosen_by(words)
    defaults = options_of(begin.config, words)

    def command(
        source: Positional[Path],
        sheet: Positional[Path],
        options: Any = defaults,
        recipe: str = begin.recipe,
        config: Path | None = None,
        pictures: int = 6,
        views: int = 8,
        naming: NamingOptions = USUAL,
    ) -> int:
        """Draw what training sees: pictures of its first batch, each beside its views.

        These are the everyday options; --help-all shows every one.

        Args:
            source: A data set in any form: a folder of folders, a table, an archive.
            sheet: The picture to write, .jpg or .png.
            options: The run, field by field, as in `arcwise train`.
            recipe: What the options start from.
            config: A .yaml or .json file with fields of the config, over the recipe.
            pictures: Rows of the sheet.
            views: Views of each picture.
            naming: How a table calls things.
        """
        settings = options.config(begin.config)
        done = draw(naming.open(source), sheet, settings, pictures=pictures, count=views)
        left_out("pictures could not be read and are not shown", done.failures)
        print(f"{done.pictures} pictures with {views} views each: {sheet}")
        return 0

    return run_command(command, words, "data views")
