"""Cars-196: `cars_annos.mat`, or the development kit's lists (Krause et al., 3dRR 2013)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from arcwise.data.formats.published.image_lists import fixed_lists, folder_with, manifest_of_list
from arcwise.data.formats.published.matlab import MOST, read_variables
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

WHOLE = "cars_annos.mat"
META, TRAIN = "cars_meta.mat", "cars_train_annos.mat"
TEST, LABELLED_TEST = "cars_test_annos.mat", "cars_test_annos_withlabels.mat"
MODELS = 196
_KITS = ("devkit", "")
_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


class _Car(NamedTuple):
    image: str
    model: int  # counted from 1
    box: tuple[float, ...]
    official: str


def recognises(path: Path) -> bool:
    """Return whether one of the two forms of annotation lies in the folder."""
    return (
        folder_with(path, [WHOLE]) is not None
        or folder_with(path, [META, TRAIN], _KITS) is not None
    )


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of the cars: `split` by model, as metric learning has it.

    The first 98 models are `train`, the last 98 `test`; the data set's own split, which has every
    model on both sides, is `official_split`. `box` is x1, y1, x2 - x1, y2 - y1 of the file, which
    does not say whether it counts pixels from 0 or 1. Images whose model the development kit
    keeps to itself are left out, and counted in a note.
    """
    del identities  # images without one are left out
    unlabelled: list[str] = []
    if (path / WHOLE).is_file():
        source, models = WHOLE, _models(path / WHOLE)
        cars = [_car(one, path / WHOLE, number) for number, one in _annotations(path / WHOLE)]
    else:
        kit = folder_with(path, [META, TRAIN], _KITS)
        assert kit is not None, "recognises has found it"
        source, models = (kit / TRAIN).relative_to(path).as_posix(), _models(kit / META)
        cars = _cars_in(kit / TRAIN, "cars_train", "train")
        if (kit / LABELLED_TEST).is_file():
            cars += _cars_in(kit / LABELLED_TEST, "cars_test", "test")
        elif (kit / TEST).is_file():
            named = _annotations(kit / TEST)
            unlabelled = [f"cars_test/{_field(one, 'fname', kit / TEST, n)}" for n, one in named]
    for number, car in enumerate(cars, 1):
        if not 1 <= car.model <= len(models):
            raise ArcwiseError(
                f"{path / source}: annotation {number} ({car.image}) is of class {car.model}; "
                f"expected 1 to {len(models)}"
            )
    understood = "the annotations of Cars-196"
    columns: dict[str, list[str] | pa.Array] = {
        "image": [car.image for car in cars],
        "identity": [models[car.model - 1] for car in cars],
    }
    if len(models) == MODELS:
        half = MODELS // 2
        columns["split"] = ["train" if car.model <= half else "test" for car in cars]
        understood += (
            f", split as in metric learning: the first {half} classes train, the last {half} test"
        )
    columns["official_split"] = [car.official for car in cars]
    columns["box"] = fixed_lists(np.array([car.box for car in cars], np.float32).reshape(-1, 4))
    understood += "; its own split is the column official_split"
    manifest = manifest_of_list(path, columns, root=path, understood=understood, list_name=source)
    if not unlabelled:
        return manifest
    note = f"{len(unlabelled):,} images are left out: {TEST} does not say which car they show"
    return replace(
        manifest, ignored=(*manifest.ignored, *unlabelled), notes=(*manifest.notes, note)
    )


def _cars_in(path: Path, folder: str, official: str) -> list[_Car]:
    return [_car(one, path, number, folder, official) for number, one in _annotations(path)]


def _car(one: Any, path: Path, number: int, folder: str = "", official: str = "") -> _Car:
    name = _field(one, "fname" if folder else "relative_im_path", path, number)
    left, top, right, bottom = (float(_field(one, side, path, number)) for side in _CORNERS)
    return _Car(
        f"{folder}/{name}" if folder else str(name),
        int(_field(one, "class", path, number)),
        (left, top, right - left, bottom - top),
        official or ("test" if _field(one, "test", path, number) else "train"),
    )


def _field(one: dict[str, Any], name: str, path: Path, number: int) -> Any:
    """Return the single value of a field: text for names, a finite number for everything else."""
    value = one.get(name)
    if name in ("fname", "relative_im_path"):
        if not isinstance(value, str) or not value:
            raise ArcwiseError(f"{path}: annotation {number} has no {name}; expected a file name")
        return value
    if not isinstance(value, np.ndarray) or value.size != 1 or not np.isfinite(value[0]):
        shown = "absent" if value is None else str(value)[:40]
        raise ArcwiseError(f"{path}: annotation {number}: {name} is {shown}; expected a number")
    return value[0].item()


def _annotations(path: Path) -> list[tuple[int, dict[str, Any]]]:
    annotations = _variable(path, "annotations")
    if not all(isinstance(one, dict) for one in annotations):
        raise ArcwiseError(f"{path}: annotations are no records; expected those of Cars-196")
    return list(enumerate(annotations, 1))


def _models(path: Path) -> list[str]:
    names = _variable(path, "class_names")
    if not all(isinstance(one, str) and one for one in names):
        raise ArcwiseError(f"{path}: class_names are not all names; expected those of Cars-196")
    return names


def _variable(path: Path, name: str) -> list[Any]:
    if path.stat().st_size > MOST:
        raise ArcwiseError(f"{path}: has over {MOST:,} bytes; the real file has under 1 MB")
    variable = read_variables(path.read_bytes(), str(path)).get(name)
    if not isinstance(variable, list) or not variable:
        raise ArcwiseError(f"{path}: holds no {name}; expected the annotations of Cars-196")
    return variable
