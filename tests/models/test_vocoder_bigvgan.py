# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""BigVGAN: equal to the original in both versions, trainable, and a full citizen of diffusers."""

import pytest
import torch
import torch.nn.functional as F

from deepaudio_diffusers.conversion.vocoders import convert_bigvgan
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.vocoder_bigvgan import BigVGANActivation, BigVGANVocoder, lowpass_filter
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone (5e-7 seen; 5e-6 where tanh or clamping saturates, because
# the input is 30 times louder there).
TOLERANCE = 1e-5

# No two sizes alike, so that a mixed-up axis shows.
TINY = {
    "num_mels": 5,
    "upsample_initial_channel": 16,
    "upsample_rates": (3, 2),
    "upsample_kernel_sizes": (7, 4),
    "resblock_kernel_sizes": (3, 5),
    "resblock_dilation_sizes": ((1, 3), (1, 2)),
}


@pytest.fixture(scope="module", params=["v1", "v2"])
def golden(request):
    return load_golden(f"mmaudio/bigvgan_tiny_{request.param}")


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = BigVGANVocoder(**TINY).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


@pytest.fixture
def mel():
    return torch.randn(2, 5, 11, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def expected(model, mel):
    with torch.no_grad():
        return model(mel).sample


def activation_by_definition(hidden_states: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Upsample by zero-stuffing and filtering, activate, filter, downsample: each step as the paper writes it."""
    channels, length = hidden_states.shape[1:]
    taps = lowpass_filter().to(hidden_states.dtype).expand(channels, 1, -1)
    # 5 values before and after the signal, a zero after every value.
    stuffed = F.pad(hidden_states, (5, 5), mode="replicate").unsqueeze(-1)
    stuffed = torch.cat([stuffed, torch.zeros_like(stuffed)], dim=-1).flatten(-2)
    doubled = 2 * F.conv1d(F.pad(stuffed, (11, 11)), taps, groups=channels)[..., 15 : 15 + 2 * length]
    doubled = doubled + torch.sin(doubled * alpha.exp()[:, None]) ** 2 / (beta.exp()[:, None] + 1e-9)
    return F.conv1d(F.pad(doubled, (5, 6), mode="replicate"), taps, groups=channels)[..., ::2]


@torch.no_grad()
@pytest.mark.parametrize("loudness", ["", "_loud"])
def test_equals_the_original(golden, loudness):
    model = convert_bigvgan(weights_of(golden))
    waveform = model(golden[f"in.mel{loudness}"]).sample
    assert relative_error(waveform, golden[f"out.wave{loudness}"]) < TOLERANCE


@torch.no_grad()
def test_activation_equals_the_original(golden):
    weights = weights_of(golden, "w.resblocks.0.activations.0.act.")
    activation = BigVGANActivation(16)
    activation.load_state_dict(weights)
    assert torch.equal(activation.filter, golden["filter"].flatten())
    assert relative_error(activation(golden["in.act"]), golden["out.act"]) < TOLERANCE


@pytest.mark.parametrize("length", [1, 2, 9])
def test_activation_and_its_gradients_follow_the_definition(length):
    generator = torch.Generator().manual_seed(0)
    activation = BigVGANActivation(3).double()
    inputs = torch.randn(2, 3, length, dtype=torch.float64, generator=generator, requires_grad=True)
    alpha, beta = (torch.randn(3, dtype=torch.float64, generator=generator, requires_grad=True) for _ in range(2))
    activation.alpha.data, activation.beta.data = alpha.detach(), beta.detach()

    actual, expected = activation(inputs), activation_by_definition(inputs, alpha, beta)
    assert relative_error(actual, expected) < 1e-12
    weight = torch.randn(actual.shape, dtype=torch.float64, generator=generator)
    actual_gradients = torch.autograd.grad((actual * weight).sum(), (inputs, activation.alpha, activation.beta))
    expected_gradients = torch.autograd.grad((expected * weight).sum(), (inputs, alpha, beta))
    for actual_gradient, expected_gradient in zip(actual_gradients, expected_gradients, strict=True):
        assert relative_error(actual_gradient, expected_gradient) < 1e-12


@pytest.mark.parametrize(
    ("config", "num_parameters", "samples_per_frame"),
    [
        # Make-An-Audio 2's, for 16 kHz.
        ({}, 112_199_473, 256),
        # nvidia/bigvgan_v2_44khz_128band_512x.
        (
            {
                "num_mels": 128,
                "upsample_rates": (8, 4, 2, 2, 2, 2),
                "upsample_kernel_sizes": (16, 8, 4, 4, 4, 4),
                "use_tanh_at_final": False,
                "use_bias_at_final": False,
            },
            122_152_752,
            512,
        ),
    ],
    ids=["16k", "44k"],
)
@torch.no_grad()
def test_published_sizes(config, num_parameters, samples_per_frame):
    with torch.device("meta"):
        model = BigVGANVocoder(**config)
        waveform = model(torch.empty(1, model.config.num_mels, 3)).sample
    assert sum(parameter.numel() for parameter in model.parameters()) == num_parameters
    assert waveform.shape == (1, 1, 3 * samples_per_frame)


@torch.no_grad()
@pytest.mark.parametrize("num_frames", [1, 2, 11])
def test_length(model, num_frames):
    assert model(torch.zeros(2, 5, num_frames)).sample.shape == (2, 1, 6 * num_frames)


@torch.no_grad()
@pytest.mark.parametrize("use_tanh_at_final", [True, False])
def test_waveform_stays_in_range(use_tanh_at_final):
    torch.manual_seed(0)
    model = BigVGANVocoder(**TINY, use_tanh_at_final=use_tanh_at_final)
    model.conv_post.bias.fill_(5.0)
    waveform = model(torch.randn(1, 5, 4)).sample
    assert waveform.abs().max() <= 1
    assert (waveform == 1).all() == (not use_tanh_at_final)


def test_all_parameters_learn(model, mel):
    model(mel).sample.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in model.parameters())


@torch.no_grad()
def test_tuple_output(model, mel, expected):
    (waveform,) = model(mel, return_dict=False)
    assert torch.equal(waveform, expected)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_save_and_load(model, mel, expected, tmp_path, dtype):
    model.save_pretrained(tmp_path)
    loaded = BigVGANVocoder.from_pretrained(tmp_path, dtype=dtype)
    assert torch.equal(loaded.activation_post.filter, lowpass_filter())
    waveform = loaded(mel.to(dtype)).sample
    # bfloat16 has 8 significant bits.
    assert relative_error(waveform.float(), expected) < (1e-6 if dtype == torch.float32 else 0.05)


@torch.no_grad()
@pytest.mark.parametrize(
    "offload", [{"offload_type": "leaf_level"}, {"offload_type": "block_level", "num_blocks_per_group": 1}], ids=str
)
def test_group_offload(model, mel, expected, tmp_path, offload):
    # By way of a folder: between two places in memory, a weight that is not fetched would be there all the same.
    model.enable_group_offload(onload_device=torch.device("cpu"), offload_to_disk_path=str(tmp_path), **offload)
    assert torch.equal(model(mel).sample, expected)


@torch.no_grad()
def test_layerwise_casting(model, mel, expected):
    model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    assert model.conv_pre.weight.dtype == torch.float8_e4m3fn
    assert model.activation_post.alpha.dtype == torch.float32
    # float8_e4m3fn has 4 significant bits.
    assert relative_error(model(mel).sample, expected) < 0.3


@torch.no_grad()
def test_device_map_keeps_residual_blocks_whole(model, mel, expected, tmp_path):
    model.save_pretrained(tmp_path / "model")
    total_bytes = 4 * sum(parameter.numel() for parameter in model.parameters())
    loaded = BigVGANVocoder.from_pretrained(
        tmp_path / "model",
        device_map="auto",
        max_memory={"cpu": total_bytes * 2 // 3},
        offload_folder=tmp_path / "offload",
    )
    assert {"cpu", "disk"} == set(loaded.hf_device_map.values())
    # stages.<stage>.resblocks.<block> is the finest division.
    assert [name for name in loaded.hf_device_map if ".resblocks." in name and name.count(".") > 3] == []
    assert relative_error(loaded(mel).sample, expected) < 1e-6


@pytest.mark.parametrize("shape", [(5, 11), (1, 6, 11), (1, 5, 0)], ids=lambda shape: "x".join(map(str, shape)))
def test_wrong_shape(model, shape):
    with pytest.raises(InputError, match=r"`mel` has shape .*; expected \(batch_size, 5, num_frames\)"):
        model(torch.zeros(shape))


@pytest.mark.parametrize("wrong", [{"upsample_kernel_sizes": (7,)}, {"resblock_dilation_sizes": ((1, 3),)}], ids=str)
def test_lists_of_different_lengths(wrong):
    with pytest.raises(InputError, match=r"has 1 entries; pass 2, one for each of"):
        BigVGANVocoder(**(TINY | wrong))
