from __future__ import annotations

import pytest
import torch

from arcwise.encoders.interface import EncoderOutput, encoder_output
from arcwise.errors import ArcwiseError

EMBEDDING, QUALITY = torch.randn(3, 4), torch.rand(3)


def test_an_embedding_is_an_output_without_a_quality():
    output = encoder_output(EMBEDDING)
    assert output.embedding is EMBEDDING
    assert output.quality is None


def test_an_encoder_with_a_quality_returns_both():
    output = encoder_output((EMBEDDING, QUALITY))
    assert output.embedding is EMBEDDING
    assert output.quality is QUALITY


def test_an_output_stays_one():
    output = EncoderOutput(EMBEDDING, QUALITY)
    assert encoder_output(output) is output


@pytest.mark.parametrize("result", [None, [EMBEDDING], (EMBEDDING,), {"embedding": EMBEDDING}])
def test_anything_else_is_refused(result):
    with pytest.raises(ArcwiseError, match=type(result).__name__):
        encoder_output(result)
