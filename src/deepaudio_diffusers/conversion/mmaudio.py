# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""MMAudio's velocity network: original state dict -> [`MMAudioTransformer1DModel`].

Original code: hkchengrex/MMAudio (MIT); published weights: CC BY-NC 4.0. Two things are more than a new name: q, k and
v are interleaved innermost in the original's fused projection (`index = head * 3 * head_dim + channel * 3 + j`), and
the gate and value matrices of a gated feed-forward are stored as one here.
"""

import re
from functools import partial
from typing import Any

import torch

from ..errors import CheckpointError
from ..models.transformer_mmaudio import MMAudioTransformer1DModel
from .state_dict import add_once, build_model, count_layers, shape_of


# Tables that old checkpoints carry and the networks compute.
_COMPUTED_KEYS = {"t_embed.freqs", "latent_rot", "clip_rot"}

# (pattern, replacement) over whole module paths. The feed-forward of the CLIP and text projections is at index 1 in v1
# and at index 2 in v2.
_RENAMES = [
    (r"latent_(mean|std)$", r"latent_statistics.\1"),
    (r"empty_string_feat$", "null_features.text"),
    (r"empty_(clip|sync)_feat$", r"null_features.\1"),
    (r"sync_pos_emb$", "sync_pos_embed.weight"),
    (r"audio_input_proj\.0\.", "proj_in.proj."),
    (r"audio_input_proj\.2\.", "proj_in.ff."),
    (r"(clip|text|sync)_input_proj\.0\.", r"\1_embedder.proj."),
    (r"(clip|text|sync)_input_proj\.[12]\.", r"\1_embedder.ff."),
    (r"(clip|text)_cond_proj\.", r"\1_pooled_proj."),
    (r"global_cond_mlp\.", "pooled_ff."),
    (r"t_embed\.mlp\.0\.", "time_embed.linear_1."),
    (r"t_embed\.mlp\.2\.", "time_embed.linear_2."),
    (r"final_layer\.adaLN_modulation\.1\.", "norm_out.linear."),
    (r"final_layer\.conv\.", "proj_out."),
    (r"fused_blocks\.(\d+)\.", r"single_transformer_blocks.\1.latent_block."),
    (r"joint_blocks\.(\d+)\.", r"transformer_blocks.\1."),
]
# The same unit serves each stream of a block: latents (also alone in single blocks), CLIP frames, text.
_STREAM_RENAMES = {
    "latent_block.": {"adaLN_modulation.1.": "norm1.linear.", "linear1.": "attn.to_out.0.", "ffn.": "ff."},
    "clip_block.": {"adaLN_modulation.1.": "norm1_clip.linear.", "linear1.": "attn.to_add_out.", "ffn.": "ff_clip."},
    "text_block.": {"adaLN_modulation.1.": "norm1_text.linear.", "linear1.": "attn.to_text_out.", "ffn.": "ff_text."},
}
_STREAM_ATTENTION_RENAMES = {
    "latent_block.": {"attn.{}_norm.": "attn.norm_{}.", "attn.qkv.": "attn.to_{}."},
    "clip_block.": {"attn.{}_norm.": "attn.norm_added_{}.", "attn.qkv.": "attn.add_{}_proj."},
    "text_block.": {"attn.{}_norm.": "attn.norm_text_{}.", "attn.qkv.": "attn.text_{}_proj."},
}


def _rename(key: str) -> str:
    """The name of an original key here; `attn.qkv` becomes a template with `{}` in the place of q, k or v."""
    for pattern, replacement in _RENAMES:
        key, count = re.subn("^" + pattern, replacement, key)
        if count:
            break
    for stream, renames in _STREAM_RENAMES.items():
        if stream not in key:
            continue
        key = key.replace(stream, "")
        for old, new in renames.items():
            key = key.replace(old, new)
        attention = _STREAM_ATTENTION_RENAMES[stream]
        key = key.replace("attn.qkv.", attention["attn.qkv."])
        for letter in "qk":
            key = key.replace(f"attn.{letter}_norm.", attention["attn.{}_norm."].format(letter))
    return key


def map_mmaudio_transformer_state_dict(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename and rearrange the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `MMAudio` module.

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`MMAudioTransformer1DModel`].

    Raises:
        CheckpointError: When a gate of a feed-forward has no value matrix of its shape, or two keys become one.
    """
    # Name of each gate -> name of the value matrix that is stored with it here.
    value_keys = {
        key: key.removesuffix("w1.weight") + "w3.weight" for key in original_state_dict if key.endswith(".w1.weight")
    }
    state_dict = {}
    for original_key, tensor in original_state_dict.items():
        if original_key in _COMPUTED_KEYS or original_key in value_keys.values():
            continue
        key = _rename(original_key)
        if "{}" in key:
            for offset, letter in enumerate("qkv"):
                add_once(state_dict, key.format(letter), tensor[offset::3].contiguous())
        elif original_key in value_keys:
            value = original_state_dict.get(value_keys[original_key])
            if value is None or value.shape != tensor.shape:
                raise CheckpointError(
                    f"The checkpoint has {original_key!r} but no '.w3.weight' of the same shape beside it."
                )
            add_once(state_dict, key.removesuffix("w1.weight") + "proj_in.weight", torch.cat([tensor, value]))
        elif key.endswith(".w2.weight"):
            add_once(state_dict, key.removesuffix("w2.weight") + "proj_out.weight", tensor)
        else:
            add_once(state_dict, key, tensor)
    return state_dict


def infer_mmaudio_transformer_config(original_state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Read the configuration of [`MMAudioTransformer1DModel`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `MMAudio` module; meta tensors do.

    Returns:
        `dict[str, Any]`: Arguments of [`MMAudioTransformer1DModel`]. `latents_per_second` is among them when the
        number of latent channels is a published one (20 at 16 kHz, 40 at 44.1 kHz).

    Raises:
        CheckpointError: When the state dict is not that of MMAudio's velocity network.
    """
    shape = partial(shape_of, original_state_dict, network="MMAudio's velocity network")

    hidden_size, latent_channels, _ = shape("audio_input_proj.0.weight", 3)
    text_length, text_dim = shape("empty_string_feat", 2)
    is_v2 = "clip_input_proj.2.w1.weight" in original_state_dict
    config = {
        "latent_channels": latent_channels,
        "clip_dim": shape("clip_input_proj.0.weight", 2)[1],
        "sync_dim": shape("sync_input_proj.0.weight", 3)[1],
        "text_dim": text_dim,
        "text_length": text_length,
        "hidden_size": hidden_size,
        "num_attention_heads": hidden_size // shape("joint_blocks.0.latent_block.attn.q_norm.weight", 1)[0],
        "num_layers": count_layers(original_state_dict, "joint_blocks."),
        "num_single_layers": count_layers(original_state_dict, "fused_blocks."),
        "conv_activation": "silu" if is_v2 else "selu",
        "linear_activation": "silu" if is_v2 else None,
        "time_embed_channels": shape("t_embed.mlp.0.weight", 2)[1],
        "time_max_period": 1 if is_v2 else 10000,
    }
    rates = {20: 16000 / 512, 40: 44100 / 1024}
    if latent_channels in rates:
        config["latents_per_second"] = rates[latent_channels]
    return config


def convert_mmaudio_transformer(
    original_state_dict: dict[str, torch.Tensor], **config: Any
) -> MMAudioTransformer1DModel:
    """Build [`MMAudioTransformer1DModel`] from an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the original `MMAudio` module, v1 or v2.
        **config: Arguments of [`MMAudioTransformer1DModel`] that override what the shapes tell.

    Returns:
        [`MMAudioTransformer1DModel`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape.
    """
    config = infer_mmaudio_transformer_config(original_state_dict) | config
    return build_model(
        lambda: MMAudioTransformer1DModel.from_config(config), map_mmaudio_transformer_state_dict(original_state_dict)
    )
