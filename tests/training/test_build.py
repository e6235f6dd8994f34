from __future__ import annotations

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from arcwise import encoders, runtime
from arcwise.encoders.weights import to_numpy
from arcwise.errors import ArcwiseError
from arcwise.heads import All, CentreHead, CentreSGD, LinearHead, Sampled, scale_for
from arcwise.margins import ArcFace
from arcwise.softmax import Streaming
from arcwise.training import build
from arcwise.training.run import Run
from tests.training import runs

CPU = torch.device("cpu")


def parts(config):
    """The encoder, and the objective over 7 identities."""
    encoder = build.encoder(config.encoder, CPU)
    return encoder, build.objective(config, 7)


@pytest.fixture
def trained():
    """An encoder that no seed of these tests would make."""
    torch.manual_seed(12345)
    return encoders.create("small", dim=16, size=(32, 32))


def save(encoder, form, folder):
    """The encoder's weights in one of the forms that --init takes."""
    state = to_numpy(encoder)
    if form == "model folder":
        preparation = build.preparation(runs.config().encoder)
        runtime.save(folder / "model", encoder.eval(), preparation)
        return folder / "model"
    if form == ".safetensors":
        save_file(state, folder / "weights.safetensors")
        return folder / "weights.safetensors"
    tensors = encoder.state_dict()
    if form == ".pth of parameters":
        tensors = tensors | dict(encoder.named_parameters())
    torch.save(tensors, folder / "weights.pth")
    return folder / "weights.pth"


@pytest.mark.parametrize("form", ["model folder", ".safetensors", ".pth", ".pth of parameters"])
def test_init_starts_the_encoder_from_given_weights(form, trained, tmp_path):
    config = runs.config(init=str(save(trained, form, tmp_path)))
    found, expected = build.encoder(config.encoder, CPU).state_dict(), trained.state_dict()
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_without_init_the_weights_come_from_the_seed(patterns):
    one, same, other = (Run(runs.config(seed=seed), patterns, CPU).state() for seed in (0, 0, 1))
    for part, name in (("encoder", "stages.0.0.weight"), ("objective", "head.centres")):
        assert torch.equal(one[part][name], same[part][name])
        assert not torch.equal(one[part][name], other[part][name])


def test_init_of_a_run_is_where_its_average_starts_too(trained, patterns, tmp_path):
    config = runs.config(init=str(save(trained, ".safetensors", tmp_path)))
    run = Run(config, patterns, CPU)
    weight = trained.state_dict()["stages.0.0.weight"]
    assert torch.equal(run.evaluated.state_dict()["stages.0.0.weight"], weight)


def write(path, content):
    path.write_bytes(content)
    return path


def nested(folder):
    torch.save({"state_dict": {"a": torch.zeros(2)}, "epoch": 3}, folder / "nested.pth")
    return folder / "nested.pth"


def other_shape(folder):
    save_file(
        to_numpy(encoders.create("small", dim=8, size=(32, 32))), folder / "other.safetensors"
    )
    return folder / "other.safetensors"


def a_list(folder):
    torch.save([torch.zeros(2)], folder / "list.pth")
    return folder / "list.pth"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "missing.pth", r"missing\.pth: no such file or folder"),
        (lambda folder: folder, r"model\.json"),
        (lambda folder: write(folder / "a.safetensors", b"junk"), r"a\.safetensors: no weights"),
        (lambda folder: write(folder / "a.pth", b"junk"), r"a\.pth: no weights.*plain state dict"),
        (
            lambda folder: write(folder / "a.jpg", b"\xff\xd8\xff"),
            r"a\.jpg: not a plain state dict",
        ),
        (nested, r"nested\.pth: no weights in it.*plain state dict"),
        (a_list, r"list\.pth: no weights in it"),
        (
            other_shape,
            r"--init .*other\.safetensors: .*of another shape.*\(8,\) instead of",
        ),
    ],
)
def test_a_wrong_init_is_one_clear_error_that_names_it(make, message, tmp_path):
    path = make(tmp_path)
    with pytest.raises(ArcwiseError, match=message) as caught:
        build.encoder(runs.config(init=str(path)).encoder, CPU)
    assert str(path) in str(caught.value)


def test_code_in_a_weights_file_is_not_run(tmp_path, capsys):
    class Code:
        def __reduce__(self):
            return print, ("run by the reader",)

    torch.save({"a": Code()}, tmp_path / "evil.pth")
    with pytest.raises(ArcwiseError, match="its code is not run"):
        build.encoder(runs.config(init=str(tmp_path / "evil.pth")).encoder, CPU)
    assert "run by the reader" not in capsys.readouterr().out


def test_the_preparation_is_what_the_config_says():
    config = runs.config(
        size=48, resize="pad", colour="bgr", mean=(1, 2, 3), std=(4, 5, 6), flip_tta=False
    )
    found = build.preparation(config.encoder)
    assert (found.height, found.width, found.resize, found.colour) == (48, 48, "pad", "bgr")
    assert (found.mean, found.std, found.flip_tta) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), False)


def test_a_mean_of_two_numbers_is_refused():
    with pytest.raises(ArcwiseError, match=r"encoder\.mean\[2\] is missing"):
        runs.config(mean=(1.0, 2.0))


def test_a_centre_head_has_the_config_s_margin_and_scale():
    head = build.head(runs.config(scale=30.0, margin=ArcFace(0.3, "detached")).objective, 7, 16)
    assert isinstance(head, CentreHead)
    assert (head.margin, head.scale) == (ArcFace(0.3, "detached"), 30.0)
    assert head.centres.shape == (7, 16)
    assert (head.selection, head.impl) == (All(), "auto")


def test_a_centre_head_has_the_config_s_sub_centres_classes_and_softmax():
    config = runs.config(
        subcentres=3, sample_rate=0.5, logq_correction=True, centre_optimiser="fused",
        softmax="streaming",
    )  # fmt: skip
    head = build.head(config.objective, 7, 16)
    assert head.centres.shape == (7, 3, 16)
    assert (head.selection, head.impl) == (Sampled(0.5, correction=True), "streaming")


@pytest.mark.parametrize("softmax", ["auto", "streaming"])
def test_gradient_products_in_bf16_are_the_streaming_softmax_s(softmax):
    config = runs.config(softmax=softmax, gradient_products="bf16")
    assert build.head(config.objective, 7, 16).impl == Streaming(gradients="bf16")


@pytest.mark.parametrize(("steps", "seen"), [(14, 16.0), (700, 800.0)])
def test_scale_0_is_found_from_the_classes_and_how_often_each_is_seen(steps, seen):
    config = runs.config(scale=0.0, steps=steps, batch=8)
    assert build.settled_objective(config, 7).scale == scale_for(7, seen)
    assert build.objective(config, 7).head.scale == scale_for(7, seen)
    given = runs.config(scale=30.0, steps=steps)
    assert build.settled_objective(given, 7) == given.objective


def test_the_plain_softmax_has_a_linear_head():
    head = build.head(runs.config(loss="softmax").objective, 7, 16)
    assert isinstance(head, LinearHead)
    assert head.weight.shape == (7, 16)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_optimiser_has_every_weight_once(name):
    config = runs.config(optim={"name": name})
    encoder, objective = parts(config)
    optimiser = build.optimiser(config, encoder, objective, None)
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in (*encoder.parameters(), *objective.parameters()))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_matrices_decay_and_vectors_do_not(name):
    config = runs.config(optim={"name": name}, weight_decay=0.01, head_lr=2.0)
    encoder, objective = parts(config)
    kernels, vectors, centres = build.optimiser(config, encoder, objective, None).param_groups
    assert all(p.ndim > 1 for p in kernels["params"])
    assert all(p.ndim == 1 for p in vectors["params"])
    decays = [group["weight_decay"] for group in (kernels, vectors, centres)]
    assert decays == [0.01, 0.0, 0.01]
    assert [group["lr_multiple"] for group in (kernels, vectors, centres)] == [1.0, 1.0, 2.0]


def test_fused_centres_have_an_optimiser_of_their_own_with_the_same_numbers():
    config = runs.config(weight_decay=0.01, head_lr=2.0, momentum=0.8, centre_optimiser="fused")
    encoder, objective = parts(config)
    fused = build.centre_optimiser(config, objective)
    ordinary = build.optimiser(config, encoder, objective, fused)
    assert isinstance(fused, CentreSGD)
    held = [p for group in ordinary.param_groups for p in group["params"]]
    assert {id(p) for p in held} == {id(p) for p in encoder.parameters()}
    plain = config.replace(objective={"centre_optimiser": "ordinary"})
    assert build.centre_optimiser(plain, objective) is None
    expected = build.optimiser(plain, encoder, objective, None).param_groups[2]
    (found,) = fused.param_groups
    assert [id(p) for p in found["params"]] == [id(p) for p in expected["params"]]
    names = ("lr", "momentum", "weight_decay", "nesterov", "lr_multiple")
    assert [found[name] for name in names] == [expected[name] for name in names]


def test_frozen_weights_are_left_to_themselves():
    config = runs.config()
    encoder, objective = parts(config)
    frozen = encoder.stages[0][0].weight.requires_grad_(False)
    optimiser = build.optimiser(config, encoder, objective, None)
    held = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert id(frozen) not in held


def test_sgd_without_momentum_does_not_look_ahead():
    config = runs.config(momentum=0.0, nesterov=True)
    encoder, objective = parts(config)
    assert not build.optimiser(config, encoder, objective, None).defaults["nesterov"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_asking_for_a_gpu_that_is_not_there_is_an_error():
    assert build.device(runs.config(device="auto").run) == CPU
    with pytest.raises(ArcwiseError, match=r"--run\.device cuda: torch sees no GPU"):
        build.device(runs.config(device="cuda").run)


@pytest.mark.parametrize(("asked", "kind"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_the_precision_asked_for_is_the_encoder_s(asked, kind):
    config = runs.config(precision=asked)
    with build.autocast(config.run, CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == kind


@pytest.mark.parametrize(
    ("flags", "expected"),
    [({}, "fp32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")],
)
def test_auto_precision_is_bf16_where_the_processor_has_it(flags, expected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    assert build.precision(runs.config(precision="auto").run, CPU) == expected


def test_numbers_of_the_network_s_input_are_those_of_the_model_folder():
    from arcwise.training.validation import normalise

    preparation = build.preparation(
        runs.config(size=16, colour="bgr", mean=(1, 2, 3), std=(4, 5, 6)).encoder
    )
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    found = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), preparation)
    np.testing.assert_allclose(found.numpy(), preparation.tensor(pixels), rtol=1e-6)


def folder_with(alignment, trained, folder):
    preparation = build.preparation(runs.config(colour="bgr").encoder)
    runtime.save(folder / "model", trained.eval(), preparation, alignment=alignment)
    return str(folder / "model")


@pytest.mark.parametrize(
    ("of_start", "given", "expected"),
    [("dlib", None, "dlib"), ("dlib", "none", None), (None, None, None), (None, "dlib", "dlib")],
)
def test_faces_are_turned_as_for_the_weights(of_start, given, expected, trained, tmp_path):
    init = folder_with(of_start, trained, tmp_path)
    found = build.as_the_weights_say(runs.config(init=init, alignment=given).encoder)
    assert build.alignment(found) == expected
    assert found.colour == "bgr"


@pytest.mark.parametrize(
    ("name", "size", "crop", "fitting", "notes"),
    [
        ("small", 96, 64, (96, 64), 0),
        ("vit_small_14", 96, 64, (98, 0), 2),
        ("vit_small_16", 96, 96, (96, 96), 0),
        ("dlib_resnet", 96, 64, (150, 0), 2),
        ("dlib_resnet", 160, 112, (160, 112), 0),
        ("iresnet18", 112, 64, (112, 0), 1),
    ],
)
def test_sizes_and_crops_are_those_that_a_network_takes(name, size, crop, fitting, notes):
    config = runs.config(encoder={"name": name, "size": size, "train_crop": crop}).encoder
    found, said = build.as_the_network_takes(config)
    assert (found.size, found.train_crop) == fitting
    assert len(said) == notes
