# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Conversion of MMAudio's mel VAE to diffusers' model, and parity of that model with the original."""

import math

import pytest
import torch

from deepaudio_diffusers.conversion.vae import convert_mmaudio_vae, infer_mmaudio_vae_config
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import load_golden, relative_error, weights_of


# Differences in float32 come from the order of sums alone (8e-7 seen).
TOLERANCE = 1e-5

FRONT_ENDS = {
    "16k": {"mel_bins": 80, "sample_rate": 16000, "n_fft": 1024, "hop_length": 256, "mel_log_base": 10},
    "44k": {"mel_bins": 128, "sample_rate": 44100, "n_fft": 2048, "hop_length": 512},
}


@pytest.fixture(scope="module", params=FRONT_ENDS)
def rate(request):
    return request.param


@pytest.fixture(scope="module")
def golden(rate):
    return load_golden(f"mmaudio/vae_tiny_{rate}")


@pytest.fixture(scope="module")
def model(golden):
    return convert_mmaudio_vae(weights_of(golden, "raw."))


@pytest.fixture
def original():
    return weights_of(load_golden("mmaudio/vae_tiny_16k"), "raw.")


def test_weights_are_normalised_as_in_the_original(golden, model):
    for key, expected in weights_of(golden, "fused.").items():
        assert relative_error(model.vae.get_parameter(key), expected) < 1e-6
    # The normalisation is at work: unit norm of each output channel, but for the epsilon.
    assert torch.allclose(model.vae.decoder.mid.block_1.conv1.weight.square().sum((1, 2)), torch.ones(64), atol=0.02)
    assert torch.equal(model.vae.data_mean, golden["raw.data_mean"])
    assert torch.equal(model.vae.data_std, golden["raw.data_std"])


@torch.no_grad()
def test_decode_equals_the_original(golden, model):
    assert relative_error(model.decode(golden["in.z"]).sample, golden["out.dec"]) < TOLERANCE
    assert relative_error(model.vae.decoder(golden["in.z"]), golden["out.dec_raw"]) < TOLERANCE


@torch.no_grad()
def test_encode_equals_the_original(golden, model):
    mean, log_variance = model.vae.encode(golden["in.mel"]).chunk(2, dim=1)
    assert relative_error(mean, golden["out.mean"]) < TOLERANCE
    assert relative_error(log_variance.clamp(-30, 20), golden["out.logvar"]) < TOLERANCE
    assert relative_error(model.decode(mean).sample, golden["out.rec_mode"]) < TOLERANCE
    odd_mean, _ = model.vae.encode(golden["in.mel"][..., :21]).chunk(2, dim=1)
    assert relative_error(odd_mean, golden["out.mean_odd21"]) < TOLERANCE


@torch.no_grad()
def test_a_waveform_is_encoded_in_the_logarithm_of_its_rate(rate, model):
    golden = load_golden("mmaudio/mel")
    # The first waveform, see `test_mel_front_end_equals_the_original`.
    expected = model.vae.encode(golden[f"{rate}.mel"][:1]).chunk(2, dim=1)[0]
    latents = model.encode(golden[f"{rate}.wave"][:1]).latent_dist.mode()
    assert relative_error(latents, expected) < TOLERANCE
    assert model.config.mel_log_base == (10 if rate == "16k" else math.e)


def test_gains_take_part_in_training(golden):
    model = convert_mmaudio_vae(weights_of(golden, "raw."))
    model.decode(golden["in.z"]).sample.square().mean().backward()
    assert model.vae.decoder.learnable_gain.grad.abs() > 0


def test_learnable_gains_count(golden):
    original = weights_of(golden, "raw.")
    original["decoder.learnable_gain"] = torch.tensor(1.0)
    with torch.no_grad():
        louder = convert_mmaudio_vae(original).vae.decoder(golden["in.z"])
    gain = 1 + golden["raw.decoder.learnable_gain"]
    assert relative_error(louder * gain / 2, golden["out.dec_raw"]) < TOLERANCE


@torch.no_grad()
def test_mel_front_end_equals_the_original(rate, model):
    golden = load_golden("mmaudio/mel")
    # diffusers computes the filter bank in float32, the original in float64 (5e-6 seen).
    assert relative_error(model.mel_converter.mel_basis, golden[f"{rate}.mel_basis"]) < TOLERANCE

    actual, expected = model.mel_converter(golden[f"{rate}.wave"]), golden[f"{rate}.mel"]
    if rate == "16k":
        # The original takes base-10 logarithms at this rate.
        expected = expected * math.log(10)
    # The logarithm magnifies what the Fourier transform rounds off where a bin is near silence beside a loud one (the
    # original itself moves by 0.016 there between two machines), so compare before it: 4e-6 seen.
    assert relative_error(actual.exp(), expected.exp()) < TOLERANCE
    # The first waveform has no such bins.
    assert relative_error(actual[0], expected[0]) < TOLERANCE


def test_configuration_is_read_off_the_shapes(rate, golden):
    assert infer_mmaudio_vae_config(weights_of(golden, "raw.")) == {
        "latent_channels": 4,
        "hidden_channels": 16,
        "channel_multipliers": [1, 2, 4],
        "layers_per_block": 2,
        "scaling_factor": 1.0,
        **FRONT_ENDS[rate],
    }


def test_save_and_load(model, golden, tmp_path):
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config.scaling_factor == 1.0
    with torch.no_grad():
        assert torch.equal(loaded.decode(golden["in.z"]).sample, model.decode(golden["in.z"]).sample)


def test_half_precision_checkpoints_are_normalised_in_float32(original):
    expected = convert_mmaudio_vae({key: value.half().float() for key, value in original.items()})
    actual = convert_mmaudio_vae({key: value.half() for key, value in original.items()})
    for key, value in actual.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, expected.state_dict()[key]), key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decoder.conv_in.weight": None}, "has no 'decoder.conv_in.weight'"),
        ({"data_std": None}, r"1 missing \(vae\.data_std\)"),
        ({"encoder.learnable_gain": None}, r"1 missing \(vae\.encoder\.learnable_gain\)"),
        ({"quant_conv.weight": torch.zeros(1, 1, 1)}, r"1 unknown \(vae\.quant_conv\.weight\)"),
        ({"decoder.conv_in.weight": torch.zeros(3)}, r"'decoder\.conv_in\.weight' has shape \(3,\); .* 3 axes"),
        ({"data_mean": torch.zeros(1, 3, 1)}, r"vae\.data_mean \(1, 3, 1\) instead of \(1, 80, 1\)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_strict_on_both_sides(original, change, message):
    with pytest.raises(CheckpointError, match=message):
        convert_mmaudio_vae({key: value for key, value in (original | change).items() if value is not None})


def test_checkpoint_without_encoder(original):
    decoder_only = {key: value for key, value in original.items() if not key.startswith("encoder.")}
    with pytest.raises(CheckpointError, match="has a decoder but no encoder; MMAudioMelVAE has both"):
        convert_mmaudio_vae(decoder_only)
