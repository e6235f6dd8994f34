"""IJB-B and IJB-C folders: joined by names, and what does not fit together is said."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arcwise.data.formats.opening import open_manifest
from arcwise.data.formats.published.ijb import meta_files as ijb_meta
from arcwise.data.formats.published.ijb import recognises
from arcwise.data.manifest import Manifest
from arcwise.errors import ArcwiseError
from tests import ijb

ROWS, POINTS, PAIRS = "ijbc_face_tid_mid", "ijbc_name_5pts_score", "ijbc_template_pair_label"


@pytest.fixture(scope="module")
def whole(new: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ijb.write(new, tmp_path_factory.mktemp("ijb") / "IJBC")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """One that a test may break."""
    return shutil.copytree(whole, tmp_path / "IJBC")


def change(folder: Path, name: str, how: Callable[[list[str]], list[str]]) -> None:
    """Other lines for a file of meta."""
    (path,) = (folder / "meta").glob(f"{name}.*")
    path.write_text("\n".join(how(path.read_text().splitlines())) + "\n")


def notes(folder: Path) -> str:
    return "\n".join(open_manifest(folder, identities=False).notes)


def test_joined_by_name(whole: Path, new: Manifest) -> None:
    found = open_manifest(whole)
    assert recognises(whole)
    assert (found.name, len(found), len(found.classes)) == ("IJBC", 72, 12)
    for row, image in enumerate(found.images):
        number = int(image.removeprefix("loose_crop/").removesuffix(".jpg")) - 1
        label, part = int(new.labels[number]), (0, 0, 1, 2, 2, 2)[number % 6]
        values = {name: found.column(name)[row] for name in found.table.column_names}  # type: ignore[index]
        assert values["template"] == str(100 + 3 * label + part)
        assert values["identity"] == str(label + 7)
        assert values["split"] == ("probe" if part else "gallery1" if label < 6 else "gallery2")
        assert values["quality"] == pytest.approx(0.5 + number % 5 / 10)
        assert values["landmarks"][0] == pytest.approx(0.3 * 48 + number / 100, abs=0.006)
        assert len(found.read(row)) > 100
    assert [len(set(found.column(name) or ())) for name in ("template", "media")] == [36, 48]


def test_pairs_of_templates(whole: Path) -> None:
    found = open_manifest(whole)
    assert found.pairs is not None
    assert found.pairs.schema.types == [pa.string(), pa.string(), pa.bool_()]
    whose = dict(zip(found.column("template") or (), found.identities, strict=True))
    rows = found.pairs.to_pylist()
    assert len(rows) == 36 * 35 // 2
    assert all((whose[row["a"]] == whose[row["b"]]) == row["same"] for row in rows)


def test_letter_case_and_the_names_of_ijb_b(whole: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(whole, tmp_path / "IJBB")
    for path in list((folder / "meta").iterdir()):
        name = path.name.replace("_G", "_S").replace("ijbc", "IJBB")
        path.rename(path.with_name(name.replace("1N", "1n")))
    found, before = open_manifest(folder), open_manifest(whole)
    assert found.table.equals(before.table)
    assert found.notes[0].startswith("not the published ijbb")


@pytest.mark.parametrize(
    ("ending", "said"), [("1N_gallery_G2.csv", "1n_gallery_g2.csv or ijbc_1n_gall")]
)
def test_without_the_1_n_lists_pairs_are_left(folder: Path, ending: str, said: str) -> None:
    (folder / "meta" / f"ijbc_{ending}").unlink()
    found = open_manifest(folder, identities=False)
    assert {"identity", "split"}.isdisjoint(found.table.column_names)
    assert found.pairs is not None
    assert "no ijbc_1n_gallery_g2.csv or ijbc_1n_gallery_s2.csv in meta" in found.notes[0]
    with pytest.raises(
        ArcwiseError, match=r"the identities of its images are not known .no 1:N protoc"
    ):
        open_manifest(folder)


def test_without_landmarks_and_pairs(folder: Path) -> None:
    for name in (POINTS, PAIRS):
        (folder / "meta" / f"{name}.txt").unlink()
    found = open_manifest(folder)
    assert {"landmarks", "quality"}.isdisjoint(found.table.column_names)
    assert found.pairs is None
    assert "no landmarks and no detector scores: no ijbc_name_5pts" in found.notes[0]
    assert "no pairs to verify: no ijbc_template_pair_label.txt" in found.notes[1]


class TestNotes:
    """What does not fit together is counted and named."""

    def test_only_the_counts_where_all_fits(self, whole: Path) -> None:
        (only,) = open_manifest(whole).notes
        assert only == (
            "not the published ijbc, no result to compare with others': 72 images of 469,375, "
            "36 templates of 23,124, 36 mated pairs of 19,557"
        )

    def test_another_name_has_no_published_counts(self, new: Manifest, tmp_path: Path) -> None:
        assert open_manifest(ijb.write(new, tmp_path / "own", prefix="ijbs")).notes == ()

    def test_names_in_one_file_only(self, folder: Path) -> None:
        change(folder, POINTS, lambda lines: [one for one in lines if not one.startswith("1.jpg ")])
        change(folder, ROWS, lambda lines: [one for one in lines if not one.startswith("2.jpg ")])
        found = open_manifest(folder)
        said = "\n".join(found.notes)
        assert "no landmarks and no detector score: 1 (1.jpg)" in said
        assert "landmarks of images that are in no template: 1 (2.jpg)" in said
        assert "images that no list names: 1 (2.jpg)" in said
        row = found.images.index("loose_crop/1.jpg")
        assert (found.column("landmarks") or [])[row] is None
        assert (found.column("quality") or [])[row] is None

    def test_landmarks_twice(self, folder: Path) -> None:
        change(folder, POINTS, lambda lines: [*lines, "1.jpg" + " 9" * 11])
        assert "landmarks given more than once, the first taken: 1 lines" in notes(folder)
        found = open_manifest(folder)
        assert (found.column("quality") or [])[found.images.index("loose_crop/1.jpg")] < 1

    def test_missing_images(self, folder: Path) -> None:
        for number in range(1, 8):
            (folder / "loose_crop" / f"{number}.jpg").unlink()
        assert "images that are not there: 7 (" in notes(folder)
        shutil.rmtree(folder / "loose_crop")
        with pytest.raises(
            ArcwiseError, match=r"loose_crop: No such file or dir.*folder of images"
        ):
            open_manifest(folder)

    def test_templates_that_no_image_is_in(self, folder: Path) -> None:
        change(folder, PAIRS, lambda lines: [*lines, "100 9999 0", "9999 101 0"])
        assert "pairs of templates that no image is in: 1 (9999)" in notes(folder)

    def test_a_template_in_no_list(self, folder: Path) -> None:
        change(folder, "ijbc_1N_gallery_G1", lambda lines: [lines[0], lines[-1]])
        found = open_manifest(folder, identities=False)
        assert "identity" not in found.table.column_names
        assert "of the templates in no gallery and no probes" in found.notes[0]


class TestRefused:
    """Lines that cannot be read, and lists that contradict each other."""

    @pytest.mark.parametrize(
        ("name", "line", "said"),
        [
            (ROWS, "1.jpg 5", "Expected 3 columns, got 2: 1.jpg 5; expected on each line name, te"),
            (ROWS, "1.jpg five 6", "invalid value 'five'"),
            (ROWS, "1.jpg  6", "invalid value ''"),
            (POINTS, "1.jpg" + " 9" * 10, "Expected 12 columns, got 11"),
            (POINTS, "1.jpg nan" + " 9" * 10, "line 73: holds a NaN or an infinity"),
            (PAIRS, "100 101 2", "invalid value '2'"),
            (PAIRS, "100 101 99999999999", "invalid value '99999999999'"),
            ("ijbc_1N_probe_mixed", "100", "Expected 4 columns, got 1"),
            ("ijbc_1N_probe_mixed", "x,1,2,3", "invalid value 'x'"),
        ],
    )
    def test_a_line(self, folder: Path, name: str, line: str, said: str) -> None:
        change(folder, name, lambda lines: [*lines, line])
        count = len(next((folder / "meta").glob(f"{name}.*")).read_text().splitlines())
        with pytest.raises(ArcwiseError, match=said) as problem:
            open_manifest(folder)
        assert name in str(problem.value)
        assert f"line {count}" in str(problem.value)

    @pytest.mark.parametrize("name", [ROWS, POINTS, PAIRS, "ijbc_1N_probe_mixed"])
    def test_empty(self, folder: Path, name: str) -> None:
        next((folder / "meta").glob(f"{name}.*")).write_text("")
        with pytest.raises(ArcwiseError, match=rf"{name}.*[Ee]mpty"):
            open_manifest(folder)

    def test_two_subjects(self, folder: Path) -> None:
        change(folder, "ijbc_1N_probe_mixed", lambda lines: [*lines, "101,1,x.png,1"])
        change(folder, "ijbc_1N_gallery_G1", lambda lines: [*lines, "101,7,x.png,1"])
        with pytest.raises(ArcwiseError, match="templates have more than one subject, "):
            open_manifest(folder)

    def test_two_lists(self, folder: Path) -> None:
        change(folder, "ijbc_1N_probe_mixed", lambda lines: [*lines, lines[1]])  # twice is no harm
        assert len(open_manifest(folder).classes) == 12
        gallery = (folder / "meta" / "ijbc_1N_gallery_G1.csv").read_text().splitlines()[1]
        change(folder, "ijbc_1N_probe_mixed", lambda lines: [*lines, gallery])
        with pytest.raises(ArcwiseError, match="1 templates have more than one list of the 1:N"):
            open_manifest(folder)

    def test_two_data_sets(self, folder: Path) -> None:
        shutil.copy(folder / "meta" / f"{ROWS}.txt", folder / "meta" / "ijbb_face_tid_mid.txt")
        with pytest.raises(ArcwiseError, match="holds the lists of ijbb and ijbc; expected one"):
            open_manifest(folder)


def test_other_folders_are_not_taken(tmp_path: Path) -> None:
    assert not recognises(tmp_path)
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "notes.txt").write_text("x")
    assert not recognises(tmp_path)


def test_a_list_without_a_header_loses_no_line(tmp_path: Path) -> None:
    path = tmp_path / "gallery.csv"
    path.write_text("1,2,x\n3,4,y\n")
    assert ijb_meta.subjects(path).to_pydict() == {"template": ["1", "3"], "identity": ["2", "4"]}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 2**31 - 1)] * 2, st.booleans()), min_size=1), st.data())
def test_pairs_as_written(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[int, int, bool]],
    data: st.DataObject,
) -> None:
    """What is written is read; a file that is cut off is read as far as it goes, or refused."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    text = "".join(f"{a} {b} {int(same)}\n" for a, b, same in lines)
    path.write_text(text)
    found = ijb_meta.pairs(path)
    assert found.column("a").to_pylist() == [str(a) for a, _, _ in lines]
    assert found.column("b").to_pylist() == [str(b) for _, b, _ in lines]
    assert found.column("same").to_pylist() == [same for _, _, same in lines]
    cut = text[: data.draw(st.integers(0, len(text) - 2))]
    path.write_text(cut)
    if cut and cut[-1] in "01\n" and len(cut.splitlines()[-1].split(" ")) == 3:
        whole = len(cut.splitlines())
        assert ijb_meta.pairs(path).equals(found.slice(0, whole))
    else:
        with pytest.raises(ArcwiseError, match=r"pairs\.txt: "):
            ijb_meta.pairs(path)


@settings(max_examples=150, deadline=None)
@given(which=st.integers(0, 5), place=st.floats(0, 1), byte=st.integers(0, 255), cut=st.booleans())
def test_damage_is_said_or_harmless(
    whole: Path,
    tmp_path_factory: pytest.TempPathFactory,
    which: int,
    place: float,
    byte: int,
    cut: bool,
) -> None:
    """One byte of one list is another, or all from there on are missing."""
    folder = tmp_path_factory.mktemp("damaged") / "IJBC"
    shutil.copytree(whole / "meta", folder / "meta")
    (folder / "loose_crop").symlink_to(whole / "loose_crop")
    path = sorted((folder / "meta").iterdir())[which]
    data = path.read_bytes()
    at = min(int(place * len(data)), len(data) - 1)
    path.write_bytes(data[:at] if cut else data[:at] + bytes([byte]) + data[at + 1 :])
    try:
        found = open_manifest(folder, identities=False)
    except ArcwiseError as problem:
        named = str(folder / "meta") in str(problem)
    else:
        named = len(found) <= 73  # a flipped byte can make one line two
    assert named
