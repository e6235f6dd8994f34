from __future__ import annotations

import math

import pytest

from arcwise.errors import ArcwiseError
from arcwise.heads import scale_for


def test_scale_grows_with_the_classes_as_adacos_does():
    start = math.sqrt(2) * math.log(9_999)  # AdaCos at 10,000 classes
    assert scale_for(10_000) == pytest.approx(2.5 * start)
    scales = [scale_for(c) for c in (2, 5, 50, 500, 5_000, 1_000_000)]
    assert scales == sorted(scales)
    assert scales[0] == 8
    assert 45 < scales[-1] < 64  # what the field uses by hand for a million


def test_one_class_is_refused():
    with pytest.raises(ArcwiseError, match="got 1 classes"):
        scale_for(1)
