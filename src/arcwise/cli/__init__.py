"""The command line: one file a verb; each parses, calls the verb and prints.

A user's mistake is one line and exit status 2; `--debug` shows where it was found.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from arcwise import __version__
from arcwise.errors import ArcwiseError

VERBS = {
    "demo": "the whole journey on built-in pictures; minutes on two cores",
    "data check": "look at a data set before training on it",
    "data convert": "turn one form of a data set into another",
    "data align": "112×112 crops of faces, from landmarks or a detector",
    "train": "train an encoder on the identities you have",
    "evaluate": "measure a model on identities it was not trained on",
    "embed": "embeddings of a data set, to a Parquet file",
    "export": "ONNX, checked against torch",
    "enrol": "put pictures of known identities into a gallery",
    "search": "whose picture is this, or is it unknown?",
    "verify": "is this picture of the identity it is said to be?",
    "remove": "take an identity out of a gallery",
    "doctor": "what this machine can do, and what is missing for the rest",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help", "help", "--version"):
        print(__version__ if words[:1] == ["--version"] else _help())
        return 0
    verb = next((v for v in VERBS if words[: len(v.split())] == v.split()), None)
    if verb is None:
        return _unknown(words)
    try:
        return _run(verb, words[len(verb.split()) :])
    except (ArcwiseError, ImportError) as error:
        if debug or not (isinstance(error, ArcwiseError) or _missing(error)):
            raise
        print(f"arcwise: {' '.join(_said(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _run(verb: str, words: list[str]) -> int:
    import tyro

    module = import_module(f"arcwise.cli.{verb.replace(' ', '_')}")
    command = module.command_for(words) if verb == "train" else module.command
    return tyro.cli(command, prog=f"arcwise {verb}", args=words)


def _missing(error: Exception) -> bool:
    """Whether an import failed for a package that is not installed."""
    name = getattr(error, "name", None)
    return isinstance(error, ModuleNotFoundError) and bool(name) and "arcwise" not in str(name)


def _said(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"this needs the package {error.name!r}: `arcwise doctor` says how to get it"
    return str(error)


def _unknown(words: list[str]) -> int:
    said = " ".join(words[:2]) if words[0] == "data" else words[0]
    close = difflib.get_close_matches(said, VERBS, 1)
    hint = f"did you mean `arcwise {close[0]}`?" if close else "`arcwise --help` lists them"
    print(f"arcwise: no command {said!r}; {hint}", file=sys.stderr)
    return 2


def _help() -> str:
    width = max(map(len, VERBS))
    lines = ["Open-set recognition: train on the identities you have, recognise new ones.", ""]
    lines += [f"  arcwise {verb:<{width}}  {about}" for verb, about in VERBS.items()]
    lines += ["", "`arcwise COMMAND --help` says what a command takes; --debug shows tracebacks."]
    return "\n".join(lines)
