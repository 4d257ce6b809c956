# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Synchformer as a whole: original state dict -> [`Synchformer`].

Original code: v-iashin/Synchformer (MIT), and hkchengrex/av-benchmark (MIT), which scores with the checkpoint
`synchformer_state_dict.pth` that MMAudio publishes. The visual branch is that of `synchformer.py`.
"""

import re
from functools import partial
from typing import Any

import torch

from ..models.synchformer import Synchformer
from .state_dict import add_renamed, build_model, count_layers, shape_of
from .synchformer import VISUAL_PREFIX, infer_synchformer_config, map_synchformer_state_dict


# Heads of the transformer that compares in the published network; a state dict does not tell them.
NUM_SYNC_HEADS = 8

# Rules for whole keys. `{}` stands where q, k and v are stored as one.
_RENAMES = {
    r"afeat_extractor\.ast\.embeddings\.cls_token": "audio_encoder.class_token",
    r"afeat_extractor\.ast\.embeddings\.distillation_token": "audio_encoder.distillation_token",
    r"afeat_extractor\.ast\.embeddings\.position_embeddings": "audio_encoder.position_embedding",
    r"afeat_extractor\.ast\.embeddings\.patch_embeddings\.projection\.": "audio_encoder.patch_embedding.",
    r"afeat_extractor\.ast\.encoder\.layer\.(\d+)\.": r"audio_encoder.layers.\1.",
    r"afeat_extractor\.ast\.layernorm\.": "audio_encoder.norm_out.",
    r"afeat_extractor\.freq_attn_agg\.": "audio_encoder.frequency_aggregator.",
    r"vproj\.": "comparison.video_proj.",
    r"aproj\.": "comparison.audio_proj.",
    r"transformer\.vis_in_lnorm\.": "comparison.norm_video.",
    r"transformer\.aud_in_lnorm\.": "comparison.norm_audio.",
    r"transformer\.OFF_tok": "comparison.offset_token",
    r"transformer\.MOD_tok": "comparison.modality_token",
    r"transformer\.pos_emb_cfg\.pos_emb": "comparison.position_embedding",
    r"transformer\.blocks\.(\d+)\.": r"comparison.layers.\1.",
    r"transformer\.ln_f\.": "comparison.norm_out.",
    r"transformer\.off_head\.": "comparison.offset_head.",
}
# Inside a layer of AST, of the layer that pools, and of the transformer that compares.
_LAYER_RENAMES = {
    "attention.attention.query.": "attn.to_q.",
    "attention.attention.key.": "attn.to_k.",
    "attention.attention.value.": "attn.to_v.",
    "attention.output.dense.": "attn.to_out.0.",
    "layernorm_before.": "norm_attn.",
    "layernorm_after.": "norm_ff.",
    "intermediate.dense.": "ff.net.0.proj.",
    "output.dense.": "ff.net.2.",
    "self_attn.in_proj_": "attn.to_{}.",
    "self_attn.out_proj.": "attn.to_out.0.",
    "norm1.": "norm_attn.",
    "norm2.": "norm_ff.",
    "linear1.": "ff.net.0.proj.",
    "linear2.": "ff.net.2.",
    "cls_token": "class_token",
    "attn.query.": "attn.to_q.",
    "attn.key.": "attn.to_k.",
    "attn.value.": "attn.to_v.",
    "attn.proj.": "attn.to_out.0.",
    "ln1.": "norm_attn.",
    "ln2.": "norm_ff.",
    "mlp.0.": "ff.net.0.proj.",
    "mlp.2.": "ff.net.2.",
}
_LAYER = re.compile(r"((audio_encoder|comparison)\.layers\.\d+|audio_encoder\.frequency_aggregator)\.")


def _rename(key: str) -> str:
    """The name of an original key here, a template with `{}` where q, k and v are stored as one; or the key itself."""
    for pattern, new in _RENAMES.items():
        if re.match(pattern, key):
            key = re.sub(pattern, new, key, count=1)
            break
    layer = _LAYER.match(key)
    if layer is not None:
        rest = key[layer.end() :]
        for old, new in _LAYER_RENAMES.items():
            if rest.startswith(old):
                return layer[0] + new + rest.removeprefix(old)
    return key


def map_whole_synchformer_state_dict(original_state_dict: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Rename and split the tensors of the whole network, without looking at whether it is complete.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the whole original Synchformer.

    Returns:
        `dict[str, torch.Tensor]`: State dict for [`Synchformer`].

    Raises:
        CheckpointError: When two keys become one.
    """
    visual = {key: tensor for key, tensor in original_state_dict.items() if key.startswith(VISUAL_PREFIX)}
    mapped = map_synchformer_state_dict(visual)
    state_dict = {f"video_encoder.{key}": tensor for key, tensor in mapped.items()}
    for original_key, tensor in original_state_dict.items():
        if original_key in visual:
            continue
        add_renamed(state_dict, _rename(original_key), tensor)
    return state_dict


def infer_whole_synchformer_config(original_state_dict: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Read the configuration of [`Synchformer`] off the shapes of an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): As for `map_whole_synchformer_state_dict`; meta tensors do.

    Returns:
        `dict[str, Any]`: Arguments of [`Synchformer`] that shapes tell; heads of the encoders are taken to be 64 wide
        and those of the transformer that compares to be 8, as in the published network.

    Raises:
        CheckpointError: When the state dict is not that of a whole Synchformer.
    """
    shape = partial(shape_of, original_state_dict, network="the whole Synchformer")
    # Asked for first, so that a visual branch alone is told apart from something else.
    num_offsets = shape("transformer.off_head.weight", 2)[0]
    mel_patch_size = shape("afeat_extractor.ast.embeddings.patch_embeddings.projection.weight", 4)[2]
    config = infer_synchformer_config(
        {key: tensor for key, tensor in original_state_dict.items() if key.startswith(VISUAL_PREFIX)}
    )
    config["num_video_layers"] = config.pop("num_layers")
    return config | {
        "num_audio_layers": count_layers(original_state_dict, "afeat_extractor.ast.encoder.layer."),
        "num_sync_layers": count_layers(original_state_dict, "transformer.blocks."),
        "num_sync_heads": NUM_SYNC_HEADS,
        "mel_patch_size": mel_patch_size,
        "num_offsets": num_offsets,
    }


def convert_whole_synchformer(original_state_dict: dict[str, torch.Tensor], **config: Any) -> Synchformer:
    """Build [`Synchformer`] from an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of the whole original Synchformer.
        **config: Arguments of [`Synchformer`] that override what the shapes tell.

    Returns:
        [`Synchformer`] in evaluation mode, with the dtype of the state dict.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape.
    """
    config = infer_whole_synchformer_config(original_state_dict) | config
    return build_model(lambda: Synchformer.from_config(config), map_whole_synchformer_state_dict(original_state_dict))
