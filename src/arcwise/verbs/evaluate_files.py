"""An evaluation as files for other programs: results.json, and results.csv with a number a row."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError
from arcwise.evaluation import Rate
from arcwise.files import atomic_write
from arcwise.protocols.result import BaselineResult, EvaluationResult, Metric, Provenance
from arcwise.runtime import Model

FORMAT = 3
JSON, CSV = "results.json", "results.csv"
HOME = "evaluation"
"""The folder of results, next to the model folder."""


def check_folder(folder: Path, model: Model | None, data: str, pairs: str) -> None:
    """Refuse a folder that cannot be written to, or that holds the results of something else.

    A model that was trained anew replaces what the older one left in its own run folder.

    Args:
        folder: where the results are to go.
        model: whose they are; None for vectors.
        data: the name of the data set.
        pairs: the name of the list of pairs; empty for all pairs.

    Raises:
        ArcwiseError: there is a file, or the results of something else.
    """
    if folder.exists() and not folder.is_dir():
        raise ArcwiseError(f"{folder}: a file; expected a folder for {JSON} and report.html")
    existing = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):  # before the work
        raise ArcwiseError(
            f"{folder}: {existing} cannot be written to; name an --out that can, or give it the "
            "rights"
        )
    if not (folder / JSON).exists():
        return
    try:
        content = json.loads((folder / JSON).read_bytes())
        measured = content["data"]["name"], content["data"]["pairs"]
        name, fingerprint = content["models"][0]["name"], content["models"][0]["fingerprint"]
    except (OSError, ValueError, LookupError, TypeError):
        raise ArcwiseError(
            f"{folder / JSON}: not what an evaluation writes; name another --out, or remove it"
        ) from None
    own = model is not None and folder.resolve().is_relative_to(model.path.resolve().parent / HOME)
    same_model = fingerprint == ("" if model is None else model.fingerprint)
    if measured != (data, pairs) or not (own or same_model):
        raise ArcwiseError(
            f"{folder}: holds the results of {name} on {measured[0]}"
            f"{f' with {measured[1]}' if measured[1] else ''}; name another --out, or remove them"
        )


def default_folder(model: str, data: str, pairs: Path | None) -> Path:
    """Return the folder, next to the model, of results that were given no other."""
    path = Path(model)
    prefix = "" if path.name in ("model", "-") else f"{path.stem}-"
    return path.parent / HOME / f"{prefix}{data}{f'-{pairs.stem}' if pairs else ''}"


def write_results(folder: Path, result: EvaluationResult) -> None:
    """Write results.json and results.csv into a folder, each whole or not at all."""
    for name, text in (
        (CSV, as_csv(result)),
        (JSON, json.dumps(as_dict(result), indent=2, allow_nan=False, ensure_ascii=False) + "\n"),
    ):
        with atomic_write(folder / name) as unfinished:
            unfinished.write_text(text, encoding="utf-8")


def as_dict(result: EvaluationResult) -> dict[str, Any]:
    """Return plain values: what was measured on, and every number of every model."""
    return {
        "format": FORMAT,
        "data": _about(result.about)
        | {
            "kind": result.templates.kind,
            "rows": len(result.manifest),
            "identities": result.identity_count,
        },
        "versions": dict(result.about.versions),
        "seed": result.about.seed,
        "models": [_model(one) for one in result.models.values()],
        "comparisons": [_comparison(result.model, one) for one in result.baselines],
    }


def as_csv(result: EvaluationResult) -> str:
    """Return a table with a row for every number of every model."""
    text = io.StringIO(newline="")
    names = ["model", "fingerprint", "data", "data_fingerprint", *_COLUMNS]
    table = csv.DictWriter(text, names, lineterminator="\n")
    table.writeheader()
    for one in result.models.values():
        for metric in one.metrics:
            counts = "; ".join(f"{name}: {count}" for name, count in metric.counts.items())
            table.writerow(
                {
                    "model": one.model,
                    "fingerprint": one.fingerprint,
                    "data": one.about.data,
                    "data_fingerprint": one.about.fingerprint,
                }
                | _metric(metric)
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
        "used_before": about.used_before,
        "models_that_do_not_say_what_they_were_made_with": list(about.undeclared),
        "images_unreadable": len(about.failures),
        "files_ignored": len(about.ignored),
        "notes": list(about.notes),
    }


def _model(one: EvaluationResult) -> dict[str, Any]:
    return {
        "name": one.model,
        "fingerprint": one.fingerprint,
        "protocols": [
            {"name": p.name, "measured": p.measured, "why": p.why} for p in one.protocols
        ],
        "sentence": one.sentence,
        "results": [_metric(metric) for metric in one.metrics],
        "estimate": None if one.estimate is None else asdict(one.estimate),
        "thresholds": [
            t.threshold.as_dict() | {"far_here": _rate(t.far), "tar_here": _rate(t.tar)}
            for t in one.thresholds
        ],
        "search_thresholds": [
            t.threshold.as_dict() | {"fpir_here": _rate(t.fpir), "dir_here": _rate(t.dir)}
            for t in one.search_thresholds
        ],
    }


def _comparison(first: str, other: BaselineResult) -> dict[str, Any]:
    comparison, mcnemar = other.comparison, other.comparison.mcnemar
    compared = {f"TAR at FAR {comparison.far:g}": comparison.tar}
    if comparison.accuracy is not None:
        compared["accuracy over the folds"] = comparison.accuracy
    return {
        "first": first,
        "second": other.result.model,
        "pairs": other.pairs,
        "definition": "second minus first on the same pairs, the interval from the same draws of "
        "identities for both",
        "results": [
            {
                "metric": name,
                "first": _rate(one.first),
                "second": _rate(one.second),
                "difference": _rate(one.difference),
            }
            for name, one in compared.items()
        ],
        "mcnemar": mcnemar
        and {
            "first_only": mcnemar.first_only,
            "second_only": mcnemar.second_only,
            "p": mcnemar.p,
            "exact": mcnemar.exact,
        },
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "protocol": metric.protocol,
        "column": metric.column,
        "group": metric.group,
        "metric": metric.name,
        **_rate(metric.rate),
        "std": metric.std,
        "definition": metric.definition,
        "counts": dict(metric.counts),
    }


_COLUMNS = (
    "protocol", "column", "group", "metric", "value", "low", "high", "resolved", "std",
    "definition", "counts",
)  # fmt: skip


def _rate(rate: Rate) -> dict[str, Any]:
    values = {"value": float(rate), "low": rate.low, "high": rate.high}
    return {name: value if math.isfinite(value) else None for name, value in values.items()} | {
        "resolved": rate.resolved
    }
