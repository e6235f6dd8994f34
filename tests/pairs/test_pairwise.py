from __future__ import annotations

import pytest
import torch

from arcwise.pairs.pairwise import chord, squared_chord


def test_chords_by_hand():
    cosines = torch.tensor([1, 0.5, 0, -1], dtype=torch.float64, requires_grad=True)
    assert squared_chord(cosines).tolist() == [0, 1, 2, 4]
    lengths = chord(cosines)
    assert lengths.tolist() == pytest.approx([0, 1, 2**0.5, 2])
    lengths.sum().backward()  # d√(2 - 2u)/du = -1/length; no direction, no slope where they meet
    assert cosines.grad.tolist() == pytest.approx([0, -1, -(0.5**0.5), -0.5])
