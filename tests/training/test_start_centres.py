from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from arcwise import encoders, runtime
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from arcwise.heads import CentreHead
from arcwise.images import decode
from arcwise.margins import ArcFace
from arcwise.training import build, checkpoint
from arcwise.training.start_centres import (
    fit_statistics,
    keep_centres,
    run_of_kept_centres,
    start_at_class_means,
)
from tests.settings import changed
from tests.training import runs


def embedded(network, images, preparation) -> np.ndarray:
    pixels = np.stack([preparation.pixels(image) for image in images])
    with torch.no_grad():
        return network.eval()(torch.from_numpy(preparation.tensor(pixels))).numpy()


@pytest.mark.usefixtures("few_layers")
@pytest.mark.parametrize("name", ["efficientnet_lite0", "small"])
@pytest.mark.parametrize("subcentres", [1, 2])
def test_centres_point_at_the_means_of_their_classes(name, subcentres, patterns) -> None:
    config = runs.config(encoder={"name": name, "size": 32, "dim": 8, "flip_tta": False})
    preparation = build.preparation(config.encoder)
    torch.manual_seed(0)
    network = encoders.create(name, dim=8, size=(32, 32))
    head = CentreHead(8, 8, margin=ArcFace(0.1), subcentres=subcentres)
    lengths = head.centres.detach().norm(dim=-1)
    start_at_class_means(head, network, config, patterns, preparation)
    images = [decode(patterns.read(row), "image") for row in range(len(patterns))]
    vectors = embedded(network, images, preparation)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    means = np.stack([vectors[patterns.labels == label].mean(0) for label in range(8)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    centres = head.centres.detach().reshape(8, -1, 8)
    cosines = torch.nn.functional.normalize(centres, dim=-1).numpy() @ means[:, :, None]
    assert cosines.min() > (0.9999 if subcentres == 1 else 0.95)
    if subcentres == 1:
        torch.testing.assert_close(head.centres.detach().norm(dim=-1), lengths)


def test_statistics_of_a_new_head_are_those_of_the_features() -> None:
    pooled = torch.randn(50, 12, generator=torch.Generator().manual_seed(0)) * 3 + 2
    head = encoders.create("efficientnet_lite0", dim=4).head
    head.project = torch.nn.Sequential(torch.nn.BatchNorm1d(12))
    fit_statistics(head, pooled)
    torch.testing.assert_close(head.project[0].running_mean, pooled.mean(0))
    torch.testing.assert_close(head.project[0].running_var, pooled.var(0))
    assert head.project[0].momentum == 0.1


@pytest.fixture(scope="module")
def earlier(patterns: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that learnt something. Nobody may change it."""
    folder = tmp_path_factory.mktemp("earlier")
    config = runs.config(steps=15, batch=16, lr=0.1, ema_decay=0.0)
    preparation = build.preparation(config.encoder)

    def save(network, step, result, last):
        runtime.save(folder / "model", network, preparation)

    runs.train(config, patterns, folder, on_best=save)
    return folder


def test_centres_of_an_earlier_run_are_kept_by_identity(patterns, earlier) -> None:
    before = checkpoint.load(earlier / "checkpoints")[1]["objective"]["head.centres"]
    classes = [patterns.classes[label] for label in (5, 2)]
    head = CentreHead(3, 16, margin=ArcFace(0.1))
    new = head.centres.detach().clone()
    assert keep_centres(head, [*classes, "somebody new"], earlier) == 2
    assert torch.equal(head.centres.detach()[:2], before[[5, 2]])
    assert torch.equal(head.centres.detach()[2], new[2])


def test_centres_of_another_size_are_refused(patterns, earlier) -> None:
    with pytest.raises(ArcwiseError, match="no class centres of"):
        keep_centres(CentreHead(3, 17, margin=ArcFace(0.1)), patterns.classes[:3], earlier)


@pytest.mark.parametrize("init", ["", "installed", "hf://owner/repository/file.pth", "folder"])
def test_weights_that_are_no_run_have_no_centres_to_keep(init, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder" / "checkpoints").mkdir(parents=True)
    with pytest.raises(ArcwiseError, match=f"got '{init}'; expected a run folder"):
        run_of_kept_centres(init)


def test_class_means_begin_better_than_chance(patterns, tmp_path) -> None:
    losses = []
    for start in ("random", "class-means"):
        runs.train(runs.config(steps=1, centres_start=start), patterns, tmp_path / start)
        losses.append(runs.rows(tmp_path / start)[0]["loss"])
    assert losses[1] < losses[0]


def test_a_run_keeps_the_centres_of_the_run_that_it_starts_from(
    patterns, earlier, tmp_path
) -> None:
    config = runs.config(steps=1, encoder={"init": str(earlier)}, lr=1e-9)
    losses = []
    for start in ("random", "kept"):
        runs.train(changed(config, centres_start=start), patterns, tmp_path / start)
        losses.append(runs.rows(tmp_path / start)[0]["loss"])
    assert losses[1] < losses[0]
