"""`arcwise serve`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast, get_args

from tyro.conf import Positional, arg

from arcwise.errors import ArcwiseError, Stopped


def command(
    model: Annotated[Path | None, Positional, arg(metavar="MODEL")] = None,
    gallery: Annotated[str | None, Positional, arg(metavar="GALLERY")] = None,
    config: Path | None = None,
    host: str | None = None,
    port: int | None = None,
    audit: Path | None = None,
    thumbnails: bool = False,
    new_key: Annotated[str | None, arg(metavar="{read,enrol,admin}")] = None,
) -> int:
    """Serve a gallery over HTTP, with a page at /, until Ctrl-C or SIGTERM.

    What was accepted is answered first. Without keys it listens on a loopback address alone, and
    whoever reaches that may do everything. /v1/openapi.json describes the calls.

    Args:
        model: Model folder, with its ONNX network.
        gallery: Gallery file, or its address on a database server; made if there is none. Its name
            in addresses is that of the file.
        config: TOML file of settings: several galleries, keys, TLS, limits. Variables of the
            environment are over it (ARCWISE_SERVE__LIMITS__IMAGES=8), and these options over both.
        host: Address to listen on; 127.0.0.1 where none is set.
        port: Port; 8000 where none is set, and 0 takes a free one.
        audit: Log of who enrolled, searched and removed what in GALLERY. By default the gallery's
            file with .audit.jsonl, or of one on a database server NAME.audit.jsonl in this folder.
        thumbnails: Keep a small image with each template that is enrolled here into GALLERY, for
            the page.
        new_key: Print a new key of this role, with the lines that go into the TOML file, and end.
    """
    if new_key is not None:
        return _print_key(new_key)
    from arcwise.gallery import UnavailableGallery
    from arcwise.serving.running import Server, serve
    from arcwise.serving.settings import gallery_name, read_settings

    if (model is None) != (gallery is None):
        raise ArcwiseError(
            f"got {model} alone; expected a model and a gallery: serve MODEL GALLERY"
        )
    given: dict[str, Any] = {}
    if gallery is not None:
        name = gallery_name(gallery)
        if audit is None and "://" in gallery:
            audit = Path(f"{name}.audit.jsonl")
        more = {"thumbnails": thumbnails or None, "audit": audit}
        said = {key: value for key, value in more.items() if value is not None}
        given["galleries"] = {name: {"path": gallery, "model": model, **said}}
    elif thumbnails or audit is not None:
        option = "--thumbnails" if thumbnails else "--audit"
        raise ArcwiseError(f"{option} is for GALLERY; in a file, each gallery has its own")
    given |= {name: one for name, one in (("host", host), ("port", port)) if one is not None}
    settings = read_settings(config, os.environ, given)

    def listening(server: Server) -> None:
        for line in settings.shown():
            print(line)
        print(f"listening  {server.url}", flush=True)

    try:
        with suppress(Stopped):  # the server has ended in order; the signal comes again after that
            serve(settings, listening)
    except UnavailableGallery as problem:
        print(f"arcwise: {problem}", file=sys.stderr)
        return 1  # no mistake in the settings, with status 2: whoever started it may try again
    print("stopped: what was accepted is answered", flush=True)
    return 0


def _print_key(role: str) -> int:
    from arcwise.serving.keys import new_key
    from arcwise.serving.settings import Role

    if role not in get_args(Role):
        raise ArcwiseError(f"--new-key {role}; expected one of {', '.join(get_args(Role))}")
    made = new_key(cast("Role", role))
    print(f"{made.key}\n")
    print("The server keeps its digest alone. In the TOML file of `arcwise serve --config`:\n")
    print(f'[[keys]]\nname = "…"\nrole = "{role}"\ngalleries = ["*"]\ndigest = "{made.digest}"')
    return 0
