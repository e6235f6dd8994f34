from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from arcwise.data.manifest import Manifest
from tests import pictures


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The same sums in the same order on any machine, and no fight over its cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def patterns(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """8 identities × 6 pictures of 32 pixels."""
    return pictures.write(tmp_path_factory.mktemp("patterns"))


@pytest.fixture(scope="session")
def others(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """3 identities × 4 pictures, to choose a checkpoint on."""
    return pictures.write(tmp_path_factory.mktemp("others"), identities=3, each=4)
