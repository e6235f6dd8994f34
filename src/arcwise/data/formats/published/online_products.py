"""Stanford Online Products: `Ebay_train.txt` and `Ebay_test.txt` (Song et al., CVPR 2016)."""

from __future__ import annotations

from pathlib import Path

from arcwise.data.formats.published.image_lists import folder_with, manifest_of_list, read_words
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError

TRAIN, TEST = "Ebay_train.txt", "Ebay_test.txt"
_FOLDERS = ("", "Stanford_Online_Products")
_NAMES = ("image_id", "class_id", "super_class_id", "path")


def recognises(path: Path) -> bool:
    """Return whether the training list lies in the folder."""
    return folder_with(path, [TRAIN], _FOLDERS) is not None


def read(path: Path, *, identities: bool = True) -> Manifest:
    """Return the manifest of the products: the two lists are the zero-shot split.

    `identity` is the class id, `superclass` the name of the folder (`bicycle`), of which the list
    has the number. No product is in both lists.
    """
    del identities  # every line names one
    root = folder_with(path, [TRAIN], _FOLDERS)
    assert root is not None, "recognises has found it"
    images: list[str] = []
    classes: list[str] = []
    splits: list[str] = []
    for name, split in ((TRAIN, "train"), (TEST, "test")):
        columns = read_words(root / name, _NAMES, skip=1, numbers=_NAMES[:3])
        shared = set(columns["class_id"]) & set(classes)
        if shared:
            raise ArcwiseError(
                f"{root / name}: {len(shared)} products are in {TRAIN} as well (class_id "
                f"{min(shared)}); expected a split without a common product"
            )
        images += columns["path"]
        classes += columns["class_id"]
        splits += [split] * len(columns["path"])
    return manifest_of_list(
        path,
        {
            "image": images,
            "identity": classes,
            "split": splits,
            "superclass": [image.partition("/")[0].removesuffix("_final") for image in images],
        },
        root=root,
        understood="Stanford Online Products, split into products to train on and products to "
        f"test on as {TRAIN} and {TEST} say",
        list_name=f"{TRAIN} and {TEST}",
    )
