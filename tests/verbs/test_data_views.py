"""The contact sheet of what training sees."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from arcwise.data.augment import Augment, augment
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.recipes import recipe
from arcwise.training import batches
from arcwise.verbs.data_views import GAP, LINE, TILE, views
from arcwise.verbs.train import train
from tests import pictures
from tests.settings import changed

CONFIG = changed(
    recipe("products-small"), size=32, train_crop=0, dim=16, batch=8, steps=2, holdout=0.3
)


def tiles(path: Path, columns: int) -> np.ndarray:
    """(rows, columns, TILE, TILE, 3) RGB: the images of a sheet, its words left out."""
    sheet = cv2.imread(str(path))[LINE:, :, ::-1]
    rows = sheet.reshape(-1, LINE + TILE + GAP, columns, TILE + GAP, 3)
    return rows[:, LINE:-GAP, :, :-GAP].transpose(0, 2, 1, 3, 4)


def scaled(image: np.ndarray) -> np.ndarray:
    return cv2.resize(image, (TILE, TILE))


def test_the_first_views_are_those_of_the_first_step_of_training(
    known: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = changed(CONFIG, workers=0, augment=Augment(backdrop=0.5, blur=0.5, jpeg=0.5))
    done = views(known, tmp_path / "sheet.png", config, rows=8, count=2)
    assert (done.images, done.failures) == (8, ())
    seen = []

    def watch(*given):
        seen.append(augment(*given))
        return seen[-1]

    monkeypatch.setattr(batches, "augment", watch)
    train(known, tmp_path / "run", config)
    trained = seen[0].permute(0, 2, 3, 1).round().byte().numpy()
    found = tiles(tmp_path / "sheet.png", 3)[:, 1]
    np.testing.assert_array_equal(found, [scaled(view) for view in trained])


def test_left_is_the_image_as_the_model_is_given_it(tmp_path: Path) -> None:
    manifest = pictures.write(tmp_path / "data", identities=3, each=2)
    still = Augment(
        zoom=1, aspect=0, rotation=0, flip=0, brightness=0, contrast=0, saturation=0, hue=0
    )
    config = changed(CONFIG, holdout=0.0, cache_size=1.0, augment=still)
    done = views(manifest, tmp_path / "sheet.png", config, rows=50, count=3)
    assert done.images == 6  # the batch of 8 has some of them twice
    found = tiles(tmp_path / "sheet.png", 4)
    assert np.abs(found[:, 1:].astype(int) - found[:, :1]).max() <= 1
    assert len({tile.tobytes() for tile in found[:, 0]}) == 6


def test_the_same_seed_draws_the_same_sheet_and_another_another(
    known: Manifest, tmp_path: Path
) -> None:
    sheets = [tmp_path / f"{number}.jpg" for number in range(3)]
    for seed, sheet in zip((0, 0, 1), sheets, strict=True):
        views(known, sheet, changed(CONFIG, seed=seed))
    one, same, other = (sheet.read_bytes() for sheet in sheets)
    assert one == same != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]


def test_what_cannot_be_read_is_told_and_not_shown(tmp_path: Path) -> None:
    pictures.write(tmp_path / "data", identities=3, each=2)
    (tmp_path / "data/id00/0.png").write_bytes(b"not an image")
    config = changed(CONFIG, holdout=0.0, batch=6)
    done = views(open_manifest(tmp_path / "data"), tmp_path / "sheet.png", config)
    assert done.images == 5
    assert [Path(failure.name).name for failure in done.failures] == ["0.png"]


def test_nothing_that_can_be_read_is_an_error(tmp_path: Path) -> None:
    pictures.write(tmp_path / "data", identities=2, each=2)
    for path in (tmp_path / "data").glob("*/*.png"):
        path.write_bytes(b"not an image")
    with pytest.raises(ArcwiseError, match=r"no image can be read; .*\.png"):
        views(open_manifest(tmp_path / "data"), tmp_path / "s.png", changed(CONFIG, holdout=0.0))


@pytest.mark.parametrize(
    ("name", "asked", "message"),
    [
        ("sheet.pdf", {}, r"sheet\.pdf: a sheet is an image; expected one of \.jpg, \.png"),
        ("sheet", {}, "a sheet is an image"),
        ("sheet.jpg", {"rows": 0}, "0 images with 8 views; expected at least 1 of each"),
        ("sheet.jpg", {"count": 0}, "6 images with 0 views; expected at least 1 of each"),
    ],
)
def test_a_sheet_that_cannot_be_is_refused(
    name: str, asked: dict[str, int], message: str, known: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(ArcwiseError, match=message):
        views(known, tmp_path / name, CONFIG, **asked)
    assert not list(tmp_path.iterdir())
