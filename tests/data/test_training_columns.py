from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from arcwise.data.manifest import Manifest
from arcwise.data.training_columns import training_columns
from arcwise.errors import ArcwiseError


def manifest(**columns):
    rows = len(next(iter(columns.values())))
    table = pa.table({"image": [f"{row}.png" for row in range(rows)], **columns})
    return Manifest(table, Path(), "faces")


def test_numbers_are_float32_with_nan_for_missing():
    found = training_columns(
        manifest(age=[31, None, 4], quality=[0.5, 1.0, None]), ["age", "quality"]
    )
    assert found.values["age"].dtype == np.float32
    np.testing.assert_array_equal(found.values["age"], np.float32([31, np.nan, 4]))
    np.testing.assert_array_equal(found.values["quality"], np.float32([0.5, 1, np.nan]))
    assert found.categories == {}


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float64(), pa.decimal128(23, 2)])
def test_numbers_of_any_type(kind):
    ages = pa.array([31, None, 4]).cast(kind, safe=False)
    found = training_columns(manifest(age=ages), ["age"])
    np.testing.assert_array_equal(found.values["age"], np.float32([31, np.nan, 4]))


def test_text_becomes_codes_with_minus_one_for_missing():
    found = training_columns(manifest(domain=["shop", "phone", None, "", "shop"]), ["domain"])
    assert found.categories == {"domain": ("phone", "shop")}
    assert found.values["domain"].dtype == np.int64
    assert found.values["domain"].tolist() == [1, 0, -1, -1, 1]


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["b", "a", None]).dictionary_encode(),
        pa.array(["b", "a", None], pa.large_string()),
        pa.chunked_array([["b"], ["a", None]]),
    ],
)
def test_text_in_any_storage(values):
    found = training_columns(manifest(domain=values), ["domain"])
    assert found.values["domain"].tolist() == [1, 0, -1]


def test_numbers_in_a_table_of_text_are_numbers():
    found = training_columns(manifest(yaw=["-0.5", "", None, " 1e3"]), ["yaw"])
    np.testing.assert_array_equal(found.values["yaw"], np.float32([-0.5, np.nan, np.nan, 1000]))
    assert found.categories == {}


@pytest.mark.parametrize(
    ("name", "texts"), [("media", ["7", "12"]), ("yaw", ["1", "left"]), ("yaw", ["", ""])]
)
def test_text_that_is_no_number_stays_a_category(name, texts):
    found = training_columns(manifest(**{name: texts}), [name])
    assert found.values[name].dtype == np.int64


def test_true_and_false_are_categories():
    found = training_columns(manifest(mask=[True, False, None]), ["mask"])
    assert found.values["mask"].tolist() == [1, 0, -1]


def test_codes_of_some_rows_are_those_of_the_whole_data_set():
    whole = training_columns(manifest(domain=["c", "a", "b"], age=[1, 2, 3]), ["domain", "age"])
    some = whole.select(np.array([0, 2]))
    assert some.values["domain"].tolist() == [2, 1]
    assert some.values["age"].tolist() == [1, 3]
    assert some.categories == whole.categories


def test_only_the_requested_columns_are_read():
    found = training_columns(manifest(age=[1], box=[[1.0, 2, 3, 4]]), ["age"])
    assert found.values.keys() == {"age"}


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(ArcwiseError, match=r"faces has no column 'age'.*image, domain"):
        training_columns(manifest(domain=["a"]), ["age"])


def test_a_column_of_lists_is_refused():
    with pytest.raises(ArcwiseError, match="'box'"):
        training_columns(manifest(box=[[1.0, 2, 3, 4]]), ["box"])
