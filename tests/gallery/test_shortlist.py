"""The first pass of a search against a sort of all inner products."""

from __future__ import annotations

import numpy as np
import pytest

from arcwise.gallery import shortlist


@pytest.mark.parametrize("block", [1, 50, 2**22])
@pytest.mark.parametrize(("queries", "templates", "width"), [(1, 1, 1), (3, 40, 40), (7, 203, 9)])
def test_nearest_rows(unit, monkeypatch, block, queries, templates, width):
    monkeypatch.setattr(shortlist, "_BLOCK", block)
    monkeypatch.setattr(shortlist, "_QUERIES", 3)
    probes, vectors = unit(queries, seed=1), unit(templates)
    products, rows = shortlist.nearest_rows(probes, vectors, width)
    every = probes.astype(np.float64) @ vectors.astype(np.float64).T
    order = np.argsort(-every, axis=1)[:, :width]
    np.testing.assert_array_equal(rows, order)
    np.testing.assert_allclose(products, np.take_along_axis(every, order, axis=1), atol=1e-6)


def test_equal_products_fill_the_list(unit):
    vectors = np.repeat(unit(2), [30, 10], axis=0)
    products, rows = shortlist.nearest_rows(vectors[:1], vectors, 12)
    assert (rows < 30).all()
    assert len(set(rows[0].tolist())) == 12
    np.testing.assert_allclose(products, 1, atol=1e-6)


def test_no_query(unit):
    products, rows = shortlist.nearest_rows(unit(4)[:0], unit(4), 2)
    assert products.shape == rows.shape == (0, 2)
