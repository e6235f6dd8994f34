"""The files of `[tls]`, looked at before anything else of a server is opened or made."""

from __future__ import annotations

import ssl
from pathlib import Path

from arcwise.errors import ArcwiseError
from arcwise.files import os_error_reason
from arcwise.serving.settings import TlsSettings


def check_tls(settings: TlsSettings) -> None:
    """Check that the certificate and the key can be read, are PEM files, and belong together.

    Raises:
        ArcwiseError: one is missing, of another kind, or of another pair; the message names it.
    """
    certificate, key = settings.certificate, settings.key
    for name, path in (("certificate", certificate), ("key", key)):
        _check_readable(name, path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError:
        raise ArcwiseError(
            f"tls.certificate: {certificate} is no certificate; expected a PEM file that begins "
            "with the server's own, its chain after it: -----BEGIN CERTIFICATE-----"
        ) from None
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _Passphrase:
        raise ArcwiseError(
            f"tls.key: {key} has a passphrase, and nobody is there to type it; store it without: "
            f"openssl pkey -in {key} -out NEW"
        ) from None
    except ssl.SSLError as problem:
        if problem.reason == "KEY_VALUES_MISMATCH":
            raise ArcwiseError(
                f"tls.key: {key} is the key of another certificate than {certificate}; name the "
                "two that were made together, the server's own certificate first in its file"
            ) from None
        raise ArcwiseError(
            f"tls.key: {key} is no private key; expected a PEM file: -----BEGIN PRIVATE KEY-----"
        ) from None


def _check_readable(name: str, path: Path) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as problem:
        raise ArcwiseError(
            f"tls.{name}: {path} cannot be read: {os_error_reason(problem)}; name a PEM file that "
            "the server's user may read"
        ) from None


class _Passphrase(Exception):
    """A key asks for one."""


def _no_passphrase() -> str:
    raise _Passphrase
