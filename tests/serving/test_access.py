"""Who may do what: keys, roles and galleries; and nobody learns of the galleries of others."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from arcwise.recognition import Recogniser
from arcwise.serving.settings import Settings
from tests.serving.conftest import Reply, Running, keyed, running

ROLES = ("read", "enrol", "admin")

ROUTES = {
    "read": ("search", "verify", "embed", "identities", "identity", "about", "calibration"),
    "enrol": ("enrol", "annotate"),
    "admin": (
        "replace", "rename", "reassign", "quarantine", "release", "held", "remove template",
        "remove", "purge",
    ),
}  # fmt: skip
"""What each role allows beside what those before it do."""


class Guarded(NamedTuple):
    """A server of two galleries, and keys: a role each, for the first, the second, or both."""

    served: Running
    keys: dict[str, str]


@pytest.fixture(scope="module")
def guarded(model, images, tmp_path_factory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    galleries = {}
    for name in ("mine", "yours"):
        path = folder / f"{name}.gallery"
        with Recogniser(model, path, create=True) as one:
            one.enrol(f"somebody of {name}", images[:3])
        galleries[name] = {"path": str(path), "model": model}
    opened = {"mine": ["mine"], "yours": ["yours"], "both": ["*"]}
    keys, settings = keyed(
        **{f"{role}-{of}": (role, opened[of]) for role in ROLES for of in opened}
    )
    limits = {"rate": 10_000, "burst": 10_000}
    given = {"port": 0, "galleries": galleries, "keys": settings, "limits": limits}
    with running(Settings.model_validate(given)) as one:
        yield Guarded(one, keys)


CALLS: dict[str, tuple[str, str, object]] = {
    "search": ("POST", "/search", "image"),
    "embed": ("POST", "/embed", "image"),
    "verify": ("POST", "/verify?identity=nobody", "image"),
    "enrol": ("POST", "/enrol?identity=new", "image"),
    "replace": ("POST", "/enrol?identity=new&replace=true", "image"),
    "identities": ("GET", "/identities", None),
    "identity": ("GET", "/identity?identity=nobody", None),
    "about": ("GET", "", None),
    "calibration": ("GET", "/calibration", None),
    "annotate": ("PUT", "/templates/999/metadata", {}),
    "rename": ("PATCH", "/identity?identity=nobody", {"to": "x"}),
    "reassign": ("PUT", "/templates/999/identity", {"identity": "x"}),
    "quarantine": ("POST", "/quarantine", {"templates": [999], "reason": "x"}),
    "release": ("POST", "/release", {"templates": [999]}),
    "held": ("GET", "/quarantine", None),
    "remove": ("DELETE", "/identity?identity=nobody", None),
    "remove template": ("DELETE", "/templates/999", None),
    "purge": ("POST", "/purge", None),
}
"""Method, path and body of each; none but `enrol` changes anything where it is allowed."""


def ask(served: Running, what: str, gallery: str, images: list[bytes], key: str | None) -> Reply:
    method, path, document = CALLS[what]
    if document == "image":
        return served.send(gallery + path, images[20:21], key)
    if document is None:
        return served.ask(method, f"/v1/galleries/{gallery}{path}", key=key)
    return served.change(method, gallery + path, document, key)


@pytest.mark.parametrize("name", [f"{r}-{of}" for r in ROLES for of in ("mine", "yours", "both")])
def test_matrix(guarded, images, name):
    """Each key with each call in each gallery."""
    role, _, of = name.partition("-")
    for gallery, (least, calls) in itertools.product(("mine", "yours"), ROUTES.items()):
        for call in calls:
            reply = ask(guarded.served, call, gallery, images, guarded.keys[name])
            if of not in (gallery, "both"):
                assert (reply.status, reply.code) == (404, "not_found"), call
            elif ROLES.index(role) < ROLES.index(least):
                assert (reply.status, reply.code) == (403, "forbidden"), call
            else:
                allowed = reply.status < 300 or reply.code in ("not_enrolled", "refused")
                assert allowed, (call, reply)


def test_no_key_and_wrong_keys(guarded, images):
    wrong = ["x", "arcwise-admin-", *(key[:-1] for key in guarded.keys.values())]
    every = [call for calls in ROUTES.values() for call in calls]
    for gallery, call in itertools.product(("mine", "yours", "none"), every):
        for key in (None, wrong[0], wrong[-1]):
            reply = ask(guarded.served, call, gallery, images, key)
            assert (reply.status, reply.code) == (401, "no_key")
            assert reply.headers["www-authenticate"] == "Bearer"
    for key in wrong:
        assert guarded.served.ask("GET", "/v1/galleries", key=key).status == 401
    head = {"Authorization": f"Basic {guarded.keys['admin-both']}"}
    assert guarded.served.ask("GET", "/v1/galleries", headers=head).status == 401


def test_a_gallery_of_others_is_as_one_that_is_not_there(guarded, images):
    key = guarded.keys["admin-mine"]
    for call in [call for calls in ROUTES.values() for call in calls]:
        there, nowhere = (
            ask(guarded.served, call, gallery, images, key) for gallery in ("yours", "nowhere")
        )
        assert (
            there.body.decode().replace("yours", "nowhere").split('"request"')[0]
            == (nowhere.body.decode().split('"request"')[0])
        )
        differ = {"x-request-id", "content-length"}
        assert {k: v for k, v in there.headers.items() if k not in differ} == {
            k: v for k, v in nowhere.headers.items() if k not in differ
        }


def test_what_names_galleries(guarded):
    """The list, the metrics and the readiness tell a key of its own alone."""
    served, keys = guarded
    served.ask("GET", "/v1/galleries/yours", key=keys["read-yours"])
    mine, both = keys["read-mine"], keys["read-both"]
    assert served.ask("GET", "/v1/galleries", key=mine).json["galleries"] == ["mine"]
    assert served.ask("GET", "/v1/galleries", key=both).json["galleries"] == ["mine", "yours"]
    assert served.ask("GET", "/metrics").status == 401
    said = served.ask("GET", "/metrics", key=mine).body.decode()
    assert 'arcwise_identities{gallery="mine"}' in said
    assert "yours" not in said
    assert "arcwise_resident_bytes" not in said
    said = served.ask("GET", "/metrics", key=both).body.decode()
    assert 'gallery="yours"' in said
    assert "arcwise_resident_bytes" in said
    assert served.ask("GET", "/ready").json == {"ready": True, "outgrown": False, "galleries": []}
    ready = served.ask("GET", "/ready", key=mine).json["galleries"]
    assert [one["gallery"] for one in ready] == ["mine"]
    assert served.ask("GET", "/health").status == 200


def test_each_gallery_has_a_log_of_its_own(guarded, images, tmp_path_factory):
    served, keys = guarded
    for gallery in ("mine", "yours"):
        served.send(f"{gallery}/search", images[:1], keys[f"read-{gallery}"])
    for name, one in served.server.application.service.galleries.items():
        text = one.audit.path.read_text()
        other = {"mine": "yours", "yours": "mine"}[name]
        assert f'"key": "read-{name}"' in text
        assert f'"key": "read-{other}"' not in text
        assert not any(key in text for key in keys.values())


def test_rates(make, images):
    """Of a key, and of an address without one; another key is not slowed down."""
    keys, settings = keyed(a=("read", ["*"]), b=("read", ["*"]))
    with running(make(keys=settings, limits={"rate": 0.01, "burst": 3})) as served:
        path = "/v1/galleries/shop"
        assert [served.ask("GET", path, key=keys["a"]).status for _ in range(5)] == [
            200, 200, 200, 429, 429,
        ]  # fmt: skip
        refused = served.ask("GET", path, key=keys["a"])
        assert refused.code == "too_many_requests"
        assert 0 < int(refused.headers["retry-after"]) <= 100
        assert [served.ask("GET", path, key="x").status for _ in range(4)] == [401] * 3 + [429]
        assert served.ask("GET", path, key=keys["b"]).status == 200
        assert served.ask("GET", "/health").status == 200


def test_pages_of_others_cannot_ask_where_no_key_is_needed(served, images):
    """Neither by a name that leads here nor by a form that a browser sends."""
    here = f"127.0.0.1:{served.port}"
    for headers, status in [
        ({"Host": "evil.example"}, 403),
        ({"Host": f"evil.example:{served.port}"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": f"http://{here}"}, 200),
        ({"Host": f"localhost:{served.port}"}, 200),
        ({"Host": f"[::1]:{served.port}"}, 200),
    ]:
        assert served.ask("GET", "/v1/galleries/shop", headers=headers).status == status, headers


def test_forwarded_addresses_are_believed_only_where_told(make, gallery):
    head = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    addresses = []
    log = gallery.with_name("shop.gallery.audit.jsonl")
    for proxies in ((), ("192.0.2.1",), ("127.0.0.1",)):
        with running(make(proxies=proxies)) as served:
            served.ask("POST", "/v1/galleries/shop/purge", headers=head)
        addresses.append(log.read_text().splitlines()[-1].partition('"address": "')[2][:11])
    assert [one.rstrip('", s') for one in addresses] == ["127.0.0.1", "127.0.0.1", "203.0.113.9"]
