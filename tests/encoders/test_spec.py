from __future__ import annotations

import json

import pytest

from arcwise import encoders
from arcwise.encoders.spec import EncoderSpec
from arcwise.errors import ArcwiseError

FULL = EncoderSpec("efficientnet_lite0", 8, (32, 48), {"pooling": "gem"}, "installed")


def test_back_from_json() -> None:
    assert EncoderSpec.from_dict(json.loads(json.dumps(FULL.as_dict()))) == FULL


def test_what_is_empty_is_left_out() -> None:
    plain = {"name": "small", "dim": 8, "size": [32, 32]}
    assert EncoderSpec("small", 8, (32, 32)).as_dict() == plain


def test_an_encoder_has_its_spec() -> None:
    encoder = encoders.create("efficientnet_lite0", dim=8, arguments={"pooling": "gem"})
    assert encoders.architecture(encoder)["arguments"] == {"pooling": "gem"}


def test_an_unknown_argument() -> None:
    with pytest.raises(ArcwiseError, match="did you mean 'pooling'"):
        encoders.create("efficientnet_lite0", dim=8, arguments={"poolin": "gem"})
    with pytest.raises(ArcwiseError, match="small takes no argument 'pooling'"):
        encoders.create("small", dim=8, arguments={"pooling": "gem"})
