"""Signals that end a process, as a question that the loop asks between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arcwise import distributed

NUMBERS = (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM))


@contextmanager
def interruptible() -> Iterator[Callable[[], int]]:
    """Yield a function that returns the signal by which the run was stopped, 0 for none.

    Heard are Ctrl-C, SIGTERM and SIGHUP.

    A second Ctrl-C or SIGTERM ends the process as usual, but not under `torchrun`, which passes on
    what the processes were sent already. A terminal that is closed may send SIGHUP twice. SIGTERM
    and SIGHUP that are ignored stay ignored, as under `nohup`.
    """
    signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def hear(number: int, frame: object) -> None:
        signals.append(number)
        if not distributed.supervised():
            restore(signal.SIGINT, signal.SIGTERM)

    def restore(*numbers: int) -> None:
        for number in previous.keys() & numbers:
            signal.signal(number, previous[number] or signal.SIG_DFL)

    previous = {
        number: handler
        for number in NUMBERS
        if (handler := signal.getsignal(number)) != signal.SIG_IGN or number == signal.SIGINT
    }
    for number in previous:
        signal.signal(number, hear)
    try:
        yield lambda: signals[0] if signals else 0
    finally:
        restore(*NUMBERS)
