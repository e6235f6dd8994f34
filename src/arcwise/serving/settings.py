"""The settings of a server: one TOML file, and the environment over it. Shown without secrets."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from arcwise.errors import ArcwiseError, suggestion

PREFIX = "ARCWISE_SERVE__"
"""Variables of the environment that begin so are settings: `ARCWISE_SERVE__LIMITS__IMAGES=8`."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a gallery and a key may be called."""

Role = Literal["read", "enrol", "admin"]
_SHOWN = 5  # mistakes that one message names

EVERY = "*"
"""All galleries, in the list of those that a key opens."""

Positive = Annotated[int, Field(gt=0)]


class Section(BaseModel):
    """Settings that belong together; one that does not exist is refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )


class GallerySettings(Section):
    """A gallery that is served."""

    path: str
    """The gallery's file, or its address on a database server; made if there is none and a model is
    named."""
    model: Path | None = None
    """Model folder; an existing gallery knows its own."""
    audit: Path | None = None
    """Log of who enrolled, searched and removed what; the gallery's file with `.audit.jsonl` where
    none is named. To be named for a gallery on a database server."""
    audit_images: Path | None = None
    """Folder that every image sent is kept in, by its digest; none is kept where none is named."""
    thumbnails: bool = False
    """Whether a small image is stored with each template that is enrolled here."""

    @model_validator(mode="after")
    def _check_log(self) -> GallerySettings:
        if self.audit is None and "://" in self.path:
            raise ValueError(
                "it is not in a file, so say where its log is: audit = "
                f'"{gallery_name(self.path)}.audit.jsonl"'
            )
        return self

    @property
    def log(self) -> Path:
        """Where its audit log is."""
        return self.audit or Path(f"{self.path}.audit.jsonl")


class KeySettings(Section):
    """A key, by its digest."""

    name: Annotated[str, Field(pattern=f"^{NAME}$")]
    """What the audit log calls whoever has the key."""
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """SHA-256 of the key, as `arcwise serve --new-key ROLE` prints it."""
    role: Role
    """What it allows: to read; to enrol as well; or everything."""
    galleries: tuple[str, ...]
    """Names of the galleries that it opens, or `["*"]` for all."""


class TlsSettings(Section):
    """Files for TLS."""

    certificate: Path
    """PEM file of the certificate with its chain."""
    key: Path
    """PEM file of its private key."""


class ServerLimits(Section):
    """How much a request and a key may ask for."""

    images: Positive = 32
    """Images of one request."""
    image_bytes: Positive = 16 * 2**20
    """Bytes of one image file."""
    body_bytes: Positive = 64 * 2**20
    """Bytes of the body of a request."""
    pixels: Positive = 32 * 2**20
    """Pixels of one image, which is refused before it is decoded."""
    decoding_pixels: Positive = 256 * 2**20
    """Pixels of all images that are decoded at a time, three bytes each; requests wait for it."""
    buffered_bytes: Positive = 512 * 2**20
    """Bytes of all bodies at a time; further requests get the status 503."""
    requests: Positive = 256
    """Requests at a time; further ones get the status 503."""
    hits: Positive = 1000
    """Identities in one answer."""
    audit_templates: Positive = 20_000
    """Templates of a gallery that is audited over HTTP: the time grows with their square."""
    rate: Annotated[float, Field(gt=0)] = 100.0
    """Requests a second of one key, and of one address without a valid key."""
    burst: Positive = 200
    """Requests that may come at once after a pause."""
    head_seconds: Annotated[float, Field(gt=0)] = 10.0
    """Time for the head of a request, after which the connection is closed."""
    body_seconds: Annotated[float, Field(gt=0)] = 60.0
    """Time for its body."""
    shutdown_seconds: Positive = 60
    """Time that requests have to end when the server is stopped."""


class BatchSettings(Section):
    """How images of several requests become one call of the model."""

    images: Positive = 32
    """Images of one call, at most."""
    wait: Annotated[float, Field(ge=0, le=1)] = 0.002
    """Seconds to wait for more of them, where requests come together."""


class Settings(Section):
    """All settings of a server."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port; 0 takes a free one."""
    galleries: Annotated[
        dict[Annotated[str, Field(pattern=f"^{NAME}$")], GallerySettings], Field(min_length=1)
    ]
    """Galleries by the name that they have in addresses."""
    keys: tuple[KeySettings, ...] = ()
    """Keys; without any, everything is allowed, on a loopback address alone."""
    tls: TlsSettings | None = None
    """Serve HTTPS."""
    proxies: tuple[str, ...] = ()
    """Addresses of proxies, whose `X-Forwarded-For` and `-Proto` are believed."""
    limits: ServerLimits = ServerLimits()
    """Limits of requests and keys."""
    batch: BatchSettings = BatchSettings()
    """Batches of images."""

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for one in proxies:
            ipaddress.ip_network(one, strict=False)
        return proxies

    @model_validator(mode="after")
    def _check_keys(self) -> Settings:
        if not self.keys and not is_loopback(self.host):
            raise ValueError(
                f"host is {self.host}, which others can reach, and there is no key: make one with "
                "`arcwise serve --new-key ROLE`, or listen on 127.0.0.1"
            )
        for field in ("name", "digest"):
            values = [getattr(key, field) for key in self.keys]
            if len(set(values)) < len(values):
                raise ValueError(f"two keys have the same {field}")
        for key in self.keys:
            unknown = set(key.galleries) - {EVERY, *self.galleries}
            if unknown:
                raise ValueError(
                    f"key {key.name}: there is no gallery {', '.join(sorted(unknown))}"
                )
        return self

    def shown(self) -> list[str]:
        """Return the settings for a person, a line each; of keys the names and roles alone."""
        lines = [f"address    {'https' if self.tls else 'http'}://{self.host}:{self.port}"]
        for name, one in self.galleries.items():
            small = ", small images are kept" if one.thumbnails else ""
            kept = f", images sent are kept in {one.audit_images}" if one.audit_images else ""
            scheme, address, _ = one.path.partition("://")  # which may hold a password
            where = f"{scheme}://…" if address else one.path
            lines.append(f"gallery    {name}: {where}, log in {one.log}{small}{kept}")
        for key in self.keys:
            lines.append(f"key        {key.name}: {key.role}, {', '.join(key.galleries)}")
        if not self.keys:
            lines.append("keys       none: whoever reaches this address may do everything")
        if self.proxies:
            lines.append(f"proxies    {', '.join(self.proxies)}")
        given = {**self.limits.model_dump(), **{f"batch_{k}": v for k, v in self.batch}}
        lines.append("limits     " + ", ".join(f"{k} {_shown(k, v)}" for k, v in given.items()))
        return lines


def read_settings(
    path: Path | None, environment: Mapping[str, str], given: Mapping[str, Any]
) -> Settings:
    """Return the settings of a file, the environment over it, and the command line over both.

    Args:
        path: the TOML file; relative paths in it start from its folder.
        environment: variables that begin with `PREFIX`, whose values are TOML or else text.
        given: settings of the command line.

    Raises:
        ArcwiseError: the file cannot be read, or a setting is unknown or impossible.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or problem
            raise ArcwiseError(f"{path}: cannot be read as settings: {reason}") from None
        _from_folder(values, path.parent)
    for name, text in sorted(environment.items()):
        if name.startswith(PREFIX):
            _put(values, name.removeprefix(PREFIX).lower().split("__"), _toml_value(text), name)
    values = _merged(values, given)
    try:
        return Settings.model_validate(values)
    except ValidationError as problem:
        every = [_mistake(one) for one in problem.errors(include_url=False, include_input=False)]
        every.sort(key=lambda said: not said.startswith("no setting"))
        more = f"; and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
        said = "; ".join(every[:_SHOWN])
        raise ArcwiseError(f"{path or 'settings'}: {said}{more}") from None


def _shown(name: str, value: float) -> str:
    """Return a limit as a person reads it: whole MiB where it is bytes."""
    if name.endswith("bytes") and value >= 2**20 and value % 2**20 == 0:
        return f"{value // 2**20} MiB"
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def gallery_name(path: str) -> str:
    """Return what a gallery is called in addresses: its file name, without what does not fit.

    Of one on a database server it is the name that its address says.
    """
    said = parse_qs(urlsplit(path).query).get("gallery", [""])[0] if "://" in path else ""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", said or Path(path).stem).strip("-._")[:64]
    return name or "gallery"


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _mistake(error: Any) -> str:
    """Return what is wrong with a setting, in words, of one of pydantic's errors."""
    loc, kind = error["loc"], error["type"]
    place = ".".join(str(part) for part in loc if part != "[key]")
    if kind == "extra_forbidden":
        known = list(_section_at(loc[:-1]).model_fields)
        hint = suggestion(str(loc[-1]), known) or f"expected one of {', '.join(known)}"
        return f"no setting {place}; {hint}"
    if loc == ("galleries",) and kind in ("missing", "too_short"):
        return "no gallery: name a model and a gallery, or a file with --config"
    message = error["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    if kind == "missing":
        message = "is missing"
    elif kind in ("model_type", "dict_type"):
        message = "expected a section of settings"
    elif kind == "string_pattern_mismatch":
        message = "expected at most 64 letters, digits and . _ -, the first a letter or digit"
        if loc[-1] == "digest":
            message = (
                "expected 64 of 0-9 and a-f: the digest that `arcwise serve --new-key ROLE` "
                "prints, not the key"
            )
    return f"{place}{': ' * bool(place)}{message}"


def _section_at(loc: tuple[Any, ...]) -> type[Section]:
    """Return the section that settings at a place belong to."""
    inner = {"tls": TlsSettings, "limits": ServerLimits, "batch": BatchSettings}
    inner |= {"galleries": GallerySettings, "keys": KeySettings}
    return inner[loc[0]] if loc else Settings


def _from_folder(values: dict[str, Any], folder: Path) -> None:
    """Let relative paths of a file start from its folder."""
    galleries = values.get("galleries")
    sections = [values.get("tls"), *(galleries.values() if isinstance(galleries, dict) else ())]
    for section in sections:
        if isinstance(section, dict):
            for name in ("path", "model", "audit", "audit_images", "certificate", "key"):
                if isinstance(section.get(name), str) and "://" not in section[name]:
                    section[name] = os.path.join(folder, section[name])


def _put(values: dict[str, Any], place: list[str], value: Any, name: str) -> None:
    for part in place[:-1]:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise ArcwiseError(f"{name}: {part} is a value in the file, and holds no others")
    values[place[-1]] = value


def _toml_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    both = dict(below)
    for name, value in above.items():
        old = both.get(name)
        if isinstance(old, dict) and isinstance(value, Mapping):
            both[name] = _merged(old, value)
        else:
            both[name] = value
    return both
