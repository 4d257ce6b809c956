# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Which layouts of F5-TTS's velocity network the conversion takes and what it refuses; parity is tested elsewhere."""

import pytest
import torch

from deepaudio_diffusers.conversion.f5tts import convert_f5tts, infer_f5tts_config, map_f5tts_state_dict
from deepaudio_diffusers.errors import CheckpointError
from tests.golden import load_golden


@pytest.fixture(scope="module")
def original():
    return load_golden("f5tts/dit_v1_weights")


def prefixed(state_dict, prefix):
    return {prefix + key: tensor for key, tensor in state_dict.items()}


def training_checkpoint(state_dict):
    """What the trainer of F5-TTS saves; the front end is there because the whole `CFM` module is averaged."""
    counters = {"initted": torch.tensor(True), "step": torch.tensor(7), "update": torch.tensor(7)}
    front_end = {
        "ema_model.mel_spec.mel_stft.mel_scale.fb": torch.zeros(513, 100),
        "ema_model.mel_spec.mel_stft.spectrogram.window": torch.zeros(1024),
    }
    return counters | front_end | prefixed(state_dict, "ema_model.transformer.")


@pytest.mark.parametrize(
    "layout",
    [
        lambda original: prefixed(original, "transformer."),
        lambda original: prefixed(original, "ema_model.transformer."),
        training_checkpoint,
        lambda original: {"ema_model_state_dict": training_checkpoint(original), "update": 7},
        lambda original: {key: tensor for key, tensor in original.items() if key != "rotary_embed.inv_freq"},
    ],
    ids=["training module", "average", "average with counters", "training checkpoint", "no rotary table"],
)
def test_every_layout(original, layout):
    # Without the rotary table nothing tells that the heads of this small network are not 64 wide.
    expected = convert_f5tts(original).state_dict()
    converted = convert_f5tts(layout(original), num_attention_heads=4, attention_head_dim=16).state_dict()
    assert converted.keys() == expected.keys()
    for key, tensor in expected.items():
        assert torch.equal(converted[key], tensor), key


def test_what_is_more_than_a_name(original):
    state_dict = map_f5tts_state_dict(original)
    projection = torch.cat([state_dict["proj_in.weight"], state_dict["cond_proj.weight"]], dim=1)
    assert torch.equal(projection, original["input_embed.proj.weight"])
    scale, shift = original["norm_out.linear.bias"].chunk(2)
    assert torch.equal(state_dict["norm_out.linear.bias"], torch.cat([shift, scale]))


def test_configuration_from_shapes(original):
    config = infer_f5tts_config(original)
    assert config == {
        "mel_channels": 100,
        "vocab_size": 40,
        "hidden_size": 64,
        "num_layers": 2,
        "num_attention_heads": 4,
        "attention_head_dim": 16,
        "ff_mult": 2,
        "text_dim": 32,
        "num_text_layers": 2,
        "qk_norm": None,
        "long_skip": False,
        "energy_conditioning": False,
    }
    everything = infer_f5tts_config(load_golden("f5tts/dit_v1_all_weights"))
    assert (everything["qk_norm"], everything["long_skip"]) == ("rms_norm", True)
    assert infer_f5tts_config(load_golden("f5tts/dit_noconv_weights"))["num_text_layers"] == 0


def test_keywords_win(original):
    model = convert_f5tts(original, num_rotary_heads=1, text_mask_padding=False, mel_type="bigvgan")
    assert (model.config.num_rotary_heads, model.config.mel_type) == (1, "bigvgan")
    assert not model.text_embed.mask_padding
    assert not model.training


def test_half_precision_stays(original):
    half = {key: tensor.half() for key, tensor in original.items()}
    assert convert_f5tts(half).proj_out.weight.dtype == torch.float16


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"surprise": torch.zeros(1)}, r": 1 unknown \(surprise\)"),
        ({"proj_out.bias": None}, r"1 missing \(proj_out\.bias\)"),
        ({"proj_out.bias": torch.zeros(3)}, r"proj_out\.bias \(3,\) instead of \(100,\)"),
        ({"transformer.proj_out.bias": torch.zeros(100)}, r"has two tensors for 'proj_out\.bias'"),
        ({"input_embed.proj.weight": None}, r"Not a checkpoint of F5-TTS's .* no 'input_embed\.proj\.weight'"),
        ({"rotary_embed.inv_freq": torch.ones(8)}, r"rotary frequencies 'rotary_embed\.inv_freq'"),
    ],
    ids=["unknown", "missing", "shape", "twice", "other network", "rotary"],
)
def test_strict_on_both_sides(original, change, message):
    changed = {key: value for key, value in (original | change).items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        convert_f5tts(changed)
