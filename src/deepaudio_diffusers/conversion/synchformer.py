# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Synchformer's visual branch: original state dict -> [`SynchformerVideoEncoder`].

Original code: v-iashin/Synchformer (MIT); the checkpoint that MMAudio uses holds the whole audio-visual network. Only
`vfeat_extractor.` is the visual branch. Its projection of single frames (`patch_embed.proj`) is stored but never
applied, because the network embeds pairs of frames.
"""

import re
from functools import partial
from typing import Any

import torch

from ..models.encoder_synchformer import SynchformerVideoEncoder
from .state_dict import add_renamed, build_model, count_layers, shape_of


# Width of an attention head in every published network; a state dict does not tell it.
HEAD_SIZE = 64

VISUAL_PREFIX = "vfeat_extractor."
_UNUSED_KEYS = {"patch_embed.proj.weight", "patch_embed.proj.bias"}
_RENAMES = {
    "cls_token": "class_token",
    "pos_embed": "position_embedding",
    "temp_embed": "time_embedding",
    "patch_embed_3d.proj.": "patch_embedding.",
    "norm.": "norm_out.",
    "spatial_attn_agg.cls_token": "spatial_aggregator.class_token",
    "spatial_attn_agg.norm1.": "spatial_aggregator.norm_attn.",
    "spatial_attn_agg.self_attn.in_proj_": "spatial_aggregator.attn.to_{}.",
    "spatial_attn_agg.self_attn.out_proj.": "spatial_aggregator.attn.to_out.0.",
    "spatial_attn_agg.norm2.": "spatial_aggregator.norm_ff.",
    "spatial_attn_agg.linear1.": "spatial_aggregator.ff.net.0.proj.",
    "spatial_attn_agg.linear2.": "spatial_aggregator.ff.net.2.",
}
_BLOCK_RENAMES = {
    "norm3.": "norm_time.",
    "timeattn.qkv.": "attn_time.to_{}.",
    "timeattn.proj.": "attn_time.to_out.0.",
    "norm1.": "norm_space.",
    "attn.qkv.": "attn_space.to_{}.",
    "attn.proj.": "attn_space.to_out.0.",
    "norm2.": "norm_ff.",
    "mlp.fc1.": "ff.net.0.proj.",
    "mlp.fc2.": "ff.net.2.",
}


def _visual_branch(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors of the visual branch under their bare names."""
    visual = {k.removeprefix(VISUAL_PREFIX): v for k, v in original_state_dict.items() if k.startswith(VISUAL_PREFIX)}
    return visual or original_state_dict


def _rename(key: str) -> str:
    """The name of an original key here, a template with `{}` where q, k and v are stored as one; or the key itself."""
    block = re.match(r"blocks\.(\d+)\.", key)
    renames = _BLOCK_RENAMES if block else _RENAMES
    rest = key[block.end() :] if block else key
    for old, new in renames.items():
        if rest.startswith(old):
            return (f"transformer_blocks.{block[1]}." if block else "") + new + rest.removeprefix(old)
    return key


def map_synchformer_state_dict(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename and split the tensors of the visual branch, without looking at whether it is complete.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the whole original Synchformer, or of its visual
            branch with or without the prefix `vfeat_extractor.`.

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`SynchformerVideoEncoder`].

    Raises:
        CheckpointError: When two keys become one.
    """
    state_dict = {}
    for original_key, tensor in _visual_branch(original_state_dict).items():
        if original_key in _UNUSED_KEYS:
            continue
        add_renamed(state_dict, _rename(original_key), tensor)
    return state_dict


def infer_synchformer_config(original_state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Read the configuration of [`SynchformerVideoEncoder`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): As for `map_synchformer_state_dict`; meta tensors do.

    Returns:
        `dict[str, Any]`: Arguments of [`SynchformerVideoEncoder`]; heads are taken to be 64 wide, as in every
        published network.

    Raises:
        CheckpointError: When the state dict has no visual branch of Synchformer.
    """
    visual = _visual_branch(original_state_dict)
    shape = partial(shape_of, visual, network="Synchformer's visual branch")
    hidden_size, _, tubelet_size, patch_size, _ = shape("patch_embed_3d.proj.weight", 5)
    num_patches = shape("pos_embed", 3)[1] - 1
    return {
        "hidden_size": hidden_size,
        "num_layers": count_layers(visual, "blocks."),
        "num_attention_heads": max(1, hidden_size // HEAD_SIZE),
        "mlp_ratio": shape("blocks.0.mlp.fc1.weight", 2)[0] / hidden_size,
        "image_size": round(num_patches**0.5) * patch_size,
        "patch_size": patch_size,
        "tubelet_size": tubelet_size,
        "num_frames": shape("temp_embed", 3)[1] * tubelet_size,
    }


def convert_synchformer(original_state_dict: dict[str, torch.Tensor], **config: Any) -> SynchformerVideoEncoder:
    """Build [`SynchformerVideoEncoder`] from an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the whole original Synchformer (everything but
            its visual branch is left aside), or of its visual branch with or without the prefix `vfeat_extractor.`.
        **config: Arguments of [`SynchformerVideoEncoder`] that override what the shapes tell.

    Returns:
        [`SynchformerVideoEncoder`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key of the visual branch is missing, unknown, or has another shape.
    """
    config = infer_synchformer_config(original_state_dict) | config
    return build_model(
        lambda: SynchformerVideoEncoder.from_config(config), map_synchformer_state_dict(original_state_dict)
    )
