"""The audit of a served gallery: for admin alone, one at a time, in the audit log."""

from __future__ import annotations

import json
import threading

from arcwise.verbs import gallery_audit
from tests.serving.conftest import keyed, running


def test_who_may(make, gallery, images):
    keys, settings = keyed(clerk=("enrol", ["shop"]), boss=("admin", ["shop"]))
    with running(make(keys=settings)) as served:
        assert served.ask("GET", "/v1/galleries/shop/audit", key=keys["clerk"]).code == "forbidden"
        said = served.ask("GET", "/v1/galleries/shop/audit", key=keys["boss"]).json
        assert (said["templates"], said["findings"], said["pair"]["far"]) == (10, [], 0.01)
    log = (gallery.parent / "shop.gallery.audit.jsonl").read_text().splitlines()
    assert [json.loads(line)["action"] for line in log] == ["audit"]


def test_one_at_a_time(served, monkeypatch):
    began, go_on = threading.Event(), threading.Event()
    compare = gallery_audit.audit_store

    def slow(*given):
        began.set()
        assert go_on.wait(30)
        return compare(*given)

    monkeypatch.setattr(gallery_audit, "audit_store", slow)
    first = []
    thread = threading.Thread(
        target=lambda: first.append(served.ask("GET", "/v1/galleries/shop/audit").status)
    )
    thread.start()
    assert began.wait(30)
    second = served.ask("GET", "/v1/galleries/shop/audit")
    assert (second.status, second.code, second.headers["retry-after"]) == (503, "busy", "1")
    go_on.set()
    thread.join()
    assert first == [200]
