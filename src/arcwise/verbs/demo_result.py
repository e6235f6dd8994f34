"""What the demo found, and whether its answers are right."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from arcwise.data.manifest import Manifest
from arcwise.evaluation import Rate
from arcwise.verbs.enrol import Enrolled
from arcwise.verbs.evaluate import EvaluationResult
from arcwise.verbs.export import ExportReport
from arcwise.verbs.search import SearchResult
from arcwise.verbs.train import TrainResult

LOSSES = ("softmax", "arcface")

SHOWN = ("recall@1,", "MAP@R", "TAR at FAR 0.01", "equal-error rate", "rank 1", "DIR")
"""How the names of the metrics begin that a demo shows."""


@dataclass(frozen=True, eq=False)
class DemoResult:
    """What the demo found.

    Attributes:
        runs: the training of each loss.
        evaluations: of each loss, on products that were not trained on.
        exported: the chosen model as ONNX.
        enrolled: studio images of half of the new products.
        enrolled_products: the identities of these.
        queries: shop images of all new products, half of them unknown to the gallery.
        searched: the answers to the queries.
        report: the page; None where matplotlib or jinja2 are missing.
    """

    runs: dict[str, TrainResult]
    evaluations: dict[str, EvaluationResult]
    exported: ExportReport
    enrolled: Enrolled
    enrolled_products: frozenset[str]
    queries: Manifest
    searched: SearchResult
    report: Path | None = None

    @cached_property
    def stranger(self) -> np.ndarray:
        """(Q,) bool, whether the product of each query is not enrolled."""
        return np.array([one not in self.enrolled_products for one in self.queries.identities])

    @cached_property
    def right(self) -> np.ndarray:
        """(Q,) bool, whether each answer is right: the product, or unknown for a stranger."""
        answers = (one.decision and one.decision.identity for one in self.searched.answers)
        products = zip(self.queries.identities, self.stranger, strict=True)
        expected = (None if stranger else product for product, stranger in products)
        return np.array([a == b for a, b in zip(answers, expected, strict=True)])

    def compared(self) -> dict[str, dict[str, Rate]]:
        """Return a few metrics by name, each with the rate of every loss."""
        columns = {loss: dict(result.rates()) for loss, result in self.evaluations.items()}
        names = [name for name in columns[LOSSES[-1]] if name.startswith(SHOWN)]
        return {
            name: {loss: column[name] for loss, column in columns.items() if name in column}
            for name in names
        }
