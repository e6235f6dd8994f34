"""The page of `studies/gallery_rates.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from promises import GOAL, inside

Cell = dict[str, Any]


def page(results: Mapping[str, Any], **numbers: int) -> str:
    """Return the page of all cells; `numbers` are those of the study that its text names."""
    kinds: dict[tuple[str, str, str, float], list[Cell]] = {}
    for one in results["cells"]:
        kind = (one["set"], one["promise"], one["templates"], one["rate"])
        kinds.setdefault(kind, []).append(one)
    lines, below = [], []
    for kind, some in sorted(kinds.items(), key=lambda one: (*one[0][:3], -one[0][3])):
        name, promise, templates, rate = kind
        held = [inside(one["fpir"]) for one in some]
        found = [inside(one["dir"]) for one in some if one["dir"]]
        for what, ones in (("FPIR", held), ("DIR", found)):
            if ones and np.mean(ones) < GOAL:
                below.append(
                    f"- Below nine of ten: {what} of {name}, {promise}, {templates} templates, at "
                    f"{rate:g}: {of(ones)}.\n"
                )
        lines.append(
            f"| {name} | {promise} | {templates} | {rate:g} | {mean(some, 'promised'):.1%} | "
            f"{np.mean([one['fpir'][2] for one in some]):.2%} | {of(held)} | "
            f"{mean(some, 'found'):.1%} | {of(found) if found else 'not promised'} |\n"
        )
    seconds, machine = results["seconds"], results["machine"]
    tail = TAIL.format(seconds=seconds, machine=machine, **totals(results["cells"]))
    return "".join([HEAD.format(**numbers), *lines, tail, *below, READ])


def of(ones: Sequence[bool]) -> str:
    return f"{sum(ones)} of {len(ones)}"


def mean(cells: Sequence[Cell], name: str) -> float:
    return float(np.mean([one[name] for one in cells]))


def totals(cells: Sequence[Cell]) -> dict[str, str]:
    """How many cells hold, by set, promise and rate, for the sentences of the page."""
    held: dict[str, list[bool]] = {}
    for one in cells:
        for rate in ("fpir", "dir"):
            name = f"{one['set']}_{one['promise']}_{rate}"
            held.setdefault(name, []).extend([inside(one[rate])] if one[rate] else [])
    return {name: of(ones) for name, ones in held.items()}


HEAD = """# The rates of decisions, in every store

`PYTHONPATH=benchmarks python studies/gallery_rates.py sets` measures this table and keeps every
cell in [gallery-rates.json](gallery-rates.json).

Split after split, half of the identities calibrate. Of the other half a gallery is made in a file,
on a PostgreSQL server and in a folder of Milvus Lite. Each is opened again, searched with the same
images, and decides by the thresholds that it keeps. **The three stores gave the same decision for
every image**; the study ends with an error where two differ.

- **LFW**: the first image, the first three, or all but the last of each person who has two or more
  are enrolled (of a person with fewer, all but the last). The other images of these people search,
  and the images of the people who have one.
- **grocery**: the studio image of each of {enrolled} products is enrolled: alone, with two shop
  photos, or with all but {kept} of {shots}. {kept} more shop photos of each search. Of nobody
  enrolled are the shop photos of the other products of that half, and half of the clothing. The
  network is EfficientNet-Lite0 as ImageNet made it, trained on none of these photos.

Two promises are tried, each made with the identities that calibrate:

- **gallery**: thresholds measured against the gallery as it is, as `arcwise calibrate --gallery`
  does it: the calibrating half searches it. How many are found is promised by images of half of the
  enrolled identities, and measured on the other half.
- **model**: what a search says by its model's calibration (`arcwise calibrate`), which knows
  nothing of the gallery but its size. Where no threshold was measured for just such a gallery, it
  is a bound, and what is measured may be far below it. A rate that has no threshold takes the
  nearest stricter one.

Promised and measured rates are means over the splits. A rate holds in a split where it lies in the
95 % interval that was promised; of a bound, where it is not above. Splits share identities, so that
they are right or wrong together.

| set | promise | templates | asked | FPIR promised | measured | holds | found (DIR) | holds |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
TAIL = """
{seconds:,} seconds of one core ({machine}).

## What this says

- LFW, against the gallery: FPIR holds in {LFW_gallery_fpir}, DIR in {LFW_gallery_dir}. By the
  model: {LFW_model_fpir} and {LFW_model_dir}.
- grocery, against the gallery: FPIR holds in {grocery_gallery_fpir}, DIR in {grocery_gallery_dir}.
  By the model: {grocery_model_fpir} and {grocery_model_dir}.
"""
READ = """- Against the gallery, five of the six FPIRs outside their interval are below it, by
  little: fewer strangers get an answer than was promised. One is above: 1.6 %, where
  1.5 % was the end.
- By the model, nothing is found of products with one studio image each, where 4 to 40 % were
  promised, and no stranger gets an answer. The model was calibrated on shop photos alone, and the
  queries are less like a studio image than shop photos are like each other. **Calibrate with images
  of the kind that is enrolled, or against the gallery**, which finds as many as it promises.
- Three splits of each are few: they show that the stores agree and that little is off.
  [Promised rates](promises.md) has more cells, counted in memory.
- This network was not trained on products; with more templates it finds more.
"""
