"""The command line: one file a command, which parses, calls the verb and prints.

A user's mistake is one line and exit status 2; `--debug` shows where it was found.
"""

from __future__ import annotations

import io
import os
import re
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword

from arcwise.cli.stopping import status_of, stoppable
from arcwise.errors import ArcwiseError, missing_package, suggestion
from arcwise.files import os_error_reason
from arcwise.version import __version__

VERBS = {
    "demo": "the whole journey on rendered images; minutes on two cores",
    "data get": "a real data set by name: its terms, the download, a manifest",
    "data check": "look at a data set before training on it",
    "data clean": "wrong labels: identities to merge, to split, or to relieve of an image",
    "data convert": "turn one form of a data set into another",
    "data pairs": "verification pairs, balanced, in folds that share no identity",
    "data align": "112×112 crops of faces, from landmarks or a detector",
    "data views": "a contact sheet of what training sees",
    "train": "train an encoder on the identities you have",
    "train-linkage": "learn from labelled embeddings how to cluster others",
    "compare": "several losses on one budget: which one for these images?",
    "evaluate": "measure a model on identities it was not trained on",
    "calibrate": "thresholds for stated error rates, on your own labelled images",
    "embed": "embeddings of a data set, to a Parquet file",
    "cluster": "the identities in unlabelled images or embeddings",
    "import": "make a model folder of a network that exists: .onnx, .pth, .safetensors",
    "export": "ONNX, checked against torch",
    "enrol": "put images of known identities into a gallery",
    "search": "whose image is this, or is it unknown?",
    "watchlist": "screen a folder of images against a gallery",
    "verify": "is this image of the identity it is said to be?",
    "remove": "take an identity or single templates out of a gallery",
    "gallery info": "what is enrolled, by which model, and what its thresholds promise",
    "gallery copy": "a gallery into another store: backup, restoration, move",
    "gallery audit": "duplicates, hubs, misfits, and one identity under two names",
    "gallery grow": "strangers who come back become identities, marked as such",
    "gallery confirm": "who an identity is that grew by itself, or that it is none",
    "gallery list": "who is enrolled, with which templates, and what is in quarantine",
    "gallery rename": "another name for an identity, or for some of its templates",
    "gallery quarantine": "templates take part in nothing until they are released",
    "gallery release": "templates in quarantine take part again",
    "gallery purge": "no byte is left of what was removed or changed",
    "gallery upgrade": "the enrolled images embedded again, with another model",
    "serve": "a gallery over HTTP: search, verify, enrol from anywhere",
    "doctor": "what this machine can do, and what is missing for the rest",
}

_EMPTY = re.compile(r"(--[\w.-]+=)?")  # as a shell writes an unset variable in quotes

GROUPS = sorted({verb.split()[0] for verb in VERBS if " " in verb})
"""Words that several commands begin with."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller (>&-): nobody reads it
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  # until the end
    for stream in (sys.stdout, sys.stderr):  # no name of a file or identity stops a command
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    try:
        with stoppable():
            status = _answer(words)
            sys.stdout.flush()  # a closed pipe shows here, not at the interpreter's end
            return status
    except BrokenPipeError:  # the reader of a pipe had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt as stop:
        print("stopped", file=sys.stderr)
        return status_of(stop)
    except (ArcwiseError, ImportError, OSError, UnicodeEncodeError) as error:
        _drop_what_cannot_be_printed()
        if debug:
            traceback.print_exc()
        elif (message := _message_of(error)) is None:
            raise
        else:
            print(f"arcwise: {' '.join(message.split())}", file=sys.stderr)
        return 2


def _answer(words: list[str]) -> int:
    if (empty := next(filter(_EMPTY.fullmatch, words), None)) is not None:  # else a path of "."
        place = words.index(empty) + 1
        problem = f"{empty} has an empty value" if empty else f"argument {place} is empty"
        raise ArcwiseError(f"{problem}; leave it out or give it a value (an unset variable?)")
    if not words or words[0] in ("-h", "--help", "help", "--version"):
        print(f"arcwise {__version__}" if words[:1] == ["--version"] else _help())
        return 0
    if words[0] in GROUPS and words[1:2] in ([], ["-h"], ["--help"]):
        print(_help(f"{words[0]} "))
        return 0 if words[1:] else 2
    verb = next((v for v in VERBS if words[: len(v.split())] == v.split()), None)
    return _unknown(words) if verb is None else _run(verb, words[len(verb.split()) :])


def _run(verb: str, words: list[str]) -> int:
    import tyro

    name = verb.replace(" ", "_").replace("-", "_")
    module = import_module(f"arcwise.cli.{name}{'_' if iskeyword(name) else ''}")
    if hasattr(module, "answer"):  # its defaults depend on what the words begin with
        return module.answer(words)
    return tyro.cli(module.command, prog=f"arcwise {verb}", args=words)


def _drop_what_cannot_be_printed() -> None:
    """Forget output that a full disk or a closed terminal refused, or it would be tried again."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _message_of(error: Exception) -> str | None:
    """Return a user's mistake in one line; None for an error of this program."""
    if isinstance(error, ArcwiseError):
        return str(error)
    if isinstance(error, OSError) and error.errno:
        place = "" if error.filename is None else f"{error.filename}: "
        return f"{place}{os_error_reason(error)}"
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return f"{error.object!r}: a name that is no text (UTF-8), which no table holds; rename it"
    if isinstance(error, ModuleNotFoundError) and "arcwise" not in str(error.name):
        return missing_package(str(error.name))
    return None


def _unknown(words: list[str]) -> int:
    typed = " ".join(words[: 2 if words[0] in GROUPS else 1])
    hint = suggestion(typed, VERBS) or "`arcwise --help` lists them"
    print(f"arcwise: no command {typed!r}; {hint}", file=sys.stderr)
    return 2


def _help(under: str = "") -> str:
    width = max(map(len, VERBS))
    lines = [
        f"  arcwise {v:<{width}}  {about}" for v, about in VERBS.items() if v.startswith(under)
    ]
    return "\n".join(
        [
            "Open-set recognition: train on the identities you have, recognise new ones.",
            "",
            *lines,
            "",
            "`arcwise COMMAND --help` says what a command takes; --debug shows tracebacks.",
        ]
    )
