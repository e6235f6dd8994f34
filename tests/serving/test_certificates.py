"""What is wrong with the files of TLS is said before a gallery is made."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from arcwise.cli import main
from arcwise.serving.certificates import check_tls
from arcwise.serving.settings import TlsSettings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two certificates, each with its key, and what is neither."""
    folder = tmp_path_factory.mktemp("tls")
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -subj /CN=x -days 2"
    for name, more in (("a", ["-nodes"]), ("b", ["-nodes"]), ("secret", ["-passout", "pass:x123"])):
        files = ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        subprocess.run([*make.split(), *more, *files], check=True, capture_output=True)
    (folder / "text").write_text("no PEM")
    return folder


@pytest.mark.parametrize(
    ("certificate", "key", "facts"),
    [
        ("none.pem", "a.key", ("tls.certificate", "none.pem", "No such file")),
        ("a.pem", "none.key", ("tls.key", "none.key", "No such file")),
        ("text", "a.key", ("tls.certificate", "text", "no certificate")),
        ("a.key", "a.key", ("tls.certificate", "a.key", "no certificate")),
        ("a.pem", "text", ("tls.key", "text", "no private key")),
        ("a.pem", "a.pem", ("tls.key", "a.pem", "no private key")),
        ("a.pem", "b.key", ("tls.key", "b.key", "another certificate")),
        ("secret.pem", "secret.key", ("tls.key", "secret.key", "passphrase")),
    ],
)
def test_refused_before_anything(
    made: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    certificate: str,
    key: str,
    facts: tuple[str, ...],
) -> None:
    settings = tmp_path / "serve.toml"
    settings.write_text(
        f'[galleries.shop]\npath = "shop.gallery"\nmodel = "none"\n'
        f'[tls]\ncertificate = "{made / certificate}"\nkey = "{made / key}"\n'
    )
    assert main(["serve", "--config", str(settings)]) == 2
    said = capfd.readouterr()
    assert [one for one in facts if one not in said.err] == []
    assert (said.out, [*tmp_path.iterdir()]) == ("", [settings])


def test_a_pair(made: Path) -> None:
    check_tls(TlsSettings(certificate=made / "a.pem", key=made / "a.key"))
