"""A client gives what a recogniser gives on the same gallery."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

import arcwise
from arcwise.errors import ArcwiseError, GalleryError, ImageError, UnreadableImages
from arcwise.gallery import GalleryCalibration, Hit, open_gallery
from arcwise.recognition import Answer, Recogniser, SearchResult
from tests.serving.conftest import keyed, running
from tests.verbs.conftest import search_threshold


@pytest.fixture
def client(served):
    with arcwise.Client(served.url()) as one:
        yield one


@pytest.fixture
def local(gallery, model):
    with Recogniser(model, gallery) as one:
        yield one


@pytest.fixture
def files(images: list[bytes], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{row}.png" for row in range(12)]
    for path, content in zip(paths, images, strict=False):
        path.write_bytes(content)
    return paths


def rounded(value: Any) -> Any:
    """Return an answer with similarities to 5 places: batches differ in the last bits."""
    if isinstance(value, Answer):
        decision = value.decision
        if decision is not None:
            near = [
                None if one is None else round(one, 5)
                for one in (decision.similarity, decision.margin)
            ]
            decision = replace(decision, similarity=near[0], margin=near[1])
        hits = (Hit(h.identity, round(h.similarity, 5), h.template, h.metadata) for h in value.hits)
        return replace(value, hits=tuple(hits), decision=decision)
    return str(value) if isinstance(value, ImageError) else value


def plain(result: SearchResult) -> dict[str, Any]:
    every = {**vars(result)}
    for name in ("answers", "queries", "failures"):
        every[name] = tuple(map(rounded, every[name]))
    return every


def test_search(client, local, files, images):
    pixels = cv2.imdecode(np.frombuffer(images[7], np.uint8), cv2.IMREAD_COLOR_RGB)
    sources = [files[0], str(files[1]), images[30], pixels, Image.fromarray(pixels), "none.png"]
    for options in (
        {"k": 2, "far": 0.1},
        {"where": "shelf < 3"},
        {"everyone": True, "far": 0.1},
        {"together": True},
    ):
        asked, expected = client.search(sources, **options), local.search(sources, **options)
        if "together" in options:  # the server knows files by the last part of their names
            (given,), (own,) = asked.answers, expected.answers
            asked = replace(asked, queries=(), answers=(replace(given, image=own.image),))
            expected = replace(expected, queries=())
            assert not expected.point.promises  # the rate of one image is not repeated
        found, wanted = plain(asked), plain(expected)
        wanted["unmeasured"] = wanted["unmeasured"].replace(str(local.path), "shop")
        assert found == wanted


def test_a_calibrated_gallery(client, local, images):
    calibration = GalleryCalibration(10, 10, (search_threshold(0.05, 10, 0.7),), "strangers", 10)
    local.gallery.keep_calibration(calibration)
    assert client.search(images[:1]).point == local.search(images[:1]).point
    about = client.about()
    assert (about.decides.calibration, about.decides.outgrown) == (calibration, False)
    assert client.calibration(fpir=0.05).point == local.operating_point(fpir=0.05)[2]
    local.enrol("new", images[20:21])
    found = client.search(images[:1])
    assert (found.outgrown, found.calibration) == (True, calibration)


def test_embed_and_verify(client, local, files, images):
    sources = [files[0], b"nothing", "none.png", images[20]]
    asked, expected = client.embed(sources), local.embed(sources)
    np.testing.assert_allclose(asked.vectors, expected.vectors, atol=1e-6)
    assert asked.vectors.dtype == np.float32
    np.testing.assert_array_equal(asked.rows, expected.rows)
    assert list(map(str, asked.failures)) == list(map(str, expected.failures))
    for sources in (files[3:4], [files[3], files[4], b"nothing"]):
        found, wanted = client.verify("p3", sources, far=0.1), local.verify("p3", sources, far=0.1)
        assert found.similarity == pytest.approx(wanted.similarity, abs=1e-6)
        assert (found.accepted, found.threshold) == (wanted.accepted, wanted.threshold)
        assert (found.together, found.unmeasured) == (wanted.together, wanted.unmeasured)
        assert len(found.failures) == len(wanted.failures)


def test_enrol_and_correct(client, local, files, images):
    receipt = client.enrol("new", [files[0], images[21]], metadata={"shelf": 3})
    assert len(receipt) == 2
    assert [one["shelf"] for one in local.gallery.metadata("new")] == [3, 3]
    assert client.enrol("new", images[22:25], together=True, replace=True).replaced == 2
    with pytest.raises(ImageError):
        client.enrol("new", [images[0], b"nothing"])
    with pytest.raises(ImageError, match=r"none\.png"):
        client.enrol("new", [images[0], "none.png"])
    answer = client.enrol_readable("other", [images[0], b"nothing", "none.png"])
    assert (len(answer.templates), len(answer.failures)) == (1, 2)
    assert client.identities() == local.gallery.counts()
    client.rename("other", "another")
    (about,) = client.identity("another").templates
    client.annotate(about.template, {"shelf": 9})
    client.assign(about.template, "last")
    assert local.gallery.metadata("last")[0]["shelf"] == 9
    client.quarantine([about.template], "blurred")
    assert [one.reason for one in client.quarantined()] == ["blurred"]
    client.release([about.template])
    assert client.thumbnail(about.template) is None
    client.remove_template(about.template)
    assert client.remove("new").templates == 1
    assert client.identities() == {f"p{row}": 1 for row in range(10)}
    local.close()  # a purge takes the log beside the file, which nobody may be reading
    client.purge()


def test_more_images_than_a_request_takes(make, gallery, model, images):
    limits = {"images": 3, "body_bytes": 4096, "image_bytes": 2000, "rate": 1e5, "burst": 1000}
    sources: list[Any] = [*images[:8], bytes(3000), b"nothing", "none.png", *images[8:12]]
    with (
        running(make(limits=limits)) as served,
        arcwise.Client(served.url()) as client,
        Recogniser(model, gallery) as local,
    ):
        found, wanted = client.search(sources), local.search(sources)
        given = [rounded(one) for one in found.queries if isinstance(one, Answer)]
        assert given == [rounded(one) for one in wanted.queries if isinstance(one, Answer)]
        kinds = [isinstance(one, ImageError) for one in found.queries]
        assert kinds == [8 <= row < 11 for row in range(15)]
        assert len(client.embed(sources).vectors) == 12
        assert len(client.enrol_readable("new", sources).templates) == 12
        with pytest.raises(ArcwiseError, match="at most 3"):
            client.search(images[:4], together=True)
        with pytest.raises(ArcwiseError, match="at most 3"):
            client.enrol("new", images[:4])
        with pytest.raises(UnreadableImages, match="none of the 7"):
            client.search([b"nothing"] * 7)


def test_mistakes(client, images):
    for ask, kind, fact in (
        (lambda: client.search([b"nothing"]), ImageError, "image 0"),
        (lambda: client.search(["none.png"]), ImageError, r"none\.png"),
        (lambda: client.search([]), ArcwiseError, "no image"),
        (lambda: client.search("none.png"), ArcwiseError, "expected a list"),
        (lambda: client.search(images[:1], far=0.2), ArcwiseError, r"FAR 0\.2"),
        (lambda: client.search(images[:1], where="x ="), ArcwiseError, "invalid"),
        (lambda: client.search(images[:1], k=0), ArcwiseError, "k"),
        (lambda: client.verify("nobody", images[:1]), GalleryError, "nobody"),
        (lambda: client.remove("nobody"), GalleryError, "nobody"),
        (lambda: client.annotate(1, {"root": "/"}), ArcwiseError, "root"),
        (lambda: client.quarantine([99], "x"), GalleryError, "99"),
        (lambda: client.enrol("", images[:1]), ArcwiseError, "identity"),
    ):
        with pytest.raises(kind, match=fact):
            ask()


def test_keys(make, images, monkeypatch):
    keys, settings = keyed(till=("read", ["*"]))
    with running(make(keys=settings)) as served:
        with arcwise.Client(served.url(), keys["till"]) as client:
            client.search(images[:1])
            with pytest.raises(ArcwiseError, match="role read"):
                client.enrol("new", images[:1])
        monkeypatch.setenv("ARCWISE_KEY", keys["till"])
        with arcwise.Client(served.url()) as client:
            client.search(images[:1])
        with arcwise.Client(served.url("other")) as client, pytest.raises(GalleryError):
            client.search(images[:1])
        monkeypatch.delenv("ARCWISE_KEY")
        with (
            arcwise.Client(served.url()) as client,
            pytest.raises(ArcwiseError, match="set ARCWISE_KEY"),
        ):
            client.about()


def test_waits_where_it_is_told_to(make, images):
    with (
        running(make(limits={"rate": 20, "burst": 1})) as served,
        arcwise.Client(served.url()) as client,
    ):
        client.about()
        assert client.search(images[:1]).answers


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1", "ftp://h/v1/galleries/a", "http://h/v1/galleries/", "shop",
        "http://h/v1/galleries/a/b",
        "http://h:x/v1/galleries/a", "http://u:p@h/v1/galleries/a", "http:///v1/galleries/a",
    ],
)  # fmt: skip
def test_addresses_that_are_none(url):
    with pytest.raises(ArcwiseError):
        arcwise.Client(url)


def test_nobody_there(served, images):
    served.server.stop()
    with (
        arcwise.Client("http://127.0.0.1:9/v1/galleries/shop") as client,
        pytest.raises(ArcwiseError, match="cannot be reached"),
    ):
        client.search(images[:1])


def test_a_connection_that_the_server_closed(served, client, monkeypatch):
    """Is opened again; a change is never sent on one that may be closed."""
    client.about()
    for one in list(client._connection._idle):
        one.sock.close()
    assert client.about().gallery == "shop"
    client.about()
    for one in list(client._connection._idle):
        one.sock.close()
    assert client.remove("p1").templates == 1


def test_a_connection_that_breaks_before_the_answer(images):
    """Of a change it is said that it may have been made, of a question that nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(100)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/galleries/shop"
        with arcwise.Client(url) as client:
            with pytest.raises(ArcwiseError, match="look before you repeat it"):
                client.remove("p1")
            with pytest.raises(ArcwiseError, match="cannot be reached, or answers nothing"):
                client.about()
        thread.join()


def test_explain(client, images):
    said = client.explain("p3", images[3:4], grid=3)
    assert said.similarity == pytest.approx(1, abs=1e-4)
    assert [len(row) for row in said.fall] == [3, 3, 3]


def test_every_call_of_the_server_has_one_here(served):
    """By what the server says of itself: a route without a call would be missed."""
    import re
    from inspect import getsource

    from arcwise.client import client

    api = served.ask("GET", "/v1/openapi.json").json
    text = re.sub(r"\s+", " ", getsource(client))
    for path, ways in api["paths"].items():
        under = path.removeprefix("/v1/galleries/{gallery}")
        if under == path:
            continue  # of the server, not of a gallery
        for method in ways:
            ends = [one for one in re.split(r"\{.*?\}", under) if one]
            assert method.upper() in text
            assert all(one in text for one in ends), (method, path)


def test_about_and_open_gallery(client, gallery):
    with open_gallery(gallery) as store:
        about = client.about()
        assert (about.size, about.dim) == (store.size(), store.dim)
        assert about.fingerprint == store.fingerprint
        assert about.role == "admin"
