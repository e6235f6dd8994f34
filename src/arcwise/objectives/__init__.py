"""Objectives: what a training step minimises.

An objective answers `loss(output, batch) -> (loss, metrics)`; the step knows no more of it. Those
over class centres, between samples and the regularisers are in `terms`. A `WeightedSum` of
objectives is one.
"""

from arcwise.encoders.interface import EncoderOutput
from arcwise.objectives.objective import Batch, Objective, WeightedSum
from arcwise.objectives.set_triplet import SetTriplet, pool_sets
from arcwise.objectives.terms import BetweenSamples, ClassCentres, Regulariser

__all__ = [
    "Batch",
    "BetweenSamples",
    "ClassCentres",
    "EncoderOutput",
    "Objective",
    "Regulariser",
    "SetTriplet",
    "WeightedSum",
    "pool_sets",
]
