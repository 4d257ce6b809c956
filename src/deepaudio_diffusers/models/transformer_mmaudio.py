# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The velocity network of MMAudio: a multi-modal diffusion transformer over audio latents.

Cheng et al., "Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis" (arXiv 2412.15322); original
code: hkchengrex/MMAudio (MIT). Three token streams (audio latents, CLIP frames, CLIP text) meet in joint attention
blocks; single blocks then work on the latents alone. Synchformer features enter through the modulation: every latent
token is shifted and scaled by the features of its own moment.

What is arranged differently from the original, with equal results:

* q, k and v are separate projections and the streams of a block return as `(hidden_states, encoder_hidden_states)`
  with CLIP and text tokens concatenated, so that the caches, guiders and LoRA tools of diffusers apply.
* Modulations are computed once per Synchformer token and then spread over the latents that share it. Nearest-neighbour
  upsampling repeats tokens, and equal inputs have equal modulations.
* Latents are projected once for all the condition sets of classifier-free guidance (`MMAudioConditions`).

Shape letters: B batch, K condition sets per latent, N latent tokens, Lc CLIP frames, Ls Synchformer tokens (8 for each
segment of 16 frames), Lt text tokens, C latent channels, D hidden size.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import FromOriginalModelMixin, PeftAdapterMixin
from diffusers.models.attention import AttentionMixin, AttentionModuleMixin
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.cache_utils import CacheMixin
from diffusers.models.embeddings import apply_rotary_emb
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput, apply_lora_scale
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn

from ..errors import InputError
from ..processing.sequence import (
    SYNC_TOKENS_PER_SEGMENT,
    num_clip_frames_of_latents,
    num_sync_tokens_of_latents,
)


# The feed-forward width is rounded up to a multiple of this, as in Llama and SD3.
FEED_FORWARD_MULTIPLE = 256
# RMSNorm of the original leaves its epsilon to torch: the float32 machine epsilon, whatever the compute dtype.
RMS_NORM_EPS = torch.finfo(torch.float32).eps


@dataclass
class MMAudioTransformer1DModelOutput(BaseOutput):
    """Output of [`MMAudioTransformer1DModel`].

    Args:
        sample (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`):
            The velocity, data minus noise.
    """

    sample: torch.Tensor


class MMAudioConditions(NamedTuple):
    """The part of [`MMAudioTransformer1DModel`] that does not depend on the time step.

    A named tuple, because the hooks of accelerate know how to move one between devices.

    Args:
        clip_states (`torch.Tensor` of shape `(batch_size, num_clip_tokens, hidden_size)`): Projected CLIP frames.
        sync_states (`torch.Tensor` of shape `(batch_size, num_sync_tokens, hidden_size)`): Projected Synchformer
            features.
        text_states (`torch.Tensor` of shape `(batch_size, num_text_tokens, hidden_size)`): Projected text tokens.
        pooled (`torch.Tensor` of shape `(batch_size, hidden_size)`): What the clip is about as a whole.
    """

    clip_states: torch.Tensor
    sync_states: torch.Tensor
    text_states: torch.Tensor
    pooled: torch.Tensor

    def expand(self, batch_size: int) -> "MMAudioConditions":
        """Repeat conditions of batch size one for `batch_size` items, without copying."""
        return MMAudioConditions(*(tensor.expand(batch_size, *tensor.shape[1:]) for tensor in self))

    def repeat_interleave(self, repeats: int) -> "MMAudioConditions":
        """Repeat each item `repeats` times in a row."""
        return MMAudioConditions(*(tensor.repeat_interleave(repeats, dim=0) for tensor in self))

    @staticmethod
    def cat(conditions: "list[MMAudioConditions]") -> "MMAudioConditions":
        """Stack condition sets along the batch; the first set comes first, as classifier-free guidance expects."""
        return MMAudioConditions(*(torch.cat(tensors) for tensors in zip(*conditions, strict=True)))


class MMAudioTokenConv1d(nn.Conv1d):
    """A convolution along the tokens of `(batch_size, num_tokens, channels)`, zero-padded to keep their number.

    The constructor is that of `nn.Conv1d`: PEFT builds the adapters of a convolution from its class.
    """

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return super().forward(hidden_states.transpose(1, 2)).transpose(1, 2)


def _token_layer(in_features: int, out_features: int, kernel_size: int, bias: bool) -> nn.Module:
    if kernel_size == 1:
        return nn.Linear(in_features, out_features, bias=bias)
    return MMAudioTokenConv1d(in_features, out_features, kernel_size, padding=kernel_size // 2, bias=bias)


def _modulate(hidden_states: torch.Tensor, shift: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return hidden_states * (1 + scale) + shift


def _sync_tokens_of_latents(
    num_latents: int, num_sync_tokens: int, num_edge_tokens: int, device: torch.device
) -> torch.Tensor:
    """The index of the sync token that each latent belongs to, `(num_latents,)`.

    `interpolate` itself decides how positions round.
    """
    index = torch.arange(-num_edge_tokens, num_sync_tokens + num_edge_tokens, dtype=torch.float32, device=device)
    index = F.interpolate(index[None, None], size=num_latents, mode="nearest-exact")[0, 0].long()
    return index.clamp(0, num_sync_tokens - 1)


def _rotary_embedding(length: int, dim: int, position_scale: float, device: torch.device) -> tuple[torch.Tensor, ...]:
    """Cosines and sines of shape `(length, dim)` for adjacent pairs of channels, in float32.

    `position_scale` puts a stream with fewer tokens on the clock of the latents.
    """
    frequencies = 1.0 / 10000 ** (torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
    positions = torch.arange(length, dtype=torch.float32, device=device)
    angles = torch.outer(positions, frequencies * position_scale)
    return angles.cos().repeat_interleave(2, dim=1), angles.sin().repeat_interleave(2, dim=1)


class MMAudioJointAttnProcessor:
    """Attention of latents, CLIP frames and text over each other."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "MMAudioJointAttention",
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        num_clip_tokens: int,
        latent_rotary_emb: tuple[torch.Tensor, ...],
        clip_rotary_emb: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        clip_states = encoder_hidden_states[:, :num_clip_tokens]
        text_states = encoder_hidden_states[:, num_clip_tokens:]
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
            clip_query, clip_key, clip_value = attn.to_added_qkv(clip_states).chunk(3, dim=-1)
            text_query, text_key, text_value = attn.to_text_qkv(text_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)
            clip_query, clip_key = attn.add_q_proj(clip_states), attn.add_k_proj(clip_states)
            clip_value = attn.add_v_proj(clip_states)
            text_query, text_key = attn.text_q_proj(text_states), attn.text_k_proj(text_states)
            text_value = attn.text_v_proj(text_states)

        # (B, L, D) -> (B, L, heads, D / heads)
        heads = (attn.heads, -1)
        query = apply_rotary_emb(attn.norm_q(query.unflatten(-1, heads)), latent_rotary_emb, sequence_dim=1)
        key = apply_rotary_emb(attn.norm_k(key.unflatten(-1, heads)), latent_rotary_emb, sequence_dim=1)
        clip_query = attn.norm_added_q(clip_query.unflatten(-1, heads))
        clip_query = apply_rotary_emb(clip_query, clip_rotary_emb, sequence_dim=1)
        clip_key = attn.norm_added_k(clip_key.unflatten(-1, heads))
        clip_key = apply_rotary_emb(clip_key, clip_rotary_emb, sequence_dim=1)
        # Text has no place in time and gets no rotation.
        text_query = attn.norm_text_q(text_query.unflatten(-1, heads))
        text_key = attn.norm_text_k(text_key.unflatten(-1, heads))

        attention_output = dispatch_attention_fn(
            torch.cat([query, clip_query, text_query], dim=1),
            torch.cat([key, clip_key, text_key], dim=1),
            torch.cat([tensor.unflatten(-1, heads) for tensor in (value, clip_value, text_value)], dim=1),
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        attention_output = attention_output.flatten(2, 3).to(query.dtype)

        num_latents = hidden_states.shape[1]
        hidden_states = attn.to_out[1](attn.to_out[0](attention_output[:, :num_latents]))
        if attn.context_pre_only:
            return hidden_states, encoder_hidden_states
        clip_states = attn.to_add_out(attention_output[:, num_latents : num_latents + num_clip_tokens])
        text_states = attn.to_text_out(attention_output[:, num_latents + num_clip_tokens :])
        return hidden_states, torch.cat([clip_states, text_states], dim=1)


class MMAudioJointAttention(nn.Module, AttentionModuleMixin):
    """Projections of the three streams; `context_pre_only` leaves out what the last joint block does not need."""

    _default_processor_cls = MMAudioJointAttnProcessor
    _available_processors = [MMAudioJointAttnProcessor]

    def __init__(self, dim: int, heads: int, context_pre_only: bool) -> None:
        super().__init__()
        self.heads = heads
        self.context_pre_only = context_pre_only
        self.use_bias = True
        self.added_proj_bias = True

        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(dim, dim) for _ in range(3))
        self.text_q_proj, self.text_k_proj, self.text_v_proj = (nn.Linear(dim, dim) for _ in range(3))
        self.norm_q, self.norm_k, self.norm_added_q, self.norm_added_k, self.norm_text_q, self.norm_text_k = (
            nn.RMSNorm(dim // heads, eps=RMS_NORM_EPS) for _ in range(6)
        )
        self.to_out = nn.ModuleList([_token_layer(dim, dim, kernel_size=3, bias=True), nn.Dropout(0.0)])
        if not context_pre_only:
            self.to_add_out = _token_layer(dim, dim, kernel_size=3, bias=True)
            self.to_text_out = nn.Linear(dim, dim)
        self.set_processor(self._default_processor_cls())

    @torch.no_grad()
    def fuse_projections(self) -> None:
        """Fuse q, k and v of every stream. The mixin knows two streams; text is the third."""
        if self.fused_projections:
            return
        super().fuse_projections()
        layers = (self.text_q_proj, self.text_k_proj, self.text_v_proj)
        weight = torch.cat([layer.weight for layer in layers])
        self.to_text_qkv = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
        self.to_text_qkv.weight.copy_(weight)
        self.to_text_qkv.bias.copy_(torch.cat([layer.bias for layer in layers]))

    @torch.no_grad()
    def unfuse_projections(self) -> None:
        """Undo `fuse_projections`."""
        if self.fused_projections:
            del self.to_text_qkv
        super().unfuse_projections()

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        num_clip_tokens: int,
        latent_rotary_emb: tuple[torch.Tensor, ...],
        clip_rotary_emb: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self.processor(
            self, hidden_states, encoder_hidden_states, num_clip_tokens, latent_rotary_emb, clip_rotary_emb
        )


class MMAudioAttnProcessor:
    """Self-attention of the latents."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self, attn: "MMAudioAttention", hidden_states: torch.Tensor, latent_rotary_emb: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)

        # (B, N, D) -> (B, N, heads, D / heads)
        heads = (attn.heads, -1)
        query = apply_rotary_emb(attn.norm_q(query.unflatten(-1, heads)), latent_rotary_emb, sequence_dim=1)
        key = apply_rotary_emb(attn.norm_k(key.unflatten(-1, heads)), latent_rotary_emb, sequence_dim=1)
        attention_output = dispatch_attention_fn(
            query,
            key,
            value.unflatten(-1, heads),
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        attention_output = attention_output.flatten(2, 3).to(query.dtype)
        return attn.to_out[1](attn.to_out[0](attention_output))


class MMAudioAttention(nn.Module, AttentionModuleMixin):
    """Projections of the latent stream alone."""

    _default_processor_cls = MMAudioAttnProcessor
    _available_processors = [MMAudioAttnProcessor]

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.use_bias = True
        self.to_q, self.to_k, self.to_v = (nn.Linear(dim, dim) for _ in range(3))
        self.norm_q, self.norm_k = (nn.RMSNorm(dim // heads, eps=RMS_NORM_EPS) for _ in range(2))
        self.to_out = nn.ModuleList([_token_layer(dim, dim, kernel_size=3, bias=True), nn.Dropout(0.0)])
        self.set_processor(self._default_processor_cls())

    def forward(self, hidden_states: torch.Tensor, latent_rotary_emb: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.processor(self, hidden_states, latent_rotary_emb)


class MMAudioFeedForward(nn.Module):
    """Gated SiLU, with layers that look along the tokens when `kernel_size` is above 1."""

    def __init__(self, dim: int, mlp_ratio: float, kernel_size: int) -> None:
        super().__init__()
        # Two thirds: a gated layer has three matrices where a plain one has two.
        inner_dim = int(2 * int(dim * mlp_ratio) / 3)
        inner_dim = FEED_FORWARD_MULTIPLE * -(-inner_dim // FEED_FORWARD_MULTIPLE)
        self.proj_in = _token_layer(dim, 2 * inner_dim, kernel_size, bias=False)
        self.proj_out = _token_layer(inner_dim, dim, kernel_size, bias=False)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        gate, hidden_states = self.proj_in(hidden_states).chunk(2, dim=-1)
        return self.proj_out(F.silu(gate) * hidden_states)


class MMAudioInputProjection(nn.Module):
    """Brings one stream to the hidden size: projection, activation (if any), feed-forward."""

    def __init__(
        self,
        in_channels: int,
        dim: int,
        mlp_ratio: float,
        kernel_size: int,
        feed_forward_kernel_size: int,
        activation: str | None,
    ) -> None:
        super().__init__()
        self.proj = _token_layer(in_channels, dim, kernel_size, bias=True)
        self.act = {None: nn.Identity, "silu": nn.SiLU, "selu": nn.SELU}[activation]()
        self.ff = MMAudioFeedForward(dim, mlp_ratio, feed_forward_kernel_size)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return self.ff(self.act(self.proj(hidden_states)))


class MMAudioSyncPositionEmbedding(nn.Module):
    """Adds the place of a Synchformer token inside its segment."""

    def __init__(self, sync_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, 1, SYNC_TOKENS_PER_SEGMENT, sync_dim))

    def forward(self, sync_features: torch.Tensor) -> torch.Tensor:
        # (B, Ls, C) -> (B, Ls / 8, 8, C) -> (B, Ls, C)
        segments = sync_features.unflatten(1, (-1, SYNC_TOKENS_PER_SEGMENT))
        return (segments + self.weight).flatten(1, 2)


class MMAudioNullFeatures(nn.Module):
    """What stands in for an absent modality: learned for video, the encoded empty string for text."""

    def __init__(self, clip_dim: int, sync_dim: int, text_dim: int, text_length: int) -> None:
        super().__init__()
        self.clip = nn.Parameter(torch.zeros(1, clip_dim))
        self.sync = nn.Parameter(torch.zeros(1, sync_dim))
        self.register_buffer("text", torch.zeros(text_length, text_dim))

    def forward(self, num_clip_tokens: int, num_sync_tokens: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """CLIP `(1, Lc, clip_dim)`, Synchformer `(1, Ls, sync_dim)` and text `(1, Lt, text_dim)` features."""
        return (
            self.clip[None].expand(1, num_clip_tokens, -1),
            self.sync[None].expand(1, num_sync_tokens, -1),
            self.text[None],
        )


class MMAudioLatentStatistics(nn.Module):
    """Mean and standard deviation of the training latents, per channel."""

    def __init__(self, latent_channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, 1, latent_channels))
        self.register_buffer("std", torch.ones(1, 1, latent_channels))

    def forward(self, latents: torch.Tensor, inverse: bool) -> torch.Tensor:
        return latents * self.std + self.mean if inverse else (latents - self.mean) / self.std


class MMAudioTimeEmbedding(nn.Module):
    """Sinusoidal features of the flow time, in float32: the fastest of v2 turn through 10,000 radians."""

    def __init__(self, num_channels: int, max_period: float, dim: int) -> None:
        super().__init__()
        self.num_channels = num_channels
        self.max_period = max_period
        self.linear_1 = nn.Linear(num_channels, dim)
        self.act = nn.SiLU()
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        channels = torch.arange(0, self.num_channels, 2, dtype=torch.float32, device=timestep.device)
        frequencies = (10000 / self.max_period) * (1.0 / 10000 ** (channels / self.num_channels))
        angles = timestep[:, None].float() * frequencies
        features = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.linear_2(self.act(self.linear_1(features.to(self.linear_1.weight.dtype))))


class MMAudioModulation(nn.Module):
    """Layer norm without weights of its own, and the linear map from the time embedding to its modulations."""

    def __init__(self, dim: int, num_modulations: int) -> None:
        super().__init__()
        self.num_modulations = num_modulations
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.linear = nn.Linear(dim, num_modulations * dim)

    def forward(
        self, hidden_states: torch.Tensor, temb: torch.Tensor, token_index: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """The normalised and modulated states, then the modulations that are left for later in the block."""
        modulation = self.linear(temb)
        if token_index is not None:
            modulation = modulation.index_select(1, token_index)
        shift, scale, *rest = modulation.chunk(self.num_modulations, dim=-1)
        return _modulate(self.norm(hidden_states), shift, scale), *rest


class MMAudioTransformerBlock(nn.Module):
    """Joint block: each stream has its own weights, attention is over all of them.

    With `context_pre_only` (the last joint block) CLIP and text are only looked at and leave unchanged.
    """

    def __init__(self, dim: int, heads: int, mlp_ratio: float, context_pre_only: bool) -> None:
        super().__init__()
        self.context_pre_only = context_pre_only
        num_context_modulations = 2 if context_pre_only else 6
        self.norm1 = MMAudioModulation(dim, num_modulations=6)
        self.norm1_clip = MMAudioModulation(dim, num_modulations=num_context_modulations)
        self.norm1_text = MMAudioModulation(dim, num_modulations=num_context_modulations)
        self.attn = MMAudioJointAttention(dim, heads, context_pre_only)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.ff = MMAudioFeedForward(dim, mlp_ratio, kernel_size=3)
        if not context_pre_only:
            self.ff_clip = MMAudioFeedForward(dim, mlp_ratio, kernel_size=3)
            self.ff_text = MMAudioFeedForward(dim, mlp_ratio, kernel_size=1)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        temb: torch.Tensor,
        sync_temb: torch.Tensor,
        sync_index: torch.Tensor,
        num_clip_tokens: int,
        latent_rotary_emb: tuple[torch.Tensor, ...],
        clip_rotary_emb: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        clip_states = encoder_hidden_states[:, :num_clip_tokens]
        text_states = encoder_hidden_states[:, num_clip_tokens:]
        normed, gate_attn, shift_ff, scale_ff, gate_ff = self.norm1(hidden_states, sync_temb, sync_index)
        normed_clip, *clip_modulations = self.norm1_clip(clip_states, temb)
        normed_text, *text_modulations = self.norm1_text(text_states, temb)

        attn_output, context_attn_output = self.attn(
            normed,
            torch.cat([normed_clip, normed_text], dim=1),
            num_clip_tokens,
            latent_rotary_emb,
            clip_rotary_emb,
        )
        hidden_states = hidden_states + attn_output * gate_attn
        normed = _modulate(self.norm2(hidden_states), shift_ff, scale_ff)
        hidden_states = hidden_states + self.ff(normed) * gate_ff
        if self.context_pre_only:
            return hidden_states, encoder_hidden_states

        clip_gate_attn, clip_shift_ff, clip_scale_ff, clip_gate_ff = clip_modulations
        clip_states = clip_states + context_attn_output[:, :num_clip_tokens] * clip_gate_attn
        normed_clip = _modulate(self.norm2(clip_states), clip_shift_ff, clip_scale_ff)
        clip_states = clip_states + self.ff_clip(normed_clip) * clip_gate_ff

        text_gate_attn, text_shift_ff, text_scale_ff, text_gate_ff = text_modulations
        text_states = text_states + context_attn_output[:, num_clip_tokens:] * text_gate_attn
        normed_text = _modulate(self.norm2(text_states), text_shift_ff, text_scale_ff)
        text_states = text_states + self.ff_text(normed_text) * text_gate_ff
        return hidden_states, torch.cat([clip_states, text_states], dim=1)


class MMAudioSingleTransformerBlock(nn.Module):
    """Block over the latents alone; CLIP and text pass through for the tools that expect both streams."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.norm1 = MMAudioModulation(dim, num_modulations=6)
        self.attn = MMAudioAttention(dim, heads)
        self.norm2 = nn.LayerNorm(dim, elementwise_affine=False)
        self.ff = MMAudioFeedForward(dim, mlp_ratio, kernel_size=3)

    def forward(
        self,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        sync_temb: torch.Tensor,
        sync_index: torch.Tensor,
        latent_rotary_emb: tuple[torch.Tensor, ...],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        normed, gate_attn, shift_ff, scale_ff, gate_ff = self.norm1(hidden_states, sync_temb, sync_index)
        hidden_states = hidden_states + self.attn(normed, latent_rotary_emb) * gate_attn
        normed = _modulate(self.norm2(hidden_states), shift_ff, scale_ff)
        return hidden_states + self.ff(normed) * gate_ff, encoder_hidden_states


class MMAudioTransformer1DModel(
    ModelMixin, ConfigMixin, AttentionMixin, CacheMixin, PeftAdapterMixin, FromOriginalModelMixin
):
    r"""
    Velocity network of MMAudio (arXiv 2412.15322) for flow matching between noise (time 0) and audio latents (time 1).

    The defaults are `large_44k_v2`. The other published sizes differ in `hidden_size`, `num_attention_heads`,
    `num_layers` and `num_single_layers`; the first generation ("v1": every checkpoint without `_v2` in its name) also
    has `conv_activation="selu"`, `linear_activation=None`, `time_embed_channels=256` and `time_max_period=10000`.

    Args:
        latent_channels (`int`, defaults to `40`): Channels of the audio latents: 40 at 44.1 kHz, 20 at 16 kHz.
        clip_dim (`int`, defaults to `1024`): Width of the CLIP image features.
        sync_dim (`int`, defaults to `768`): Width of the Synchformer features.
        text_dim (`int`, defaults to `1024`): Width of the CLIP text features.
        text_length (`int`, defaults to `77`): Number of text tokens.
        hidden_size (`int`, defaults to `896`): Width of the transformer.
        num_attention_heads (`int`, defaults to `14`): Heads of every attention.
        num_layers (`int`, defaults to `7`): Number of joint blocks.
        num_single_layers (`int`, defaults to `14`): Number of single blocks.
        mlp_ratio (`float`, defaults to `4.0`): Width of the feed-forward layers over `hidden_size`, before gating.
        conv_activation (`str`, defaults to `"silu"`): Activation of the latent and Synchformer projections.
        linear_activation (`str`, *optional*, defaults to `"silu"`): Activation of the CLIP and text projections.
        time_embed_channels (`int`, defaults to `896`): Number of sinusoidal time features.
        time_max_period (`float`, defaults to `1`): Longest period of the time features; 1 fits times in `[0, 1]`.
        latents_per_second (`float`, defaults to `44100 / 1024`): Rate of the latents. It only decides how many null
            tokens stand in for features that are not given.
        sync_edge_tokens (`int`, defaults to `0`): Frames before the first and after the last sync token that no token
            stands for. The published networks spread the tokens over the whole clip. Where each token belongs to one
            frame, as [`ConvVideoEncoder`]'s to the central ones of overlapping segments, that would move them by up to
            160 ms; with 4 each stays at its frame, and the first and the last one also serve the frames beyond.

    Raises:
        InputError: When `hidden_size` is not divisible by `num_attention_heads` into an even head size, or an
            activation is unknown.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = [
        "MMAudioTransformerBlock",
        "MMAudioSingleTransformerBlock",
        "MMAudioInputProjection",
        "MMAudioSyncPositionEmbedding",
        "MMAudioModulation",
    ]
    _repeated_blocks = ["MMAudioTransformerBlock", "MMAudioSingleTransformerBlock"]
    _keep_in_fp32_modules = ["time_embed", "latent_statistics"]
    # These also work outside `forward`, for conditions and latent statistics, so that block-level offloading has to
    # fetch each of them by itself.
    _group_offload_block_modules = [
        "clip_embedder",
        "sync_embedder",
        "text_embedder",
        "sync_pos_embed",
        "clip_pooled_proj",
        "text_pooled_proj",
        "pooled_ff",
        "null_features",
        "latent_statistics",
    ]
    _skip_layerwise_casting_patterns = ["norm", "time_embed", "latent_statistics", "null_features", "sync_pos_embed"]

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 40,
        clip_dim: int = 1024,
        sync_dim: int = 768,
        text_dim: int = 1024,
        text_length: int = 77,
        hidden_size: int = 896,
        num_attention_heads: int = 14,
        num_layers: int = 7,
        num_single_layers: int = 14,
        mlp_ratio: float = 4.0,
        conv_activation: str = "silu",
        linear_activation: str | None = "silu",
        time_embed_channels: int = 896,
        time_max_period: float = 1,
        latents_per_second: float = 44100 / 1024,
        sync_edge_tokens: int = 0,
    ) -> None:
        super().__init__()
        if hidden_size % (2 * num_attention_heads) != 0:
            raise InputError(
                f"`hidden_size` ({hidden_size}) must be divisible by twice `num_attention_heads` "
                f"({num_attention_heads}): rotary embeddings turn pairs of channels."
            )
        for name, value in (("conv_activation", conv_activation), ("linear_activation", linear_activation)):
            if value not in (None, "silu", "selu"):
                raise InputError(f"`{name}` is {value!r}; accepted are 'silu', 'selu' and None.")

        self.gradient_checkpointing = False
        self.proj_in = MMAudioInputProjection(latent_channels, hidden_size, mlp_ratio, 7, 7, conv_activation)
        self.clip_embedder = MMAudioInputProjection(clip_dim, hidden_size, mlp_ratio, 1, 3, linear_activation)
        self.sync_embedder = MMAudioInputProjection(sync_dim, hidden_size, mlp_ratio, 7, 3, conv_activation)
        self.text_embedder = MMAudioInputProjection(text_dim, hidden_size, mlp_ratio, 1, 1, linear_activation)
        self.sync_pos_embed = MMAudioSyncPositionEmbedding(sync_dim)
        self.clip_pooled_proj = nn.Linear(hidden_size, hidden_size)
        self.text_pooled_proj = nn.Linear(hidden_size, hidden_size)
        self.pooled_ff = MMAudioFeedForward(hidden_size, 4.0, kernel_size=1)
        self.time_embed = MMAudioTimeEmbedding(time_embed_channels, time_max_period, hidden_size)

        self.transformer_blocks = nn.ModuleList(
            [
                MMAudioTransformerBlock(
                    hidden_size, num_attention_heads, mlp_ratio, context_pre_only=layer == num_layers - 1
                )
                for layer in range(num_layers)
            ]
        )
        self.single_transformer_blocks = nn.ModuleList(
            [
                MMAudioSingleTransformerBlock(hidden_size, num_attention_heads, mlp_ratio)
                for _ in range(num_single_layers)
            ]
        )
        self.norm_out = MMAudioModulation(hidden_size, num_modulations=2)
        self.proj_out = MMAudioTokenConv1d(hidden_size, latent_channels, 7, padding=3)

        self.null_features = MMAudioNullFeatures(clip_dim, sync_dim, text_dim, text_length)
        self.latent_statistics = MMAudioLatentStatistics(latent_channels)
        self._init_weights()

    def _init_weights(self) -> None:
        """The original's initialisation: blocks begin as identities and the velocity begins at zero."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for layer in (self.time_embed.linear_1, self.time_embed.linear_2):
            nn.init.normal_(layer.weight, std=0.02)
        for module in self.modules():
            if isinstance(module, MMAudioModulation):
                nn.init.zeros_(module.linear.weight)
        nn.init.zeros_(self.proj_out.weight)
        nn.init.zeros_(self.proj_out.bias)

    @classmethod
    def from_single_file(cls, pretrained_model_link_or_path_or_dict, **kwargs) -> "MMAudioTransformer1DModel":
        """Load an original checkpoint; its shapes tell the configuration unless `config` or `original_config` does.

        Args:
            pretrained_model_link_or_path_or_dict (`str`, `os.PathLike` or `dict`): A file of the published layout, its
                address on the Hub, or the state dict itself.
            **kwargs: See [`~diffusers.loaders.FromOriginalModelMixin.from_single_file`]. Entries of `original_config`
                override what the shapes tell.

        Returns:
            [`MMAudioTransformer1DModel`] with the weights of the file.
        """
        if kwargs.get("config") is None:
            kwargs.setdefault("original_config", {})
        if kwargs.get("quantization_config") is not None:
            return super().from_single_file(pretrained_model_link_or_path_or_dict, **kwargs)
        # diffusers' loader would cast the modules too that have to stay in float32.
        dtype, torch_dtype = kwargs.pop("dtype", None), kwargs.pop("torch_dtype", None)
        model = super().from_single_file(pretrained_model_link_or_path_or_dict, **kwargs)
        if dtype is not None or torch_dtype is not None:
            for name, module in model.named_children():
                if name not in cls._keep_in_fp32_modules:
                    module.to(dtype or torch_dtype)
        return model

    @apply_forward_hook
    def normalize_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """VAE latents to the unit scale the network works at.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`): As the VAE encodes them.

        Returns:
            `torch.Tensor` of the same shape.
        """
        return self.latent_statistics(latents, inverse=False)

    @apply_forward_hook
    def denormalize_latents(self, latents: torch.Tensor) -> torch.Tensor:
        """Undo `normalize_latents`.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`): At the unit scale.

        Returns:
            `torch.Tensor` of the same shape, for the VAE to decode.
        """
        return self.latent_statistics(latents, inverse=True)

    @apply_forward_hook
    @apply_lora_scale("attention_kwargs")
    def encode_conditions(
        self,
        clip_features: torch.Tensor | None,
        sync_features: torch.Tensor | None,
        text_features: torch.Tensor | None,
        num_clip_tokens: int,
        num_sync_tokens: int,
        attention_kwargs: dict | None = None,
    ) -> MMAudioConditions:
        r"""
        Compute what the network needs of its conditions, once for all time steps.

        Args:
            clip_features (`torch.Tensor` of shape `(batch_size, num_clip_tokens, clip_dim)` or `None`):
                L2-normalised CLIP features of the frames at 8 per second.
            sync_features (`torch.Tensor` of shape `(batch_size, num_sync_tokens, sync_dim)` or `None`):
                Synchformer features of the frames at 25 per second, 8 tokens a segment.
            text_features (`torch.Tensor` of shape `(batch_size, text_length, text_dim)` or `None`):
                L2-normalised CLIP token states.
            num_clip_tokens (`int`): Number of CLIP tokens; null features need to be told.
            num_sync_tokens (`int`): Number of Synchformer tokens.
            attention_kwargs (`dict`, *optional*): `scale` is the strength of loaded LoRA weights.

        `None` stands for the null feature of that modality. Features whose batch size is 1 serve every item of the
        others, so conditions without any given feature have batch size 1.

        Returns:
            [`MMAudioConditions`].

        Raises:
            InputError: When the shape of a feature does not fit.
        """
        config = self.config
        for name, features, num_tokens, num_channels in (
            ("clip_features", clip_features, num_clip_tokens, config.clip_dim),
            ("sync_features", sync_features, num_sync_tokens, config.sync_dim),
            ("text_features", text_features, config.text_length, config.text_dim),
        ):
            if features is not None and (features.ndim != 3 or features.shape[1:] != (num_tokens, num_channels)):
                raise InputError(
                    f"`{name}` has shape {tuple(features.shape)}; expected (batch_size, {num_tokens}, {num_channels})."
                )
        if num_clip_tokens < 1:
            raise InputError(f"`num_clip_tokens` is {num_clip_tokens}; at least one is needed.")
        if num_sync_tokens < 1 or num_sync_tokens % SYNC_TOKENS_PER_SEGMENT != 0:
            raise InputError(
                f"`num_sync_tokens` is {num_sync_tokens}; Synchformer gives {SYNC_TOKENS_PER_SEGMENT} tokens for each "
                "of its segments, so it must be a multiple of that."
            )
        batch_sizes = {f.shape[0] for f in (clip_features, sync_features, text_features) if f is not None} - {1}
        if len(batch_sizes) > 1:
            raise InputError(
                f"`clip_features`, `sync_features` and `text_features` have batch sizes {sorted(batch_sizes)}; they "
                "must be equal, or 1."
            )

        null_clip, null_sync, null_text = self.null_features(num_clip_tokens, num_sync_tokens)
        clip_states = self.clip_embedder(null_clip if clip_features is None else clip_features)
        sync_states = self.sync_pos_embed(null_sync if sync_features is None else sync_features)
        sync_states = self.sync_embedder(sync_states)
        text_states = self.text_embedder(null_text if text_features is None else text_features)
        # Padding is part of the text here: the network was trained with the mean over all tokens.
        pooled = self.clip_pooled_proj(clip_states.mean(dim=1)) + self.text_pooled_proj(text_states.mean(dim=1))
        conditions = MMAudioConditions(
            clip_states=clip_states,
            sync_states=sync_states,
            text_states=text_states,
            pooled=self.pooled_ff(pooled),
        )
        return conditions.expand(batch_sizes.pop()) if batch_sizes else conditions

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        clip_features: torch.Tensor | None = None,
        sync_features: torch.Tensor | None = None,
        text_features: torch.Tensor | None = None,
        conditions: MMAudioConditions | None = None,
        attention_kwargs: dict | None = None,
        return_dict: bool = True,
    ) -> MMAudioTransformer1DModelOutput | tuple[torch.Tensor]:
        r"""
        Predict the velocity, data minus noise.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`):
                Normalised latents at time `timestep`.
            timestep (`torch.Tensor` of shape `(batch_size,)`):
                Flow time in `[0, 1]`: 0 is noise, 1 is data. Keep it in float32 whatever the dtype of the network.
            clip_features, sync_features, text_features (`torch.Tensor`, *optional*):
                See [`~MMAudioTransformer1DModel.encode_conditions`]; `None` is the null feature.
            conditions ([`MMAudioConditions`], *optional*):
                Output of `encode_conditions`, instead of features. Its batch size may be `num_sets * batch_size`: the
                latents are then evaluated once under each set, as classifier-free guidance needs.
            attention_kwargs (`dict`, *optional*):
                `scale` is the strength of loaded LoRA weights.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`MMAudioTransformer1DModelOutput`] instead of a tuple.

        Returns:
            [`MMAudioTransformer1DModelOutput`] whose `sample` has the batch size of the conditions.

        Raises:
            InputError: When a shape does not fit.
        """
        if hidden_states.ndim != 3 or hidden_states.shape[2] != self.config.latent_channels:
            raise InputError(
                f"`hidden_states` has shape {tuple(hidden_states.shape)}; expected (batch_size, num_latents, "
                f"{self.config.latent_channels})."
            )
        batch_size, num_latents, _ = hidden_states.shape
        if timestep.shape != (batch_size,):
            raise InputError(f"`timestep` has shape {tuple(timestep.shape)}; expected ({batch_size},).")
        features = {
            "clip_features": clip_features,
            "sync_features": sync_features,
            "text_features": text_features,
        }
        given = [name for name, tensor in features.items() if tensor is not None]
        if conditions is None:
            wrong = [name for name in given if features[name].shape[0] not in (1, batch_size)]
            if wrong:
                raise InputError(
                    f"`{wrong[0]}` has batch size {features[wrong[0]].shape[0]} for {batch_size} `hidden_states`; "
                    "pass one, or one for each."
                )
            rate = self.config.latents_per_second
            if clip_features is None:
                num_clip_tokens = num_clip_frames_of_latents(num_latents, rate)
            else:
                num_clip_tokens = clip_features.shape[1]
            if sync_features is None:
                num_sync_tokens = num_sync_tokens_of_latents(num_latents, rate)
            else:
                num_sync_tokens = sync_features.shape[1]
            conditions = self.encode_conditions(
                clip_features, sync_features, text_features, num_clip_tokens, num_sync_tokens
            )
        elif given:
            raise InputError(f"`conditions` and `{given[0]}` were given; the conditions hold the features already.")
        if conditions.pooled.shape[0] == 1:
            conditions = conditions.expand(batch_size)
        num_sets, remainder = divmod(conditions.pooled.shape[0], batch_size)
        if remainder != 0 or num_sets == 0:
            raise InputError(
                f"`conditions` has batch size {conditions.pooled.shape[0]}; expected a multiple of the batch size of "
                f"`hidden_states` ({batch_size})."
            )

        # 1. Embed. The latents and the time are the same in every condition set.
        hidden_states = self.proj_in(hidden_states).repeat(num_sets, 1, 1)
        time_embedding = self.time_embed(timestep).to(hidden_states.dtype).repeat(num_sets, 1)
        temb = (time_embedding + conditions.pooled)[:, None]
        # Every modulation begins with a SiLU of the same input.
        sync_temb = F.silu(temb + conditions.sync_states)
        temb = F.silu(temb)

        # 2. Place the streams in time.
        num_clip_tokens, num_sync_tokens = conditions.clip_states.shape[1], conditions.sync_states.shape[1]
        head_dim = self.config.hidden_size // self.config.num_attention_heads
        device = hidden_states.device
        latent_rotary_emb = _rotary_embedding(num_latents, head_dim, 1.0, device)
        clip_rotary_emb = _rotary_embedding(num_clip_tokens, head_dim, num_latents / num_clip_tokens, device)
        sync_index = _sync_tokens_of_latents(num_latents, num_sync_tokens, self.config.sync_edge_tokens, device)

        # 3. Transformer blocks.
        encoder_hidden_states = torch.cat([conditions.clip_states, conditions.text_states], dim=1)
        placement = (temb, sync_temb, sync_index, num_clip_tokens, latent_rotary_emb, clip_rotary_emb)
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states, encoder_hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, *placement
                )
            else:
                hidden_states, encoder_hidden_states = block(hidden_states, encoder_hidden_states, *placement)
        placement = (sync_temb, sync_index, latent_rotary_emb)
        for block in self.single_transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states, encoder_hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, encoder_hidden_states, *placement
                )
            else:
                hidden_states, encoder_hidden_states = block(hidden_states, encoder_hidden_states, *placement)

        # 4. Velocity. The last norm sees the clip as a whole, without the Synchformer features: an oversight in the
        # original (hkchengrex/MMAudio#55) that its weights were trained with.
        (hidden_states,) = self.norm_out(hidden_states, temb)
        sample = self.proj_out(hidden_states)
        if not return_dict:
            return (sample,)
        return MMAudioTransformer1DModelOutput(sample=sample)
