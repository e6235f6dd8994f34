"""Files on a Hugging Face hub: `hf://owner/repository/file[@revision]`.

`huggingface_hub` downloads and caches them, with the environment variables that it knows:
HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE, HF_HOME. Its cache names the digest of a file, which it does
not check; that is done here, whenever a file is used.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import Any

from arcwise.errors import ArcwiseError, in_one_line

SCHEME = "hf://"

_DEFAULT = "model.safetensors"  # the name that the libraries of the hub agree on
_SOURCE = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:/([^@]+))?(?:@([\w./-]+))?")


def download(source: str) -> tuple[Path, str, str]:
    """Return the file, `hf://…@commit`, and the licence that its model card names, if any.

    Args:
        source: `hf://owner/repository/file[@revision]`; `model.safetensors` where no file is named.

    Raises:
        ArcwiseError: it cannot be had, or is not what the hub says that it is.
    """
    match = _SOURCE.fullmatch(source)
    if match is None or ".." in (match[2] or "").split("/"):
        raise ArcwiseError(f"{source}: expected hf://owner/repository/file, and perhaps @revision")
    repository, file, revision = match[1], match[2] or _DEFAULT, match[3]
    try:
        import huggingface_hub
    except ImportError:
        raise ArcwiseError(f"{source}: needs huggingface_hub: pip install 'arcwise[hub]'") from None
    try:
        path = Path(huggingface_hub.hf_hub_download(repository, file, revision=revision))
    except Exception as problem:  # of the library, of its HTTP library, and of the system
        raise ArcwiseError(f"{source}: {_reason(problem, repository, file, revision)}") from None
    _verify(path, source)
    commit = path.parts[-1 - len(file.split("/"))]
    return path, f"hf://{repository}/{file}@{commit}", _licence(repository, commit)


def _reason(problem: Exception, repository: str, file: str, revision: str | None) -> str:
    from huggingface_hub import constants, errors

    if isinstance(problem, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{repository}"
        return f"its owners ask you to accept their terms first, at {page}; then set HF_TOKEN"
    if isinstance(problem, errors.RepositoryNotFoundError):
        return f"there is no repository {repository}, or it is private: then set HF_TOKEN"
    if isinstance(problem, errors.RevisionNotFoundError):
        return f"{repository} has no revision {revision}"
    if isinstance(problem, errors.LocalEntryNotFoundError):
        reason = f"{constants.ENDPOINT} cannot be reached"
        if constants.HF_HUB_OFFLINE:
            reason = "HF_HUB_OFFLINE is set"
        return f"it was not downloaded before, and {reason}"
    if isinstance(problem, errors.EntryNotFoundError):
        return f"{repository} has no file {file}; name one, as in hf://{repository}/FILE"
    said = f"{type(problem).__name__}: {in_one_line(problem)}"
    return f"the download failed ({said}); run this again"


def _verify(path: Path, source: str) -> None:
    """Compare the file with the digest by which the cache names it: sha256, or git's own.

    Raises:
        ArcwiseError: it differs; the file is then removed, so that it is downloaded again.
    """
    if not path.is_symlink():  # a file system without links, where the cache names no digest
        return
    blob = path.parent / os.readlink(path)
    expected = blob.name
    with path.open("rb") as data:
        if re.fullmatch(r"[0-9a-f]{64}", expected):
            digest: Any = hashlib.sha256()
        elif re.fullmatch(r"[0-9a-f]{40}", expected):
            size = os.fstat(data.fileno()).st_size
            digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
        else:  # a server of another kind, whose tags are no digests
            return
        while block := data.read(2**20):
            digest.update(block)
    if digest.hexdigest() != expected:
        for one in {path.resolve(), blob, path}:
            one.unlink(missing_ok=True)
        raise ArcwiseError(
            f"{source}: has the digest {digest.hexdigest()}, but the hub says {expected}; it was "
            "removed: run this again"
        )


def _licence(repository: str, commit: str) -> str:
    """Return the licence in the model card; empty where there is no card, or it names none."""
    import huggingface_hub

    try:
        card = huggingface_hub.hf_hub_download(repository, "README.md", revision=commit)
        about = huggingface_hub.ModelCard.load(card).data.to_dict()
    except Exception:  # a card that is not there, or not YAML, must not stop a download
        return ""
    named = about.get("license")
    if named == "other":
        named = about.get("license_name") or about.get("license_link")
    return named if isinstance(named, str) else ""
