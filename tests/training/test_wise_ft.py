from __future__ import annotations

import torch

from arcwise import encoders
from arcwise.training.validation import Validation
from arcwise.training.wise_ft import SHARES, best_average, start_state
from tests.training import runs


def encoder(seed: int):
    torch.manual_seed(seed)
    return encoders.create("small", dim=8, size=(32, 32))


def test_the_best_share_of_a_straight_line() -> None:
    first, last = encoder(0), encoder(1)
    kernel = "stages.1.0.weight"
    asked: list[float] = []

    def validate(network) -> Validation:
        value, a, b = (one.state_dict()[kernel].flatten()[0] for one in (network, first, last))
        asked.append(float((value - a) / (b - a)))
        return Validation(recall_at_1=1 - abs(asked[-1] - 0.7), tar=0.0)

    found = best_average(last, start_state(first), validate)
    torch.testing.assert_close(torch.tensor(asked), torch.tensor(SHARES))
    assert found.share == 0.7
    state = found.encoder.state_dict()
    for name, value in last.state_dict().items():
        if name.startswith("stages") and value.is_floating_point():
            expected = 0.3 * first.state_dict()[name].double() + 0.7 * value.double()
            torch.testing.assert_close(state[name].double(), expected, rtol=1e-5, atol=1e-6)
        elif not name.startswith("stages"):
            assert torch.equal(state[name], value)


def test_it_is_kept_where_it_is_the_best(patterns, others, tmp_path) -> None:
    calls: list[tuple[int, bool]] = []
    config = runs.config(steps=4, wise_ft=True, ema_decay=0.0, validate_every=2)
    runs.train(
        config, patterns, tmp_path, validation=others,
        on_best=lambda network, step, result, last: calls.append((step, last)),
    )  # fmt: skip
    rows = [row for row in runs.read(tmp_path / "metrics.jsonl") if "wise_ft" in row]
    assert [row["wise_ft"] in SHARES for row in rows] == [True]
    assert calls[-1] == (4, True)
