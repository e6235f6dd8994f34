"""Every published number and expected answer that the data sets come with.

Conventions of the published results: the threshold at a false-accept rate q is the score at place
⌊q·N⌋ of the N impostor scores, the highest being 0, and accepted means strictly above: the same
decisions as ours, which accept at or above the next number. A fold's threshold is a score of the
other folds, the median one of those that serve best there, and accepts what reaches it.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score

from arcwise import evaluation
from arcwise.errors import ArcwiseError


def there(path: Path) -> Path:
    """Return the path; the test is skipped, with the reason, where there is no such file."""
    if not path.exists():
        pytest.skip(f"real data: {path.name} is not there")
    return path


def table(path: Path) -> list[dict[str, str]]:
    with there(path).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def lfw_pairs(lfw: dict[str, np.ndarray], data_dir: Path) -> dict[str, np.ndarray]:
    """The 4 800 View-2 pairs of folds 1-8: cosine, same, fold, and both people."""
    rows = table(data_dir / "lfw112" / "pairs.csv")
    at = {path: i for i, path in enumerate(lfw["path"])}
    a, b = (np.array([at[row[side]] for row in rows]) for side in ("path_a", "path_b"))
    return {
        "cosine": evaluation.pair_similarity(lfw["unit"], a, b),
        "same": np.array([row["same"] == "1" for row in rows]),
        "fold": np.array([int(row["fold"]) for row in rows]),
        "a": lfw["person"][a],
        "b": lfw["person"][b],
    }


def test_the_cosines_of_the_lfw_pairs(lfw_pairs: dict[str, np.ndarray], data_dir: Path) -> None:
    rows = table(data_dir / "features" / "lfw_pair_scores.csv")
    assert [row["same"] == "1" for row in rows] == lfw_pairs["same"].tolist()
    published = np.array([float(row["cosine"]) for row in rows])
    assert lfw_pairs["cosine"] == pytest.approx(published, abs=0.6e-5)  # five decimals


def test_lfw_folds(lfw_pairs: dict[str, np.ndarray], data_dir: Path) -> None:
    file = there(data_dir / "features" / "lfw_results.json")
    expected = json.loads(file.read_text())["lfw_folds_1_8"]
    result = evaluation.verification(
        lfw_pairs["cosine"], lfw_pairs["same"], lfw_pairs["fold"],
        ids_a=lfw_pairs["a"], ids_b=lfw_pairs["b"], fold_threshold="score",
    )  # fmt: skip
    assert result.folds is not None
    assert [str(name) for name in result.folds.names] == list(expected["per_fold"])
    assert result.folds.accuracy == pytest.approx(list(expected["per_fold"].values()), abs=1e-6)
    assert result.accuracy == pytest.approx(expected["mean_accuracy"], abs=1e-6)
    assert result.eer == pytest.approx(expected["eer"], abs=1e-3)
    assert result.auc == pytest.approx(expected["auc"], abs=1e-6)
    assert result.tar_at(1e-2) == pytest.approx(expected["tar_at_far_0.01"], abs=1e-6)
    assert result.tar_at(1e-3) == pytest.approx(expected["tar_at_far_0.001"], abs=1e-6)
    assert result.tar_at(1e-2).resolved
    assert not result.tar_at(1e-3).resolved  # 2 400 impostors, 2.4 of them at one in a thousand
    for rate in (result.accuracy, result.eer, result.auc, result.tar_at(1e-2)):
        assert rate.low < rate < rate.high
    # Midway between two scores, our default, two folds decide one pair otherwise.
    midway = evaluation.verification(lfw_pairs["cosine"], lfw_pairs["same"], lfw_pairs["fold"])
    assert midway.folds is not None
    pairs = 600 * (midway.folds.accuracy - result.folds.accuracy)
    assert pairs == pytest.approx([0, 1, 0, 0, 0, -1, 0, 0])


def test_lfw_open_set(lfw: dict[str, np.ndarray], data_dir: Path) -> None:
    """Image 0001 of 1 334 people against 9 228 probes, 3 525 of them of unknown people."""
    file = there(data_dir / "features" / "lfw_results.json")
    expected = json.loads(file.read_text())["open_set_shared"]
    names, counts = np.unique(lfw["person"], return_counts=True)
    first = np.char.endswith(lfw["path"], "_0001.jpg")
    enrolled = first & np.isin(lfw["person"], names[counts > 1])
    result = evaluation.identification_from_embeddings(
        lfw["unit"][~enrolled], lfw["person"][~enrolled],
        lfw["unit"][enrolled], lfw["person"][enrolled],
    )  # fmt: skip
    assert result.identities == expected["gallery"]
    assert len(result.rank_of_mate) == expected["known_probes"]
    assert len(result.unknown) == expected["unknown_probes"]
    assert result.rank(1) == pytest.approx(expected["rank1"], abs=1e-6)
    for fpir in (0.1, 0.01, 0.001):
        assert result.dir_at(fpir) == pytest.approx(expected[f"dir_at_fpir_{fpir}"], abs=1e-6)
    assert not result.dir_at(0.001).resolved  # 3.5 unknown probes: their label noise decides


def test_fgnet(data_dir: Path) -> None:
    """All pairs, and by the years between the two images; published with four decimals."""
    expected = json.loads(there(data_dir / "features" / "fgnet_results.json").read_text())
    with np.load(there(data_dir / "features" / "fgnet_mobilefacenet.npz")) as stored:
        vectors, person = stored["feature"].astype(np.float32), stored["person"]
        at = {name: i for i, name in enumerate(stored["name"])}
    rows = table(data_dir / "fgnet" / "pairs.csv")
    a, b = (np.array([at[row[side]] for row in rows]) for side in ("name_a", "name_b"))
    cosine = evaluation.pair_similarity(vectors, a, b)
    same = np.array([row["same"] == "1" for row in rows])
    years = np.array([int(row["age_gap"]) for row in rows])
    people = {"ids_a": person[a], "ids_b": person[b]}
    whole = evaluation.verification(cosine, same, None, **people)
    parts = evaluation.by_group(cosine, same, years, edges=(0, 6, 16, 71), **people)
    results = [whole, *parts.measured.values()]
    for result, (name, numbers) in zip(results, expected.items(), strict=True):
        assert result.eer == pytest.approx(numbers["eer"], abs=1e-3), name
        assert round(float(result.tar_at(0.01)), 4) == numbers["tar_at_far_0_01"], name
        assert len(result.mated) == numbers.get("genuine", len(result.mated))
        assert result.impostors == numbers.get("impostor", result.impostors)


@pytest.fixture(scope="module")
def bob(data_dir: Path) -> dict:
    """bob.measure's score lists with expected answers (BSD)."""
    return json.loads(there(data_dir / "reference" / "scores" / "bob_measure.json").read_text())


def lists(case: dict) -> tuple[np.ndarray, np.ndarray]:
    positives, negatives = case["positives"], case["negatives"]
    same = np.repeat([True, False], [len(positives), len(negatives)])
    return np.array(positives + negatives), same


def test_bob_separable(bob: dict) -> None:
    result = evaluation.verification(*lists(bob["linsep"]), folds=None)
    assert result.eer == result.eer_hull == 0.0
    assert result.auc == result.tar_at(0.01) == 1.0
    # Every threshold strictly between the lists tells them apart; one at 3 is bob's example.
    assert result.far_with(3.0) == result.frr_with(3.0) == 0.0


def bob_thresholds(mated: np.ndarray, impostor: np.ndarray, points: int) -> list[float]:
    """Return the thresholds of bob.measure's `roc`, which are not equally spaced.

    Half of them are for false-accept, half for false-reject rates of equal ratios from 1e-8 on to
    1. A threshold is a score that keeps the rate, or just beyond the best score where none does.
    Ties: a false-reject rate counts the tied scores but for one.
    """
    half = points // 2
    rates = 10 ** (np.arange(1 - half, 1) / int(half / 8))
    result = []
    for rate in rates:
        if rate == 1:
            result += [np.nextafter(impostor.min(), -np.inf), np.nextafter(mated.max(), np.inf)]
            continue
        keep = [s for s in impostor if np.mean(impostor >= s) <= rate]
        result.append(min(keep) if keep else np.nextafter(impostor.max(), np.inf))
        keep = [s for s in mated if (np.count_nonzero(mated <= s) - 1) / len(mated) <= rate]
        result.append(max(keep) if keep else np.nextafter(mated.min(), np.inf))
    return sorted(result)


def test_bob_roc_and_det_points(bob: dict) -> None:
    scores, same = lists(bob["nonsep"])
    result = evaluation.verification(scores, same, folds=None)
    thresholds = bob_thresholds(scores[same], scores[~same], 100)
    far = np.array([float(result.far_with(threshold)) for threshold in thresholds])
    frr = np.array([float(result.frr_with(threshold)) for threshold in thresholds])
    assert np.stack([far, frr]) == pytest.approx(
        np.array(bob["nonsep"]["roc_far_frr_100_points"]), abs=1e-6
    )
    # Each is a corner of our DET, or lies on a side of it between two impostor scores.
    our_far, our_frr = result.det()
    for one, other in zip(far, frr, strict=True):
        on = np.isclose(our_frr, other)
        assert our_far[on].min() - 1e-12 <= one <= our_far[on].max() + 1e-12
    # The DET is the same in probits. Those of 0 and 1 are infinite; bob draws them at the probit
    # of the machine epsilon as DETware's formula has it, which is 5e-4 off so far out.
    probits, published = ndtri([far, frr]), np.array(bob["nonsep"]["det_100_points"])
    inside = np.isfinite(probits)
    assert probits[inside] == pytest.approx(published[inside], abs=1e-6)
    ends = np.sign(probits[~inside]) * -ndtri(np.finfo(float).eps)
    assert published[~inside] == pytest.approx(ends, abs=5e-4)


def test_bob_equal_error_of_the_hull(bob: dict) -> None:
    """The expected 0.11636… is of the overlapping lists, as in bob.measure's own `test_rocch`.

    The file keeps it beside the scores of `dev-1.txt`, which it does not belong to: with a score
    that failed dropped, or counted as an error, these give 0.0616 and 0.1153.
    """
    expected = bob["rocch"]["expected"]["eer_rocch"]
    result = evaluation.verification(*lists(bob["nonsep"]), folds=None)
    assert result.eer_hull == pytest.approx(expected, abs=1e-12)
    assert result.eer_hull < result.eer
    scores, same = lists(bob["rocch"])
    with pytest.raises(ArcwiseError, match=r"similarity has 54 value\(s\) that are NaN"):
        evaluation.verification(scores, same, folds=None)
    failed = np.isnan(scores)
    dropped = evaluation.verification(scores[~failed], same[~failed], folds=None)
    wrong = evaluation.verification(np.where(failed, np.where(same, -9, 9), scores), same, None)
    assert (dropped.eer_hull, wrong.eer_hull) == pytest.approx((0.0616, 0.1153), abs=5e-5)


def searched(probes: list[dict]) -> evaluation.Identification:
    """Return the identification of bob.measure's lists: each probe's mate has a column of its own.

    An entry that no list mentions lies below all scores.
    """
    width = max(len(probe["negatives"]) for probe in probes)
    names = [f"p{i}" if probe["positives"] else "unknown" for i, probe in enumerate(probes)]
    gallery = [name for name in names if name != "unknown"]
    scores = np.full((len(probes), len(gallery) + width), -1e9)
    for i, probe in enumerate(probes):
        if probe["positives"]:
            scores[i, gallery.index(f"p{i}")] = max(probe["positives"])
        scores[i, len(gallery) : len(gallery) + len(probe["negatives"])] = probe["negatives"]
    return evaluation.identification(scores, names, gallery + [f"other{j}" for j in range(width)])


@pytest.mark.parametrize("case", ["open_set_0", "open_set_1", "open_set_2"])
def test_bob_open_set(bob: dict, case: str) -> None:
    """At threshold 0.5. bob's recognition rates mix the two kinds of probes; ours never do."""
    expected, probes = bob[case]["expected"], bob[case]["probes"]
    result = searched(probes)
    known, unknown = len(result.rank_of_mate), len(result.unknown)
    detected, alarms = result.dir_with(0.5), result.fpir_with(0.5)
    assert detected == pytest.approx(expected["dir_at_0_5"], abs=1e-6)
    assert alarms == pytest.approx(expected["false_alarm_at_0_5"], abs=1e-6)
    rank1 = result.rank(1) * known / len(probes)  # theirs counts every unknown probe as wrong
    assert rank1 == pytest.approx(expected["rank1_closed"], abs=1e-6)
    at = detected * known / (known + alarms * unknown)  # theirs counts an answered one as wrong
    assert at == pytest.approx(expected["rank1_at_0_5"], abs=1e-6)


def test_bob_cmc(bob: dict) -> None:
    case = bob["cmc"]
    pairs = zip(case["positives"], case["negatives"], strict=True)
    result = searched([{"positives": own, "negatives": others} for own, others in pairs])
    assert result.cmc(20) == pytest.approx(case["expected"]["cmc"], abs=1e-6)
    assert result.rank(1) == pytest.approx(case["expected"]["recognition_rate"], abs=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        "deepface_ensemble.txt",
        "BaiduIDLFinal.TPFP",
        "eigenfaces-original-roc.txt",
        "kumar_human_crop.txt",
    ],
)
def test_lfw_curves_rise(data_dir: Path, name: str) -> None:
    tar, far = np.loadtxt(there(data_dir / "reference" / "lfw_curves" / name)).T
    if far[0] > far[-1]:
        tar, far = tar[::-1], far[::-1]
    assert len(far) > 50
    assert 0 <= far.min() <= far.max() <= 1
    assert 0 <= tar.min() <= tar.max() <= 1
    assert (np.diff(far) >= 0).all()
    assert (np.diff(tar) >= 0).all()
    assert np.interp(0.5, far, tar) > 0.5


def test_openbr_curve_falls(data_dir: Path) -> None:
    """Its Y is the false-reject rate: it falls as X, the false-accept rate, rises."""
    rows = table(data_dir / "reference" / "lfw_curves" / "openbr.v1.1.0.DET.csv")
    names = ("X", "Y", "N", "sd", "se", "ci", "upper", "lower")
    column = {name: np.array([float(row[name]) for row in rows]) for name in names}
    assert (np.diff(column["X"]) > 0).all()
    assert (np.diff(column["Y"]) <= 0).all()
    assert column["Y"].min() >= 0
    assert column["Y"].max() <= 1
    # The band: Student's over ten folds, from the sample's standard deviation.
    error = column["sd"] / np.sqrt(column["N"])
    half = student.ppf(0.975, column["N"] - 1) * error
    assert error == pytest.approx(column["se"])
    assert half == pytest.approx(column["ci"])
    assert column["Y"] + half == pytest.approx(column["upper"])
    assert column["Y"] - half == pytest.approx(column["lower"])


def test_openface_accuracy(data_dir: Path) -> None:
    """0.9292 ± 0.0134 of ten folds of 600 pairs, each printed with two decimals only.

    What is printed gives 0.932 and 0.0125. Folds that print the same and have the published mean
    (5 575 right pairs in all) and spread exist, and our protocol gives both back from them. The
    spread is openface's `np.std`, which divides by the number of folds, as `accuracy_std` does.
    """
    path = there(data_dir / "reference" / "lfw_curves" / "openface_nn4.small2.v1_accuracies.txt")
    lines = path.read_text().splitlines()
    printed = [f"{float(line.split(',')[2]):.2f}" for line in lines[1:11]]
    mean, std = lines[-1].removeprefix("avg, ").split(" +/- ")
    fits = [[k for k in range(601) if f"{k / 600:.2f}" == one] for one in printed]
    right = next(counts for counts in _draws(fits, 5575) if f"{np.std(counts / 600):.4f}" == std)

    folds = np.repeat(np.arange(10), 600)
    same = np.arange(6000) % 2 == 0
    correct = np.arange(6000) % 600 < right[folds]
    result = evaluation.verification(np.where(same == correct, 0.9, 0.1), same, folds)
    assert result.folds is not None
    assert [f"{accuracy:.2f}" for accuracy in result.folds.accuracy] == printed
    assert (f"{result.accuracy:.4f}", f"{result.accuracy_std:.4f}") == (mean, std)
    assert (mean, std) == ("0.9292", "0.0134")


def _draws(fits: list[list[int]], total: int) -> Iterator[np.ndarray]:
    """Yield counts, one of each list, that sum to the total."""
    generator = np.random.default_rng(0)
    low, high = np.array([fit[0] for fit in fits]), np.array([fit[-1] for fit in fits])
    for _ in range(10_000):
        counts = low.copy()
        while counts.sum() < total:
            counts[generator.choice(np.flatnonzero(counts < high))] += 1
        yield counts


@pytest.mark.parametrize("system", [1, 2])
def test_a_threshold_of_dev_on_test(data_dir: Path, system: int) -> None:
    """Lines with nan are pairs whose score could not be computed.

    They are refused; whoever measures says what they mean. bob drops them and states their share
    as failures to acquire, as here.
    """
    sides = {}
    for part in ("dev", "test"):
        path = there(data_dir / "reference" / "scores" / f"{part}-{system}.txt")
        label, score = np.loadtxt(path).T
        failed = np.isnan(score)
        assert len(score) == 1000
        assert 40 < failed.sum() < 60
        with pytest.raises(ArcwiseError, match=f"similarity has {failed.sum()} value"):
            evaluation.verification(score, label == 1, folds=None)
        sides[part] = label[~failed] == 1, score[~failed]
    (dev_same, dev), (same, score) = sides["dev"], sides["test"]
    set_on = evaluation.verification(dev, dev_same, folds=None)
    applied = evaluation.verification(score, same, folds=None)
    assert applied.auc == pytest.approx(roc_auc_score(same, score))
    for far in (0.01, 0.1, 0.5):
        threshold = set_on.threshold_at(far)
        passing = [s for s in dev[~dev_same] if s >= threshold]
        assert len(passing) == math.floor(far * np.count_nonzero(~dev_same))
        assert applied.far_with(threshold) == np.mean(score[~same] >= threshold)
        assert applied.frr_with(threshold) == np.mean(score[same] < threshold)


def test_four_and_five_columns_are_the_same_scores(data_dir: Path) -> None:
    results = []
    for columns in (4, 5):
        path = there(data_dir / "reference" / "scores" / f"dev-{columns}col.txt")
        rows = [line.split() for line in path.read_text().splitlines()]
        assert {len(row) for row in rows} == {columns}
        score = np.array([float(row[-1]) for row in rows])
        claimed, real = [row[0] for row in rows], [row[-3] for row in rows]
        same = [one == other for one, other in zip(claimed, real, strict=True)]
        results.append(
            evaluation.verification(score, np.array(same), None, ids_a=claimed, ids_b=real)
        )
        assert results[-1].auc == pytest.approx(roc_auc_score(same, score))
    assert str(results[0]) == str(results[1])


def test_deepface_distances(data_dir: Path) -> None:
    """280 pairs under several networks: every threshold tried one after the other."""
    rows = table(data_dir / "reference" / "scores" / "deepface_pairs_pivot.csv")
    same = np.array([row["decision"] == "Yes" for row in rows])
    order = np.argsort(np.arange(len(rows)) % (len(rows) // 2), kind="stable")  # kinds in turn
    for network in list(rows[0])[3:]:
        scores = -np.array([float(row[network]) for row in rows])
        result = evaluation.verification(scores[order], same[order], 10, fold_threshold="score")
        assert result.auc == pytest.approx(roc_auc_score(same, scores))
        assert result.accuracy == pytest.approx(_accuracy(scores[order], same[order]))
        for threshold in np.quantile(scores, [0.1, 0.4, 0.9]):
            assert result.tar_with(threshold) == np.mean(scores[same] >= threshold)
            assert result.far_with(threshold) == np.mean(scores[~same] >= threshold)


def _accuracy(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the mean accuracy of ten contiguous folds, by trying every score of the others."""
    result = []
    for fold in np.array_split(np.arange(len(same)), 10):
        rest = np.setdiff1d(np.arange(len(same)), fold)
        options = np.unique(scores[rest])
        right = ((scores[rest] >= options[:, None]) == same[rest]).mean(axis=1)
        best = options[right == right.max()]
        threshold = best[(len(best) - 1) // 2]
        result.append(np.mean((scores[fold] >= threshold) == same[fold]))
    return float(np.mean(result))
