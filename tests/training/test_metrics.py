from __future__ import annotations

import pytest

from arcwise.training.metrics import Metrics, read


def write(folder, rows, *, start=0):
    metrics = Metrics(folder, start=start, tensorboard=False)
    for step, values in rows:
        metrics.row(step, **values)
    metrics.close()


def test_rows_come_back_in_order(tmp_path):
    write(tmp_path, [(1, {"loss": 2.5}), (2, {"loss": 2.25, "lr": 0.1})])
    assert read(tmp_path / "metrics.jsonl") == [
        {"step": 1, "loss": 2.5},
        {"step": 2, "loss": 2.25, "lr": 0.1},
    ]


def test_a_row_is_on_disk_as_soon_as_it_is_written(tmp_path):
    metrics = Metrics(tmp_path, start=0, tensorboard=False)
    metrics.row(1, loss=2.5)
    assert read(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.5}]
    metrics.close()


def test_a_new_run_starts_a_new_diary(tmp_path):
    write(tmp_path, [(1, {"loss": 9.0})])
    write(tmp_path, [(1, {"loss": 2.5})])
    assert read(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.5}]


def test_a_resumed_run_drops_the_rows_after_its_checkpoint(tmp_path):
    write(tmp_path, [(step, {"loss": float(step)}) for step in (1, 2, 3, 4)])
    write(tmp_path, [(3, {"loss": 30.0})], start=2)
    assert [row["loss"] for row in read(tmp_path / "metrics.jsonl")] == [1.0, 2.0, 30.0]


def test_a_last_line_cut_short_by_a_crash_is_left_out(tmp_path):
    write(tmp_path, [(1, {"loss": 2.5})])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert read(tmp_path / "metrics.jsonl") == [{"step": 1, "loss": 2.5}]


def test_a_run_resumed_after_a_cut_line_writes_whole_rows(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5}\n{"step": 2, "lo')
    write(tmp_path, [(2, {"loss": 1.5})], start=1)
    assert [row["loss"] for row in read(tmp_path / "metrics.jsonl")] == [2.5, 1.5]


def test_there_are_no_rows_before_the_first_run(tmp_path):
    assert read(tmp_path / "metrics.jsonl") == []


def test_tensorboard_writes_events_beside_the_rows(tmp_path):
    pytest.importorskip("torch.utils.tensorboard")
    metrics = Metrics(tmp_path, start=0, tensorboard=True)
    metrics.row(1, loss=2.5)
    metrics.close()
    assert list((tmp_path / "tensorboard").iterdir())
