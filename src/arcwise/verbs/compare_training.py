"""The trainings of a comparison: each in a folder of its own, some at a time, in processes."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import torch

from arcwise import runtime
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError, NonFiniteError, Stopped
from arcwise.files import atomic_write
from arcwise.training import batches, build, metrics
from arcwise.training.config import TrainConfig
from arcwise.training.run_logger import Report
from arcwise.verbs.train import train

EMBEDDINGS, RESULT, RUN = "embeddings.npy", "result.json", "run"

_TIMED = 10  # steps of which the speed is taken, six times

ALIVE = 1.0
"""Seconds between two looks at whether the parent process is there."""


@dataclass(frozen=True)
class SeedTraining:
    """One training of a comparison.

    Attributes:
        folder: where it goes.
        config: the run; nobody is held out in it.
        images: what is trained on, made small.
        held_out: file of (M, H, W, 3) uint8, prepared images of the identities that are measured.
    """

    folder: Path
    config: TrainConfig
    images: Manifest
    held_out: Path


@dataclass(frozen=True)
class Trained:
    """A training that has ended.

    Attributes:
        seconds: time of its steps; 0 where it is not known.
        memory: peak memory of its process, in bytes; 0 where the system does not say.
        failed: why it came to nothing; empty where it did not.
    """

    seconds: float
    memory: int
    failed: str = ""


def small_images(config: TrainConfig, images: Manifest, folder: Path) -> Manifest:
    """Write the images at the size at which training keeps them; return their manifest.

    A training on these sees what it sees of the originals. A folder that is there is taken as it
    is. Images that cannot be read are left out, with a note.

    Args:
        config: the run.
        images: what is trained on.
        folder: where the images go, whole or not at all.
    """
    if not folder.exists():
        side = batches.cached_side(config)
        preparation = replace(build.preparation(config.encoder), height=side, width=side)
        # Nothing is kept in memory: every image is read once.
        source = batches.cached_images(config.replace(data={"cache_gb": 0.0}), images, preparation)
        pixels = torch.empty(source.shape(1), dtype=torch.uint8)
        with atomic_write(folder) as unfinished:
            unfinished.mkdir()
            for row in range(len(images)):
                if len(source.read_into(pixels, np.array([row])).positions):
                    image = cv2.cvtColor(pixels[0].numpy(), cv2.COLOR_RGB2BGR)
                    done, content = cv2.imencode(".png", image)
                    assert done, "OpenCV encodes every uint8 image"
                    (unfinished / f"{row}.png").write_bytes(content.tobytes())
    kept = [row for row in range(len(images)) if (folder / f"{row}.png").exists()]
    notes = _unread(images, kept)
    table = images.select(kept).table
    names = pa.array([f"{row}.png" for row in kept])
    table = table.set_column(table.column_names.index("image"), "image", names)
    if "landmarks" in table.column_names:  # they were of the original
        table = table.drop_columns(["landmarks"])
    return replace(images, table=table, root=folder, notes=(*images.notes, *notes))


@dataclass(frozen=True)
class HeldOutImages:
    """Images that every training embeds.

    Attributes:
        identities: of each image.
        rows: where their embeddings are among those of a training.
        notes: what the user has to know of them.
    """

    identities: tuple[str, ...]
    rows: slice
    notes: tuple[str, ...] = ()


def prepared_images(
    config: TrainConfig, sets: Sequence[Manifest], path: Path
) -> tuple[HeldOutImages, ...]:
    """Write the images of several sets as the model is given them; return which ones these are.

    Images that cannot be read are left out, with a note.

    Args:
        config: the run.
        sets: of the identities that are held out.
        path: of the file, (M, H, W, 3) uint8.
    """
    found, parts, first = [], [], 0
    unbuffered = config.replace(data={"cache_gb": 0.0})
    for images in sets:
        source = batches.cached_images(unbuffered, images, build.preparation(config.encoder))
        pixels = torch.empty(source.shape(len(images)), dtype=torch.uint8)
        kept = source.read_into(pixels, np.arange(len(images))).positions.tolist()
        notes = _unread(images, kept)
        last = first + len(kept)
        identities = tuple(images.identities[row] for row in kept)
        found.append(HeldOutImages(identities, slice(first, last), notes))
        parts.append(pixels[: len(kept)].numpy())
        first = last
    with atomic_write(path) as unfinished, unfinished.open("wb") as file:
        np.save(file, np.concatenate(parts))
    return tuple(found)


def _unread(images: Manifest, kept: Sequence[int]) -> tuple[str, ...]:
    """Return a note on the images that could not be read; none without any.

    Raises:
        ArcwiseError: no image could.
    """
    lost = [images.image(row) for row in sorted(set(range(len(images))) - set(kept))]
    if not kept:
        raise ArcwiseError(f"{images.name}: no image can be read, such as {lost[0]}")
    if not lost:
        return ()
    return (f"images that cannot be read and are left out: {len(lost):,}, such as {lost[0]}",)


def known_result(folder: Path) -> Trained | None:
    """Return the result of a training that has ended, None of one that has not."""
    path = folder / RESULT
    return Trained(**json.loads(path.read_bytes())) if path.exists() else None


def train_all(
    trainings: Sequence[SeedTraining],
    processes: int,
    report: Callable[[SeedTraining, Trained], None] = lambda training, trained: None,
) -> None:
    """Train what has not ended yet, so many at a time, each on one thread.

    One at a time trains in this process. A training that was stopped goes on from its checkpoint.
    The order and the number of processes have no influence on a result.

    Args:
        trainings: what to train.
        processes: how many at a time.
        report: called when one has ended.

    Raises:
        ArcwiseError: one cannot begin.
        KeyboardInterrupt: the comparison was stopped; the trainings under way have checkpoints.
    """
    waiting = []
    for one in trainings:
        if (known := known_result(one.folder)) is None:
            waiting.append(one)
        else:
            report(one, known)
    if processes == 1:
        with _one_thread():
            for one in waiting:
                report(one, _train(one))
        return
    if not waiting:
        return
    with _pool(min(processes, len(waiting))) as pool:
        running = {pool.submit(_train, one): one for one in waiting}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                report(running.pop(future), future.result())


@dataclass(frozen=True)
class Pace:
    """How long a training takes.

    Attributes:
        step: seconds of a step, once the images are in memory.
        rest: seconds of what each training does once: it reads the images and embeds others; 0
            where the steps alone take too long.
    """

    step: float
    rest: float


def pace_of(training: SeedTraining, processes: int, slowest: float = math.inf) -> Pace:
    """Return the pace of trainings like this one, while as many processes train as will.

    Args:
        training: one of them.
        processes: how many train at a time.
        slowest: seconds of a step from which on the rest need not be known: that it takes none is
            enough to see that there is no time for the trainings.
    """
    config = training.config.replace(run={"steps": 6 * _TIMED, "log_every": _TIMED})
    if processes == 1:
        with _one_thread():
            return _timed(replace(training, config=config), slowest)
    with _pool(processes) as pool:
        folders = [training.folder.with_name(f"timing-{number}") for number in range(processes)]
        timed = [pool.submit(_timed, replace(training, folder=one, config=config), slowest)
                 for one in folders]  # fmt: skip
        paces = [one.result() for one in timed]
    return Pace(max(one.step for one in paces), max(one.rest for one in paces))


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that end with the block, and stop at a checkpoint where it ends early."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(os.getpid(),))
    try:
        yield pool
    except BrokenProcessPool:
        raise ArcwiseError(
            "a training process died: it ran out of memory (--processes 1 needs less, in Python "
            "processes=1), or this is a script that calls compare outside of "
            'if __name__ == "__main__":, which processes need'
        ) from None
    except BaseException:
        for process in list((pool._processes or {}).values()):  # Python 3.14 has terminate_workers
            with suppress(ProcessLookupError):
                os.kill(process.pid or 0, signal.SIGTERM)
        pool.shutdown(cancel_futures=True)
        raise
    pool.shutdown()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute on one thread in the block, as the processes of a pool do."""
    threads = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    try:
        yield
    finally:
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])


def _begin(parent: int) -> None:
    """One thread a process; a process whose parent was killed ends too."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # A terminal sends Ctrl-C to all of them: the parent passes it on, as SIGTERM. Outside of a
    # training it ends the process by a handler: one that comes as the training ends and gives the
    # signal back would be printed as a traceback by the default.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: os._exit(128 + number))

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ALIVE)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _train(training: SeedTraining) -> Trained:
    """Train, embed the held-out images, and write what is left of it: numbers."""
    folder = training.folder
    _forget_peak()
    try:
        seconds = _run(training)
        result = Trained(seconds, _peak_memory())
    except NonFiniteError as problem:
        result = Trained(0.0, _peak_memory(), str(problem))
    with atomic_write(folder / RESULT) as unfinished:
        unfinished.write_text(json.dumps(asdict(result)))
    shutil.rmtree(folder / RUN, ignore_errors=True)
    return result


def _run(training: SeedTraining, report: Report = lambda step, values: None) -> float:
    """Train and write the embeddings; return the time of all steps."""
    config, run = training.config, training.folder / RUN
    result = train(training.images, run, config, resume="auto", page=False, report=report)
    ended = result.loop
    if ended.stopped_by or not ended.finished:
        raise Stopped(ended.stopped_by or signal.SIGTERM)
    model = runtime.load(result.model, runtime="torch", check=False)
    vectors = model.embed_pixels(np.load(training.held_out))
    with atomic_write(training.folder / EMBEDDINGS) as unfinished, unfinished.open("wb") as file:
        np.save(file, vectors)
    speed = _speed(run) or ended.images_per_second
    return ended.steps * config.data.batch / speed if speed else 0.0


def _speed(run: Path) -> float:
    """Return images a second as a run logged them, the median; 0 where it logged none.

    A run that was stopped and resumed knows the speed of its last process alone, which may have
    found all steps done.
    """
    speeds = [row.get("images_per_second", 0.0) for row in metrics.read(run / "metrics.jsonl")]
    speeds = [speed for speed in speeds if speed]
    return float(np.median(speeds)) if speeds else 0.0


class _TooSlow(Exception):
    """A step takes too long for the budget."""


def _timed(training: SeedTraining, slowest: float) -> Pace:
    speeds: list[float] = []

    def report(step: int, values: dict[str, float]) -> None:
        speeds.append(values.get("images_per_second", 0.0))
        # The first steps read the images too: the second report knows better.
        if len(speeds) > 1 and training.config.data.batch > slowest * max(speeds):
            raise _TooSlow

    began = time.perf_counter()
    try:
        _run(training, report)
    except _TooSlow:
        shutil.rmtree(training.folder, ignore_errors=True)
        return Pace(training.config.data.batch / max(*speeds, 1e-9), 0.0)
    whole = time.perf_counter() - began
    shutil.rmtree(training.folder, ignore_errors=True)
    step = training.config.data.batch / max(*speeds, 1e-9)  # the first ones read the images
    return Pace(step, max(whole - training.config.run.steps * step, 0.0))


def _forget_peak() -> None:
    """Begin the peak of this process's memory anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory() -> int:
    """Return the peak of resident memory since `_forget_peak`, in bytes; 0 where nobody says."""
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(one for one in lines if one.startswith("VmHWM")).split()[1])
    return 0
