from __future__ import annotations

import json
import os

import pytest

from arcwise.errors import ArcwiseError
from arcwise.serving.audit_log import AuditLog


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
