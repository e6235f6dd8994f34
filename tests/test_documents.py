"""What the documents say to type can be typed."""

from __future__ import annotations

import re
from pathlib import Path

import torch

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "training-loop.md"


def test_the_losses_work_in_a_loop_of_ones_own():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (block,) = (block for block in blocks if block.startswith("import torch"))
    names: dict[str, object] = {}
    torch.manual_seed(0)
    exec(compile(block, PAGE.name, "exec"), names)
    loss = names["loss"]
    assert isinstance(loss, torch.Tensor)
    assert loss.isfinite()
