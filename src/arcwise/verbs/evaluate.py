"""Evaluate: the protocols that fit a data set, on identities the model was not trained on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from arcwise import evaluation, runtime
from arcwise.data.formats.comma import parse_csv
from arcwise.data.manifest import Manifest, open_manifest
from arcwise.data.split import identity_digest
from arcwise.errors import ArcwiseError, ImageError
from arcwise.evaluation import Identification, Rate, Retrieval, Verification
from arcwise.verbs.reporting import can_report

FAR = 1e-2
FPIR = 1e-1


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured, on what.

    Attributes:
        model: the model's name.
        data: the data set's name.
        manifest: the pictures measured on.
        vectors: (N, D) their embeddings.
        used: in words, what these identities were used for before; empty for nothing.
        left_out: identities not measured on, because the model was made with them.
        failures: pictures that could not be read.
        ignored: files that are not pictures.
        verification: of the pairs given, or of all.
        retrieval: leave one out.
        closed: every identity in the gallery; None without a second picture to search with.
        open: half of the identities in the gallery, the others unknown.
        gallery: in words, which pictures the gallery is.
        report: the page about it; None where none was asked for, or matplotlib or jinja2 are
            missing.
    """

    model: str
    data: str
    manifest: Manifest
    vectors: np.ndarray
    used: str
    left_out: int
    failures: tuple[ImageError, ...]
    ignored: tuple[str, ...]
    verification: Verification
    retrieval: Retrieval
    closed: Identification | None
    open: Identification | None
    gallery: str
    report: Path | None = None

    def rates(self) -> list[tuple[str, Rate]]:
        """The table: what was measured, and its value with its interval."""
        rows = [
            ("recall@1, leave one out", self.retrieval.recall_at(1)),
            ("MAP@R, leave one out", self.retrieval.map_at_r),
        ]
        if self.verification.folds:
            rows.append(("accuracy over the folds", self.verification.accuracy))
        rows += [
            (f"TAR at FAR {FAR:g}", self.verification.tar_at(FAR)),
            (f"TAR at FAR {FAR / 10:g}", self.verification.tar_at(FAR / 10)),
            ("equal-error rate", self.verification.eer),
        ]
        if self.closed:
            rows.append((f"rank 1, gallery: {self.gallery}", self.closed.rank(1)))
        if self.open:
            rows.append((f"DIR at FPIR {FPIR:g}, half unknown", self.open.dir_at(FPIR)))
        return [(name, rate) for name, rate in rows if rate.resolved]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "model": self.model,
            "data": self.data,
            "pictures": len(self.manifest),
            "identities": len(self.manifest.classes),
            "identities_left_out": self.left_out,
            "used_before": self.used,
            "pictures_unreadable": len(self.failures),
            "results": {
                name: {"value": float(rate), "low": rate.low, "high": rate.high}
                for name, rate in self.rates()
            },
        }


def evaluate(
    model: str | Path,
    data: str | Path | Manifest,
    *,
    out: str | Path | None = None,
    pairs: str | Path | None = None,
    seed: int = 0,
    progress: Callable[[int, int], object] | None = None,
) -> Evaluation:
    """Measure a model on the identities of a data set that it was not made with.

    A data set whose every identity was used is measured on the identities that were held out of
    training, and the result says so. Rows of a `split` "test" are taken where there are some.

    Args:
        model: the model folder.
        data: pictures with identities.
        out: a folder for results.json and report.html.
        pairs: a CSV of `a`, `b`, `same` and perhaps `fold`: verification is of these pairs.
        seed: of the choice of galleries and of the intervals.
        progress: told (pictures done, pictures in all).

    Raises:
        ArcwiseError: no identity that was not trained on, or nothing to measure.
    """
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise ArcwiseError(f"{out}: a file; expected a folder for results.json and report.html")
    manifest = open_manifest(data)
    if "test" in (manifest.column("split") or ()):
        manifest = manifest.where("split", "test")
    loaded = runtime.load(model)
    measured, used, left_out = _not_used(manifest, loaded)
    embedded = runtime.embed_manifest(loaded, measured, progress=progress)
    kept = measured.select(embedded.rows)
    vectors, ids = embedded.vectors, np.array(kept.identities)
    several = bool((np.unique(ids, return_counts=True)[1] > 1).any())
    if len(kept.classes) < 2:
        raise ArcwiseError(
            f"{manifest.name}: got {len(kept.classes)} readable identity to measure on; expected "
            "2 or more"
        )
    if not several:
        raise ArcwiseError(
            f"{manifest.name}: got one readable picture of each of {len(kept.classes)} identities "
            "to measure on; expected two or more of some, to compare"
        )
    if pairs is not None:
        verification = _verify_pairs(Path(pairs), kept, vectors)
    else:
        verification = evaluation.verification_from_embeddings(vectors, ids, seed=seed)
    closed, open_, gallery = _identify(kept, vectors, ids, seed)
    result = Evaluation(
        model=loaded.name,
        data=manifest.name,
        manifest=kept,
        vectors=vectors,
        used=used,
        left_out=left_out,
        failures=tuple(embedded.failures),
        ignored=manifest.ignored,
        verification=verification,
        retrieval=evaluation.retrieval(vectors, ids, seed=seed),
        closed=closed,
        open=open_,
        gallery=gallery,
    )
    return result if out is None else write(result, Path(out))


def write(result: Evaluation, folder: Path) -> Evaluation:
    """Put results.json, and report.html where it can be made, into a folder; say where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / "results.json.part"
    beside.write_text(json.dumps(result.as_dict(), indent=2) + "\n")
    beside.replace(folder / "results.json")
    if not can_report():
        return result
    from arcwise.verbs.evaluate_report import write_evaluation_report

    return replace(result, report=write_evaluation_report(folder / "report.html", result))


def _not_used(manifest: Manifest, model: runtime.Model) -> tuple[Manifest, str, int]:
    """The pictures to measure on, what was done with them before, identities left out."""
    digests = {} if model.bundle is None else model.bundle.digests
    trained = set(digests.get("train", ()))
    held = {*digests.get("choose", ()), *digests.get("calibrate", ())}
    of = {identity: identity_digest(identity) for identity in manifest.classes}
    if len(of) < 2:
        raise ArcwiseError(f"{manifest.name}: got {len(of)} identity; expected 2 or more")
    for excluded, used in (
        (trained | held, ""),
        (trained, "not trained on, but they chose the checkpoint or set the thresholds"),
    ):
        kept = {identity for identity, digest in of.items() if digest not in excluded}
        if len(kept) >= 2:
            rows = [row for row, one in enumerate(manifest.identities) if one in kept]
            return manifest.select(rows), used, len(of) - len(kept)
    raise ArcwiseError(
        f"{manifest.name}: the model was trained on all but {len(kept)} of its {len(of)} "
        "identities; measure on identities it has never seen"
    )


def _identify(
    manifest: Manifest, vectors: np.ndarray, ids: np.ndarray, seed: int
) -> tuple[Identification | None, Identification | None, str]:
    """Closed and open identification, and which pictures their gallery is.

    The gallery is the rarer domain where every identity has a picture in it, else one picture of
    each identity; open, half of the identities are left out of it and become unknown.
    """
    rng = np.random.default_rng(seed)
    first = _rare_domain(manifest, ids)
    if first is not None:
        gallery = f"{(manifest.column('domain') or [])[int(first.argmax())]} pictures"
    else:
        gallery = "one picture each"
        order = rng.permutation(len(ids))
        first = np.zeros(len(ids), bool)
        first[order[np.unique(ids[order], return_index=True)[1]]] = True
    probes = ~first
    if not np.isin(ids[probes], ids[first]).any():
        return None, None, gallery
    similarity = vectors[probes] @ vectors[first].T
    closed = evaluation.identification(similarity, ids[probes], ids[first], seed=seed)
    names = np.unique(ids[first])
    enrolled = np.isin(ids[first], rng.permutation(names)[: (len(names) + 1) // 2])
    known = np.isin(ids[probes], ids[first][enrolled])
    if not known.any() or known.all():
        return closed, None, gallery
    open_ = evaluation.identification(
        similarity[:, enrolled], ids[probes], ids[first][enrolled], seed=seed
    )
    return closed, open_, gallery


def _rare_domain(manifest: Manifest, ids: np.ndarray) -> np.ndarray | None:
    domains = manifest.column("domain")
    if domains is None:
        return None
    names, codes, counts = np.unique(
        [str(domain) for domain in domains], return_inverse=True, return_counts=True
    )
    rare = codes == counts.argmin()
    whole = len(names) > 1 and set(ids[rare]) == set(ids)
    return rare if whole else None


def _verify_pairs(path: Path, manifest: Manifest, vectors: np.ndarray) -> Verification:
    """Verification of listed pairs; each side names a picture as the data set does."""
    try:
        table = parse_csv(path.read_bytes(), str(path))
    except OSError as error:
        raise ArcwiseError(f"{path}: cannot be read ({error.strerror})") from None
    lacking = sorted({"a", "b", "same"} - set(table.column_names))
    if lacking or not table.num_rows:
        found = f"no column {', '.join(lacking)}" if lacking else "no pair in it"
        raise ArcwiseError(
            f"{path}: {found}; expected a, b and same (1 or 0), and perhaps fold, a line a pair"
        )
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    place = {image: row for row, image in enumerate(manifest.images)}
    for side in "ab":
        strange = [row for row, image in enumerate(columns[side]) if image not in place]
        if strange:
            raise ArcwiseError(
                f"{path}: row {strange[0] + 1}: {columns[side][strange[0]]!r} is not one of the "
                f"{len(manifest)} pictures of {manifest.name} that are measured; it is missing, "
                "unreadable, or of an identity that the model was made with"
            )
    for row, same in enumerate(columns["same"]):
        if same not in ("0", "1"):
            raise ArcwiseError(f"{path}: row {row + 1}: same is {same!r}; expected 1 or 0")
    a, b = (np.array([place[image] for image in columns[side]]) for side in "ab")
    ids = np.array(manifest.identities)
    folds = columns.get("fold")
    return evaluation.verification(
        np.einsum("nd,nd->n", vectors[a], vectors[b]),
        np.array(columns["same"]) == "1",
        10 if folds is None else np.unique(folds, return_inverse=True)[1],
        ids_a=ids[a],
        ids_b=ids[b],
    )
