"""Plots: pure functions from named results to the text of an SVG."""

from arcwise.report.plots.dots import comparison, groups, reliability, thresholds
from arcwise.report.plots.error_curves import cmc, det, detection, error_versus_reject, roc
from arcwise.report.plots.histograms import angles, scores
from arcwise.report.plots.training_progress import training

__all__ = [
    "angles",
    "cmc",
    "comparison",
    "det",
    "detection",
    "error_versus_reject",
    "groups",
    "reliability",
    "roc",
    "scores",
    "thresholds",
    "training",
]
