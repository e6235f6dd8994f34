"""Training on some identities, clustering others; the same again after a stop; model folders."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from arcwise.bundle import read_linkage
from arcwise.clustering.constraints import Constraints
from arcwise.clustering.graph import nearest_neighbours
from arcwise.clustering.linkage import model as linkage
from arcwise.clustering.linkage.subgraphs import SubgraphShape
from arcwise.clustering.linkage.training import LinkageTraining, TrainedLinkage, train_linkage
from arcwise.errors import ArcwiseError, BundleError, NonFiniteError
from arcwise.evaluation import clustering

SHAPE = SubgraphShape((8, 3), 3)
SETTINGS = LinkageTraining(training_shape=SHAPE, shape=SHAPE, epochs=6, batch=8, held_out=0.3)


def people(count: int, seed: int, spread: float = 0.35) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings (N, 16) of identities with 1 to 9 images."""
    rng = np.random.default_rng(seed)
    identity = np.repeat(np.arange(count), rng.integers(1, 10, count))
    centre = rng.normal(size=(count, 16)) / 4
    vectors = centre[identity] + rng.normal(size=(len(identity), 16)) * spread / 4
    return vectors.astype(np.float32), identity


@pytest.fixture(scope="module")
def trained() -> TrainedLinkage:
    return train_linkage(*people(100, 0), SETTINGS, seed=0)


def test_identities_never_seen_are_clustered(trained: TrainedLinkage) -> None:
    vectors, identity = people(50, 1)
    assert trained.losses[-1] < trained.losses[0]
    result = clustering(identity, trained.model.cluster(vectors), draws=1)
    assert float(result.bcubed_f) > 0.9
    near = nearest_neighbours(vectors, 8)
    probability = trained.model.probabilities(vectors, near)
    same = identity[near.index] == identity[:, None]
    assert probability.shape == (len(vectors), 8)
    assert probability[same].mean() > 0.7
    assert probability[~same].mean() < 0.3


def test_held_out_identities_are_not_trained_on(trained: TrainedLinkage) -> None:
    _, identity = people(100, 0)
    kept, held = set(identity[trained.train]), set(identity[~trained.train])
    assert not kept & held
    assert len(held) == 30
    assert 0.5 < trained.bcubed_f <= 1.0


class Cut(Exception):
    """The process ends here."""


def test_a_stopped_training_ends_as_if_it_had_not(
    trained: TrainedLinkage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("arcwise.clustering.linkage.training._SAVE_EVERY", 5)
    data = people(100, 0)

    def stop(done: int, count: int) -> None:
        if done >= count // 2:
            raise Cut

    with pytest.raises(Cut):
        train_linkage(*data, SETTINGS, seed=0, folder=tmp_path, progress=stop)
    steps: list[int] = []
    again = train_linkage(
        *data, SETTINGS, seed=0, folder=tmp_path, progress=lambda done, _: steps.append(done)
    )
    assert steps[0] > 100  # it went on, and not from the beginning
    assert again.losses == pytest.approx(trained.losses, rel=1e-6)
    for key, value in trained.model.network.state_dict().items():
        assert torch.equal(value, again.model.network.state_dict()[key])
    other = train_linkage(*data, replace(SETTINGS, epochs=1), seed=0, folder=tmp_path)
    assert len(other.losses) == 1  # what is in the folder is of other settings
    (tmp_path / "state.pt").write_bytes(b"half")
    with pytest.raises(ArcwiseError, match=r"state\.pt"):
        train_linkage(*data, SETTINGS, seed=0, folder=tmp_path)


def test_a_model_folder_clusters_the_same(trained: TrainedLinkage, tmp_path: Path) -> None:
    vectors, _ = people(20, 2)
    linkage.save(tmp_path / "model", trained.model, training={"epochs": 3}, licence="MIT")
    loaded = linkage.load(tmp_path / "model")
    assert (loaded.shape, loaded.threshold) == (SHAPE, trained.model.threshold)
    assert loaded.cluster(vectors).tolist() == trained.model.cluster(vectors).tolist()
    assert read_linkage(tmp_path / "model").training == {"epochs": 3}


def test_constraints_hold(trained: TrainedLinkage) -> None:
    vectors, _ = people(20, 2)
    free = trained.model.cluster(vectors)
    apart = np.flatnonzero(free == np.bincount(free).argmax())[:2]
    together = np.array([np.flatnonzero(free == one)[0] for one in (0, free.max())])
    constraints = Constraints(must=together[None], cannot=apart[None])
    cluster = trained.model.cluster(vectors, constraints=constraints)
    assert free[apart[0]] == free[apart[1]]
    assert cluster[apart[0]] != cluster[apart[1]]
    assert cluster[together[0]] == cluster[together[1]]


def test_weights_of_another_network(trained: TrainedLinkage, tmp_path: Path) -> None:
    network = trained.model.network
    network.widths, widths = (16, 16, 8, 4), network.widths
    linkage.save(tmp_path / "model", trained.model)
    network.widths = widths
    with pytest.raises(BundleError, match="not those of the network"):
        linkage.load(tmp_path / "model")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_embeddings(trained: TrainedLinkage, count: int) -> None:
    vectors = people(10, 3)[0][:count]
    assert trained.model.cluster(vectors).shape == (count,)
    twins = np.concatenate([vectors, vectors, np.zeros((2, 16), np.float32)])
    assert trained.model.cluster(twins).shape == (2 * count + 2,)


def test_what_cannot_be_clustered(trained: TrainedLinkage) -> None:
    vectors, _ = people(20, 2)
    with pytest.raises(ArcwiseError, match="15 dimensions"):
        trained.model.cluster(vectors[:, :15])
    with pytest.raises(ArcwiseError, match="NaN"):
        trained.model.cluster(np.full_like(vectors, np.nan))
    with pytest.raises(ArcwiseError, match="expected 8"):
        trained.model.cluster(vectors, nearest_neighbours(vectors, 7))


def test_what_cannot_be_trained_on() -> None:
    vectors, identity = people(100, 0)
    with pytest.raises(ArcwiseError, match="two images or more"):
        train_linkage(vectors, np.arange(len(vectors)), SETTINGS)
    with pytest.raises(ArcwiseError, match="held_out"):
        replace(SETTINGS, held_out=0.0)
    with pytest.raises(NonFiniteError, match="learning rate"):
        train_linkage(vectors, identity, replace(SETTINGS, learning_rate=1e6))


def test_real_faces(data_dir: Path) -> None:
    """Two hundred people trained on, others clustered: most links are right."""
    file = np.load(data_dir / "features/lfw_mobilefacenet.npz")
    person, place, count = np.unique(file["person"], return_inverse=True, return_counts=True)
    usual = np.flatnonzero((count >= 3) & (count <= 8))
    some, others = (np.isin(place, usual[part::4]) for part in (0, 1))
    result = train_linkage(file["feature"][some], person[place[some]], SETTINGS, seed=0)
    cluster = result.model.cluster(file["feature"][others])
    assert float(clustering(place[others], cluster, draws=1).bcubed_f) > 0.8
