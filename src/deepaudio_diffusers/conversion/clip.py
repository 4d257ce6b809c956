# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""CLIP: open_clip's state dict -> [`CLIPFrameEncoder`] and transformers' `CLIPTextModel`; and CLIP's tokenizer.

Original code: mlfoundations/open_clip (MIT). MMAudio uses the weights apple/DFN5B-CLIP-ViT-H-14-384 (Apple's research
licence) at a frame size of 384 pixels.
"""

import re
from functools import partial
from typing import Any

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from ..errors import CheckpointError
from ..models.encoder_clip import CLIPFrameEncoder
from .state_dict import add_once, add_renamed, build_model, shape_of


# What compares pooled texts with images; the text model here gives the hidden states of all tokens instead.
_UNUSED_KEYS = {"logit_scale", "text_projection"}

_VISION_PREFIX = "visual."
_VISION_RENAMES = {
    "class_embedding": "vision_model.embeddings.class_embedding",
    "conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "ln_pre.": "vision_model.pre_layrnorm.",
    "transformer.resblocks.": "vision_model.encoder.layers.",
    "ln_post.": "vision_model.post_layernorm.",
}
_TEXT_RENAMES = {
    "token_embedding.": "embeddings.token_embedding.",
    "positional_embedding": "embeddings.position_embedding.weight",
    "transformer.resblocks.": "encoder.layers.",
    "ln_final.": "final_layer_norm.",
}
_LAYER_RENAMES = {
    ".ln_1.": ".layer_norm1.",
    ".attn.in_proj_": ".self_attn.{}_proj.",
    ".attn.out_proj.": ".self_attn.out_proj.",
    ".ln_2.": ".layer_norm2.",
    ".mlp.c_fc.": ".mlp.fc1.",
    ".mlp.c_proj.": ".mlp.fc2.",
}


def map_clip_state_dict(
    original_state_dict: dict[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Rename and split the tensors of an original state dict, without looking at whether it is complete.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of open_clip's `CLIP`.

    Returns:
        `tuple[dict, dict]`: State dicts for [`CLIPFrameEncoder`] and `CLIPTextModel`.

    Raises:
        CheckpointError: When two keys become one.
    """
    vision, text = {}, {}
    for original_key, tensor in original_state_dict.items():
        if original_key == "visual.proj":
            # Stored as (width, embedding), applied from the right.
            add_once(vision, "visual_projection.weight", tensor.T.contiguous())
        elif original_key.startswith(_VISION_PREFIX):
            _add(vision, original_key.removeprefix(_VISION_PREFIX), _VISION_RENAMES, tensor)
        elif original_key not in _UNUSED_KEYS:
            _add(text, original_key, _TEXT_RENAMES, tensor)
    return vision, text


def _add(state_dict: dict[str, torch.Tensor], key: str, renames: dict[str, str], tensor: torch.Tensor):
    for old, new in renames.items():
        if key.startswith(old):
            key = new + key.removeprefix(old)
            break
    for old, new in _LAYER_RENAMES.items():
        key = key.replace(old, new)
    add_renamed(state_dict, key, tensor)


def infer_clip_configs(
    original_state_dict: dict[str, torch.Tensor],
    image_size: int = 384,
    vision_head_width: int = 80,
    text_head_width: int = 64,
    hidden_act: str = "quick_gelu",
) -> tuple[CLIPVisionConfig, CLIPTextConfig]:
    """Read the configurations of both models off the shapes of an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of open_clip's `CLIP`; meta tensors do.
        image_size (`int`, defaults to 384): Height and width of the frames in pixels. What goes beyond a whole number
            of patches is left out.
        vision_head_width (`int`, defaults to 80): Width of an attention head of the image model, as in ViT-H.
        text_head_width (`int`, defaults to 64): Width of an attention head of the text model.
        hidden_act (`str`, defaults to `"quick_gelu"`): Activation of the feed-forwards, as in OpenAI's and DFN5B's
            models; `"gelu"` in most others of open_clip.

    Returns:
        `tuple[CLIPVisionConfig, CLIPTextConfig]`

    Raises:
        CheckpointError: When the state dict is not that of a CLIP with a vision transformer, or its positional table
            is not made for `image_size`.
    """
    shape = partial(shape_of, original_state_dict, network="a CLIP with a vision transformer")

    def num_layers(prefix: str) -> int:
        pattern = re.escape(prefix) + r"transformer\.resblocks\.(\d+)\."
        return len({match[1] for key in original_state_dict if (match := re.match(pattern, key))})

    vision_width, _, patch_size, _ = shape("visual.conv1.weight", 4)
    num_positions = shape("visual.positional_embedding", 2)[0]
    if num_positions != (image_size // patch_size) ** 2 + 1:
        raise CheckpointError(
            f"`image_size` is {image_size}, which makes {(image_size // patch_size) ** 2} patches of {patch_size} "
            f"pixels, but the checkpoint knows the positions of {num_positions - 1}; pass the frame size that it was "
            "trained for."
        )
    vocab_size, text_width = shape("token_embedding.weight", 2)
    projection_dim = shape("visual.proj", 2)[1]
    vision_config = CLIPVisionConfig(
        hidden_size=vision_width,
        intermediate_size=shape("visual.transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        projection_dim=projection_dim,
        num_hidden_layers=num_layers(_VISION_PREFIX),
        num_attention_heads=vision_width // vision_head_width,
        image_size=image_size,
        patch_size=patch_size,
        hidden_act=hidden_act,
    )
    text_config = CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=text_width,
        intermediate_size=shape("transformer.resblocks.0.mlp.c_fc.weight", 2)[0],
        projection_dim=projection_dim,
        num_hidden_layers=num_layers(""),
        num_attention_heads=text_width // text_head_width,
        max_position_embeddings=shape("positional_embedding", 2)[0],
        hidden_act=hidden_act,
        # The last two entries of the vocabulary start and end a text; what follows is filled with zeros.
        bos_token_id=vocab_size - 2,
        eos_token_id=vocab_size - 1,
        pad_token_id=0,
    )
    return vision_config, text_config


def convert_clip(
    original_state_dict: dict[str, torch.Tensor], **config: Any
) -> tuple[CLIPFrameEncoder, CLIPTextModel]:
    """Build the image and the text encoder from the state dict of open_clip's `CLIP`.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): State dict of open_clip's `CLIP` with a vision transformer.
        **config: What the shapes do not tell: `image_size`, `vision_head_width`, `text_head_width` and `hidden_act` of
            `infer_clip_configs`. The defaults are those of DFN5B ViT-H-14 as MMAudio uses it.

    Returns:
        `tuple[CLIPFrameEncoder, CLIPTextModel]`, both in evaluation mode, with the dtype of the state dict. The
        projection of whole texts is not kept; `CLIPTextModel` gives the layer-normalised hidden states of all tokens.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape.
    """
    vision_config, text_config = infer_clip_configs(original_state_dict, **config)
    vision, text = map_clip_state_dict(original_state_dict)
    image_encoder = build_model(lambda: CLIPFrameEncoder(vision_config), vision)
    text_encoder = build_model(lambda: CLIPTextModel(text_config), text)
    return image_encoder, text_encoder


def build_clip_tokenizer(
    vocab: dict[str, int], merges: list[str] | list[tuple[str, str]], model_max_length: int = 77
) -> CLIPTokenizer:
    """CLIP's tokenizer as open_clip pads it: with id 0 after the end of the text.

    Args:
        vocab (`dict[str, int]`): Id of each token, `"!"` among them with the id 0.
        merges (`list`): Byte pairs in the order in which they are merged, `"a b"` or `("a", "b")`.
        model_max_length (`int`, defaults to 77): Longest sequence in tokens, both special tokens included.

    Returns:
        [`~transformers.CLIPTokenizer`]; call it with `padding="max_length", truncation=True`.

    Raises:
        CheckpointError: When id 0 is not that of `"!"`, or a special token is missing: not the vocabulary of CLIP.
    """
    if vocab.get("!") != 0:
        raise CheckpointError(f"`vocab` gives '!' the id {vocab.get('!')}; in CLIP's vocabulary it is 0.")
    missing = [token for token in ("<|startoftext|>", "<|endoftext|>") if token not in vocab]
    if missing:
        raise CheckpointError(f"`vocab` lacks {', '.join(missing)}; pass the vocabulary of CLIP.")
    merges = [tuple(merge.split()) if isinstance(merge, str) else tuple(merge) for merge in merges]
    # The token of id 0 is an exclamation mark, which texts contain. `split_special_tokens` keeps those of the text
    # from being taken for padding; it is saved with the tokenizer.
    return CLIPTokenizer(
        vocab=vocab, merges=merges, pad_token="!", split_special_tokens=True, model_max_length=model_max_length
    )
