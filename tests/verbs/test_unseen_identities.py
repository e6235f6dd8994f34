"""Who was trained on is known by every written form of the name, and by the images."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise import runtime
from arcwise.bundle import read_bundle
from arcwise.data.digests import content_digests, text_digest
from arcwise.data.formats.opening import open_manifest
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.runtime import Model
from arcwise.verbs.calibrate import calibrate
from arcwise.verbs.data_convert import convert
from arcwise.verbs.evaluate import evaluate
from arcwise.verbs.train import TrainResult
from arcwise.verbs.unseen_identities import unseen_rows

NFC, NFD = "Jos\u00e9", "Jose\u0301"
Made = Callable[..., Model]


@pytest.fixture
def made(served: Path, tmp_path: Path) -> Made:
    """A maker of a model trained on identities whose names were digested as they are given."""

    def make(*names: str, images: bool = False) -> Model:
        folder = tmp_path / f"made-{len(list(tmp_path.iterdir()))}"
        shutil.copytree(served, folder)
        about = json.loads((folder / "model.json").read_bytes())
        about["digests"] = {"train": [text_digest(one) for one in names], "choose": []}
        about["digests"]["calibrate"] = []
        if not images:
            del about["files"]["trained_images.npy"]
        (folder / "model.json").write_text(json.dumps(about))
        return runtime.load(folder, check=False)

    return make


def named(manifest: Manifest, *names: str) -> Manifest:
    """The data set with its identities called so, in turn."""
    identities = [names[label % len(names)] for label in manifest.labels]
    table = manifest.table.drop_columns(["identity"]).append_column(
        "identity", pa.array(identities)
    )
    return Manifest(table, manifest.root, manifest.name)


@pytest.mark.parametrize(
    ("then", "now"),
    [("1", "001"), ("001", "1"), ("1.0", "1"), ("1", "1.0"), (NFC, NFD), (NFD, NFC), ("a", " a ")],
)
def test_forms_of_a_name(made: Made, new: Manifest, then: str, now: str) -> None:
    found = unseen_rows(named(new, now, "x", "y"), [made(then)])
    assert found.manifest.classes == ["x", "y"]
    assert (found.left_out, found.trained_images) == (1, None)


def test_an_older_model_knows_folders_around_the_identity(made: Made, tmp_path: Path) -> None:
    for name in ("ann", "bob", "cid"):
        (tmp_path / "photos/outer/inner" / name).mkdir(parents=True)
        (tmp_path / "photos/outer/inner" / name / "1.jpg").write_bytes(b"")
    data = open_manifest(tmp_path / "photos")
    assert unseen_rows(data, [made("inner/ann")]).manifest.classes == ["bob", "cid"]
    assert unseen_rows(data, [made("other/ann", "nn")]).left_out == 0


def test_what_a_model_keeps_are_the_images_it_was_trained_on(trained: TrainResult) -> None:
    parts = trained.parts
    kept = read_bundle(trained.model).trained_images()
    assert kept is not None
    assert set(kept) <= set(content_digests(parts.train))
    last = read_bundle(trained.folder / "last").trained_images()
    assert last is not None
    assert set(kept) <= set(last)
    assert len(last) > 0.9 * len(parts.train)  # 30 batches of 16
    assert parts.validation is not None
    assert not set(last) & set(content_digests(parts.validation))


def test_images_by_other_names(served: Path, trained: TrainResult, new: Manifest) -> None:
    """An identity of which one image was trained on is left out, with all its images."""
    model = runtime.load(served)
    assert model.bundle is not None
    train = trained.parts.train
    seen = np.isin(content_digests(train), model.bundle.trained_images())
    strange = named(train, *(f"other-{n}" for n in range(len(train.classes))))
    with pytest.raises(
        ArcwiseError, match=rf"all but 0 of .* on {seen.sum()} of its {len(seen)} i"
    ):
        unseen_rows(strange, [model], other_identities=True)
    own = strange.select(np.flatnonzero(seen)[:1])
    paths = [str(one.root / image) for one in (own, new) for image in one.images]
    both = pa.table({"image": paths, "identity": [new.classes[0], *new.identities]})
    for others in (False, True):
        found = unseen_rows(Manifest(both, Path("/"), "both"), [model], other_identities=others)
        assert (found.left_out, found.trained_images) == (1, 1)
        assert found.manifest.classes == new.classes[1:]


def test_bare_numbers_may_be_others(made: Made, new: Manifest) -> None:
    numbers = named(new, "0", "1", "2", "3")
    some = made("0", "1", images=True)
    found = unseen_rows(numbers, [some])
    assert found.left_out == 2
    assert "2 left out by this rule (such as 0)" in found.notes[0]
    assert "none of the data set's images" in found.notes[0]
    assert "--other-identities" in found.notes[0]
    stated = unseen_rows(numbers, [some], other_identities=True)
    assert (stated.left_out, stated.manifest.classes) == (0, ["0", "1", "2", "3"])
    every = made(*map(str, range(4)))
    with pytest.raises(ArcwiseError, match=r"trained on all but 0 .*--other-identities"):
        unseen_rows(numbers, [every])
    assert unseen_rows(numbers, [every], other_identities=True).left_out == 0
    with pytest.raises(ArcwiseError, match=r"it has never seen$"):
        unseen_rows(named(new, "a", "b"), [made("a", "b")])


def test_evaluate_and_calibrate_say_so(made: Made, new: Manifest) -> None:
    model = made("0", "1", images=True)
    numbers = named(new, *map(str, range(12)))
    found = evaluate(model, numbers)
    assert (found.about.left_out, found.about.trained_images) == (2, 0)
    assert any("bare numbers" in note for note in found.about.notes)
    assert evaluate(model, numbers, other_identities=True).about.left_out == 0
    result = calibrate(model.path, numbers)
    assert (result.left_out, result.trained_images) == (2, 0)
    assert calibrate(model.path, numbers, other_identities=True).left_out == 0


def test_a_pack_that_does_not_say_whose_its_images_are(
    served: Path, trained: TrainResult, tmp_path: Path
) -> None:
    """They are counted: nobody can be left out."""
    train = trained.parts.train
    model = runtime.load(served)
    assert model.bundle is not None
    seen = np.isin(content_digests(train), model.bundle.trained_images())
    images = train.images
    mates = {(a, b) for a in range(9) for b in range(a) if train.labels[a] == train.labels[b]}
    others = {(a, -1) for a in range(9) if train.labels[a] != train.labels[-1]}
    pairs = [f"{images[a]},{images[b]},{int((a, b) in mates)}" for a, b in sorted(mates | others)]
    (tmp_path / "pairs.csv").write_text("\n".join(["a,b,same", *pairs, ""]))
    convert(train, tmp_path / "pack.bin", pairs=tmp_path / "pairs.csv")
    found = evaluate(model, tmp_path / "pack.bin")
    assert found.identity_count is None
    assert found.about.trained_images is not None
    assert 0 < found.about.trained_images <= 2 * len(pairs)
    assert seen[:9].any()


def test_what_is_left_out_is_said_where_more_is_asked_for(
    served: Path, known: Manifest, new: Manifest, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(served, folder)
    calibrate(folder, new)
    few = known.select(np.flatnonzero(known.labels < 24))
    with pytest.raises(ArcwiseError, match=r"\d+ identities were left out"):
        calibrate(folder, few)
