"""The pure parts of the studies of ArcFace's pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from studies.arcface import claims, page, records
from studies.arcface.circle import SECTOR, circle, nearest
from studies.arcface.claims import Claim
from studies.arcface.curves import boundary, counted, psi
from studies.arcface.family import FAMILY, centres, head_of, objective
from studies.arcface.rings import numbers

from arcwise import regularisers
from arcwise.margins import ArcFace, Combined, CosFace, NormSoftmax, SphereFace, SupportVector
from arcwise.objectives import Batch, EncoderOutput
from arcwise.training.config import EncoderConfig, TrainConfig

DEGREES = np.array([20.0, 60.0, 90.0, 100.0])
THETA = np.radians(DEGREES)


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (NormSoftmax(), np.cos(THETA)),
        (ArcFace(0.5), np.cos(THETA + 0.5)),
        (CosFace(0.35), np.cos(THETA) - 0.35),
        (SphereFace(1.35), np.cos(1.35 * THETA)),
        (Combined(1.0, 0.3, 0.2), np.cos(THETA + 0.3) - 0.2),
        (Combined(0.9, 0.4, 0.15), np.cos(0.9 * THETA + 0.4) - 0.15),
    ],
)
def test_target_logits_are_the_formulas(margin, expected):
    np.testing.assert_allclose(psi(margin, DEGREES), expected, atol=1e-15)


def test_an_annealed_sphereface_ends_at_a_sixth_of_its_margin():
    whole = psi(SphereFace(4.0), DEGREES)
    annealed = psi(SphereFace(4.0, annealed=True), DEGREES)
    np.testing.assert_allclose(annealed, (5 * np.cos(THETA) + whole) / 6, atol=1e-15)


def test_boundaries_are_the_papers():
    degrees = np.linspace(1.0, 100.0, 34)
    np.testing.assert_allclose(boundary(NormSoftmax(), degrees), degrees)
    arcface = boundary(ArcFace(0.5), degrees)
    np.testing.assert_allclose(arcface, degrees + math.degrees(0.5))
    np.testing.assert_allclose(boundary(SphereFace(1.35), degrees), 1.35 * degrees)
    second = np.radians(boundary(CosFace(0.35), degrees))
    np.testing.assert_allclose(np.cos(second), np.cos(np.radians(degrees)) - 0.35)


def test_there_is_no_boundary_where_no_angle_is_far_enough():
    assert np.isnan(boundary(ArcFace(0.5), np.array([152.0, 180.0]))).all()
    assert not np.isnan(boundary(ArcFace(0.5), np.array([151.0]))).any()


def test_other_classes_count_as_the_margin_says():
    found = counted(SupportVector(ArcFace(0.5), 1.2), np.array([0.0, 0.3]), 0.1, {})
    np.testing.assert_allclose(found, [0.0, 1.2 * 0.3 + 0.2])


@pytest.mark.parametrize("turn", [0.0, 100.0, 179.0])
def test_gaps_are_what_lies_between_sectors(turn):
    """Classes a quarter apart, samples even over ±20° of each."""
    off = np.linspace(-20.0, 20.0, 41)
    angles = np.radians(turn + np.concatenate([90.0 * c + off for c in range(4)]))
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1)
    labels = np.repeat(np.arange(4), len(off))
    found = circle(embeddings, labels)
    np.testing.assert_allclose(found.gaps, 90.0 - SECTOR * 40.0)
    assert found.spread == pytest.approx(np.abs(off).mean())
    assert (nearest(embeddings, found.directions) == labels).all()


def test_the_gap_of_a_class_is_that_to_its_nearer_neighbour():
    angles = np.radians([170.0, -160.0, 10.0])  # one sample a class: sectors without width
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1)
    np.testing.assert_allclose(circle(embeddings, np.arange(3)).gaps, [30.0, 30.0, 160.0])


def test_classes_on_one_another_have_negative_gaps():
    angles = np.radians([-10.0, 0.0, 10.0, -9.0, 1.0, 11.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1)
    assert circle(embeddings, np.repeat([0, 1], 3)).gaps.min() < 0


def test_numbers_of_close_lines_stand_one_above_the_other():
    heights = numbers([100.0, 0.0, 5.0, 12.0])
    assert heights[0] == heights[1]
    assert heights[1] < heights[2] < heights[3]


SEEDS = {
    0: {"a": {"gap": 1.0}, "b": {"gap": 2.0}, "c": {"gap": 5.0}},
    1: {"a": {"gap": 1.5}, "b": {"gap": 1.4}, "c": {"gap": 5.0}},
}


def test_a_claim_holds_in_every_seed_or_not():
    less = Claim("w", "gap", "a", "<", ("c",))
    assert less.verdict(SEEDS) == "holds in 2 of 2 seeds (1.25° against 5.00° of c)"
    most = Claim("w", "gap", "c", ">", ("a", "b"))
    assert most.verdict(SEEDS).startswith("holds in 2 of 2 seeds (5.00° against 1.70° of b)")
    mixed = Claim("w", "gap", "a", "<", ("b", "c"))
    assert "does not hold**: 1 of 2 seeds, in the mean it does" in mixed.verdict(SEEDS)
    wrong = Claim("w", "gap", "a", ">", ("b", "c"))
    assert "does not hold**: 0 of 2 seeds, nor in the mean" in wrong.verdict(SEEDS)


def test_a_table_has_a_dash_where_there_is_no_measure():
    text = claims.table({0: {"a": {"gap": 1.0, "w": None}}}, {"gap": "Gap", "w": "W"})
    assert text.splitlines()[-1] == "| a | 1.0 ± 0.0 | – |"


def test_a_part_of_the_page_is_replaced_and_the_rest_stays():
    text = page.PAGE.read_text()
    once = page.between(text, "sphere", "something")
    assert page.between(once, "sphere", "something") == once
    assert page.between(once, "angles", "else").count("something") == 1
    with pytest.raises(AssertionError, match="missing"):
        page.between(text, "nothing", "something")


def test_a_study_that_was_stopped_measures_only_what_is_missing(tmp_path):
    asked = []

    def run(seed, loss):
        asked.append((seed, loss))
        return {"gap": float(seed)}

    path = tmp_path / "runs.jsonl"
    keys = [{"seed": seed, "loss": "a"} for seed in (0, 1)]
    records.measure(path, keys[:1], run)
    with path.open("a") as file:
        file.write('{"seed": 1, "lo\n')  # a crash
    found = records.measure(path, keys, run)
    assert asked == [(0, "a"), (1, "a")]
    assert [(one["seed"], one["gap"]) for one in found] == [(0, 0.0), (1, 1.0)]
    assert len(records.measure(path, keys[:1], run)) == 1


@pytest.mark.parametrize("name", FAMILY)
def test_every_loss_of_the_family_learns(name):
    config = TrainConfig(encoder=EncoderConfig(dim=8))
    torch.manual_seed(0)
    made = objective(name, config, 3)
    embeddings = torch.randn(6, 8, requires_grad=True)
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    loss, _ = made.loss(EncoderOutput(embeddings), Batch(embeddings, labels))
    loss.backward()
    assert loss.isfinite()
    assert embeddings.grad is not None
    assert embeddings.grad.abs().sum() > 0
    directions = centres(made)
    if directions is not None:
        np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1.0)


def test_regularisers_are_added_with_weight_one():
    config = TrainConfig(encoder=EncoderConfig(dim=8))
    torch.manual_seed(0)
    both = objective("normsoftmax + both", config, 3)
    head = head_of(both)
    embeddings, labels = torch.randn(6, 8), torch.tensor([0, 0, 1, 1, 2, 2])
    plain = head.loss(embeddings, labels)
    added = regularisers.intra(embeddings, head.centres, labels)
    added += regularisers.inter(head.centres, labels)
    loss, _ = both.loss(EncoderOutput(embeddings), Batch(embeddings, labels))
    assert loss.item() == pytest.approx((plain + added).item())
