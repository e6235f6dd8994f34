from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from arcwise.data import loader
from arcwise.data.digests import content_digests
from arcwise.data.formats.opening import open_manifest
from arcwise.data.loader import CachedImages, batches
from arcwise.images import Preparation, decode
from tests import pictures

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")  # on one core

SIZE = Preparation(height=20, width=20)
PLENTY = 10**8


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return pictures.write(tmp_path_factory.mktemp("pictures"), identities=4, each=5)


@pytest.fixture
def broken(tmp_path):
    """12 images, two of which cannot be read."""
    manifest = pictures.write(tmp_path, identities=3, each=4)
    whole = (tmp_path / "id01/2.png").read_bytes()
    (tmp_path / "id01/2.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "id02/0.png").write_bytes(b"not an image")
    return manifest


def plan(rows, steps=12, batch=6):
    rng = np.random.default_rng(0)
    return [rng.integers(0, rows, batch) for _ in range(steps)]


def read_all(manifest, *, workers, cache_bytes=PLENTY, steps=12):
    source = CachedImages(manifest, manifest.labels, SIZE, cache_bytes)
    return kept(batches(source, plan(len(manifest), steps), workers=workers))


def kept(stream):
    """Batches whose pixels outlive the next."""
    return [replace(batch, pixels=batch.pixels.clone()) for batch in stream]


def seen(found):
    return [(batch.rows.tolist(), batch.pixels.numpy().tobytes()) for batch in found]


@pytest.fixture
def decoded(monkeypatch):
    """The names of the images that this process decodes, in order."""
    names: list[str] = []

    def counting(data, name):
        names.append(name)
        return decode(data, name)

    monkeypatch.setattr(loader, "decode", counting)
    return names


def test_a_batch_is_its_rows_at_one_size_with_their_labels(manifest):
    found = read_all(manifest, workers=0)
    for rows, batch in zip(plan(len(manifest)), found, strict=True):
        assert batch.rows.tolist() == rows.tolist()
        assert batch.labels.tolist() == manifest.labels[rows].tolist()
        expected = [SIZE.pixels(decode(manifest.read(row), manifest.images[row])) for row in rows]
        assert np.array_equal(batch.pixels.numpy(), np.stack(expected))
        assert batch.pixels.dtype == torch.uint8
        assert batch.failures == ()


@pytest.mark.parametrize("cache_bytes", [0, PLENTY])
@pytest.mark.parametrize("workers", [1, 2])
def test_the_order_is_the_same_with_any_number_of_workers(manifest, workers, cache_bytes):
    expected = read_all(manifest, workers=0)
    found = read_all(manifest, workers=workers, cache_bytes=cache_bytes)
    assert seen(found) == seen(expected)


def test_a_slow_image_does_not_let_a_later_batch_pass(manifest, monkeypatch):
    def slow(data, name):
        time.sleep(0.2 if name == manifest.images[0] else 0)
        return decode(data, name)

    monkeypatch.setattr(loader, "decode", slow)
    source = CachedImages(manifest, manifest.labels, SIZE, 0)
    rows = [np.array([first, 3]) for first in (0, 1, 2, 4)]
    found = batches(source, rows, workers=2)
    assert [batch.rows[0].item() for batch in found] == [0, 1, 2, 4]


def test_the_plan_is_read_no_further_than_the_workers_are_ahead(manifest):
    source = CachedImages(manifest, manifest.labels, SIZE, PLENTY)
    endless = (np.array([0, 1]) for _ in iter(int, 1))
    stream = batches(source, endless, workers=1)
    assert len(next(stream).rows) == 2


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache_bytes", [0, PLENTY])
def test_unreadable_images_are_left_out_and_listed_by_name(broken, workers, cache_bytes):
    source = CachedImages(broken, broken.labels, SIZE, cache_bytes)
    epoch = [np.arange(0, 6), np.arange(6, 12)] * 2
    found = kept(batches(source, epoch, workers=workers))
    bad = {"id01/2.png", "id02/0.png"}
    good = [row for row in range(12) if broken.images[row] not in bad]
    for one, other in (found[:2], found[2:]):  # every epoch
        assert [*one.rows.tolist(), *other.rows.tolist()] == good
        assert {error.name for error in (*one.failures, *other.failures)} == bad
        assert len(one.pixels) == len(one.labels) == len(one.rows)
        assert one.labels.tolist() == broken.labels[one.rows.numpy()].tolist()


def test_a_failure_says_what_is_wrong(broken):
    source = CachedImages(broken, broken.labels, SIZE, 0)
    (batch,) = batches(source, [np.array([8])], workers=0)
    assert str(batch.failures[0]).startswith("id02/0.png: ")
    assert batch.failures[0].reason


def test_a_batch_without_one_readable_image_is_empty(broken):
    source = CachedImages(broken, broken.labels, SIZE, PLENTY)
    (batch,) = batches(source, [np.array([6, 8])], workers=0)
    assert batch.pixels.shape == (0, 20, 20, 3)
    assert batch.rows.tolist() == batch.labels.tolist() == []
    assert len(batch.failures) == 2


@pytest.mark.parametrize("cache_bytes", [0, PLENTY])
def test_a_batch_of_no_rows_is_empty(manifest, cache_bytes):
    source = CachedImages(manifest, manifest.labels, SIZE, cache_bytes)
    (batch,) = batches(source, [np.array([], np.int64)], workers=0)
    assert batch.pixels.shape == (0, 20, 20, 3)


def test_a_cached_image_is_decoded_once(manifest, decoded):
    read_all(manifest, workers=0, steps=30)
    assert len(decoded) == len(set(decoded)) == len(manifest)


def test_a_cached_image_is_the_same_exactly(manifest):
    source = CachedImages(manifest, manifest.labels, SIZE, PLENTY)
    first, again = kept(batches(source, [np.array([3, 1, 3])] * 2, workers=0))
    assert torch.equal(first.pixels, again.pixels)


def test_a_cached_image_is_not_the_batch_s_own(manifest):
    source = CachedImages(manifest, manifest.labels, SIZE, PLENTY)
    (first,) = batches(source, [np.array([0, 1])], workers=0)
    before = first.pixels.clone()
    first.pixels.zero_()
    (again,) = batches(source, [np.array([0, 1])], workers=0)
    assert torch.equal(again.pixels, before)


def test_what_a_worker_decoded_nobody_decodes_again(manifest, decoded):
    source = CachedImages(manifest, manifest.labels, SIZE, PLENTY)
    list(batches(source, [np.arange(len(manifest))], workers=1))
    list(batches(source, [np.arange(len(manifest))], workers=0))
    assert decoded == []


@pytest.mark.parametrize(("spare", "times"), [(0, 1), (-1, 2)])
def test_nothing_is_cached_where_it_would_not_all_fit(manifest, decoded, spare, times):
    needed = len(manifest) * 20 * 20 * 3
    source = CachedImages(manifest, manifest.labels, SIZE, needed + spare)
    list(batches(source, [np.arange(len(manifest))] * 2, workers=0))
    assert len(decoded) == times * len(manifest)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_pixels_stay_until_the_next_batch(manifest, workers):
    source = CachedImages(manifest, manifest.labels, SIZE, 0)
    expected = read_all(manifest, workers=0, steps=40)
    for batch, one in zip(
        batches(source, plan(len(manifest), steps=40), workers=workers), expected, strict=True
    ):
        if batch.rows[0] % 3 == 0:
            time.sleep(0.01)  # the workers go on as far as they may
        assert torch.equal(batch.pixels, one.pixels)


def test_workers_are_less_far_ahead_where_little_memory_is_shared(manifest, monkeypatch):
    monkeypatch.setattr(loader, "_shared_memory", lambda: 0)
    assert seen(read_all(manifest, workers=2)) == seen(read_all(manifest, workers=0))


def test_ctrl_c_in_a_worker_does_not_stop_the_batches(manifest):
    before = set(multiprocessing.active_children())
    source = CachedImages(manifest, manifest.labels, SIZE, 0)
    stream = batches(source, plan(len(manifest), steps=40), workers=2)
    next(stream)  # both have started
    next(stream)
    started = set(multiprocessing.active_children()) - before
    assert len(started) == 2
    for worker in started:
        os.kill(worker.pid, signal.SIGINT)
    assert len(list(stream)) == 38


def test_workers_that_are_spawned_read_the_same(manifest):
    """The start method of macOS and Windows: everything a worker needs is pickled."""
    expected = seen(read_all(manifest, workers=0, steps=2))
    method = multiprocessing.get_start_method()
    multiprocessing.set_start_method("spawn", force=True)
    try:
        found = seen(read_all(manifest, workers=1, steps=2))
    finally:
        multiprocessing.set_start_method(method, force=True)
    assert found == expected


def test_an_image_error_keeps_its_name_on_its_way_from_a_worker(broken):
    source = CachedImages(broken, broken.labels, SIZE, 0)
    ((error,),) = [batch.failures for batch in batches(source, [np.array([8])], workers=1)]
    again = pickle.loads(pickle.dumps(error))
    assert (again.name, again.reason) == (error.name, error.reason)


def test_a_jpeg_cut_short_is_a_failure_too(tmp_path):
    (tmp_path / "a").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for name in ("a/whole.jpg", "a/cut.jpg"):
        cv2.imwrite(str(tmp_path / name), noise)
    whole = (tmp_path / "a/cut.jpg").read_bytes()
    (tmp_path / "a/cut.jpg").write_bytes(whole[: len(whole) // 2])
    manifest = open_manifest(tmp_path)
    source = CachedImages(manifest, manifest.labels, SIZE, 0)
    (batch,) = batches(source, [np.arange(2)], workers=0)
    assert [manifest.images[row] for row in batch.rows] == ["a/whole.jpg"]
    assert [error.name for error in batch.failures] == ["a/cut.jpg"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cache_bytes", [0, PLENTY])
def test_every_image_comes_with_the_digest_of_its_file(broken, workers, cache_bytes):
    digests = content_digests(broken)
    for batch in read_all(broken, workers=workers, cache_bytes=cache_bytes):
        assert batch.digests.tolist() == digests[batch.rows.numpy()].tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_columns_come_with_the_rows_that_could_be_read(broken, workers):
    ages = np.arange(len(broken), dtype=np.float32)
    ages[3] = np.nan
    domains = np.arange(len(broken), dtype=np.int64) % 3 - 1
    columns = {"age": ages, "domain": domains}
    source = CachedImages(broken, broken.labels, SIZE, 0, columns=columns)
    for batch in batches(source, [np.arange(0, 7), np.arange(7, 12)], workers=workers):
        assert len(batch.rows) == len(batch.columns["age"]) < 7
        np.testing.assert_array_equal(batch.columns["age"].numpy(), ages[batch.rows.numpy()])
        assert batch.columns["domain"].tolist() == domains[batch.rows.numpy()].tolist()
        assert batch.columns["age"].dtype == torch.float32
        assert batch.columns["domain"].dtype == torch.int64
