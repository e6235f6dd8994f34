from __future__ import annotations

import pytest
import torch

from arcwise.errors import ArcwiseError
from arcwise.training import checkpoint


def state(value):
    return {"encoder": {"weight": torch.full((2, 3), float(value))}, "best": None, "best_step": 0}


def steps(folder):
    return sorted(int(p.stem.split("-")[1]) for p in folder.glob("step-*.pt"))


def test_the_latest_state_comes_back(tmp_path):
    checkpoint.save(tmp_path, 3, state(3))
    checkpoint.save(tmp_path, 12, state(12))
    step, loaded = checkpoint.load(tmp_path)
    assert step == 12
    assert torch.equal(loaded["encoder"]["weight"], torch.full((2, 3), 12.0))


def test_the_last_two_stay(tmp_path):
    for step in (5, 10, 15, 20):
        checkpoint.save(tmp_path, step, state(step))
    assert steps(tmp_path) == [15, 20]


def test_a_file_half_written_by_a_crash_is_ignored(tmp_path):
    checkpoint.save(tmp_path, 5, state(5))
    whole = (tmp_path / "step-00000005.pt").read_bytes()
    (tmp_path / "step-00000010.part").write_bytes(whole[: len(whole) // 2])
    assert checkpoint.load(tmp_path)[0] == 5


def test_a_crash_while_writing_leaves_the_old_checkpoint_as_it_was(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 5, state(5))

    def crash(value, file):
        file.write(b"half of it")
        raise OSError("no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", crash)
        with pytest.raises(ArcwiseError, match="no space"):
            checkpoint.save(tmp_path, 10, state(10))
    assert steps(tmp_path) == [5]
    assert checkpoint.load(tmp_path)[0] == 5


def test_a_checkpoint_appears_under_its_name_only_once_it_is_whole(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 5, state(5))

    def crash(self, target):
        raise OSError("power failure")

    with monkeypatch.context() as patched:
        patched.setattr(type(tmp_path), "replace", crash)
        with pytest.raises(ArcwiseError, match="power failure"):
            checkpoint.save(tmp_path, 10, state(10))
    assert steps(tmp_path) == [5]


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    checkpoint.save(tmp_path, 5, state(1))
    checkpoint.save(tmp_path, 5, state(2))
    assert checkpoint.load(tmp_path)[1]["encoder"]["weight"][0, 0] == 2


@pytest.mark.parametrize("length", [0, 100])
def test_a_damaged_checkpoint_is_named_with_what_to_do(tmp_path, length):
    path = checkpoint.save(tmp_path, 5, state(5))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ArcwiseError, match=r"step-00000005\.pt: damaged.*delete it"):
        checkpoint.load(tmp_path)


def test_no_checkpoint_is_an_error_with_what_to_do(tmp_path):
    with pytest.raises(ArcwiseError, match=r"no checkpoint.*delete .* and train again"):
        checkpoint.load(tmp_path / "checkpoints")


def test_nothing_but_tensors_and_plain_values_is_read(tmp_path):
    class Code:
        def __reduce__(self):
            return print, ("run by the reader",)

    torch.save({"encoder": Code()}, tmp_path / "step-00000005.pt")
    with pytest.raises(ArcwiseError, match="damaged"):
        checkpoint.load(tmp_path)
