"""The margin family: what the target class has to pay, as pure functions of its cosine.

Shapes: N samples, K other classes. A margin is a frozen dataclass with numbers in it. The softmax
over centres asks it (see `Margin`)

* ``target(cos, norm, state)``: (N,) target cosines → value ψ(cos), slope dψ/dcos and dψ/dnorm;
* ``others(cos, value, state)``: (N, K) cosines to other classes → value and slope;
* ``initial()``, ``observe(cos, norm, state)``: running statistics, where a method has some;
* ``penalty(norm)``: a price on the embedding's length, where a method has one;
* ``at(strength)``: the same margin at a fraction of its strength, for margin warm-up.

Value and slope are closed forms, so every softmax, dense or not, trains the same function, and no
derivative goes through ``acos``, whose own is infinite at cos = ±1.
"""

from __future__ import annotations

from arcwise.margins.adaface import AdaFace
from arcwise.margins.angle import MIN_SINE, Beyond, Gradient
from arcwise.margins.arcface import ArcFace
from arcwise.margins.combined import Combined
from arcwise.margins.cosface import CosFace
from arcwise.margins.curricularface import CurricularFace
from arcwise.margins.elasticface import ElasticFace
from arcwise.margins.filtered import Filtered
from arcwise.margins.magface import MagFace
from arcwise.margins.margin import Margin, State
from arcwise.margins.normsoftmax import NormSoftmax
from arcwise.margins.sphereface import SphereFace
from arcwise.margins.supportvector import SupportVector

__all__ = [
    "MIN_SINE",
    "AdaFace",
    "ArcFace",
    "Beyond",
    "Combined",
    "CosFace",
    "CurricularFace",
    "ElasticFace",
    "Filtered",
    "Gradient",
    "MagFace",
    "Margin",
    "NormSoftmax",
    "SphereFace",
    "State",
    "SupportVector",
]
