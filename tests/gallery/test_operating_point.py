"""What a threshold promises in a gallery of another size: bounds that hold, and which is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arcwise.errors import ArcwiseError
from arcwise.evaluation import SearchThreshold, Threshold
from arcwise.gallery import (
    GalleryCalibration,
    GallerySize,
    OperatingPoint,
    SecondLook,
    bound,
    check_one_rate,
    nearest,
    operating_points,
    usual_point,
)
from arcwise.gallery.operating_point import _dir_at_least


def searched(
    fpir: float, gallery: int, templates: int | None, similarity: float, **other: Any
) -> SearchThreshold:
    values: dict[str, Any] = {
        "low": similarity - 0.1, "high": similarity + 0.1, "fpir_low": fpir / 2,
        "fpir_high": 2 * fpir, "resolved": True, "probes": 1000, "identities": 50, "dir": 0.8,
        "dir_low": 0.7, "dir_high": 0.9,
    }  # fmt: skip
    return SearchThreshold(fpir, gallery, templates, similarity, **{**values, **other})


def compared(far: float, similarity: float, *, resolved: bool = True) -> Threshold:
    ends = (similarity, similarity)
    return Threshold(
        far, similarity, *ends, resolved, 1000, 10, far / 2, 2 * far, 0.5, 0.9, 0.8, 1.0
    )


def size(*templates: int) -> GallerySize:
    return GallerySize(len(templates), sum(templates), min(templates), max(templates))


def points(here: GallerySize, *thresholds: SearchThreshold | Threshold) -> list[OperatingPoint]:
    single = [one for one in thresholds if isinstance(one, Threshold)]
    several = [one for one in thresholds if isinstance(one, SearchThreshold)]
    return operating_points(here, single, several)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # of a busy machine
@given(st.data())
def test_the_bound_holds(data: st.DataObject) -> None:
    """Templates that reach a threshold independently, given the query and the identity."""
    seed = data.draw(st.integers(0, 2**32 - 1))
    chance = np.random.default_rng(seed).random((3, 4)) ** data.draw(st.sampled_from([1, 4, 20]))

    def fpir(templates: list[int]) -> float:
        """Each template's owner is any of four kinds of identities; three kinds of queries."""
        silent = [((1 - chance) ** count).mean(axis=1) for count in templates]
        return float(1 - np.prod(silent, axis=0).mean())

    gallery, each = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 5))
    counts = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=9))
    measured = fpir([each] * gallery)
    assert fpir(counts) <= bound(measured, gallery, gallery * each, size(*counts)) + 1e-9


def test_bounds_by_hand() -> None:
    assert bound(0.1, 10, 10, size(1, 1, 1)) == 0.1  # as it was measured, or better
    assert bound(0.1, 10, 20, size(*[1] * 10)) == 0.1
    assert bound(0.1, 10, 10, size(*[2] * 10)) == pytest.approx(1 - 0.9**2)
    assert bound(0.1, 10, 20, size(*[1] * 20)) == pytest.approx(1 - 0.9**2)
    assert bound(0.01, 1, 1, size(34, 34, 33, 33)) == pytest.approx(1 - 0.99**134)
    assert bound(1e-12, 1, 1, size(*[1] * 1000)) == pytest.approx(1e-9, rel=1e-6)


class TestWhatIsPromised:
    def test_as_measured(self) -> None:
        (point,) = points(size(2, 2, 2), searched(0.05, 3, 2, 0.5))
        assert (point.fits, point.exact, point.fpir, point.dir) == (
            True, True, 0.05, (0.8, 0.7, 0.9)
        )  # fmt: skip
        assert str(point) == (
            "of 100 images of enrolled identities about 80 are found (70 to 90), of 100 others "
            "about 5 get an answer (2.5 to 10)"
        )

    def test_in_a_smaller_gallery(self) -> None:
        (point,) = points(size(2, 2), searched(0.05, 3, 2, 0.5))
        assert (point.fits, point.exact) == (True, False)
        assert "about 80 are found" in str(point)
        assert "of 100 others about 5 or fewer get an answer (0 to 11)" in str(point)

    def test_one_gallery_with_fewer_identities_differs_more_from_the_mean(self) -> None:
        ends, found = [], []
        for identities in (30, 29, 10, 3, 1):
            (point,) = points(size(*[1] * identities), searched(0.05, 30, 1, 0.5))
            assert point.dir is not None
            assert point.dir[0] == 0.8
            ends.append(point.fpir_interval[1])
            found.append(point.dir)
        assert ends == sorted(ends)
        assert (ends[0], found[0]) == (0.1, (0.8, 0.7, 0.9))
        widths = [high - low for _, low, high in found]
        assert widths == sorted(widths)
        # (1 / 10 + 1 / 50) / (1 / 30 + 1 / 50) is 2.25: half as wide again.
        assert found[2] == pytest.approx((0.8, 0.65, 0.95))
        assert ends[2] == pytest.approx(0.05 + 1.5 * 0.05)

    def test_pairs_have_the_interval_of_their_rate(self) -> None:
        four = size(1, 1, 1, 1)
        (point,) = points(four, replace(compared(0.01, 0.5), far_spread=0.5))
        assert point.fpir_interval == (0.0, pytest.approx(1 - (1 - 0.02 * 1.5) ** 4))
        (wider,) = points(four, replace(compared(0.01, 0.5), far_spread=2.0))
        assert wider.fpir_interval[1] > point.fpir_interval[1]
        (older,) = points(four, replace(compared(0.01, 0.5), far_high=1.0))
        assert older.fpir_interval == (0.0, 1.0)
        assert "(interval not known)" in str(older)

    @pytest.mark.parametrize("here", [size(1, 1, 1), size(1, 2, 3), size(3, 2)])
    def test_how_many_are_found_only_for_as_many_templates(self, here: GallerySize) -> None:
        (point,) = points(here, searched(0.05, 3, 2, 0.5))
        assert point.fits
        assert point.dir is None
        assert "was not measured" in str(point)

    def test_a_bound(self) -> None:
        (point,) = points(size(4, 4, 4), searched(0.05, 3, 2, 0.5))
        assert not point.fits
        assert point.fpir == pytest.approx(1 - 0.95**2)
        assert "about 9.8 or fewer get an answer (0 to 19)" in str(point)

    def test_nothing(self) -> None:
        (point,) = points(size(34, 34, 33, 33), compared(0.01, 0.3))
        assert not point.promises
        assert "is not known" in str(point)
        assert point.as_dict()["fpir"] is None

    def test_all_images_count_as_one(self) -> None:
        (point,) = points(size(2, 2), searched(0.05, 2, None, 0.5))
        assert point.fpir == pytest.approx(1 - 0.95**2)
        assert point.dir is None

    def test_what_is_not_resolved_promises_nothing(self) -> None:
        assert points(size(1), searched(0.05, 2, 1, 0.5, resolved=False)) == []
        assert points(size(1), compared(0.05, 0.5, resolved=False)) == []


class TestMeasuredInThisGallery:
    THEN = GalleryCalibration(2, 6, (searched(0.05, 2, None, 0.6),), "strangers")

    @pytest.mark.parametrize(("here", "fits"), [(size(3, 3), True), (size(3, 2), True)])
    def test_until_it_is_outgrown(self, here: GallerySize, fits: bool) -> None:
        (point,) = operating_points(here, (), (), self.THEN)
        assert (point.in_this_gallery, point.fits, point.fpir) == (True, fits, 0.05)
        assert point.dir == (0.8, 0.7, 0.9)
        assert not self.THEN.outgrown(here)

    @pytest.mark.parametrize("here", [size(4, 3), size(1, 1, 1)])
    def test_outgrown(self, here: GallerySize) -> None:
        (point,) = operating_points(here, (), (), self.THEN)
        assert self.THEN.outgrown(here)
        assert not point.fits
        assert point.dir is None
        assert point.fpir > 0.05

    def test_others_in_the_place_of_those_measured(self) -> None:
        then = GalleryCalibration(2, 6, (searched(0.05, 2, None, 0.6),), "strangers", newest=6)
        for newest, here in ((6, True), (7, False)):
            now = replace(size(3, 3), newest=newest)
            (point,) = operating_points(now, (), (), then)
            assert then.outgrown(now) is not here
            assert (point.in_this_gallery, point.exact, point.dir is not None) == (here, here, here)
            assert point.fpir == 0.05

    def test_it_comes_first(self) -> None:
        found = operating_points(size(3, 3), (), [searched(0.01, 9, 5, 0.4)], self.THEN)
        chosen = usual_point(found)
        assert chosen is not None
        assert chosen.in_this_gallery

    def test_a_file(self) -> None:
        assert GalleryCalibration.from_json(self.THEN.as_json()) == self.THEN
        for text in ("", "[]", "{}", '{"identities": 1}'):
            with pytest.raises(ArcwiseError, match="calibrate it again"):
                GalleryCalibration.from_json(text)


class TestSecondLook:
    """What decides where a calibration found how far the best is above the next ones better."""

    PLAIN = GalleryCalibration(3, 6, (searched(0.05, 3, None, 0.6),), "strangers", newest=6)
    THEN = replace(PLAIN, second_look=SecondLook(10, (searched(0.05, 3, None, 0.2, dir=0.9),)))
    HERE = replace(size(2, 2, 2), newest=6)

    def test_it_decides_while_nothing_changes(self) -> None:
        model = [searched(0.05, 9, 5, 0.4), searched(0.01, 9, 5, 0.5)]
        found = operating_points(self.HERE, [compared(0.001, 0.5)], model, self.THEN)
        chosen = usual_point(found)
        assert chosen is not None
        assert chosen == nearest(found, 0.05)
        assert (chosen.neighbours, chosen.threshold, chosen.exact) == (10, 0.2, True)
        assert chosen.dir is not None
        assert chosen.dir[0] == 0.9
        assert "0.2000 or more above the mean of the next 10" in chosen.criterion
        assert chosen.as_dict()["neighbours"] == 10
        stricter = nearest(found, 0.01)
        assert stricter is not None
        assert (stricter.neighbours, stricter.threshold) == (0, 0.5)

    @pytest.mark.parametrize(
        ("here", "newest"),
        [(size(2, 2), 6), (size(2, 2, 1), 6), (size(2, 2, 2), 7), (size(2, 2, 2, 2), 8)],
    )
    def test_the_similarity_decides_in_any_other_gallery(
        self, here: GallerySize, newest: int
    ) -> None:
        now = replace(here, newest=newest)
        assert not self.THEN.unchanged(now)
        assert operating_points(now, (), (), self.THEN) == operating_points(now, (), (), self.PLAIN)

    def test_its_threshold_tells_nothing_of_similarities(self) -> None:
        """A point of the similarity takes no detection rate from one of the second look."""
        then = replace(
            self.THEN, second_look=SecondLook(10, (searched(0.05, 3, 1, 0.9, dir=0.99),))
        )
        found = operating_points(self.HERE, (), [searched(0.01, 9, 5, 0.4, dir=None)], then)
        assert [_dir_at_least(one, found) for one in found] == [0.99, 0.0]

    def test_a_file(self) -> None:
        text = self.THEN.as_json()
        assert GalleryCalibration.from_json(text) == self.THEN
        before = json.loads(text)
        before.pop("second_look")  # a reader from before there was one
        assert GalleryCalibration.from_json(json.dumps(before)) == self.PLAIN
        before["second_look"] = {"neighbours": 10}
        with pytest.raises(ArcwiseError, match="calibrate it again"):
            GalleryCalibration.from_json(json.dumps(before))


class TestWhichIsTaken:
    def test_the_lowest_rate_that_still_finds_half(self) -> None:
        found = points(
            size(1, 1),
            searched(0.1, 2, 1, 0.3, dir=0.9),
            searched(0.05, 2, 1, 0.4, dir=0.6),
            searched(0.01, 2, 1, 0.5, dir=0.2),
        )
        chosen = usual_point(found)
        assert chosen is not None
        assert chosen.fpir == 0.05

    def test_none_finds_half(self) -> None:
        found = points(
            size(1, 1), searched(0.1, 2, 1, 0.3, dir=0.4), searched(0.01, 2, 1, 0.5, dir=0.2)
        )
        chosen = usual_point(found)
        assert chosen is not None
        assert chosen.fpir == 0.1

    def test_found_with_one_template_tells_of_more(self) -> None:
        """Three templates each, measured with one and five; nobody measured how many are found."""
        found = points(
            size(3, 3),
            searched(0.1, 9, 5, 0.3), searched(0.01, 9, 5, 0.5), searched(0.001, 9, 5, 0.7),
            searched(0.01, 20, 1, 0.55, dir=0.7), searched(0.001, 20, 1, 0.75, dir=0.1),
        )  # fmt: skip
        chosen = usual_point(found)
        assert chosen is not None
        assert (chosen.fpir, chosen.threshold) == (0.01, 0.5)

    def test_nothing_fits(self) -> None:
        found = points(size(*[1] * 20), searched(0.01, 10, 1, 0.5), compared(0.001, 0.6))
        chosen = usual_point(found)
        assert chosen is not None
        assert chosen.threshold == 0.5  # at most 0.02, the lowest with a usual rate
        strict = usual_point(points(size(*[1] * 500), compared(0.1, 0.3), compared(0.01, 0.4)))
        assert strict is not None
        assert (strict.threshold, strict.promises) == (0.4, False)
        assert usual_point([]) is None

    def test_a_rate_or_the_nearest_stricter(self) -> None:
        found = points(
            size(1, 1),
            searched(0.1, 2, 1, 0.3), searched(0.01, 2, 1, 0.5), searched(0.001, 2, 1, 0.7),
            searched(0.01, 9, 1, 0.6),
        )  # fmt: skip
        for rate, threshold in ((0.1, 0.3), (0.05, 0.5), (0.01, 0.5), (0.009, 0.7)):
            chosen = nearest(found, rate)
            assert chosen is not None
            assert chosen.threshold == threshold
        assert nearest(found, 1e-4) is None

    def test_one_rate_at_once(self) -> None:
        check_one_rate(0.1, None)
        with pytest.raises(ArcwiseError, match="one of the two"):
            check_one_rate(0.1, 0.1)

    def test_what_this_gallery_says_comes_before_bounds(self) -> None:
        """A model's bound between two rates measured here is not taken."""
        here = (searched(0.1, 2, None, 0.8), searched(0.05, 2, None, 0.86))
        then = GalleryCalibration(2, 2, here, "strangers")
        found = operating_points(size(1, 1), (), [searched(0.096, 9, 1, 0.7)], then)
        chosen = nearest(found, 0.099)
        assert chosen is not None
        assert (chosen.threshold, chosen.in_this_gallery) == (0.86, True)

    def test_pairs_of_few_identities_promise_nothing(self) -> None:
        few = replace(compared(0.001, 0.3), identities=5)
        (point,) = points(size(1, 1), few)
        assert not point.promises
        assert "5 identities, too few" in str(point)
        assert usual_point([point]) == point  # it decides all the same


class TestStrangersOfUnknownIdentities:
    """What was measured on a flat folder: a rate, and no interval, in every gallery."""

    ONE = searched(
        0.05, 2, None, 0.6, low=-1.0, high=1.0, fpir_low=0.0, fpir_high=1.0, identities=None,
        probes=222,
    )  # fmt: skip
    THEN = GalleryCalibration(2, 6, (ONE,), "222 images")

    @pytest.mark.parametrize("here", [size(3, 3), size(3, 2), size(4, 4, 4)])
    def test_no_interval_is_promised(self, here: GallerySize) -> None:
        (point,) = operating_points(here, (), (), self.THEN)
        assert point.fpir_interval == (0.0, 1.0)
        assert point.as_dict()["fpir_interval"] is None
        assert "interval not known, as it is not known which of the images" in str(point)

    def test_a_file(self) -> None:
        assert self.THEN.strangers is None
        assert GalleryCalibration.from_json(self.THEN.as_json()) == self.THEN
        each = replace(searched(0.05, 2, None, 0.6), identities=222, probes=222)
        labelled = replace(self.THEN, thresholds=(each,))
        assert GalleryCalibration.from_json(labelled.as_json()) == labelled
        older = json.loads(labelled.as_json())
        del older["strangers"]  # from before it was noted: each image may have counted as one
        assert GalleryCalibration.from_json(json.dumps(older)) == self.THEN


class TestSeveralSources:
    """Of what was measured here and elsewhere, a stricter threshold never promises more."""

    THEN = GalleryCalibration(10, 40, (searched(0.05, 10, None, 0.7788),), "strangers")
    ELSEWHERE = (searched(0.05, 10, None, 0.8135), searched(0.01, 10, 1, 0.8342))

    def found(self, here: GallerySize) -> list[OperatingPoint]:
        elsewhere = replace(self.ELSEWHERE[0], templates=2), self.ELSEWHERE[1]
        return operating_points(here, [compared(0.001, 0.85)], elsewhere, self.THEN)

    def test_outgrown(self) -> None:
        """Measured with 40 templates here and with 20 elsewhere; now there are 48."""
        found = self.found(size(*[4] * 12))
        usual = usual_point(found)
        assert usual is not None
        assert usual.threshold == 0.7788
        assert usual.fpir == pytest.approx(1 - 0.95**1.2)
        assert nearest(found, 0.1) == nearest(found, 0.07) == usual
        capped = next(one for one in found if one.threshold == 0.8135)
        assert capped.fpir == usual.fpir < 1 - 0.95**2.4
        assert capped.fpir_interval == (0.0, usual.fpir_interval[1])

    def test_here_comes_before_elsewhere(self) -> None:
        """10 of 100 were answered here at 0.8: that fewer are at 0.7 is no promise."""
        then = replace(self.THEN, thresholds=(searched(0.1, 10, None, 0.8),))
        found = operating_points(size(*[4] * 10), (), [searched(0.05, 10, 4, 0.7)], then)
        assert [one.promises for one in found] == [True, False]
        assert nearest(found, 0.07) is None

    @settings(deadline=None)
    @given(st.data())
    def test_stricter_is_never_worse(self, data: st.DataObject) -> None:
        rates, levels = st.sampled_from([0.2, 0.1, 0.05, 0.01]), st.integers(1, 9)
        counts, each = st.integers(1, 60), st.sampled_from([None, 1, 2, 5])
        draw = data.draw
        several = [
            searched(rate, gallery, templates, level / 10)
            for rate, gallery, templates, level in draw(
                st.lists(st.tuples(rates, counts, each, levels), max_size=8)
            )
        ]
        single = [
            compared(rate / 100, level / 10)
            for rate, level in draw(st.lists(st.tuples(rates, levels), max_size=3))
        ]
        measured = tuple(
            searched(rate, 10, None, level / 10)
            for rate, level in zip(
                (0.1, 0.05), sorted(draw(st.tuples(levels, levels))), strict=True
            )
        )
        then = draw(st.sampled_from([None, GalleryCalibration(10, 20, measured, "strangers")]))
        here = size(*draw(st.lists(st.integers(1, 4), min_size=1, max_size=15)))
        found = operating_points(here, single, several, then)
        promising = sorted((o for o in found if o.promises), key=lambda o: o.threshold)
        for one in promising:
            assert all(one.fpir >= o.fpir for o in promising if o.threshold > one.threshold)
        usual = usual_point(found)
        if usual is not None and usual.promises:
            assert nearest(found, usual.fpir) == usual
            assert usual.fpir_interval[0] <= usual.fpir <= usual.fpir_interval[1]
