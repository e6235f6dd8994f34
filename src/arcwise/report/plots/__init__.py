"""Plots: pure functions from named results to the text of an SVG."""

from arcwise.report.plots.calibration import reliability, thresholds
from arcwise.report.plots.course import training
from arcwise.report.plots.dots import comparison, groups
from arcwise.report.plots.histograms import angles, scores
from arcwise.report.plots.ranks import cmc
from arcwise.report.plots.tradeoff import det, detection, roc

__all__ = [
    "angles",
    "cmc",
    "comparison",
    "det",
    "detection",
    "groups",
    "reliability",
    "roc",
    "scores",
    "thresholds",
    "training",
]
