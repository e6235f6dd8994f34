"""Rendered photos: deterministic, independent, and true to their nuisances."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from dataclasses import fields, replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from arcwise.errors import ArcwiseError
from arcwise.synthetic import Nuisance, Photo, Renderer, family_of
from arcwise.synthetic.design import TURNED
from arcwise.synthetic.scene import shared_world

SIZE = 64

# A photo in which nothing varies but what a test changes.
STILL = {
    "yaw": 0.0, "pitch": 0.08, "roll": 0.0, "scale": 0.8, "shift_x": 0.0, "shift_y": 0.0,
    "perspective": 0.1, "exposure": 0.0, "warmth": 0.0, "light": 0.3, "blur": 0.0, "motion": 0.0,
    "noise": 0.0, "jpeg": 95,
}  # fmt: skip


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(seed=0, size=SIZE)


def still(renderer: Renderer, identity: int, shot: int = 0, **changes: float) -> Photo:
    return renderer.photo(identity, shot, "studio", {**STILL, **changes})


def difference(a: Photo, b: Photo) -> float:
    return float(np.abs(a.image.astype(float) - b.image).mean())


def sharpness(photo: Photo) -> float:
    grey = cv2.cvtColor(photo.image, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


@pytest.mark.parametrize("domain", ["studio", "shop"])
def test_the_same_seed_gives_the_same_bytes(renderer: Renderer, domain: str) -> None:
    shared_world.cache_clear()  # or both would stand before the same plates, not only equal ones
    other = Renderer(seed=0, size=SIZE)
    for identity, shot in ((0, 0), (17, 3), (123456, 7)):
        a, b = renderer.photo(identity, shot, domain), other.photo(identity, shot, domain)
        assert a.jpeg == b.jpeg
        assert a.nuisance == b.nuisance
        assert np.array_equal(a.image, b.image)


def test_a_photo_does_not_depend_on_what_was_rendered_before_it() -> None:
    photos = [(i, s) for i in range(4) for s in range(4)]
    first = {key: Renderer(0, SIZE, skins=2).photo(*key).jpeg for key in photos}
    shared_world.cache_clear()
    backward = Renderer(0, SIZE)
    second = {key: backward.photo(*key).jpeg for key in reversed(photos)}
    assert first == second


def test_another_seed_size_or_shot_is_another_photo(renderer: Renderer) -> None:
    photo = renderer.photo(5, 1)
    assert renderer.photo(5, 2).jpeg != photo.jpeg
    assert Renderer(seed=1, size=SIZE).photo(5, 1).jpeg != photo.jpeg
    assert Renderer(seed=0, size=80).photo(5, 1).image.shape == (80, 80, 3)


def test_the_image_is_what_a_reader_of_the_file_sees(renderer: Renderer) -> None:
    photo = renderer.photo(3)
    read = cv2.imdecode(np.frombuffer(photo.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    assert np.array_equal(photo.image, read)
    assert photo.image.shape == (SIZE, SIZE, 3)
    assert photo.image.dtype == np.uint8
    assert photo.identity == "product-00003"


def test_a_product_under_no_nuisance_is_one_image(renderer: Renderer) -> None:
    solid = [i for i in range(40) if renderer.design(i).body in TURNED][:6]
    for identity in solid:
        assert still(renderer, identity, 0).jpeg == still(renderer, identity, 9).jpeg


def test_products_differ_more_than_photos_of_one() -> None:
    renderer, products = Renderer(seed=0, size=SIZE), range(60)
    photos = {(i, s): renderer.photo(i, s, "studio") for i in products for s in (0, 1)}
    same = [difference(photos[i, 0], photos[i, 1]) for i in products]
    other = [difference(photos[i, 0], photos[j, 1]) for i in products for j in products if i != j]
    assert np.median(other) > 2 * np.median(same)


def test_siblings_look_alike_but_not_the_same(renderer: Renderer) -> None:
    photos = [still(renderer, i) for i in range(60)]
    families = [family_of(i)[0] for i in range(60)]
    siblings, strangers = [], []
    for i in range(60):
        for j in range(i):
            kin = siblings if families[i] == families[j] else strangers
            kin.append(difference(photos[i], photos[j]))
    assert min(siblings + strangers) > 0.3
    assert np.median(siblings) < 0.5 * np.median(strangers)


def test_siblings_share_the_brand_and_the_body_and_differ_in_flavour(renderer: Renderer) -> None:
    for identity in range(1, 200):
        this, before = renderer.design(identity), renderer.design(identity - 1)
        if family_of(identity)[0] == family_of(identity - 1)[0]:
            assert (this.family, this.body, this.layout) == (
                before.family,
                before.body,
                before.layout,
            )
            assert this.flavour != before.flavour


def test_studio_photos_are_clean(renderer: Renderer) -> None:
    for photo in renderer.photos(range(30), 1, "studio"):
        assert photo.nuisance.occlusion == 0
        assert photo.nuisance.motion == 0
        assert photo.nuisance.clutter == 0
        corners = photo.image[[0, 0, -1, -1], [0, -1, 0, -1]]
        assert corners.min() > 170
        assert photo.nuisance.quality > 0.6


def test_shop_photos_vary_and_are_worse(renderer: Renderer) -> None:
    shop = [photo.nuisance for photo in renderer.photos(range(25), 4, "shop")]
    studio = [photo.nuisance for photo in renderer.photos(range(25), 1, "studio")]
    for name in [f.name for f in fields(Nuisance) if f.name != "size"]:
        assert len({getattr(how, name) for how in shop}) > 5, name
    hidden = np.array([how.occlusion for how in shop])
    assert hidden.min() >= 0
    assert 0.05 < (hidden > 0.05).mean() < 0.95
    assert hidden.max() < 0.9
    assert np.median([h.quality for h in shop]) < np.median([h.quality for h in studio])


def test_occlusion_is_measured() -> None:
    renderer = Renderer(seed=0, size=SIZE)
    shots = [renderer.photo(9, shot) for shot in range(24)]
    covered = next(s for s, photo in enumerate(shots) if photo.nuisance.occlusion > 0.1)
    clear = renderer.photo(9, covered, "shop", {"occlusion": 0, "shift_x": 0, "shift_y": 0})
    assert clear.nuisance.occlusion == 0
    # A quarter of the photo's side down and 0.8 tall: the lower 0.15 of it is cut off.
    can = next(i for i in range(99) if renderer.design(i).body == "can")
    cut = still(renderer, can, shift_y=0.25, pitch=0.0, perspective=0.0)
    assert cut.nuisance.occlusion == pytest.approx(0.15 / 0.8, abs=0.02)


def test_blur_takes_sharpness_away(renderer: Renderer) -> None:
    for identity in (0, 9, 14):
        for name in ("blur", "motion"):
            steps = [sharpness(still(renderer, identity, **{name: b})) for b in (0, 0.8, 1.6, 3.2)]
            assert all(more > less for more, less in pairwise(steps)), name


def test_exposure_warmth_and_noise_do_what_they_say(renderer: Renderer) -> None:
    dark, bright = (still(renderer, 9, exposure=e).image.mean() for e in (-1.5, 0.5))
    assert dark < bright
    cold, warm = (still(renderer, 9, warmth=w).image.mean((0, 1)) for w in (-0.8, 0.8))
    assert warm[0] > cold[0]
    assert warm[2] < cold[2]
    clean, noisy = (still(renderer, 9, noise=n, exposure=-1) for n in (0, 0.06))
    residue = (noisy.image.astype(float) - clean.image)[4:14, 4:14]
    assert residue.std() / 255 == pytest.approx(0.06, rel=0.35)


def test_yaw_and_roll_turn_the_product(renderer: Renderer) -> None:
    for identity in (5, 9, 14):
        front = still(renderer, identity)
        assert difference(front, still(renderer, identity, yaw=0.8)) > 3
        assert difference(front, still(renderer, identity, roll=0.6)) > 3


@pytest.mark.parametrize(
    ("name", "milder", "worse"),
    [
        ("yaw", 0.1, -0.9), ("pitch", 0.1, 0.7), ("roll", 0.0, 0.5), ("scale", 0.8, 0.5),
        ("exposure", 0.1, -1.0), ("warmth", 0.0, 1.0), ("blur", 0.1, 1.5), ("motion", 0.0, 4.0),
        ("noise", 0.0, 0.05), ("occlusion", 0.0, 0.5), ("jpeg", 90, 40),
    ],
)  # fmt: skip
def test_quality_falls_with_each_nuisance(name: str, milder: float, worse: float) -> None:
    how = Nuisance(size=96)
    good, bad = (replace(how, **{name: value}).quality for value in (milder, worse))
    assert 0 <= bad < good <= 1


def test_identities_of_any_number(renderer: Renderer) -> None:
    for identity in (0, 10**6, 2**31, 10**12):
        assert renderer.photo(identity).image.std() > 5
    bodies = {renderer.design(identity).body for identity in range(400)}
    assert len(bodies) == 12


def test_a_renderer_goes_to_a_worker_process(renderer: Renderer) -> None:
    assert pickle.loads(pickle.dumps(renderer)).photo(4, 2).jpeg == renderer.photo(4, 2).jpeg


@pytest.mark.parametrize("size", [32, 33, 161])
def test_odd_sizes(size: int) -> None:
    renderer = Renderer(seed=0, size=size)
    for identity, domain in ((0, "shop"), (5, "studio"), (11, "shop"), (14, "shop")):
        assert renderer.photo(identity, 0, domain).image.shape == (size, size, 3)


@pytest.mark.parametrize(
    ("call", "got"),
    [
        (lambda: Renderer(size=16), "got size 16; expected 32 to 1024"),
        (lambda: Renderer(seed=-1), "got seed -1; expected 0 or more"),
        (lambda: Renderer(size=SIZE).photo(-1), "got identity -1; expected 0 or more"),
        (lambda: Renderer(size=SIZE).photo(1, -2), "got shot -2; expected 0 or more"),
        (lambda: Renderer(size=SIZE).photo(1, 0, "street"), "got domain 'street'; expected one of"),
        (lambda: still(Renderer(size=SIZE), 1, blurr=1), "got nuisance 'blurr'; expected one of"),
        (lambda: still(Renderer(size=SIZE), 1, yaw=4), "got yaw 4; expected -1.5 to 1.5"),
        (lambda: still(Renderer(size=SIZE), 1, blur=float("nan")), "got blur nan; expected 0 to"),
        (
            lambda: still(Renderer(size=SIZE), 1, occlusion=0.5),
            "got occlusion 0.5; expected 0 to 0",
        ),
    ],
)
def test_what_cannot_be_rendered_is_one_clear_line(call, got: str) -> None:
    with pytest.raises(ArcwiseError) as caught:
        call()
    assert str(caught.value).startswith(got)
    assert ";" in str(caught.value)


def test_rendering_is_fast() -> None:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        renderer = Renderer(seed=0, size=96)
        for _ in renderer.photos(range(3), 20):
            pass  # paints the skins, the shelves and the hands
        start = time.process_time()  # of this process: other work on the machine is not our speed
        count = sum(1 for _ in renderer.photos(range(3), 20))
        rate = count / (time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)
    assert rate > 60, f"{rate:.0f} photos a second; benchmarks/synthetic.py says where it goes"


def test_the_renderer_needs_no_torch() -> None:
    code = "import sys, arcwise.synthetic; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
