"""Objectives: what a training step minimises.

An objective answers `loss(output, batch) -> (loss, metrics)`; the step knows no more of it. Those
over class centres, between samples and the regularisers are in `terms`, that of the length in
`length`; `SemiSiamese` has a file of its own. A `WeightedSum` of objectives is one.
"""

from arcwise.encoders.interface import EncoderOutput
from arcwise.objectives.length import LengthRegression, standardisation
from arcwise.objectives.objective import Batch, Objective, WeightedSum
from arcwise.objectives.semi_siamese import SemiSiamese
from arcwise.objectives.set_triplet import SetTriplet, pool_sets
from arcwise.objectives.terms import BetweenSamples, ClassCentres, Regulariser

__all__ = [
    "Batch",
    "BetweenSamples",
    "ClassCentres",
    "EncoderOutput",
    "LengthRegression",
    "Objective",
    "Regulariser",
    "SemiSiamese",
    "SetTriplet",
    "WeightedSum",
    "pool_sets",
    "standardisation",
]
