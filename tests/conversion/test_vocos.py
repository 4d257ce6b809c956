# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of the vocoders of F5-TTS: Vocos, and BigVGAN with 100 mel bins."""

import pytest
import torch

from deepaudio_diffusers.conversion.vocoders import (
    convert_bigvgan,
    convert_vocos,
    infer_bigvgan_config,
    infer_vocos_config,
    map_vocos_state_dict,
)
from deepaudio_diffusers.errors import CheckpointError
from deepaudio_diffusers.models.vocoder_bigvgan import BigVGANVocoder
from deepaudio_diffusers.models.vocoder_vocos import VocosVocoder
from tests.golden import load_golden, relative_error, weights_of


# nvidia/bigvgan_v2_24khz_100band_256x.
BIGVGAN_24K = {
    "num_mels": 100,
    "upsample_initial_channel": 1536,
    "upsample_rates": [4, 4, 2, 2, 2, 2],
    "upsample_kernel_sizes": [8, 8, 4, 4, 4, 4],
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5]] * 3,
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
}


@pytest.fixture
def original():
    return weights_of(load_golden("f5tts/vocos_center"))


def to_original_bigvgan(model: BigVGANVocoder) -> dict[str, torch.Tensor]:
    """The state dict of the original's generator with these weights, in the notation without weight normalisation."""
    num_kernels = len(model.config.resblock_kernel_sizes)
    state_dict = {}
    for key, tensor in model.state_dict().items():
        match key.split("."):
            case ["stages", stage, "upsampler", name]:
                key = f"ups.{stage}.0.{name}"
            case ["stages", stage, "resblocks", block, layer, index, name] if layer.startswith("activations"):
                index = 2 * int(index) + int(layer[-1]) - 1
                key = f"resblocks.{int(stage) * num_kernels + int(block)}.activations.{index}.act.{name}"
            case ["stages", stage, "resblocks", block, *rest]:
                key = f"resblocks.{int(stage) * num_kernels + int(block)}.{'.'.join(rest)}"
            case ["activation_post", name]:
                key = f"activation_post.act.{name}"
        state_dict[key] = tensor
    return state_dict


def test_vocos_configuration_is_read_off_the_shapes(original):
    assert infer_vocos_config(original) == {
        "num_mels": 20,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_layers": 2,
        "n_fft": 64,
        "hop_length": 16,
        "padding": "center",
        "sampling_rate": 24_000,
    }


@torch.no_grad()
def test_vocos_arguments_override_what_the_shapes_tell():
    golden = load_golden("f5tts/vocos_same")
    model = convert_vocos(weights_of(golden), padding="same", sampling_rate=16_000)
    assert not model.training and model.config.sampling_rate == 16_000
    # The order of sums alone differs from the original (2e-7 seen).
    assert relative_error(model(golden["mel"]).sample, golden["wav"][:, None]) < 1e-5


def test_published_vocos_checkpoint():
    """Names and shapes of charactr/vocos-mel-24khz follow from those of the tiny fixture."""
    sizes = {20: 100, 32: 512, 64: 1536, 66: 1026, 7: 7, 1: 1}
    original = {
        key.replace(".1.", f".{layer}."): torch.empty([sizes[size] for size in tensor.shape], device="meta")
        for key, tensor in weights_of(load_golden("f5tts/vocos_center")).items()
        for layer in (range(1, 8) if key.startswith("backbone.convnext.1.") else (1,))
        if key != "head.istft.window"
    }
    assert infer_vocos_config(original) == {
        key: value for key, value in VocosVocoder().config.items() if not key.startswith("_")
    }
    model = convert_vocos(original)
    assert sum(parameter.numel() for parameter in model.parameters()) == 13_531_650


def test_vocos_feature_extractor_and_window_are_left_out(original):
    extractor = {
        "feature_extractor.mel_spec.spectrogram.window": torch.hann_window(64),
        "feature_extractor.mel_spec.mel_scale.fb": torch.zeros(33, 20),
    }
    state_dict = map_vocos_state_dict(original | extractor)
    assert state_dict.keys() == VocosVocoder(num_layers=2).state_dict().keys()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_vocos_in_half_precision(original, dtype):
    """The window was rounded with the weights, which is no sign of another window."""
    model = convert_vocos({key: tensor.to(dtype) for key, tensor in original.items()})
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"backbone.embed.bias": None}, r"1 missing \(conv_in\.bias\)"),
        ({"backbone.convnext.1.gamma": None}, r"1 missing \(blocks\.1\.scale\)"),
        ({"backbone.convnext.1.dwconv.weight": None}, r"1 missing \(blocks\.1\.conv\.weight\)"),
        ({"backbone.convnext.0.extra": torch.zeros(1)}, r"1 unknown \(backbone\.convnext\.0\.extra\)"),
        (
            {"backbone.norm.weight": None, "backbone.norm.scale.weight": torch.zeros(4, 32)},
            r"1 missing \(norm_in\.weight\); 1 unknown \(norm_in\.scale\.weight\)",
        ),
        ({"head.out.bias": torch.zeros(3)}, r"of another shape \(head\.bias \(3,\) instead of \(66,\)\)"),
        ({"conv_in.weight": torch.zeros(32, 20, 7)}, "has two tensors for 'conv_in.weight'"),
        ({"backbone.embed.weight": None}, "it has no 'backbone.embed.weight'"),
        ({"backbone.convnext.0.pwconv1.weight": None}, "it has no 'backbone.convnext.0.pwconv1.weight'"),
        ({"head.out.weight": torch.zeros(66)}, r"'head\.out\.weight' has shape \(66,\); .* 2 axes"),
        ({"head.istft.window": torch.ones(64)}, "window 'head.istft.window' of the checkpoint is not the periodic"),
        ({"head.istft.window": torch.hann_window(64, periodic=False)}, "is not the periodic Hann window"),
        ({"head.istft.window": torch.hann_window(64, periodic=False).half()}, "is not the periodic Hann window"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_vocos_is_strict_on_both_sides(original, change, message):
    with pytest.raises(CheckpointError, match=message):
        convert_vocos({key: value for key, value in (original | change).items() if value is not None})


@torch.no_grad()
def test_published_bigvgan_24k():
    with torch.device("meta"):
        model = BigVGANVocoder(**BIGVGAN_24K)
        assert model(torch.empty(1, 100, 3)).sample.shape == (1, 1, 3 * 256)
    original = to_original_bigvgan(model)
    assert infer_bigvgan_config({"generator": original}) == BIGVGAN_24K
    assert convert_bigvgan({"generator": original}).state_dict().keys() == model.state_dict().keys()
    # That of 16 kHz with 80 mel bins, 20 more of them, and no bias at the end.
    assert sum(parameter.numel() for parameter in model.parameters()) == 112_199_473 + 20 * 1536 * 7 - 1


@torch.no_grad()
def test_bigvgan_with_100_mel_bins():
    torch.manual_seed(0)
    tiny = BIGVGAN_24K | {"upsample_initial_channel": 16, "upsample_rates": [4, 2], "upsample_kernel_sizes": [8, 4]}
    model = BigVGANVocoder(**tiny).eval()
    for parameter in model.parameters():
        parameter.add_(0.05 * torch.randn_like(parameter))
    mel = torch.randn(1, 100, 2)
    assert infer_bigvgan_config(to_original_bigvgan(model)) == tiny
    converted = convert_bigvgan(to_original_bigvgan(model))
    assert torch.equal(converted(mel).sample, model(mel).sample)
