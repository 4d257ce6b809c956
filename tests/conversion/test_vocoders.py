# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of BigVGAN, first and second version."""

import pytest
import torch
from diffusers import MMAudioVocoder

from deepaudio_diffusers.conversion.vocoders import convert_bigvgan, infer_bigvgan_config
from deepaudio_diffusers.errors import CheckpointError
from deepaudio_diffusers.models.vocoder_bigvgan import BigVGANVocoder
from tests.golden import load_golden, relative_error, weights_of


@pytest.fixture(params=["v1", "v2"])
def golden(request):
    return load_golden(f"mmaudio/bigvgan_tiny_{request.param}")


@pytest.fixture
def original():
    return weights_of(load_golden("mmaudio/bigvgan_tiny_v1"))


def rename_weight_norm(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights in the notation of torch.nn.utils.parametrizations."""
    names = {"weight_g": "parametrizations.weight.original0", "weight_v": "parametrizations.weight.original1"}
    return {".".join(names.get(part, part) for part in key.split(".")): value for key, value in state_dict.items()}


def multiply_out(state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same weights without weight normalisation, by PyTorch's own arithmetic."""
    weights = {}
    for key, value in state_dict.items():
        if key.endswith("weight_v"):
            magnitude = state_dict[key.removesuffix("v") + "g"]
            weights[key.removesuffix("_v")] = torch._weight_norm(value, magnitude, 0)
        elif not key.endswith("weight_g"):
            weights[key] = value
    return weights


@torch.no_grad()
@pytest.mark.parametrize("rewrite", [dict, rename_weight_norm, multiply_out], ids=["old", "new", "multiplied out"])
@pytest.mark.parametrize("wrap", [dict, lambda state_dict: {"generator": state_dict}], ids=["bare", "generator"])
def test_every_notation_of_the_weights(golden, rewrite, wrap):
    model = convert_bigvgan(wrap(rewrite(weights_of(golden))))
    assert not model.training
    # The order of sums alone differs from the original (4e-7 seen).
    assert relative_error(model(golden["in.mel"]).sample, golden["out.wave"]) < 1e-5


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_configuration_is_read_off_the_shapes(version):
    original = weights_of(load_golden(f"mmaudio/bigvgan_tiny_{version}"))
    assert infer_bigvgan_config(original) == {
        "num_mels": 8,
        "upsample_initial_channel": 32,
        "upsample_rates": [4, 2],
        "upsample_kernel_sizes": [8, 4],
        "resblock_kernel_sizes": [3, 7, 11],
        "resblock_dilation_sizes": [[1, 3, 5]] * 3,
        "use_tanh_at_final": version == "v1",
        "use_bias_at_final": version == "v1",
    }


@torch.no_grad()
def test_takes_the_weights_of_diffusers_vocoder():
    """It has the original's names and filters, so its folders can be read too; the networks are the same."""
    torch.manual_seed(0)
    reference = MMAudioVocoder(
        num_mels=8, upsample_initial_channel=32, upsample_rates=(4, 2), upsample_kernel_sizes=(8, 4)
    ).eval()
    for parameter in reference.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    mel = torch.randn(2, 8, 9)
    assert relative_error(convert_bigvgan(reference.state_dict())(mel).sample, reference(mel).sample) < 1e-5


def test_published_16k_checkpoint():
    """Names and shapes of the published file follow from those of its network."""
    with torch.device("meta"):
        model = BigVGANVocoder()
        original = MMAudioVocoder(
            num_mels=80, upsample_rates=(4, 4, 2, 2, 2, 2), upsample_kernel_sizes=(8, 8, 4, 4, 4, 4)
        ).state_dict()
    original = {key: value for key, value in original.items() if not key.endswith(".filter")}
    original["conv_post.bias"] = torch.empty(1, device="meta")
    config = {key: value for key, value in model.config.items() if not key.startswith("_")}
    as_lists = {
        key: torch.tensor(value).tolist() if isinstance(value, tuple) else value for key, value in config.items()
    }
    assert infer_bigvgan_config(original) == as_lists
    assert convert_bigvgan(original).state_dict().keys() == model.state_dict().keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_pre.bias": None}, r"1 missing \(conv_pre\.bias\)"),
        ({"ups.1.0.bias": None}, r"1 missing \(stages\.1\.upsampler\.bias\)"),
        (
            {"resblocks.5.activations.3.act.beta": None},
            r"1 missing \(stages\.1\.resblocks\.2\.activations2\.1\.beta\)",
        ),
        ({"mpd.weight": torch.zeros(1)}, r"1 unknown \(mpd\.weight\)"),
        ({"conv_pre.bias": torch.zeros(3)}, r"of another shape \(conv_pre\.bias \(3,\) instead of \(32,\)\)"),
        (
            {"ups.1.0.weight_g": None},
            r"1 missing \(stages\.1\.upsampler\.weight\); 1 unknown \(stages\.1\.upsampler\.weight_v\)",
        ),
        ({"ups.1.0.weight": torch.zeros(16, 8, 4)}, "has two tensors for 'ups.1.0.weight'"),
        ({"conv_pre.weight_v": torch.zeros(32, 8)}, r"'conv_pre\.weight_v' has shape \(32, 8\); .* 3 axes"),
        ({"conv_post.weight_v": None}, "has 'conv_post.weight_g' but no matching 'conv_post.weight_v'"),
        ({"conv_pre.weight_g": None, "conv_pre.weight_v": None}, "has no weight of 'conv_pre'"),
        ({"activation_post.upsample.filter": torch.ones(1, 1, 12) / 12}, "filter 'activation_post.upsample.filter'"),
        ({"activation_post.upsample.filter": torch.ones(1, 1, 8) / 8}, "filter 'activation_post.upsample.filter'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strict_on_both_sides(original, change, message):
    with pytest.raises(CheckpointError, match=message):
        convert_bigvgan({key: value for key, value in (original | change).items() if value is not None})
