# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The CLIP image encoder as MMAudio uses it: one embedding for each video frame.

It is transformers' CLIP (https://arxiv.org/abs/2103.00020) with one piece of work left out: only the class token of
the last block is read, so the other tokens of that block need neither queries nor a feed-forward. MMAudio
(https://github.com/hkchengrex/MMAudio, MIT licence) uses the weights apple/DFN5B-CLIP-ViT-H-14-384
(https://arxiv.org/abs/2309.17425, Apple's research licence), where that is 2.7 % of the arithmetic.
"""

from collections.abc import Callable

import torch
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.clip.modeling_clip import CLIPAttention, CLIPEncoderLayer, eager_attention_forward


class CLIPClassTokenAttention(CLIPAttention):
    """Attention in which only the class token, the first one, asks a query."""

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        # (batch, tokens, width) -> (batch, heads, tokens, head width)
        query, key, value = (
            projection.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)
            for projection in (
                self.q_proj(hidden_states[:, :1]),
                self.k_proj(hidden_states),
                self.v_proj(hidden_states),
            )
        )
        attention_interface: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        # (batch, 1, heads, head width)
        attended, attention_weights = attention_interface(
            self,
            query,
            key,
            value,
            attention_mask,
            scaling=self.scale,
            dropout=self.dropout if self.training else 0.0,
            **kwargs,
        )
        return self.out_proj(attended.flatten(2)), attention_weights


class CLIPClassTokenEncoderLayer(CLIPEncoderLayer):
    """Encoder layer that takes all tokens and returns the class token alone."""

    def __init__(self, config: CLIPVisionConfig):
        super().__init__(config)
        self.self_attn = CLIPClassTokenAttention(config)

    def forward(
        self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None = None, **kwargs
    ) -> torch.Tensor:
        attended, _ = self.self_attn(self.layer_norm1(hidden_states), attention_mask, **kwargs)
        class_token = hidden_states[:, :1] + attended
        return class_token + self.mlp(self.layer_norm2(class_token))


class CLIPFrameEncoder(CLIPVisionModelWithProjection):
    """
    [`~transformers.CLIPVisionModelWithProjection`] that computes nothing but `image_embeds`.

    Weights, configuration and `forward` are those of the parent class; `image_embeds`, of shape
    `(batch_size, projection_dim)` and not normalised, are equal. `last_hidden_state`, and the last entries of
    `hidden_states` and `attentions` where these are asked for, are those of the class token alone.

    For frames whose size is no multiple of the patch size, set `image_size` of the configuration to the frame size:
    the patch grid then leaves out the last rows and columns, as in MMAudio (384 pixels, 27 x 27 patches of 14 pixels).

    Args:
        config (`CLIPVisionConfig`): Sizes of the network.
    """

    _no_split_modules = [*CLIPVisionModelWithProjection._no_split_modules, "CLIPClassTokenEncoderLayer"]

    def __init__(self, config: CLIPVisionConfig):
        super().__init__(config)
        self.vision_model.encoder.layers[-1] = CLIPClassTokenEncoderLayer(config)
        self.post_init()
