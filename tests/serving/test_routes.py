"""What is answered over HTTP is what a recogniser answers on the same gallery."""

from __future__ import annotations

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import cv2
import numpy as np
import pytest

from arcwise.gallery import GalleryCalibration, open_gallery
from arcwise.recognition import Recogniser
from arcwise.serving.settings import Settings
from tests.serving.conftest import running
from tests.verbs.conftest import search_threshold


@pytest.fixture
def local(gallery, model):
    with Recogniser(model, gallery) as one:
        yield one


def test_search(served, local, images):
    answer = served.send("shop/search?k=3&far=0.1", [*images[:2], images[20], b"nothing"]).json
    expected = local.search([*images[:2], images[20], b"nothing"], k=3, far=0.1)
    for given, one in zip(answer["queries"][:3], expected.answers, strict=True):
        assert given["decision"]["identity"] == one.decision.identity
        assert given["decision"]["far"] == one.decision.far == 0.1
        for hit, other in zip(given["hits"], one.hits, strict=True):
            assert hit["similarity"] == pytest.approx(other.similarity, abs=1e-6)
            assert (hit["identity"], hit["template"]) == (other.identity, other.template)
    assert [one["image"] for one in answer["queries"]] == ["0.png", "1.png", "2.png", "3.png"]
    assert answer["queries"][3]["error"]
    assert answer["point"]["basis"]["far"] == 0.1
    assert answer["promise"] == str(expected.point)
    assert not answer["outgrown"]


def test_where_everyone_and_together(served, images):
    typo = served.send(f"shop/search?where={quote('shlef == 3')}", images[:1]).json
    assert any("'shelf'" in note for note in typo["notes"])
    found = served.send(f"shop/search?where={quote('shelf in (3, 4)')}", images[:1]).json
    assert {one["identity"] for one in found["queries"][0]["hits"]} == {"p3", "p4"}
    found = served.send("shop/search?everyone=true&far=0.1", [images[3]]).json
    assert all(one["similarity"] >= 0.99 for one in found["queries"][0]["hits"])
    assert found["queries"][0]["hits"][0]["identity"] == "p3"
    found = served.send("shop/search?together=true", [images[3], images[3], b"x"]).json
    assert (found["together"], len(found["queries"])) == (2, 2)
    assert "2 together" in found["unmeasured"]
    assert found["queries"][0]["decision"]["far"] is None


def test_several_objects_in_one_image(served, images):
    """Each box of a shelf is a query of its own, and is the product that stands there."""
    pixels = [cv2.imdecode(np.frombuffer(one, np.uint8), 1) for one in images[:3]]
    shelf = cv2.imencode(".png", np.concatenate(pixels, 1))[1].tobytes()
    boxes = [[[16, 0, 16, 16], [0, 0, 16, 16], [32, 0, 40, 16], [99, 0, 5, 5]], None]
    found = served.send("shop/search", [shelf, images[5]], boxes=json.dumps(boxes)).json["queries"]
    closest = [one["hits"][0]["identity"] if one["hits"] else None for one in found]
    assert closest == ["p1", "p0", "p2", None, "p5"]
    assert "outside" in found[3]["error"]
    for wrong in ([None], [[], None], [[[1, 2, 3]], None], [[[0, 0, 1e9, 1]], None], 1):
        reply = served.send("shop/search", [shelf, images[5]], boxes=json.dumps(wrong))
        assert reply.code == "malformed"
    many = [[[0, 0, 1, 1]] * 33, None]
    assert served.send("shop/search", [shelf, images[5]], boxes=json.dumps(many)).status == 413
    assert served.send("shop/embed", images[:1], boxes="[null]").code == "malformed"
    assert served.send("shop/search", images[:1], metadata="{}").code == "malformed"


def test_hits_that_are_not_shown_are_said(make, images):
    with running(make(limits={"hits": 2})) as served:
        for name in "xyz":
            served.send(f"shop/enrol?identity={name}", images[:1])
        found = served.send("shop/search?k=2&everyone=true&far=0.1", images[:1]).json
        assert served.send("shop/search?k=3", images[:1]).code == "malformed"
    assert [one["identity"] for one in found["queries"][0]["hits"]] == ["p0", "x"]
    assert any("the 2 closest of 4" in note for note in found["notes"])


def test_embed_and_verify(served, local, images):
    answer = served.send("shop/embed", [images[0], b"nothing", images[1]]).json
    np.testing.assert_allclose(
        answer["vectors"], local.embed([images[0], images[1]]).vectors, atol=1e-6
    )
    assert (answer["rows"], len(answer["failures"])) == ([0, 2], 1)
    for row in (3, 4):
        given = served.send("shop/verify?identity=p3&far=0.1", [images[row]]).json
        expected = local.verify("p3", [images[row]], far=0.1)
        assert given["accepted"] == expected.accepted
        assert given["similarity"] == pytest.approx(expected.similarity, abs=1e-6)
        assert given["threshold"]["far"] == 0.1
    assert served.send("shop/verify?identity=nobody", images[:1]).code == "not_enrolled"


def test_base64_is_the_same(served, images):
    texts = [base64.b64encode(one).decode() for one in images[:2]]
    one = served.change("POST", "shop/search", {"images": texts, "names": ["0.png", "1.png"]}).json
    assert one == served.send("shop/search", images[:2]).json


def test_partial_enrolment(served, images):
    answer = served.send(
        "shop/enrol?identity=new", [images[20], b"nothing", images[21]], metadata='{"shelf": 7}'
    ).json
    assert (answer["images"], len(answer["templates"])) == (["0.png", "2.png"], 2)
    assert answer["failures"][0]["image"] == "1.png"
    found = served.ask("GET", "/v1/galleries/shop/identity?identity=new").json
    assert [one["template"] for one in found["templates"]] == answer["templates"]
    assert found["templates"][1]["metadata"]["shelf"] == 7
    reply = served.send("shop/enrol?identity=other&partial=false", [images[20], b"nothing"])
    assert reply.code == "image_unreadable"
    assert served.send("shop/enrol?identity=other", [b"x", b"y"]).code == "image_unreadable"
    refused = served.send("shop/enrol?identity=new&new=true", images[:1])
    assert refused.code == "conflict"
    assert "replace=true" in refused.json["error"]["do"]
    assert served.send("shop/enrol?identity=p1&least_quality=1", images[:1]).code == "refused"
    assert served.ask("GET", "/v1/galleries/shop/identity?identity=other").code == "not_enrolled"
    assert served.send("shop/enrol?identity=new&replace=true", images[:1]).json["replaced"] == 2


def test_looking_correcting_removing(served, images):
    page = served.ask("GET", "/v1/galleries/shop/identities?limit=4").json
    assert (len(page["identities"]), page["total"], page["after"]) == (4, 10, "p3")
    rest = served.ask("GET", "/v1/galleries/shop/identities?after=p3").json
    assert (len(rest["identities"]), rest["after"]) == (6, None)
    assert served.change("PATCH", "shop/identity?identity=p0", {"to": "q/.."}).status == 200
    (template,) = served.ask("GET", "/v1/galleries/shop/identity?identity=q%2F..").json["templates"]
    place = f"shop/templates/{template['template']}"
    assert served.change("PUT", f"{place}/metadata", {"shelf": 9}).status == 200
    assert served.change("PUT", f"{place}/metadata", {"root": "/etc"}).code == "refused"
    assert served.change("PUT", f"{place}/identity", {"identity": "r"}).status == 200
    (template,) = served.ask("GET", "/v1/galleries/shop/identity?identity=r").json["templates"]
    assert template["metadata"]["shelf"] == 9
    assert template["metadata"].keys() == {"shelf", "content"}

    ids = {"templates": [template["template"]]}
    assert served.change("POST", "shop/quarantine", {**ids, "reason": "blurred"}).status == 200
    held = served.ask("GET", "/v1/galleries/shop/quarantine").json["templates"]
    assert [(one["template"]["identity"], one["reason"]) for one in held] == [("r", "blurred")]
    found = served.send("shop/search?k=20", images[:1]).json["queries"][0]["hits"]
    assert "r" not in {one["identity"] for one in found}
    assert served.change("POST", "shop/release", ids).status == 200
    assert served.change("POST", "shop/release", ids).code == "refused"

    assert served.ask("DELETE", f"/v1/galleries/{place}").json["templates"] == 1
    assert served.ask("DELETE", f"/v1/galleries/{place}").code == "not_enrolled"
    assert served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1").json["forms"] == ["p1"]
    assert served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1").code == "not_enrolled"
    assert served.ask("POST", "/v1/galleries/shop/purge").status == 204
    assert served.ask("GET", "/v1/galleries/shop").json["size"]["templates"] == 8


def test_thumbnails(make, gallery, model, images):
    shop = {"path": str(gallery), "model": model, "thumbnails": True}
    with running(make(galleries={"shop": shop})) as served:
        (new,) = served.send("shop/enrol?identity=new", images[20:21]).json["templates"]
        (about,) = served.ask("GET", "/v1/galleries/shop/identity?identity=new").json["templates"]
        reply = served.ask("GET", about["thumbnail"])
        assert reply.headers["content-type"] == "image/jpeg"
        assert cv2.imdecode(np.frombuffer(reply.body, np.uint8), 1).shape == (16, 16, 3)
        (bare,) = served.ask("GET", "/v1/galleries/shop/identity?identity=p1").json["templates"]
        assert bare["thumbnail"] is None
        for id in (bare["template"], new + 1):
            path = f"/v1/galleries/shop/templates/{id}/thumbnail"
            assert served.ask("GET", path).status == 404


def test_places_on_the_machine_are_not_told(served, gallery, model, images, tmp_path):
    """Neither of galleries and models nor of enrolled images."""
    (tmp_path / "a.png").write_bytes(images[30])
    with Recogniser(model, gallery) as one:
        one.enrol("by path", [tmp_path / "a.png"])
        one.enrol("together", [tmp_path / "a.png", tmp_path / "a.png"], together=True)
    told = [
        served.send("shop/search?k=20", [images[30]]),
        served.send("shop/search?fpir=0.0000001", [images[30]]),
        served.send("shop/search?together=true", images[:2]),
        served.send("shop/verify?identity=together", images[:1]),
        served.ask("GET", "/v1/galleries/shop/identity?identity=by+path"),
        served.ask("GET", "/v1/galleries/shop"),
        served.ask("GET", "/v1/openapi.json"),
    ]
    assert "a.png" in told[0].body.decode()
    assert [str(tmp_path) in one.body.decode() for one in told] == [False] * 7
    assert [str(model) in one.body.decode() for one in told] == [False] * 7


def test_outgrown_is_said_everywhere(served, gallery, images):
    with open_gallery(gallery) as store:
        size = store.size()
        calibration = GalleryCalibration(
            10, 10, (search_threshold(0.05, 10, 0.7),), "strangers", size.newest
        )
        store.keep_calibration(calibration)
    fresh = served.send("shop/search", images[:1])
    assert fresh.json["point"]["in_this_gallery"]
    assert (fresh.json["outgrown"], fresh.headers.get("arcwise-outgrown")) == (False, None)
    assert not served.ask("GET", "/ready").json["outgrown"]
    enrolled = served.send("shop/enrol?identity=new", images[20:21])
    assert enrolled.json["outgrown"]
    said = [
        enrolled,
        served.send("shop/search", images[:1]),
        served.send("shop/verify?identity=p1", images[:1]),
        served.send("shop/embed", images[:1]),
        served.ask("GET", "/v1/galleries/shop"),
        served.ask("GET", "/v1/galleries/shop/identities"),
        served.ask("GET", "/v1/galleries/shop/calibration"),
    ]
    assert [one.headers.get("arcwise-outgrown") for one in said] == ["true"] * 7
    assert [one.json["outgrown"] for one in said[:3]] == [True] * 3
    assert said[-1].json["outgrown"]
    assert said[-1].json["calibration"]["measured_on"] == "strangers"
    ready = served.ask("GET", "/ready").json
    assert (ready["ready"], ready["outgrown"], ready["galleries"][0]["outgrown"]) == (True,) * 3
    assert 'arcwise_outgrown{gallery="shop"} 1.0' in served.ask("GET", "/metrics").body.decode()


def test_many_at_once(served, local, images):
    """64 threads get what one recogniser answers to each image alone."""
    expected = [local.search([one], far=0.1).answers[0] for one in images]

    def ask(number: int) -> tuple[int, dict]:
        row = number % len(images)
        return row, served.send("shop/search?far=0.1", [images[row]]).json["queries"][0]

    with ThreadPoolExecutor(64) as pool:
        for row, given in pool.map(ask, range(200)):
            one = expected[row]
            assert given["decision"]["identity"] == one.decision.identity
            assert [hit["identity"] for hit in given["hits"]] == [hit.identity for hit in one.hits]
            assert given["decision"]["similarity"] == pytest.approx(
                one.decision.similarity, abs=1e-6
            )
    text = served.ask("GET", "/metrics").body.decode()
    assert 'route="/v1/galleries/{gallery}/search",status="200"} 200.0' in text
    assert 'arcwise_images_total{gallery="shop"} 200.0' in text
    batches, images_of = (
        float(text.partition(f"arcwise_batch_images_{one} ")[2].split()[0])
        for one in ("count", "sum")
    )
    assert images_of == 200
    assert batches < 200


def test_audit_log(served, gallery, images):
    head = {"X-Request-ID": "mine-1"}
    served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1", headers=head)
    served.send("shop/search", images[:1])
    served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1")
    path = gallery.with_name("shop.gallery.audit.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    begun, done, search, *refused = lines
    assert (begun["state"], done["state"], done["removed"]) == ("begun", "done", 1)
    assert begun["request"] == done["request"] == "mine-1"
    assert begun["identity"] == "p1"
    assert search["answers"] == ["p0"]
    assert [one["state"] for one in refused] == ["begun", "failed"]


def test_nothing_is_done_without_the_log(served, gallery, images):
    path = gallery.with_name("shop.gallery.audit.jsonl")
    path.unlink()
    path.mkdir()
    assert served.send("shop/enrol?identity=new", images[20:21]).code == "no_audit"
    assert served.ask("DELETE", "/v1/galleries/shop/identity?identity=p1").code == "no_audit"
    assert served.ask("GET", "/v1/galleries/shop/identities").json["total"] == 10


class TestOpenApi:
    """The description says all of it, and its examples are what it describes."""

    def test_every_route_is_described(self, served):
        api = served.ask("GET", "/v1/openapi.json").json
        routes = {
            (path, method): one
            for path, ways in api["paths"].items()
            for method, one in ways.items()
        }
        assert len(routes) == 24
        for place, one in routes.items():
            assert one["summary"], place
            assert one.get("description"), place
            for parameter in one.get("parameters", ()):
                assert parameter.get("description"), (place, parameter["name"])
        for path, _ in routes:
            assert path in {"/health", "/ready", "/metrics"} or path.startswith("/v1/galleries")
        roles = {one.get("x-role") for one in routes.values()}
        assert roles == {"read", "enrol", "admin", None}
        kinds = api["components"]["schemas"]
        named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(api)))
        assert "ErrorAnswer" in named <= set(kinds)
        for name in ("search", "verify", "embed", "enrol"):
            body = routes[f"/v1/galleries/{{gallery}}/{name}", "post"]["requestBody"]["content"]
            assert body.keys() == {"multipart/form-data", "application/json"}
        for name in ("SearchAnswer", "OperatingPoint", "Decision", "Hit", "ErrorAnswer"):
            assert "Attributes" in kinds[name]["description"], name

    def test_examples(self):
        from arcwise.client.gallery_messages import AuditAnswer
        from arcwise.client.messages import EnrolAnswer, ErrorAnswer, SearchAnswer, VerifyAnswer
        from arcwise.client.reading import value_of
        from arcwise.serving import examples

        kinds = {
            "SEARCH": SearchAnswer, "VERIFY": VerifyAnswer, "ENROL": EnrolAnswer,
            "AUDIT": AuditAnswer,
        }  # fmt: skip
        for name, kind in kinds.items():
            example = getattr(examples, name)[200]["content"]["application/json"]["example"]
            value_of(kind, example)
        value_of(ErrorAnswer, examples.ERROR)


def test_images_that_are_none_or_too_many(make, images):
    """The formats are listed once; of what is too large or too many the limit is told."""
    limits = {"images": 2, "image_bytes": 2000, "pixels": 300}
    with running(make(limits=limits)) as served:
        said = served.send("shop/search", [b"plain text"]).json["error"]
        assert f"{said['message']} {said['do']}".count("WebP") == 1
        huge = cv2.imencode(".png", np.zeros((20, 20, 3), np.uint8))[1].tobytes()
        for one in (huge, b"\0" * 3000):
            said = served.send("shop/search", [one]).json["error"]
            assert "make it smaller" in said["message"]
            assert "no larger" in said["do"]
        for count in (3, 9):
            refused = served.send("shop/search", images[:count])
            assert (refused.status, refused.code) == (413, "too_large")
            assert "at most 2" in refused.json["error"]["message"]


def test_errors_call_a_gallery_by_its_name(model, images, tmp_path, monkeypatch):
    """However its path is written in the settings, and nothing else that is written like it."""
    monkeypatch.chdir(tmp_path)
    galleries = {"shop": {"path": "./g", "model": model}}
    with running(Settings.model_validate({"port": 0, "galleries": galleries})) as served:
        gallery = served.server.application.service.galleries["shop"]
        for place in ("g", "./g", str(tmp_path / "g")):
            assert gallery.public(f"{place}: no image ({place})") == "shop: no image (shop)"
