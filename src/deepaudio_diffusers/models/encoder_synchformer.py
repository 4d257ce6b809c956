# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The visual branch of Synchformer, which tells MMAudio when things happen in a video.

A ViT with divided space-time attention (a variant of Motionformer, https://arxiv.org/abs/2106.05392), fine-tuned to
detect audio-visual synchrony (Synchformer, https://arxiv.org/abs/2401.16423). A single transformer layer then pools
the patches of each time step into one vector.
Original repositories: https://github.com/v-iashin/Synchformer (MIT licence) and, as MMAudio uses it,
https://github.com/hkchengrex/MMAudio (MIT licence).

Shapes below: B segments, T time steps (8), S patches of a time step (196), D hidden size (768), h heads, d head size.
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.attention import AttentionMixin, AttentionModuleMixin, FeedForward
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import nn

from ..errors import InputError


# The published networks normalise with this epsilon everywhere, not with PyTorch's default of 1e-5.
LAYER_NORM_EPS = 1e-6


@dataclass
class SynchformerVideoEncoderOutput(BaseOutput):
    """
    Output of [`SynchformerVideoEncoder`].

    Args:
        features (`torch.Tensor` of shape `(batch_size, num_frames // tubelet_size, hidden_size)`):
            One vector for each time step of each segment.
    """

    features: torch.Tensor


class SynchformerDividedAttnProcessor:
    """Attention of each patch within its group: the other time steps of its place, or its frame's other patches."""

    _attention_backend = None
    _parallel_config = None

    def __call__(self, attn: "SynchformerDividedAttention", hidden_states: torch.Tensor, num_steps: int):
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
        # (B, 1 + T * S, D) -> (B, 1 + T * S, h, d)
        query, key, value = (tensor.unflatten(-1, (attn.heads, -1)) for tensor in (query, key, value))

        # The class token belongs to no group: it attends to every token of the segment.
        class_token = self._attend(query[:, :1], key, value)

        # (B, T * S, h, d) -> (B, groups, group size, h, d)
        query, group_key, group_value = (self._group(attn, t[:, 1:], num_steps) for t in (query, key, value))
        num_groups = query.shape[1]
        # The class token's key and value stand before those of each group.
        class_key, class_value = (t[:, None, :1].expand(-1, num_groups, -1, -1, -1) for t in (key, value))
        patches = self._attend(
            query.flatten(0, 1),
            torch.cat([class_key, group_key], dim=2).flatten(0, 1),
            torch.cat([class_value, group_value], dim=2).flatten(0, 1),
        )
        # (B * groups, group size, h, d) -> (B, T, S, h, d)
        patches = patches.unflatten(0, (-1, num_groups))
        if attn.axis == "time":
            patches = patches.transpose(1, 2)

        # (B, 1 + T * S, h, d) -> (B, 1 + T * S, D)
        hidden_states = torch.cat([class_token, patches.flatten(1, 2)], dim=1).flatten(2)
        hidden_states = attn.to_out[0](hidden_states)
        return attn.to_out[1](hidden_states)

    @staticmethod
    def _group(attn: "SynchformerDividedAttention", tokens: torch.Tensor, num_steps: int) -> torch.Tensor:
        tokens = tokens.unflatten(1, (num_steps, -1))
        return tokens.transpose(1, 2) if attn.axis == "time" else tokens

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return dispatch_attention_fn(
            query, key, value, backend=self._attention_backend, parallel_config=self._parallel_config
        )


class SynchformerDividedAttention(nn.Module, AttentionModuleMixin):
    """Self-attention that is divided into groups along `axis`, "time" or "space"."""

    _default_processor_cls = SynchformerDividedAttnProcessor
    _available_processors = [SynchformerDividedAttnProcessor]
    is_cross_attention = False
    use_bias = True

    def __init__(self, dim: int, heads: int, axis: str):
        super().__init__()
        self.heads = heads
        self.axis = axis
        # Three projections are as fast as a fused one at the published size, and LoRA tools find them by these names.
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim), nn.Dropout(0.0)])
        self.set_processor(self._default_processor_cls())

    def forward(self, hidden_states: torch.Tensor, num_steps: int) -> torch.Tensor:
        return self.processor(self, hidden_states, num_steps)


class SynchformerAttnProcessor:
    """Plain attention of some tokens to others, or to themselves."""

    _attention_backend = None
    _parallel_config = None

    def __call__(self, attn: "SynchformerAttention", hidden_states: torch.Tensor, context: torch.Tensor):
        query = attn.to_q(hidden_states)
        if attn.fused_projections:
            key, value = attn.to_kv(context).chunk(2, dim=-1)
        else:
            key, value = attn.to_k(context), attn.to_v(context)
        # (B, tokens, D) -> (B, tokens, h, d)
        query, key, value = (tensor.unflatten(-1, (attn.heads, -1)) for tensor in (query, key, value))
        hidden_states = dispatch_attention_fn(
            query, key, value, backend=self._attention_backend, parallel_config=self._parallel_config
        )
        hidden_states = attn.to_out[0](hidden_states.flatten(2))
        return attn.to_out[1](hidden_states)


class SynchformerAttention(nn.Module, AttentionModuleMixin):
    """Attention of tokens to those of `context`."""

    _default_processor_cls = SynchformerAttnProcessor
    _available_processors = [SynchformerAttnProcessor]
    is_cross_attention = True
    use_bias = True

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(dim, dim)
        self.to_k = nn.Linear(dim, dim)
        self.to_v = nn.Linear(dim, dim)
        self.to_out = nn.ModuleList([nn.Linear(dim, dim), nn.Dropout(0.0)])
        self.set_processor(self._default_processor_cls())

    def forward(self, hidden_states: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        return self.processor(self, hidden_states, context)


class SynchformerBlock(nn.Module):
    """Attention over time, attention over space, feed-forward; each normalised first and added to its input."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.norm_time = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn_time = SynchformerDividedAttention(dim, heads, axis="time")
        self.norm_space = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn_space = SynchformerDividedAttention(dim, heads, axis="space")
        self.norm_ff = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu")

    def forward(self, hidden_states: torch.Tensor, num_steps: int) -> torch.Tensor:
        hidden_states = hidden_states + self.attn_time(self.norm_time(hidden_states), num_steps)
        hidden_states = hidden_states + self.attn_space(self.norm_space(hidden_states), num_steps)
        return hidden_states + self.ff(self.norm_ff(hidden_states))


class SynchformerSpatialAggregator(nn.Module):
    """
    Pre-norm transformer layer over `[class token, patches]` of one time step that returns its class token.

    Only that token leaves the layer, so only it asks a query and only it passes through the feed-forward.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float):
        super().__init__()
        self.class_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.norm_attn = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.attn = SynchformerAttention(dim, heads)
        self.norm_ff = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu")

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        pooled = self.class_token.expand(hidden_states.shape[0], -1, -1)
        context = self.norm_attn(torch.cat([pooled, hidden_states], dim=1))
        pooled = pooled + self.attn(context[:, :1], context)
        pooled = pooled + self.ff(self.norm_ff(pooled))
        return pooled.squeeze(1)


class SynchformerVideoEncoder(ModelMixin, ConfigMixin, AttentionMixin):
    r"""
    Turns 16-frame segments of video at 25 fps into one feature vector for every second frame.

    The defaults are the published network, which has 121.9 M parameters. (The published file holds 0.6 M more: a
    projection of single frames that is never applied.)

    Args:
        hidden_size (`int`, defaults to 768): Width of the network.
        num_layers (`int`, defaults to 12): Number of space-time blocks.
        num_attention_heads (`int`, defaults to 12): Heads of every attention layer.
        mlp_ratio (`float`, defaults to 4.0): Width of the feed-forward layers as a multiple of `hidden_size`.
        image_size (`int`, defaults to 224): Height and width of the frames in pixels.
        patch_size (`int`, defaults to 16): Height and width of a patch in pixels.
        tubelet_size (`int`, defaults to 2): Number of frames of a patch, that is, of a time step.
        num_frames (`int`, defaults to 16): Number of frames of a segment.

    Raises:
        InputError: When a size is no multiple of what divides it: heads, patches or tubelets.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["SynchformerBlock", "SynchformerSpatialAggregator"]
    _repeated_blocks = ["SynchformerBlock"]
    _skip_layerwise_casting_patterns = ["patch_embedding", "norm"]

    @register_to_config
    def __init__(
        self,
        hidden_size: int = 768,
        num_layers: int = 12,
        num_attention_heads: int = 12,
        mlp_ratio: float = 4.0,
        image_size: int = 224,
        patch_size: int = 16,
        tubelet_size: int = 2,
        num_frames: int = 16,
    ):
        super().__init__()
        for name, value, divisor_name, divisor in (
            ("hidden_size", hidden_size, "num_attention_heads", num_attention_heads),
            ("image_size", image_size, "patch_size", patch_size),
            ("num_frames", num_frames, "tubelet_size", tubelet_size),
        ):
            if value % divisor:
                raise InputError(f"`{name}` is {value}; pass a multiple of `{divisor_name}`, which is {divisor}.")

        self.num_steps = num_frames // tubelet_size
        num_patches = (image_size // patch_size) ** 2
        self.patch_embedding = nn.Conv3d(
            3,
            hidden_size,
            kernel_size=(tubelet_size, patch_size, patch_size),
            stride=(tubelet_size, patch_size, patch_size),
        )
        self.class_token = nn.Parameter(torch.randn(1, 1, hidden_size) * 0.02)
        # Entry 0 belongs to the class token, the others to the places of the patches.
        self.position_embedding = nn.Parameter(torch.randn(1, 1 + num_patches, hidden_size) * 0.02)
        self.time_embedding = nn.Parameter(torch.randn(1, self.num_steps, hidden_size) * 0.02)
        self.transformer_blocks = nn.ModuleList(
            [SynchformerBlock(hidden_size, num_attention_heads, mlp_ratio) for _ in range(num_layers)]
        )
        self.norm_out = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.spatial_aggregator = SynchformerSpatialAggregator(hidden_size, num_attention_heads, mlp_ratio)
        self.gradient_checkpointing = False

    def forward(
        self, pixel_values: torch.Tensor, return_dict: bool = True
    ) -> SynchformerVideoEncoderOutput | tuple[torch.Tensor]:
        r"""
        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_frames, 3, image_size, image_size)`):
                Segments of consecutive frames at 25 fps, scaled to `[-1, 1]`. The items of a batch are independent:
                an overlapping sequence of segments is one item for each segment.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`SynchformerVideoEncoderOutput`] instead of a plain tuple.

        Returns:
            [`SynchformerVideoEncoderOutput`] or `tuple`: features of shape
            `(batch_size, num_frames // tubelet_size, hidden_size)`.

        Raises:
            InputError: If `pixel_values` does not have the shape above.
        """
        config = self.config
        segment_shape = (config.num_frames, 3, config.image_size, config.image_size)
        if pixel_values.ndim != 5 or pixel_values.shape[1:] != segment_shape:
            raise InputError(
                f"`pixel_values` has shape {tuple(pixel_values.shape)}; expected (batch_size, "
                f"{', '.join(map(str, segment_shape))}), one segment of frames an item."
            )

        # (B, frames, 3, height, width) -> (B, D, T, rows, columns) -> (B, T, S, D)
        patches = self.patch_embedding(pixel_values.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)
        patches = patches + (self.position_embedding[:, None, 1:] + self.time_embedding[:, :, None])
        class_token = (self.class_token + self.position_embedding[:, :1]).expand(patches.shape[0], -1, -1)
        hidden_states = torch.cat([class_token, patches.flatten(1, 2)], dim=1)

        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(block, hidden_states, self.num_steps)
            else:
                hidden_states = block(hidden_states, self.num_steps)

        # (B, 1 + T * S, D) -> (B * T, S, D)
        patches = self.norm_out(hidden_states[:, 1:]).unflatten(1, (self.num_steps, -1)).flatten(0, 1)
        features = self.spatial_aggregator(patches).unflatten(0, (-1, self.num_steps))

        if not return_dict:
            return (features,)
        return SynchformerVideoEncoderOutput(features=features)
