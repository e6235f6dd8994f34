"""An evaluation as files for other programs: results.json, and results.csv with a number a row."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.files import atomic_write
from arcwise.protocols.result import Beside, Evaluation, Measure, Provenance
from arcwise.runtime import Model

FORMAT = 2
JSON, CSV = "results.json", "results.csv"
HOME = "evaluation"
"""The folder beside a model that its results are in."""


def claim(folder: Path, model: Model | None, data: str, pairs: str) -> None:
    """Nothing, if results of this model on these data may go to a folder: it has none of others.

    A model that was trained anew replaces what the older one left in its own run folder.

    Raises:
        ArcwiseError: there is a file, or the results of something else.
    """
    if folder.exists() and not folder.is_dir():
        raise ArcwiseError(f"{folder}: a file; expected a folder for {JSON} and report.html")
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):  # now, not after the work
        raise ArcwiseError(
            f"{folder}: {there} cannot be written to; name an --out that can, or give it the rights"
        )
    if not (folder / JSON).exists():
        return
    try:
        there = json.loads((folder / JSON).read_bytes())
        measured = there["data"]["name"], there["data"]["pairs"]
        name, fingerprint = there["models"][0]["name"], there["models"][0]["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError):
        raise ArcwiseError(
            f"{folder / JSON}: not what an evaluation writes; name another --out, or remove it"
        ) from None
    own = model is not None and folder.resolve().is_relative_to(_home(model))
    if measured != (data, pairs) or not (own or fingerprint == _fingerprint(model)):
        raise ArcwiseError(
            f"{folder}: holds the results of {name} on {measured[0]}"
            f"{f' with {measured[1]}' if measured[1] else ''}; name another --out, or remove them"
        )


def default_folder(model: str, data: str, pairs: Path | None) -> Path:
    """Where results go that have no place: by the name of the data, beside the model."""
    path = Path(model)
    of = "" if path.name in ("model", "-") else f"{path.stem}-"
    return path.parent / HOME / f"{of}{data}{f'-{pairs.stem}' if pairs else ''}"


def write_results(folder: Path, result: Evaluation) -> None:
    """Put results.json and results.csv into a folder, each beside first and then renamed."""
    for name, text in (
        (CSV, as_csv(result)),
        (JSON, json.dumps(as_dict(result), indent=2, allow_nan=False, ensure_ascii=False) + "\n"),
    ):
        with atomic_write(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")


def as_dict(result: Evaluation) -> dict[str, Any]:
    """Plain values: what was measured on, and every number of every model."""
    return {
        "format": FORMAT,
        "data": _about(result.about)
        | {
            "items": result.items.kind,
            "rows": len(result.manifest),
            "identities": result.people,
        },
        "versions": dict(result.about.versions),
        "seed": result.about.seed,
        "models": [_model(one) for one in result.models.values()],
        "comparisons": [_comparison(result.model, one) for one in result.beside],
    }


def as_csv(result: Evaluation) -> str:
    """A table with a row for every number of every model."""
    text = io.StringIO(newline="")
    names = ["model", "fingerprint", "data", "data_fingerprint", *_COLUMNS]
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    for one in result.models.values():
        for measure in one.measures:
            counts = "; ".join(f"{name}: {count}" for name, count in measure.counts.items())
            table.writerow(
                {
                    "model": one.model,
                    "fingerprint": one.fingerprint,
                    "data": one.about.data,
                    "data_fingerprint": one.about.fingerprint,
                }
                | _measure(measure)
                | {"counts": counts}
            )
    return text.getvalue()


def _about(about: Provenance) -> dict[str, Any]:
    return {
        "name": about.data,
        "fingerprint": about.fingerprint,
        "taken": about.rows,
        "pairs": about.pairs,
        "identities_left_out": about.left_out,
        "images_trained_on": about.trained_images,
        "used_before": about.used,
        "models_that_do_not_say_what_they_were_made_with": list(about.untold),
        "pictures_unreadable": len(about.failures),
        "files_ignored": len(about.ignored),
        "notes": list(about.notes),
    }


def _model(one: Evaluation) -> dict[str, Any]:
    return {
        "name": one.model,
        "fingerprint": one.fingerprint,
        "protocols": [
            {"name": p.name, "measured": p.measured, "why": p.why} for p in one.protocols
        ],
        "sentence": one.sentence,
        "results": [_measure(measure) for measure in one.measures],
        "thresholds": [
            here.threshold.as_dict() | {"far_here": _rate(here.far), "tar_here": _rate(here.tar)}
            for here in one.thresholds
        ],
        "search_thresholds": [
            here.threshold.as_dict() | {"fpir_here": _rate(here.fpir), "dir_here": _rate(here.dir)}
            for here in one.search_thresholds
        ],
    }


def _comparison(first: str, other: Beside) -> dict[str, Any]:
    found = other.comparison
    compared = {f"TAR at FAR {found.far:g}": found.tar}
    if found.accuracy is not None:
        compared["accuracy over the folds"] = found.accuracy
    return {
        "first": first,
        "second": other.evaluation.model,
        "pairs": other.pairs,
        "definition": "second minus first on the same pairs, the interval from the same draws of "
        "identities for both",
        "results": [
            {
                "measure": name,
                "first": _rate(one.first),
                "second": _rate(one.second),
                "difference": _rate(one.difference),
            }
            for name, one in compared.items()
        ],
        "mcnemar": found.mcnemar
        and {
            "first_only": found.mcnemar.first_only,
            "second_only": found.mcnemar.second_only,
            "p": found.mcnemar.p,
            "exact": found.mcnemar.exact,
        },
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "protocol": measure.protocol,
        "column": measure.column,
        "group": measure.group,
        "measure": measure.name,
        **_rate(measure.rate),
        "std": measure.std,
        "definition": measure.definition,
        "counts": dict(measure.counts),
    }


_COLUMNS = (
    "protocol", "column", "group", "measure", "value", "low", "high", "resolved", "std",
    "definition", "counts",
)  # fmt: skip


def _rate(rate: Rate) -> dict[str, Any]:
    values = {"value": float(rate), "low": rate.low, "high": rate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {
        "resolved": rate.resolved
    }


def _home(model: Model) -> Path:
    return model.path.resolve().parent / HOME


def _fingerprint(model: Model | None) -> str:
    return "" if model is None else model.fingerprint
