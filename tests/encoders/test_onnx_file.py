"""An imported network in the form of every exported encoder."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
import torch

from arcwise.encoders.onnx_file import write_imported
from arcwise.encoders.onnx_session import OnnxSession
from tests.encoders.test_onnx_graph import IMAGES, encoder
from tests.encoders.test_onnx_session import FORMS
from tests.onnx_networks import SIZE, D, network


@pytest.mark.parametrize(
    ("form", "projection"),
    [
        *((form, "none") for form in FORMS),
        *(("all of it", one) for one in ("linear", "bn-linear-bn", "orthogonal")),
    ],
)
def test_any_batch_and_the_head(form: str, projection: str, tmp_path: Path) -> None:
    """A network that is frozen and what was trained on it are one file."""
    torch.manual_seed(0)
    dim = D if projection == "none" else 4
    made = encoder(network(tmp_path / "n.onnx", **FORMS[form]), dim=dim, projection=projection)
    for _ in range(3):
        made.train()(IMAGES + torch.randn_like(IMAGES))  # statistics of their own
    assert write_imported(made.eval(), tmp_path / "out.onnx") == 17
    written = onnx.load(tmp_path / "out.onnx")
    onnx.checker.check_model(written, full_check=True)
    session = OnnxSession(tmp_path / "out.onnx", SIZE, threads=1)
    assert (session.layout, session.batch, session.precision) == ("nchw", 0, "float32")
    assert session.outputs == {"embeddings": ["batch", dim]}
    near = 2e-3 if "half" in FORMS[form] else 1e-5  # ONNX Runtime may leave float16 out
    for rows in (1, 3, 4):
        expected = made(IMAGES[:rows]).detach().numpy()
        assert session(IMAGES[:rows].numpy()) == pytest.approx(expected, abs=near)
