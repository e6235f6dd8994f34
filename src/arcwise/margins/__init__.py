"""The margin family: the logit of the target class, as pure functions of its cosine.

Shapes: N samples, K negatives (classes that are not the target). A margin is a frozen dataclass
with numbers in it. The softmax over centres calls (see `Margin`)

* ``target(cos, norm, state)``: (N,) target cosines → margin logit ψ(cos), dψ/dcos and dψ/dnorm;
* ``negatives(cos, psi, state)``: (N, K) cosines to negatives → as they count, and the derivative;
* ``initial()``, ``observe(cos, norm, state)``: running statistics, where a method has some;
* ``of_classes(sizes)``: what it needs of every class, where that follows its number of images;
* ``penalty(norm)``: a penalty on the embedding's length, where a method has one;
* ``scaled(margin_scale)``: the same margin at a fraction of its size, for margin warm-up.

Logit and derivative are closed forms, so every softmax, dense or not, trains the same function, and
no derivative goes through ``acos``, whose own is infinite at cos = ±1.
"""

from __future__ import annotations

from arcwise.margins.adaface import AdaFace
from arcwise.margins.angle import MIN_SINE, Beyond, Gradient
from arcwise.margins.arcface import ArcFace
from arcwise.margins.combined import Combined
from arcwise.margins.cosface import CosFace
from arcwise.margins.curricularface import CurricularFace
from arcwise.margins.dynamicarcface import DynamicArcFace
from arcwise.margins.elasticface import ElasticFace
from arcwise.margins.magface import MagFace
from arcwise.margins.margin import Margin, NormSoftmax, State
from arcwise.margins.reweighted import Filtered, SupportVector
from arcwise.margins.sphereface import SphereFace

__all__ = [
    "MIN_SINE",
    "AdaFace",
    "ArcFace",
    "Beyond",
    "Combined",
    "CosFace",
    "CurricularFace",
    "DynamicArcFace",
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
