"""Protocols: pure functions from scores and labels to a frozen result that prints itself."""

from arcwise.evaluation.calibration import Threshold, calibrate
from arcwise.evaluation.intervals import Rate

__all__ = ["Rate", "Threshold", "calibrate"]
