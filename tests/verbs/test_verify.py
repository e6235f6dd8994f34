"""A claim is accepted at the threshold of a stated rate, and at no other."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from arcwise.bundle import add_thresholds
from arcwise.cli import main
from arcwise.errors import ArcwiseError, GalleryError, ImageError
from arcwise.recognition.thresholds import verification_threshold
from arcwise.runtime import load
from arcwise.verbs.verify import verify
from tests.verbs.conftest import Shop, threshold


@pytest.fixture
def photo(stock: Shop, tmp_path: Path) -> Path:
    path = tmp_path / "claim.jpg"
    path.write_bytes(stock.catalogue.read(0))
    return path


def test_accepted_and_rejected(stock: Shop, photo: Path) -> None:
    itself, other = stock.catalogue.identities[:2]
    result = verify(stock.gallery, itself, photo)
    assert result.accepted
    assert result.similarity == pytest.approx(1, abs=1e-5)
    assert (result.templates, result.threshold.far) == (1, 0.001)
    assert not verify(stock.gallery, other, photo).accepted
    assert verify(stock.gallery, other, photo, far=0.1).accepted  # at this rate, everything is


def test_how_many_images_of_others_are_accepted(
    stock: Shop, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Said in a sentence; of several templates the closest one counts."""
    claim = [str(stock.gallery), stock.catalogue.identities[0], str(photo)]
    assert main(["verify", *claim, "--far", "0.1"]) == 0
    sentence = "of 100 images of others about 10 would be accepted"
    assert sentence in capsys.readouterr().out
    one = verify(stock.gallery, *claim[1:], far=0.1)
    assert one.promise.startswith(sentence)
    assert "about 27 or fewer" in replace(one, templates=3).promise  # 1 - 0.9³
    assert "is not known" in replace(one, templates=7).promise  # half or more
    assert replace(one, unmeasured="of several").promise == ""


def test_at_the_threshold_is_accepted(shop: Shop, photo: Path) -> None:
    other = shop.catalogue.identities[1]
    similarity = verify(shop.gallery, other, photo).similarity
    for value, accepted in ((similarity, True), (similarity + 1e-7, False)):
        add_thresholds(shop.model, [threshold(0.01, value)], measured_on="", digests=())
        assert verify(shop.gallery, other, photo).accepted is accepted


def test_what_cannot_be_verified(stock: Shop, photo: Path, tmp_path: Path) -> None:
    name = stock.catalogue.identities[0]
    with pytest.raises(GalleryError, match="'nobody' is not enrolled"):
        verify(stock.gallery, "nobody", photo)
    shutil.copy(photo, tmp_path / "second.jpg")
    with pytest.raises(ArcwiseError, match="got 2 images; verify takes one"):
        verify(stock.gallery, name, tmp_path)
    (tmp_path / "broken.jpg").write_bytes(photo.read_bytes()[:99])
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        verify(stock.gallery, name, tmp_path / "broken.jpg")
    with pytest.raises(GalleryError, match="no such gallery"):
        verify(tmp_path / "none", name, photo)


def test_a_model_without_thresholds_accepts_nothing(shop: Shop, photo: Path) -> None:
    add_thresholds(shop.model, [], measured_on="", digests=())
    with pytest.raises(ArcwiseError, match="no thresholds, so nothing can be accepted"):
        verify(shop.gallery, shop.catalogue.identities[0], photo)


def test_which_threshold(shop: Shop) -> None:
    assert verification_threshold(load(shop.model), 0.1) == threshold(0.1, -1.0)
    assert verification_threshold(load(shop.model), 1e-4).resolved is False  # type: ignore[union-attr]
    rough = [threshold(0.1, 0.5, resolved=False), threshold(0.01, 0.6, resolved=False)]
    add_thresholds(shop.model, rough, measured_on="", digests=())
    assert (
        verification_threshold(load(shop.model), None) == rough[0]
    )  # none is resolved: the surest
