"""A disk that is full: one line, exit 2, and what was there is as it was.

Files may not grow beyond a size here, which every system can be asked for; where a file system can
be mounted, a real one that is full takes its place.
"""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from arcwise import runtime
from arcwise.bundle import read_bundle
from arcwise.cli import main
from arcwise.data.formats.opening import open_manifest

TRAIN = (
    "--encoder small --size 16 --dim 8 --steps 4 --batch 8 --data.workers 0 --holdout 0 "
    "--run.checkpoint-every 2"
)


@pytest.fixture
def within() -> Iterator[Callable[[int], None]]:
    """Files may have so many bytes until the test ends."""
    limit, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda most: resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    signal.signal(signal.SIGXFSZ, before)


@pytest.fixture
def tiny(tmp_path: Path, mounted: Callable[[Path, str], Path]) -> Path:
    """A file system of 64 kB."""
    return mounted(tmp_path / "tiny", "64k")


def left(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


WORDS = {
    "train": (f"train {{data}} --out {{out}}/run {TRAIN}", 2000, "config.json"),
    "train, later": (f"train {{data}} --out {{out}}/run {TRAIN}", 9000, "step-00000002.pt"),
    "evaluate": ("evaluate {model} {data} --out {out}/e", 300, "results.csv"),
    "evaluate, its report": ("evaluate {model} {data} --out {out}/e", 60_000, "report.html"),
    "data views": ("data views {data} {out}/v.png --size 16", 300, "v.png"),
    "convert to a table": ("data convert {data} {out}/v.csv", 300, "v.csv"),
    "convert to .parquet": ("data convert {data} {out}/v.parquet", 9000, "v.parquet"),
    "convert to .zip": ("data convert {data} {out}/v.zip", 9000, "v.zip"),
    "embed": ("embed {model} {data} --out {out}/e.parquet", 300, "e.parquet"),
    "data pairs": ("data pairs {data} {out}/p.csv --pairs 20 --folds 2", 300, "p.csv"),
    "data pairs, a pack": ("data pairs {data} {out}/p.bin --pairs 20 --folds 2", 9000, "p.bin"),
    "enrol": ("enrol {out}/g {data} --model {model}", 300, "g"),
    "demo": ("demo --quick --out {out}/d", 300, "images.zip"),
}  # fmt: skip


@pytest.mark.parametrize("what", WORDS)
def test_one_line_and_nothing_half_written(
    what: str,
    served: Path,
    products: Path,
    tmp_path: Path,
    within: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    words, most, named = WORDS[what]
    out = tmp_path / "out"
    out.mkdir()
    within(most)
    status = main(words.format(data=products, out=out, model=served).split())
    err = capsys.readouterr().err
    assert (status, err.count("\n")) == (2, 1)
    assert named in err
    assert "File too large" in err or "disk" in err
    there = [name for name in left(out) if ".partial/" not in name]  # which is gone on with
    assert not [name for name in there if name.endswith((".part", named))]


def test_convert_to_parquet_goes_on_once_there_is_room(
    products: Path, tmp_path: Path, within: Callable[[int], None]
) -> None:
    within(9000)
    assert main(["data", "convert", str(products), str(tmp_path / "v.parquet")]) == 2
    within(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert main(["data", "convert", str(products), str(tmp_path / "v.parquet")]) == 0
    assert left(tmp_path) == ["v.parquet"]
    assert len(open_manifest(tmp_path / "v.parquet")) == len(open_manifest(products))


def test_a_run_goes_on_once_there_is_room(
    products: Path, tmp_path: Path, within: Callable[[int], None]
) -> None:
    words = ["train", str(products), "--out", str(tmp_path / "run"), *TRAIN.split()]
    within(9000)
    assert main(words) == 2
    within(resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    assert main([*words[:4], "--resume"]) == 0


@pytest.mark.parametrize("words", ["export {}", "calibrate {} {}"])
def test_a_model_stays_as_it_was(
    words: str,
    served: Path,
    products: Path,
    tmp_path: Path,
    within: Callable[[int], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(served, tmp_path / "model")
    before = read_bundle(tmp_path / "model")
    within(300)
    assert main(words.format(tmp_path / "model", products).split()) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(tmp_path / "model") in err
    assert left(tmp_path / "model") == [
        "encoder.onnx",
        "encoder.safetensors",
        "model.json",
        "trained_images.npy",
    ]
    assert read_bundle(tmp_path / "model") == before


def test_older_results_stay_as_they_were(
    served: Path, products: Path, tmp_path: Path, within: Callable[[int], None]
) -> None:
    words = ["evaluate", str(served), str(products), "--out", str(tmp_path)]
    assert main(words) == 0
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    within(300)
    assert main([*words, "--seed", "1"]) == 2
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_embeddings_are_done_without_a_cache(
    served: Path, new: object, products: Path, tmp_path: Path, within: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("ARCWISE_CACHE", str(tmp_path))
    model = runtime.load(served)
    within(300)
    with runtime.EmbeddingCache(model.fingerprint, model.dim) as cache:
        cache.put([b"key"], model.embed([open_manifest(products).read(0)]))
        assert cache.get(b"key") is None
    assert len(cache.notes) == 1


@pytest.mark.parametrize(
    "words",
    [
        f"train {{data}} --out {{out}}/run {TRAIN}",
        "data convert {data} {out}/v.parquet",
        "data convert {data} {out}/v.tar",
        "embed {model} {data} --out {out}/e.parquet",
        "enrol {out}/g {data} --model {model}",
        "evaluate {model} {data} --out {out}/e",
    ],
)
def test_a_real_file_system(
    words: str, served: Path, products: Path, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tiny / "fill").write_bytes(bytes(48_000))
    assert main(words.format(data=products, out=tiny, model=served).split()) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(tiny) in err
    assert "No space left on device" in err or "full" in err


@pytest.mark.parametrize(
    "words",
    [
        f"train {{data}} --out {{out}}/run {TRAIN}",
        "evaluate {model} {data} --out {out}/e",
        "data views {data} {out}/v.png --size 16",
        "data convert {data} {out}/v.parquet",
        "embed {model} {data} --out {out}/e.parquet",
        "data pairs {data} {out}/p.csv --pairs 20 --folds 2",
        "demo --quick --out {out}/d",
    ],
)
def test_a_file_where_a_folder_is_to_be(
    words: str, served: Path, products: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    assert main(words.format(data=products, out=tmp_path / "file", model=served).split()) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(tmp_path / "file") in err
    assert (tmp_path / "file").read_text() == "mine"


def test_a_screen_that_takes_nothing() -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "arcwise", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert ended.returncode == 2
    assert ended.stderr == b"arcwise: No space left on device\n"
