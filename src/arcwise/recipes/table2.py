"""The rows of the ArcFace paper's Table 2 (arXiv 1801.07698), as losses that can be trained.

The paper trains ResNet-50 on CASIA-WebFace at scale 64 and prints the verification accuracy, in per
cent, on LFW, CFP-FP and AgeDB-30. Rows that it quotes from other papers are not among these.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """A row of the table.

    Attributes:
        label: as the paper prints it.
        loss: as `--loss` takes it.
        published: accuracy on LFW, CFP-FP and AgeDB-30, in per cent.
    """

    label: str
    loss: str
    published: tuple[float, float, float]


TABLE_2 = (
    Row("ArcFace (0.4)", "arcface@0.4", (99.53, 95.41, 94.98)),
    Row("ArcFace (0.45)", "arcface@0.45", (99.46, 95.47, 94.93)),
    Row("ArcFace (0.5)", "arcface@0.5", (99.53, 95.56, 95.15)),
    Row("ArcFace (0.55)", "arcface@0.55", (99.41, 95.32, 95.05)),
    Row("SphereFace (1.35)", "sphereface@1.35", (99.11, 94.38, 91.70)),
    Row("CosFace (0.35)", "cosface@0.35", (99.51, 95.44, 94.56)),
    Row("CM1 (1, 0.3, 0.2)", "cm1", (99.48, 95.12, 94.38)),
    Row("CM2 (0.9, 0.4, 0.15)", "cm2", (99.50, 95.24, 94.86)),
    Row("Softmax", "softmax", (99.08, 94.39, 92.33)),
    Row("Norm-Softmax", "normsoftmax", (98.56, 89.79, 88.72)),
    Row("NS + Intra", "normsoftmax+intra", (98.75, 93.81, 90.92)),
    Row("NS + Inter", "normsoftmax+inter", (98.68, 90.67, 89.50)),
    Row("NS + Intra + Inter", "normsoftmax+intra+inter", (98.73, 94.00, 91.41)),
    Row("Triplet (0.35)", "triplet@0.35", (98.98, 91.90, 89.98)),
    Row("ArcFace + Intra", "arcface@0.5+intra", (99.45, 95.37, 94.73)),
    Row("ArcFace + Inter", "arcface@0.5+inter", (99.43, 95.25, 94.55)),
    Row("ArcFace + Intra + Inter", "arcface@0.5+intra+inter", (99.43, 95.42, 95.10)),
    Row("ArcFace + Triplet", "arcface@0.5+triplet@0.35", (99.50, 95.51, 94.40)),
)
"""In the order of the paper."""

BESIDE = {
    "SV-Softmax": "sv-softmax",
    "SV-ArcFace": "sv-arcface@0.5",
    "SV-CosFace": "sv-cosface@0.35",
    "MV-ArcFace, fixed": "mv-arcface@0.5",
    "MV-CosFace, fixed": "mv-cosface@0.35",
    "Softmax + centre loss": "softmax+centre",
    "Triplet, Euclidean": "triplet-euclidean",
    "AdaFace": "adaface",
    "MagFace": "magface",
    "CurricularFace": "curricularface",
    "ElasticFace": "elasticface",
    "ArcFace, dynamic margins": "dynamicarcface",
    "Circle": "circle",
    "Supervised contrastive": "supervised-contrastive",
}
"""Losses that the table does not have, by their names. MV-softmax's adaptive form is SV's."""
