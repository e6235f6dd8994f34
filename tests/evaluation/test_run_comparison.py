"""Losses of several seeds on the same identities."""

from __future__ import annotations

import json

import numpy as np
import pytest

from arcwise import evaluation
from arcwise.errors import ArcwiseError
from arcwise.evaluation.crossed_variance import holm

IDS = np.repeat(np.arange(20), 6)


def runs(scatters: dict[str, float], seeds: int = 3, ids: np.ndarray = IDS) -> dict[str, list]:
    """Runs whose images scatter differently around the same centres."""
    rng = np.random.default_rng(5)
    centre, image = rng.normal(size=(ids.max() + 1, 16))[ids], rng.normal(size=(len(ids), 16))
    return {
        name: [
            centre + scatter * (image + 0.3 * rng.normal(size=image.shape)) for _ in range(seeds)
        ]
        for name, scatter in scatters.items()
    }


THREE = runs({"arcface": 1.0, "cosface": 1.0, "softmax": 2.0})


def test_a_worse_loss_is_decided_and_equal_ones_are_not() -> None:
    result = evaluation.compare_runs(THREE, IDS, far=0.05)
    for metric in (result.tar, result.recall_at_1, result.eer):
        assert metric.resolved
        assert metric.to_baseline["softmax"].decided
        assert not metric.to_baseline["cosface"].decided
        assert set(metric.not_worse) == {"arcface", "cosface"}
        assert set(metric.best_to) == {"arcface", "cosface", "softmax"} - {metric.best}
    assert result.tar.to_baseline["softmax"].difference.high < 0
    assert result.eer.to_baseline["softmax"].difference.low > 0
    assert result.deciding is result.tar
    assert result.interval_covers == "identities and seeds"


def test_values_are_those_of_each_run() -> None:
    result = evaluation.compare_runs(THREE, IDS, far=0.05)
    for name, arrays in THREE.items():
        expected = [evaluation.verification_from_embeddings(a, IDS).tar_at(0.05) for a in arrays]
        assert result.tar.values[name] == pytest.approx(expected)
        assert result.tar.mean[name] == pytest.approx(np.mean(expected))
        assert result.tar.mean[name].low < np.mean(expected) < result.tar.mean[name].high


def test_a_loss_compared_with_itself_differs_by_nothing() -> None:
    twice = {"arcface": THREE["arcface"], "copy": THREE["arcface"]}
    result = evaluation.compare_runs(twice, IDS)
    for metric in (result.tar, result.recall_at_1, result.eer):
        same = metric.to_baseline["copy"]
        assert (float(same.difference), same.p, same.corrected_p) == (0.0, 1.0, 1.0)
        assert same.difference.low < 0 < same.difference.high
        assert not same.decided


def test_losses_of_no_variance_can_differ() -> None:
    perfect = np.eye(20)[IDS]
    collapsed = np.ones((len(IDS), 4))
    result = evaluation.compare_runs({"arcface": [perfect] * 2, "collapsed": [collapsed] * 2}, IDS)
    assert result.tar.to_baseline["collapsed"].difference == -1
    assert result.tar.to_baseline["collapsed"].decided


def test_families_of_the_correction() -> None:
    result = evaluation.compare_runs(THREE, IDS, far=0.05).tar
    against = list(result.to_baseline.values())
    assert [one.corrected_p for one in against] == pytest.approx(
        holm(np.array([o.p for o in against]))
    )
    # The best is compared in the family of all three pairs.
    worst = result.best_to["softmax"]
    assert worst.corrected_p >= 2 * worst.p


def test_order_of_images_and_names_of_identities_do_not_matter() -> None:
    turn = np.random.default_rng(0).permutation(len(IDS))
    turned = {name: [array[turn] for array in arrays] for name, arrays in THREE.items()}
    result = evaluation.compare_runs(turned, [f"id {k:02}" for k in IDS[turn]], far=0.05)
    assert result.as_dict() == evaluation.compare_runs(THREE, IDS, far=0.05).as_dict()


def test_one_seed_decides_nothing() -> None:
    one = {name: arrays[:1] for name, arrays in THREE.items()}
    result = evaluation.compare_runs(one, IDS, far=0.05)
    assert result.interval_covers == "identities only"
    assert "identities only" in str(result)
    assert result.tar.to_baseline["softmax"].p < 0.05
    assert not result.tar.to_baseline["softmax"].decided


def test_few_identities_decide_nothing() -> None:
    part = IDS < 7
    few = {name: [array[part] for array in arrays] for name, arrays in THREE.items()}
    result = evaluation.compare_runs(few, IDS[part], far=0.05)
    assert not result.recall_at_1.resolved
    assert not any(one.decided for one in result.tar.to_baseline.values())
    assert "too few" in str(result)


def test_a_far_of_few_impostors_leaves_recall_to_decide() -> None:
    result = evaluation.compare_runs(THREE, IDS, far=1e-4)
    assert not result.tar.resolved
    assert result.deciding is result.recall_at_1


def test_one_row_a_loss_and_plain_values() -> None:
    result = evaluation.compare_runs(THREE, IDS, far=0.05)
    lines = str(result).splitlines()
    assert [line.split()[0] for line in lines[1:4]] == list(THREE)
    assert lines[0].split()[:2] == ["loss", "TAR@0.05"]
    plain = result.as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_the_baseline_alone() -> None:
    result = evaluation.compare_runs({"mine": THREE["arcface"]}, IDS, baseline="mine")
    assert result.tar.best == "mine"
    assert result.tar.to_baseline == {}
    assert "mine" in str(result)


@pytest.mark.parametrize(
    ("losses", "ids", "options", "fact"),
    [
        (THREE, IDS, {"baseline": "arcfase"}, "arcfase"),
        ({}, IDS, {}, "arcface"),
        ({**THREE, "cosface": THREE["cosface"][:2]}, IDS, {}, "cosface"),
        ({"arcface": []}, IDS, {}, "arcface"),
        ({"arcface": [THREE["arcface"][0][:9]]}, IDS, {}, "9"),
        ({"arcface": [np.full((120, 4), np.nan)]}, IDS, {}, r"arcface\[0\]"),
        (THREE, IDS % 2, {}, "2 identities"),
        (THREE, np.arange(120), {}, "120 identities"),
        (THREE, IDS, {"far": 0.0}, "far"),
        (THREE, IDS, {"level": 1.0}, "level"),
    ],
)
def test_mistakes(losses: dict, ids: np.ndarray, options: dict, fact: str) -> None:
    with pytest.raises(ArcwiseError, match=fact):
        evaluation.compare_runs(losses, ids, **options)
