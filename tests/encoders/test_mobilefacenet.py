"""MobileFaceNet against Table 1 of Chen et al. 2018, row by row."""

from __future__ import annotations

import torch

from arcwise import encoders

# The table's "input" column, so the output of each row is the next row's input.
TABLE_1 = [
    ("conv 3x3, s2", (64, 56, 56)),
    ("depthwise conv 3x3", (64, 56, 56)),
    ("bottleneck t2 c64 n5 s2", (64, 28, 28)),
    ("bottleneck t4 c128 n1 s2", (128, 14, 14)),
    ("bottleneck t2 c128 n6 s1", (128, 14, 14)),
    ("bottleneck t4 c128 n1 s2", (128, 7, 7)),
    ("bottleneck t2 c128 n2 s1", (128, 7, 7)),
    ("conv 1x1", (512, 7, 7)),
    ("linear GDConv 7x7", (512, 1, 1)),
]


def bottleneck(before: int, after: int, expansion: int) -> int:
    e = before * expansion
    expand = before * e + 2 * e + e  # weights, batch normalisation, PReLU
    depthwise = 9 * e + 2 * e + e
    return expand + depthwise + e * after + 2 * after


# By hand from the table: 3x3 stem and depthwise with normalisation and slopes, the bottlenecks,
# 1x1 to 512, the 7x7 depthwise (49 * 512), the linear 1x1 to 128.
PARAMETERS = (
    (27 * 64 + 3 * 64)
    + (9 * 64 + 3 * 64)
    + 5 * bottleneck(64, 64, 2)
    + bottleneck(64, 128, 4)
    + 6 * bottleneck(128, 128, 2)
    + bottleneck(128, 128, 4)
    + 2 * bottleneck(128, 128, 2)
    + (128 * 512 + 3 * 512)
    + (49 * 512 + 2 * 512)
    + (512 * 128 + 2 * 128)
)


def test_stage_by_stage() -> None:
    encoder = encoders.create("mobilefacenet", dim=128).eval()
    x = torch.zeros(1, 3, 112, 112)
    assert len(encoder.stages) == len(TABLE_1)
    with torch.no_grad():
        for stage, (row, shape) in zip(encoder.stages, TABLE_1, strict=True):
            x = stage(x)
            assert tuple(x.shape[1:]) == shape, row
        assert encoder.embedding(x).shape == (1, 128, 1, 1)


def test_parameters() -> None:
    encoder = encoders.create("mobilefacenet", dim=128)
    counted = sum(p.numel() for p in encoder.parameters())
    assert counted == PARAMETERS
    slopes = sum(m.weight.numel() for m in encoder.modules() if isinstance(m, torch.nn.PReLU))
    assert 0.99e6 < counted - slopes < 1.0e6  # "0.99 M" in the paper's Table 2


def test_where_the_shortcuts_are() -> None:
    encoder = encoders.create("mobilefacenet")
    rows = [encoder.stages[i] for i in range(2, 7)]
    assert [[block.shortcut for block in row] for row in rows] == [
        [False, True, True, True, True],
        [False],
        [True] * 6,
        [False],
        [True, True],
    ]
    linear = [encoder.stages[8], encoder.embedding, rows[0][0].project]
    assert not any(isinstance(m, torch.nn.PReLU) for part in linear for m in part)
