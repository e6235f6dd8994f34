"""Public data sets by name: what is in them, their licences and their files."""

from __future__ import annotations

from dataclasses import dataclass

from arcwise.errors import ArcwiseError, suggestion


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        name: of the file when downloaded.
        url: of the file.
        sha256: the published digest, in hexadecimal; empty if there is none.
        md5: the same.
    """

    name: str
    url: str
    sha256: str = ""
    md5: str = ""


@dataclass(frozen=True)
class DataSet:
    """A data set by name.

    Attributes:
        name: what users type.
        about: what the images show.
        images: number of images.
        identities: number of identities.
        size: of the download; estimated where no source states it.
        licence: its terms.
        cite: the publication to cite.
        origin: the page to read about it.
        files: what is downloaded.
        mirror: its folder inside the one that ARCWISE_DATA names.
        mirrored: the part of it that a mirror has.
    """

    name: str
    about: str
    images: int
    identities: int
    size: str
    licence: str
    cite: str
    origin: str
    files: tuple[RemoteFile, ...]
    mirror: str
    mirrored: str


_OMNIGLOT = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
_FIGSHARE = "https://ndownloader.figshare.com/files"
_ARCHIVE = "https://api.github.com/repos/{}/zipball"  # of the default branch, packed on request

CATALOGUE = {
    one.name: one
    for one in (
        DataSet(
            name="grocery",
            about="groceries in shops, and a studio image of each product",
            images=5125 + 81,
            identities=81,
            size="an estimated 150 MB to download",
            licence="MIT, © 2019 Marcus Klasson",
            cite="Klasson, Zhang, Kjellström: A Hierarchical Grocery Store Image Dataset with "
            "Visual and Semantic Labels, WACV 2019",
            origin="https://github.com/marcusklasson/GroceryStoreDataset",
            files=(
                RemoteFile("grocery.zip", _ARCHIVE.format("marcusklasson/GroceryStoreDataset")),
            ),
            mirror="grocery",
            mirrored="65 of the 81 products, shorter side 128 pixels",
        ),
        DataSet(
            name="omniglot",
            about="hand-written characters of 50 alphabets",
            images=32_460,
            identities=1623,
            size="16 MB to download",
            licence="MIT, © 2015 Brenden Lake",
            cite="Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through "
            "probabilistic program induction, Science 350, 2015",
            origin="https://github.com/brendenlake/omniglot",
            # The digests are those that torchvision publishes (datasets/omniglot.py).
            files=(
                RemoteFile(
                    "images_background.zip",
                    f"{_OMNIGLOT}/images_background.zip",
                    md5="68d2efa1b9178cc56df9314c21c6e718",
                ),
                RemoteFile(
                    "images_evaluation.zip",
                    f"{_OMNIGLOT}/images_evaluation.zip",
                    md5="6b91aef0f799c5bb55b94e3f2daec811",
                ),
            ),
            mirror="omniglot",
            mirrored="all of it",
        ),
        DataSet(
            name="lfw",
            about="faces of public people in press photographs, 250 x 250, not aligned",
            images=13_233,
            identities=5749,
            size="173 MB to download",
            licence="for research; the photographs belong to their owners, and results on them "
            "tell nothing of fitness for a commercial use",
            cite="Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild, UMass TR 07-49, "
            "2007",
            origin="https://vis-www.cs.umass.edu/lfw/",
            # The places and digests are those that scikit-learn publishes (datasets/_lfw.py).
            files=(
                RemoteFile(
                    "lfw.tgz",
                    f"{_FIGSHARE}/5976018",
                    sha256="055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
                ),
                RemoteFile(
                    "pairs.txt",
                    f"{_FIGSHARE}/5976006",
                    sha256="ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
                ),
            ),
            mirror="lfw112",
            mirrored="10,562 images aligned to 112 x 112, folds 1 to 8 and people in no pair",
        ),
        DataSet(
            name="fruits",
            about="apples, cherries and tomatoes, each piece turned before a white wall",
            images=48_236,
            identities=63,
            size="an estimated 300 MB to download",
            licence="CC BY-SA 4.0, © 2017- Mihai Oltean",
            cite="Oltean: Fruits-360 dataset, 2017-",
            origin="https://github.com/fruits-360/fruits-360-3-body-problem",
            files=(
                RemoteFile("fruits.zip", _ARCHIVE.format("fruits-360/fruits-360-3-body-problem")),
            ),
            mirror="fruits360",
            mirrored="40 views of each of 49 pieces",
        ),
    )
}


def find_data_set(name: str) -> DataSet:
    """Return the data set of this name.

    Raises:
        ArcwiseError: there is none; the message lists all names.
    """
    if name in CATALOGUE:
        return CATALOGUE[name]
    hint = suggestion(name, CATALOGUE) or "choose one of these"
    raise ArcwiseError(f"no data set {name!r}; {hint} (known: {', '.join(CATALOGUE)})")
