"""Why an image matches: each part covered and embedded again, by the route and by hand."""

from __future__ import annotations

import base64
import threading

import cv2
import numpy as np
import pytest

from arcwise.images import decode
from arcwise.recognition import Recogniser
from tests.serving.conftest import SIDE


def test_covered_one_by_one(served, gallery, model, images):
    grid, step = 4, SIDE // 4
    said = served.send(f"shop/explain?identity=p3&grid={grid}", [images[5]]).json
    with Recogniser(model, gallery) as one:
        pixels = one.model.prepare(decode(images[5], ""))
        (enrolled,) = one.model.embed([images[3]])

        def similarity(image: np.ndarray) -> float:
            return float(one.model.embed_pixels(image[None])[0] @ enrolled)

        assert said["similarity"] == pytest.approx(similarity(pixels), abs=1e-5)
        for row in range(grid):
            for column in range(grid):
                covered = pixels.copy()
                for y in range(SIDE):
                    for x in range(SIDE):
                        inside = (
                            -step / 2 <= y - row * step < step * 1.5,
                            -step / 2 <= x - column * step < step * 1.5,
                        )
                        if all(inside):
                            covered[y, x] = 128
                fall = similarity(pixels) - similarity(covered)
                assert said["fall"][row][column] == pytest.approx(fall, abs=1e-5)
    seen = cv2.imdecode(np.frombuffer(base64.b64decode(said["image"]), np.uint8), 1)
    assert seen.shape == pixels.shape
    assert abs(seen[..., ::-1].astype(float) - pixels).mean() < 20


def test_refused(served, images):
    assert served.send("shop/explain?identity=nobody", images[:1]).code == "not_enrolled"
    assert served.send("shop/explain?identity=p1", images[:2]).code == "refused"
    assert served.send("shop/explain?identity=p1", [b"nothing"]).code == "image_unreadable"
    assert served.send("shop/explain?identity=p1&grid=11", images[:1]).code == "malformed"


def test_one_at_a_time(served, images):
    """Whoever comes meanwhile is told to come again, and what was told is not lost."""
    codes = []

    def ask() -> None:
        codes.append(served.send("shop/explain?identity=p1&grid=10", images[:1]).status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert set(codes) <= {200, 503}
    assert 200 in codes
    ask()
    assert codes[-1] == 200
