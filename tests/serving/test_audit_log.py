from __future__ import annotations

import json
import os

import pytest

from arcwise.data.digests import content_digest
from arcwise.errors import ArcwiseError
from arcwise.recognition.recorded import CONTENT
from arcwise.serving.audit_log import AuditLog
from arcwise.verbs.enrolled_images import EnrolledImages


def test_lines_and_a_file_that_is_moved(tmp_path):
    log = AuditLog(tmp_path / "a.jsonl")
    log.write({"action": "search", "identity": "line\nbreak"}, durable=False)
    os.rename(tmp_path / "a.jsonl", tmp_path / "a.1")
    log.write({"action": "remove"}, durable=True)
    (first,) = (tmp_path / "a.1").read_text().splitlines()
    (second,) = (tmp_path / "a.jsonl").read_text().splitlines()
    assert json.loads(first)["identity"] == "line\nbreak"
    assert json.loads(second)["action"] == "remove"
    assert (tmp_path / "a.jsonl").stat().st_mode & 0o077 == 0


def test_a_log_that_cannot_be_written(tmp_path):
    with pytest.raises(ArcwiseError, match="audit log"):
        AuditLog(tmp_path / "no" / "a.jsonl")


def test_images_are_kept_only_where_told(tmp_path):
    AuditLog(tmp_path / "a.jsonl").keep(b"image")
    assert os.listdir(tmp_path) == ["a.jsonl"]
    log = AuditLog(tmp_path / "a.jsonl", tmp_path / "sent")
    for _ in range(2):
        log.keep(b"image")
    (kept,) = (tmp_path / "sent").iterdir()
    assert kept.read_bytes() == b"image"


def test_kept_images_are_found_again(tmp_path, images):
    """By an upgrade, which is told of the folder."""
    log = AuditLog(tmp_path / "a.jsonl", tmp_path / "sent")
    log.keep(images[0])
    recorded = {"image": "a.png", CONTENT: f"{content_digest(images[0]):016x}"}
    found = EnrolledImages(tmp_path / "shop.gallery", tmp_path / "sent").find(recorded)
    assert found.content == images[0]


def test_no_part_of_a_line_stays(tmp_path, mounted):
    """On a full disk, and after a power cut: the next line is whole."""
    place = mounted(tmp_path / "small", "64k")
    log = AuditLog(place / "audit")
    log.write({"first": 1}, durable=True)
    with pytest.raises(ArcwiseError, match="No space left"):
        log.write({"long": "x" * 80_000}, durable=True)
    log.write({"second": 2}, durable=True)
    with (place / "audit").open("a") as file:
        file.write('{"cut":')
    AuditLog(place / "audit").write({"third": 3}, durable=True)
    lines = (place / "audit").read_text().splitlines()
    assert [len(json.loads(one)) for one in (*lines[:2], lines[3])] == [2, 2, 2]
    assert len(lines) == 4
