# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The velocity network of F5-TTS and of DeepAudio-V1's speech part: state dict -> [`F5TTSTransformer1DModel`].

Original code: SWivid/F5-TTS (MIT; published weights: CC BY-NC 4.0) and acappemin/DeepAudio-V1. Two things are more
than a new name: the input projection is split by its columns into what depends on time and what does not, and the last
modulation, stored as scale and shift, is turned around.
"""

import re
from functools import partial
from typing import Any

import torch

from ..errors import CheckpointError
from ..models.transformer_f5tts import F5TTSTransformer1DModel
from .state_dict import add_once, build_model, count_layers, shape_of


NETWORK = "F5-TTS's velocity network"
# Where training checkpoints keep the averaged weights, which are the ones that are published and heard.
_EMA_KEY = "ema_model_state_dict"
# What a checkpoint of the averaged training module holds beside the network: counters, and the mel front end.
_COUNTERS = {"initted", "step", "update"}
_FRONT_END_PREFIX = "mel_spec."
_ROTARY_KEY = "rotary_embed.inv_freq"
_INPUT_KEY = "input_embed.proj.weight"
# Width of a head where no rotary table tells, as in every published network.
_HEAD_DIM = 64
# The energy projection is DeepAudio-V1's alone, and all its networks are grown from the first generation. Its code
# masks the keys of padding, and its text table is half as long.
_DEEPAUDIO_CONFIG = {
    "energy_conditioning": True,
    "text_mask_padding": False,
    "num_rotary_heads": 1,
    "attn_mask_enabled": True,
    "max_positions": 4096,
}

_RENAMES = [
    (r"time_embed\.time_mlp\.0\.", "time_embed.linear_1."),
    (r"time_embed\.time_mlp\.2\.", "time_embed.linear_2."),
    (r"text_embed\.text_embed\.", "text_embed.token_embed."),
    (r"text_embed\.text_blocks\.", "text_embed.blocks."),
    (r"input_embed\.proj\.bias$", "cond_proj.bias"),
    (r"input_embed\.proj_energy\.", "energy_proj."),
    (r"input_embed\.conv_pos_embed\.conv1d\.0\.", "position_conv.conv_1."),
    (r"input_embed\.conv_pos_embed\.conv1d\.2\.", "position_conv.conv_2."),
    (r"transformer_blocks\.(\d+)\.attn_norm\.", r"transformer_blocks.\1.norm1."),
    (r"transformer_blocks\.(\d+)\.attn\.([qk])_norm\.", r"transformer_blocks.\1.attn.norm_\2."),
    (r"transformer_blocks\.(\d+)\.ff\.ff\.0\.0\.", r"transformer_blocks.\1.ff.net.0.proj."),
    (r"transformer_blocks\.(\d+)\.ff\.ff\.2\.", r"transformer_blocks.\1.ff.net.2."),
    (r"long_skip_connection\.", "skip_proj."),
]


def _network(original_state_dict: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of the network alone, under the names that they have inside it."""
    network = {}
    for original_key, tensor in original_state_dict.get(_EMA_KEY, original_state_dict).items():
        key = original_key.removeprefix("ema_model.")
        if key not in _COUNTERS and not key.startswith(_FRONT_END_PREFIX):
            add_once(network, key.removeprefix("transformer."), tensor)
    return network


def _rename(key: str) -> str:
    for pattern, replacement in _RENAMES:
        key, count = re.subn("^" + pattern, replacement, key)
        if count:
            break
    return key


def _check_rotary_table(table: torch.Tensor) -> None:
    """Rotary frequencies are stored by the original and computed here: they have to be the same."""
    if table.device.type == "meta":
        return
    channels = torch.arange(0, 2 * table.numel(), 2, dtype=torch.float32)
    expected = 1.0 / 10000 ** (channels / (2 * table.numel()))
    # Half precision keeps three digits of them.
    if table.ndim != 1 or not torch.allclose(table.float().cpu(), expected, rtol=1e-2, atol=1e-6):
        raise CheckpointError(
            f"The rotary frequencies {_ROTARY_KEY!r} of the checkpoint are not 10000^(-2j / head_dim); this network "
            "was trained with other positions than F5TTSTransformer1DModel has."
        )


def map_f5tts_state_dict(original_state_dict: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Rename and split the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict`): State dict of the original `DiT`, bare, inside a `CFM` (prefix `transformer.`),
            inside its moving average (prefix `ema_model.transformer.`), or that under the key "ema_model_state_dict".

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`F5TTSTransformer1DModel`].

    Raises:
        CheckpointError: When the input projection or the output is missing, the rotary frequencies are not those of
            F5-TTS, or two keys become one.
    """
    network = _network(original_state_dict)
    mel_channels = shape_of(network, "proj_out.weight", 2, NETWORK)[0]
    shape_of(network, _INPUT_KEY, 2, NETWORK)
    state_dict = {}
    for original_key, tensor in network.items():
        if original_key == _ROTARY_KEY:
            _check_rotary_table(tensor)
        elif original_key == _INPUT_KEY:
            # Columns: noisy mel, known mel, text.
            add_once(state_dict, "proj_in.weight", tensor[:, :mel_channels].contiguous())
            add_once(state_dict, "cond_proj.weight", tensor[:, mel_channels:].contiguous())
        elif original_key.startswith("norm_out.linear."):
            scale, shift = tensor.tensor_split(2)
            add_once(state_dict, original_key, torch.cat([shift, scale]))
        else:
            add_once(state_dict, _rename(original_key), tensor)
    return state_dict


def infer_f5tts_config(original_state_dict: dict[str, Any]) -> dict[str, Any]:
    """Read the configuration of [`F5TTSTransformer1DModel`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict`): As for `map_f5tts_state_dict`; meta tensors do.

    Returns:
        `dict[str, Any]`: Arguments of [`F5TTSTransformer1DModel`] as far as shapes tell them. They do not tell the
        generations of F5-TTS apart: without more, a network is taken for one of v1, and one with an energy projection
        for one of DeepAudio-V1, which is grown from v0.

    Raises:
        CheckpointError: When the state dict is not that of F5-TTS's velocity network.
    """
    network = _network(original_state_dict)
    shape = partial(shape_of, network, network=NETWORK)

    num_embeddings, text_dim = shape("text_embed.text_embed.weight", 2)
    hidden_size, _ = shape(_INPUT_KEY, 2)
    head_dim = 2 * shape(_ROTARY_KEY, 1)[0] if _ROTARY_KEY in network else _HEAD_DIM
    ff_mult = shape("transformer_blocks.0.ff.ff.0.0.weight", 2)[0] / hidden_size
    config = {
        "mel_channels": shape("proj_out.weight", 2)[0],
        # One row more than tokens: the first stands for no token.
        "vocab_size": num_embeddings - 1,
        "hidden_size": hidden_size,
        "num_layers": count_layers(network, "transformer_blocks."),
        "num_attention_heads": shape("transformer_blocks.0.attn.to_q.weight", 2)[0] // head_dim,
        "attention_head_dim": head_dim,
        "ff_mult": int(ff_mult) if ff_mult.is_integer() else ff_mult,
        "text_dim": text_dim,
        "num_text_layers": count_layers(network, "text_embed.text_blocks."),
        "qk_norm": "rms_norm" if "transformer_blocks.0.attn.q_norm.weight" in network else None,
        "long_skip": "long_skip_connection.weight" in network,
        "energy_conditioning": "input_embed.proj_energy.weight" in network,
    }
    return config | (_DEEPAUDIO_CONFIG if config["energy_conditioning"] else {})


def convert_f5tts(original_state_dict: dict[str, Any], **config: Any) -> F5TTSTransformer1DModel:
    """Build [`F5TTSTransformer1DModel`] from an original state dict.

    Args:
        original_state_dict (`dict`): State dict of the original `DiT`, bare, inside a `CFM` (prefix `transformer.`),
            inside its moving average (prefix `ema_model.transformer.`), or that under the key "ema_model_state_dict".
        **config: Arguments of [`F5TTSTransformer1DModel`] that shapes do not tell, or that override what they tell.
            For v0 (`F5TTS_Base`): `text_mask_padding=False, num_rotary_heads=1`.

    Returns:
        [`F5TTSTransformer1DModel`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape, or the rotary frequencies are not those
            of F5-TTS.
    """
    config = infer_f5tts_config(original_state_dict) | config
    return build_model(lambda: F5TTSTransformer1DModel.from_config(config), map_f5tts_state_dict(original_state_dict))
