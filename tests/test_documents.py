"""What the documents say to type can be typed, and where they lead to is there."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "how-to" / "training-loop.md"


def test_the_losses_work_in_a_loop_of_ones_own():
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (block,) = (block for block in blocks if block.startswith("import torch"))
    names: dict[str, object] = {}
    torch.manual_seed(0)
    exec(compile(block, PAGE.name, "exec"), names)
    loss = names["loss"]
    assert isinstance(loss, torch.Tensor)
    assert loss.isfinite()


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="no checkout")
def test_links_lead_to_what_is_in_the_checkout():
    """A page that is made for the site alone is a dead link where the checkout is read."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    tracked = {ROOT / name for name in listed if name}
    dead, links = [], 0
    for page in (one for one in tracked if one.suffix == ".md" and one.exists()):
        text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            links += 1
            place = (page.parent / target).resolve()
            if place not in tracked and not any(place in one.parents for one in tracked):
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert (dead, links > 100) == ([], True)
