# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The velocity network of F5-TTS: a diffusion transformer that fills in a mel spectrogram for a text.

Chen et al., "F5-TTS: A Fairytaler that Fakes Fluent and Faithful Speech with Flow Matching" (arXiv 2410.06885);
original code: SWivid/F5-TTS (MIT). With `energy_conditioning` it is the speech network of DeepAudio-V1 (arXiv
2503.22265; original code: acappemin/DeepAudio-V1), which adds one linear layer for the energy contour. The text runs
along the mel frames, one token a frame from the first one on, and the network itself learns when each is spoken.

What is arranged differently from the original, with equal results:

* The input projection is two: one for the noisy mel, and one for all that does not depend on time, which is computed
  once for all steps (`F5TTSConditions`). The noisy mel is projected once for all the condition sets of classifier-free
  guidance.
* The time embedding and the modulations are computed once per item, not once per condition set.
* The last modulation holds shift before scale, as all others do.

Shape letters: B batch, K condition sets per item, T mel frames, Nt text tokens, C mel channels, D hidden size.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import FromOriginalModelMixin, PeftAdapterMixin
from diffusers.models.attention import AttentionMixin, AttentionModuleMixin, FeedForward
from diffusers.models.attention_dispatch import dispatch_attention_fn
from diffusers.models.cache_utils import CacheMixin
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput, apply_lora_scale
from diffusers.utils.accelerate_utils import apply_forward_hook
from torch import nn

from ..errors import InputError


LAYER_NORM_EPS = 1e-6
# Added to the mean response by which global response normalisation divides.
RESPONSE_NORM_EPS = 1e-6
TIME_EMBED_CHANNELS = 256
# Flow times in [0, 1] are spread over the angles that sinusoidal features of 1000 timesteps have.
TIME_SCALE = 1000
POSITION_CONV_KERNEL_SIZE = 31
POSITION_CONV_GROUPS = 16
TEXT_CONV_KERNEL_SIZE = 7
TEXT_EXPANSION = 2
# Text ids are padded with this; moved up by one they index an embedding table whose row 0 is "no token".
TEXT_PADDING_ID = -1


@dataclass
class F5TTSTransformer1DModelOutput(BaseOutput):
    """Output of [`F5TTSTransformer1DModel`].

    Args:
        sample (`torch.Tensor` of shape `(batch_size, num_frames, mel_channels)`):
            The velocity, data minus noise.
    """

    sample: torch.Tensor


class F5TTSConditions(NamedTuple):
    """The part of [`F5TTSTransformer1DModel`] that does not depend on the time step.

    A named tuple, because the hooks of accelerate know how to move one between devices.

    Args:
        states (`torch.Tensor` of shape `(batch_size, num_frames, hidden_size)`): The share of reference mel, text,
            energy and bias in the input projection; zero where an item is padded.
        attention_mask (`torch.Tensor` of shape `(batch_size, num_frames)`, bool, *optional*): True at frames of the
            item, False at padding; `None` when no item is padded.
    """

    states: torch.Tensor
    attention_mask: torch.Tensor | None

    def expand(self, batch_size: int) -> "F5TTSConditions":
        """Repeat conditions of batch size one for `batch_size` items, without copying."""
        return F5TTSConditions(*(None if t is None else t.expand(batch_size, *t.shape[1:]) for t in self))

    def repeat_interleave(self, repeats: int) -> "F5TTSConditions":
        """Repeat each item `repeats` times in a row."""
        return F5TTSConditions(*(None if t is None else t.repeat_interleave(repeats, dim=0) for t in self))

    @staticmethod
    def cat(conditions: "list[F5TTSConditions]") -> "F5TTSConditions":
        """Stack condition sets along the batch; the first set comes first, as classifier-free guidance expects."""
        attention_mask = None
        if any(c.attention_mask is not None for c in conditions):
            attention_mask = torch.cat(
                [
                    c.states.new_ones(c.states.shape[:2], dtype=torch.bool)
                    if c.attention_mask is None
                    else c.attention_mask
                    for c in conditions
                ]
            )
        return F5TTSConditions(torch.cat([c.states for c in conditions]), attention_mask)


def _angles(length: int, dim: int, device: torch.device) -> torch.Tensor:
    """Angles of shape `(length, dim / 2)` that turn from once per 2 pi positions to ten thousand times slower."""
    frequencies = 1.0 / 10000 ** (torch.arange(0, dim, 2, dtype=torch.float32, device=device) / dim)
    return torch.outer(torch.arange(length, dtype=torch.float32, device=device), frequencies)


def _zero_outside(states: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """Zero the frames of `(batch_size, num_frames, channels)` where `mask`, `(batch_size, num_frames)`, is False."""
    return states if mask is None else states.masked_fill(~mask[..., None], 0)


def _rotate(states: torch.Tensor, rotary_emb: torch.Tensor, num_heads: int | None) -> torch.Tensor:
    """Turn adjacent pairs of channels of `(batch_size, num_frames, heads, head_dim)`, in float32.

    Args:
        rotary_emb (`torch.Tensor` of shape `(num_frames, head_dim / 2)`): Complex numbers of unit length. One complex
            product is several times faster than its four real ones, which need temporary tensors.
        num_heads (`int`, *optional*): How many heads to turn, from the first one on; all by default.
    """
    pairs = torch.view_as_complex(states[:, :, :num_heads].float().unflatten(-1, (-1, 2)))
    turned = torch.view_as_real(pairs * rotary_emb[:, None]).flatten(-2).type_as(states)
    return turned if num_heads is None else torch.cat([turned, states[:, :, num_heads:]], dim=2)


class F5TTSLinear(nn.Linear):
    """A linear layer whose float32 products on a CPU are those of oneDNN.

    PyTorch takes MKL there, which uses half the width of the vector units of processors that are not Intel's: the
    layers of a block then take twice the time. oneDNN, which PyTorch takes for convolutions, uses them whole. Both
    differ by rounding.
    """

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        takes_onednn = (
            hidden_states.device.type == "cpu"
            and hidden_states.dtype == self.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and torch.backends.mkldnn.is_available()
            and torch.backends.mkldnn.enabled
        )
        if takes_onednn:
            return F.linear(hidden_states.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(hidden_states)


class F5TTSAttnProcessor:
    """Self-attention of the mel frames."""

    _attention_backend = None
    _parallel_config = None

    def __call__(
        self,
        attn: "F5TTSAttention",
        hidden_states: torch.Tensor,
        rotary_emb: torch.Tensor,
        key_mask: torch.Tensor | None = None,
        output_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        if attn.fused_projections:
            query, key, value = attn.to_qkv(hidden_states).chunk(3, dim=-1)
        else:
            query, key, value = attn.to_q(hidden_states), attn.to_k(hidden_states), attn.to_v(hidden_states)

        # (B, T, inner) -> (B, T, heads, head_dim)
        heads = (attn.heads, -1)
        attention_output = dispatch_attention_fn(
            _rotate(attn.norm_q(query.unflatten(-1, heads)), rotary_emb, attn.num_rotary_heads),
            _rotate(attn.norm_k(key.unflatten(-1, heads)), rotary_emb, attn.num_rotary_heads),
            value.unflatten(-1, heads),
            attn_mask=None if key_mask is None else key_mask[:, None, None],
            backend=self._attention_backend,
            parallel_config=self._parallel_config,
        )
        attention_output = attention_output.flatten(2, 3).to(value.dtype)
        return _zero_outside(attn.to_out[1](attn.to_out[0](attention_output)), output_mask)


class F5TTSAttention(nn.Module, AttentionModuleMixin):
    """Projections of the mel frames; queries and keys are normalised per head if `qk_norm` says so."""

    _default_processor_cls = F5TTSAttnProcessor
    _available_processors = [F5TTSAttnProcessor]
    is_cross_attention = False

    def __init__(
        self,
        dim: int,
        heads: int,
        head_dim: int,
        num_rotary_heads: int | None,
        qk_norm: str | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.num_rotary_heads = num_rotary_heads
        self.use_bias = True
        self.to_q, self.to_k, self.to_v = (F5TTSLinear(dim, heads * head_dim) for _ in range(3))
        self.norm_q, self.norm_k = (
            nn.Identity() if qk_norm is None else nn.RMSNorm(head_dim, eps=LAYER_NORM_EPS) for _ in range(2)
        )
        self.to_out = nn.ModuleList([F5TTSLinear(heads * head_dim, dim), nn.Dropout(dropout)])
        self.set_processor(self._default_processor_cls())

    def forward(
        self,
        hidden_states: torch.Tensor,
        rotary_emb: torch.Tensor,
        key_mask: torch.Tensor | None = None,
        output_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return self.processor(self, hidden_states, rotary_emb, key_mask, output_mask)


class F5TTSTimeEmbedding(nn.Module):
    """Sinusoidal features of the flow time, in float32."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(TIME_EMBED_CHANNELS, dim)
        self.act = nn.SiLU()
        self.linear_2 = nn.Linear(dim, dim)

    def forward(self, timestep: torch.Tensor) -> torch.Tensor:
        half = TIME_EMBED_CHANNELS // 2
        exponents = torch.arange(half, dtype=torch.float32, device=timestep.device) * -(math.log(10000) / (half - 1))
        angles = TIME_SCALE * timestep[:, None].float() * exponents.exp()
        features = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return self.linear_2(self.act(self.linear_1(features.to(self.linear_1.weight.dtype))))


class F5TTSModulation(nn.Module):
    """Layer norm without weights of its own, and the linear map from the time embedding to its modulations.

    The hidden states may hold several condition sets one after the other for each row of the time embedding.
    """

    def __init__(self, dim: int, num_modulations: int) -> None:
        super().__init__()
        self.num_modulations = num_modulations
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.linear = F5TTSLinear(dim, num_modulations * dim)

    def forward(self, hidden_states: torch.Tensor, temb: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The normalised and modulated states, then the modulations that are left for later in the block."""
        num_sets = hidden_states.shape[0] // temb.shape[0]
        modulation = self.linear(temb).repeat(num_sets, 1)[:, None]
        shift, scale, *rest = modulation.chunk(self.num_modulations, dim=-1)
        return torch.addcmul(shift, self.norm(hidden_states), 1 + scale), *rest


class F5TTSFeedForward(FeedForward):
    """Two linear layers with the tanh approximation of GELU between them; known to diffusers' layer skipping."""

    def __init__(self, dim: int, ff_mult: float, dropout: float) -> None:
        super().__init__(dim, mult=ff_mult, dropout=dropout, activation_fn="gelu-approximate")
        inner_dim = self.net[2].in_features
        self.net[0].proj = F5TTSLinear(dim, inner_dim)
        self.net[2] = F5TTSLinear(inner_dim, dim)


class F5TTSTransformerBlock(nn.Module):
    """Self-attention and feed-forward, each shifted, scaled and gated by the time."""

    def __init__(
        self,
        dim: int,
        heads: int,
        head_dim: int,
        ff_mult: float,
        num_rotary_heads: int | None,
        qk_norm: str | None,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm1 = F5TTSModulation(dim, num_modulations=6)
        self.attn = F5TTSAttention(dim, heads, head_dim, num_rotary_heads, qk_norm, dropout)
        self.norm2 = nn.LayerNorm(dim, eps=LAYER_NORM_EPS, elementwise_affine=False)
        self.ff = F5TTSFeedForward(dim, ff_mult, dropout)

    def forward(
        self,
        hidden_states: torch.Tensor,
        temb: torch.Tensor,
        rotary_emb: torch.Tensor,
        key_mask: torch.Tensor | None = None,
        output_mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        normed, gate_attn, shift_ff, scale_ff, gate_ff = self.norm1(hidden_states, temb)
        attn_output = self.attn(normed, rotary_emb, key_mask, output_mask)
        hidden_states = torch.addcmul(hidden_states, gate_attn, attn_output)
        normed = torch.addcmul(shift_ff, self.norm2(hidden_states), 1 + scale_ff)
        return torch.addcmul(hidden_states, gate_ff, self.ff(normed))


class F5TTSPositionConv(nn.Module):
    """Two grouped convolutions along the frames, which see nothing of the padding."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv_1, self.conv_2 = (
            nn.Conv1d(
                dim,
                dim,
                POSITION_CONV_KERNEL_SIZE,
                padding=POSITION_CONV_KERNEL_SIZE // 2,
                groups=POSITION_CONV_GROUPS,
            )
            for _ in range(2)
        )
        self.act = nn.Mish()

    def forward(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        hidden_states = _zero_outside(hidden_states, attention_mask)
        for conv in (self.conv_1, self.conv_2):
            hidden_states = self.act(conv(hidden_states.transpose(1, 2)).transpose(1, 2))
            hidden_states = _zero_outside(hidden_states, attention_mask)
        return hidden_states


class F5TTSResponseNorm(nn.Module):
    """Global response normalisation (ConvNeXt V2, arXiv 2301.00808): channels compete by their norm over frames."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1, 1, dim))
        self.beta = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        response = torch.linalg.vector_norm(states, dim=1, keepdim=True)
        response = response / (response.mean(dim=-1, keepdim=True) + RESPONSE_NORM_EPS)
        return torch.addcmul(self.beta, states, 1 + self.gamma * response)


class F5TTSTextBlock(nn.Module):
    """A ConvNeXt V2 block along the text."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv1d(dim, dim, TEXT_CONV_KERNEL_SIZE, padding=TEXT_CONV_KERNEL_SIZE // 2, groups=dim)
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS)
        self.pwconv1 = nn.Linear(dim, TEXT_EXPANSION * dim)
        self.act = nn.GELU()
        self.grn = F5TTSResponseNorm(TEXT_EXPANSION * dim)
        self.pwconv2 = nn.Linear(TEXT_EXPANSION * dim, dim)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        update = self.norm(self.dwconv(states.transpose(1, 2)).transpose(1, 2))
        return states + self.pwconv2(self.grn(self.act(self.pwconv1(update))))


class F5TTSTextEmbedding(nn.Module):
    """Text tokens, one a frame from the first frame on, and "no token" at all frames after them."""

    def __init__(
        self, vocab_size: int, dim: int, num_layers: int, mask_padding: bool, average_upsampling: bool
    ) -> None:
        super().__init__()
        self.mask_padding = mask_padding
        self.average_upsampling = average_upsampling
        self.token_embed = nn.Embedding(vocab_size + 1, dim)
        self.blocks = nn.ModuleList([F5TTSTextBlock(dim) for _ in range(num_layers)])

    def forward(
        self,
        text_ids: torch.Tensor,
        num_frames: int,
        attention_mask: torch.Tensor | None = None,
        drop_text: bool = False,
    ) -> torch.Tensor:
        """Text states of shape `(batch_size, num_frames, dim)`.

        `attention_mask` keeps tokens and positions out of the padding. As in the original it does not separate the
        items wholly: the blocks normalise by all frames of the batch.
        """
        # Tokens beyond the last frame are cut off: a negative padding crops.
        ids = F.pad(text_ids - TEXT_PADDING_ID, (0, num_frames - text_ids.shape[1]))
        if attention_mask is not None:
            ids = ids.masked_fill(~attention_mask, 0)
        is_text = ids != 0
        states = self.token_embed(torch.zeros_like(ids) if drop_text else ids)
        if len(self.blocks) > 0:
            angles = _angles(num_frames, states.shape[-1], states.device)
            states = states + torch.cat([angles.cos(), angles.sin()], dim=-1).to(states.dtype)
        states = _zero_outside(states, attention_mask)

        if len(self.blocks) > 0:
            # The mask knows where text was even if it is dropped: these networks are told its length.
            text_mask = is_text if self.mask_padding else None
            states = _zero_outside(states, text_mask)
            for block in self.blocks:
                states = _zero_outside(block(states), text_mask)
        if self.average_upsampling:
            states = self._upsample(states, is_text, attention_mask)
        return states

    @staticmethod
    def _upsample(states: torch.Tensor, is_text: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        """Spread the tokens evenly over the frames of their item; the last ones get the frames that are left over."""
        batch_size, num_frames, dim = states.shape
        num_tokens = is_text.sum(dim=1, keepdim=True)
        frame = torch.arange(num_frames, device=states.device)
        if attention_mask is None:
            attention_mask = is_text.new_ones(batch_size, num_frames)
        length = attention_mask.sum(dim=1, keepdim=True)
        # An item without text has no token to spread and stays zero.
        repeats = length // num_tokens.clamp(min=1)
        num_short = num_tokens - length % num_tokens.clamp(min=1)
        short_end = num_short * repeats
        token = torch.where(
            frame < short_end, frame // repeats.clamp(min=1), num_short + (frame - short_end) // (repeats + 1)
        )
        states = states.gather(1, token.clamp(min=0, max=num_frames - 1)[..., None].expand(-1, -1, dim))
        return _zero_outside(states, attention_mask & (num_tokens > 0))


class F5TTSTransformer1DModel(
    ModelMixin, ConfigMixin, AttentionMixin, CacheMixin, PeftAdapterMixin, FromOriginalModelMixin
):
    r"""
    Velocity network of F5-TTS (arXiv 2410.06885) for flow matching between noise (time 0) and mels (time 1).

    The defaults are `F5TTS_v1_Base`. The small size has `hidden_size=768`, `num_layers=18` and
    `num_attention_heads=12`. The first generation ("v0", `F5TTS_Base`) has `text_mask_padding=False` and
    `num_rotary_heads=1`. DeepAudio-V1's speech network is that of v0 with `energy_conditioning=True`,
    `attn_mask_enabled=True` and `max_positions=4096`.

    Args:
        mel_channels (`int`, defaults to `100`): Channels of the mel spectrogram.
        vocab_size (`int`, defaults to `2545`): Number of text tokens.
        hidden_size (`int`, defaults to `1024`): Width of the transformer, a multiple of 16.
        num_layers (`int`, defaults to `22`): Number of blocks.
        num_attention_heads (`int`, defaults to `16`): Heads of every attention.
        attention_head_dim (`int`, defaults to `64`): Width of a head.
        ff_mult (`float`, defaults to `2`): Width of the feed-forward layers over `hidden_size`.
        text_dim (`int`, defaults to `512`): Width of the text embedding.
        num_text_layers (`int`, defaults to `4`): Number of convolutional blocks over the text.
        text_mask_padding (`bool`, defaults to `True`): Whether the frames after the text stay zero in the text blocks.
        text_average_upsampling (`bool`, defaults to `False`): Whether the tokens are spread evenly over all frames.
        num_rotary_heads (`int`, *optional*): How many heads are given positions, from the first one on; all by
            default.
        qk_norm (`str`, *optional*): `"rms_norm"` normalises queries and keys per head.
        attn_mask_enabled (`bool`, defaults to `False`): Whether `attention_mask` keeps padding out of the attention.
            [`F5TTSConditions`] always do.
        long_skip (`bool`, defaults to `False`): Whether the embedded input is joined again after the last block.
        energy_conditioning (`bool`, defaults to `False`): Whether the network takes an energy contour.
        dropout (`float`, defaults to `0.1`): Dropout of attention outputs and inside feed-forwards, in training.
        max_positions (`int`, defaults to `8192`): The largest number of frames for which text has positions.
        mel_type (`str`, defaults to `"vocos"`): Which mel spectrogram the network was trained on: `"vocos"` or
            `"bigvgan"`. This and the next five change nothing in the network.
        sampling_rate (`int`, defaults to `24000`): Sampling rate of the sound, in hertz.
        n_fft (`int`, defaults to `1024`): Window of the mel spectrogram, in samples.
        hop_length (`int`, defaults to `256`): Step of the mel spectrogram, in samples.
        mel_mean, mel_std (`float`, default to `0.0` and `1.0`): What is taken from the values of the mel spectrogram,
            and what they are then divided by, before the network sees them.

    Raises:
        InputError: When a size does not divide, or `qk_norm`, `mel_type` or `num_rotary_heads` is not possible.
    """

    _supports_gradient_checkpointing = True
    _no_split_modules = ["F5TTSTransformerBlock", "F5TTSTextBlock", "F5TTSPositionConv", "F5TTSModulation"]
    _repeated_blocks = ["F5TTSTransformerBlock"]
    _keep_in_fp32_modules = ["time_embed"]
    # These also work outside `forward`, for conditions, so that block-level offloading has to fetch each by itself.
    _group_offload_block_modules = ["text_embed", "cond_proj", "energy_proj"]
    _skip_layerwise_casting_patterns = ["norm", "time_embed", "grn"]

    @register_to_config
    def __init__(
        self,
        mel_channels: int = 100,
        vocab_size: int = 2545,
        hidden_size: int = 1024,
        num_layers: int = 22,
        num_attention_heads: int = 16,
        attention_head_dim: int = 64,
        ff_mult: float = 2,
        text_dim: int = 512,
        num_text_layers: int = 4,
        text_mask_padding: bool = True,
        text_average_upsampling: bool = False,
        num_rotary_heads: int | None = None,
        qk_norm: str | None = None,
        attn_mask_enabled: bool = False,
        long_skip: bool = False,
        energy_conditioning: bool = False,
        dropout: float = 0.1,
        max_positions: int = 8192,
        mel_type: str = "vocos",
        sampling_rate: int = 24000,
        n_fft: int = 1024,
        hop_length: int = 256,
        mel_mean: float = 0.0,
        mel_std: float = 1.0,
    ) -> None:
        super().__init__()
        if hidden_size % POSITION_CONV_GROUPS != 0:
            raise InputError(
                f"`hidden_size` is {hidden_size}; it must be a multiple of {POSITION_CONV_GROUPS}, the groups of the "
                "position convolutions."
            )
        for name, value in (("attention_head_dim", attention_head_dim), ("text_dim", text_dim)):
            if value % 2 != 0:
                raise InputError(f"`{name}` is {value}; it must be even, because positions turn pairs of channels.")
        if num_rotary_heads is not None and not 1 <= num_rotary_heads <= num_attention_heads:
            raise InputError(
                f"`num_rotary_heads` is {num_rotary_heads}; pass 1 to `num_attention_heads` ({num_attention_heads}), "
                "or None for all."
            )
        if qk_norm not in (None, "rms_norm"):
            raise InputError(f"`qk_norm` is {qk_norm!r}; accepted are 'rms_norm' and None.")
        if mel_type not in ("vocos", "bigvgan"):
            raise InputError(f"`mel_type` is {mel_type!r}; accepted are 'vocos' and 'bigvgan'.")
        if text_average_upsampling and not text_mask_padding:
            raise InputError(
                "`text_average_upsampling` is True and `text_mask_padding` is False; tokens are spread over the "
                "frames of the filler, which then has to be masked: set `text_mask_padding=True`."
            )

        self.gradient_checkpointing = False
        self.time_embed = F5TTSTimeEmbedding(hidden_size)
        self.text_embed = F5TTSTextEmbedding(
            vocab_size, text_dim, num_text_layers, text_mask_padding, text_average_upsampling
        )
        self.proj_in = nn.Linear(mel_channels, hidden_size, bias=False)
        self.cond_proj = nn.Linear(mel_channels + text_dim, hidden_size)
        self.energy_proj = nn.Linear(1, hidden_size) if energy_conditioning else None
        self.position_conv = F5TTSPositionConv(hidden_size)
        self.transformer_blocks = nn.ModuleList(
            [
                F5TTSTransformerBlock(
                    hidden_size,
                    num_attention_heads,
                    attention_head_dim,
                    ff_mult,
                    num_rotary_heads,
                    qk_norm,
                    dropout,
                )
                for _ in range(num_layers)
            ]
        )
        self.skip_proj = nn.Linear(2 * hidden_size, hidden_size, bias=False) if long_skip else None
        self.norm_out = F5TTSModulation(hidden_size, num_modulations=2)
        self.proj_out = nn.Linear(hidden_size, mel_channels)
        self._init_weights()

    def _init_weights(self) -> None:
        """The original's initialisation: blocks begin as identities, velocity and energy begin at zero."""
        # Two parts of one projection: their spread is that of all inputs together.
        bound = 1 / math.sqrt(self.proj_in.in_features + self.cond_proj.in_features)
        for parameter in (self.proj_in.weight, self.cond_proj.weight, self.cond_proj.bias):
            nn.init.uniform_(parameter, -bound, bound)
        zero = [module.linear for module in self.modules() if isinstance(module, F5TTSModulation)]
        zero += [self.proj_out, *([] if self.energy_proj is None else [self.energy_proj])]
        for layer in zero:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @classmethod
    def from_single_file(cls, pretrained_model_link_or_path_or_dict, **kwargs) -> "F5TTSTransformer1DModel":
        """Load an original checkpoint; its shapes tell the sizes unless `config` or `original_config` does.

        Args:
            pretrained_model_link_or_path_or_dict (`str`, `os.PathLike` or `dict`): A file of the published layout, its
                address on the Hub, or the state dict itself.
            **kwargs: See [`~diffusers.loaders.FromOriginalModelMixin.from_single_file`]. Entries of `original_config`
                override what the shapes tell, and say what they do not: for the first generation
                `{"text_mask_padding": False, "num_rotary_heads": 1}`.

        Returns:
            [`F5TTSTransformer1DModel`] with the weights of the file.
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
    @apply_lora_scale("attention_kwargs")
    def encode_conditions(
        self,
        cond: torch.Tensor,
        text_ids: torch.Tensor,
        energy: torch.Tensor | None = None,
        lengths: list[int] | None = None,
        drop_audio_cond: bool = False,
        drop_text: bool = False,
        attention_kwargs: dict | None = None,
    ) -> F5TTSConditions:
        r"""
        Compute what the network needs of its conditions, once for all time steps.

        Every item comes out as if it were alone, to rounding, however far the others make it be padded. (The original
        lets padding into the text features, and unless `attn_mask_enabled` also into the attention.)

        Args:
            cond (`torch.Tensor` of shape `(batch_size, num_frames, mel_channels)`):
                The mel frames that are known, zero where speech is to be made.
            text_ids (`torch.LongTensor` of shape `(batch_size, num_tokens)`):
                Tokens of the whole text, that of the known frames included, padded with -1. Tokens beyond the last
                frame of an item are not read.
            energy (`torch.Tensor` of shape `(batch_size, num_frames, 1)`, *optional*):
                Energy contour in `[0, 1]`, for networks with `energy_conditioning`. Zeros are not the same as `None`:
                a learned bias acts with them.
            lengths (`list[int]`, *optional*):
                Number of frames of each item; all frames by default.
            drop_audio_cond (`bool`, defaults to `False`): Whether to leave the known frames out.
            drop_text (`bool`, defaults to `False`): Whether to leave the text out. Its length still has influence on
                networks with `text_mask_padding`.
            attention_kwargs (`dict`, *optional*): `scale` is the strength of loaded LoRA weights.

        Returns:
            [`F5TTSConditions`].

        Raises:
            InputError: When a shape does not fit, there are more frames than `max_positions`, a length or a token is
                out of range, or `energy` is given to a network without `energy_conditioning`.
        """
        self._check_conditions(cond, text_ids, energy)
        batch_size, num_frames, _ = cond.shape
        if lengths is None:
            lengths = [num_frames] * batch_size
        if len(lengths) != batch_size or not all(1 <= length <= num_frames for length in lengths):
            raise InputError(
                f"`lengths` is {lengths}; expected {batch_size} numbers of frames, each from 1 to {num_frames}."
            )
        smallest, largest = (int(bound) for bound in text_ids.aminmax()) if text_ids.numel() > 0 else (0, 0)
        if smallest < TEXT_PADDING_ID or largest >= self.config.vocab_size:
            raise InputError(
                f"`text_ids` holds ids from {smallest} to {largest}; this network knows 0 to "
                f"{self.config.vocab_size - 1}, and {TEXT_PADDING_ID} for padding. Use the tokenizer it was trained "
                "with."
            )

        if all(length == num_frames for length in lengths):
            text_states = self.text_embed(text_ids, num_frames, drop_text=drop_text)
            attention_mask = None
        else:
            # One by one, because the text blocks normalise over all the frames that they are given.
            text_states = torch.cat(
                [
                    F.pad(self.text_embed(ids[None], length, drop_text=drop_text), (0, 0, 0, num_frames - length))
                    for ids, length in zip(text_ids, lengths, strict=True)
                ]
            )
            frames = torch.arange(num_frames, device=cond.device)
            attention_mask = frames < torch.tensor(lengths, device=cond.device)[:, None]
        states = self._project_conditions(cond, text_states, energy, drop_audio_cond)
        return F5TTSConditions(_zero_outside(states, attention_mask), attention_mask)

    def _check_conditions(self, cond: torch.Tensor, text_ids: torch.Tensor, energy: torch.Tensor | None) -> None:
        config = self.config
        if cond.ndim != 3 or cond.shape[2] != config.mel_channels:
            raise InputError(
                f"`cond` has shape {tuple(cond.shape)}; expected (batch_size, num_frames, {config.mel_channels})."
            )
        batch_size, num_frames, _ = cond.shape
        if text_ids.ndim != 2 or text_ids.shape[0] != batch_size:
            raise InputError(f"`text_ids` has shape {tuple(text_ids.shape)}; expected ({batch_size}, num_tokens).")
        if config.num_text_layers > 0 and num_frames > config.max_positions:
            raise InputError(
                f"`cond` has {num_frames} frames; this network knows positions of text up to {config.max_positions} "
                "(`max_positions`). Make the speech in shorter passages."
            )
        if energy is not None:
            if self.energy_proj is None:
                raise InputError(
                    "`energy` was given to a network without `energy_conditioning`; leave it out, or load a network "
                    "that takes it."
                )
            if energy.shape != (batch_size, num_frames, 1):
                raise InputError(
                    f"`energy` has shape {tuple(energy.shape)}; expected ({batch_size}, {num_frames}, 1), one value "
                    "for each mel frame."
                )

    def _project_conditions(
        self, cond: torch.Tensor, text_states: torch.Tensor, energy: torch.Tensor | None, drop_audio_cond: bool
    ) -> torch.Tensor:
        if drop_audio_cond:
            cond = torch.zeros_like(cond)
        states = self.cond_proj(torch.cat([cond, text_states], dim=-1))
        return states if energy is None else states + self.energy_proj(energy)

    @apply_lora_scale("attention_kwargs")
    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        cond: torch.Tensor | None = None,
        text_ids: torch.Tensor | None = None,
        energy: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        drop_audio_cond: bool = False,
        drop_text: bool = False,
        conditions: F5TTSConditions | None = None,
        attention_kwargs: dict | None = None,
        return_dict: bool = True,
    ) -> F5TTSTransformer1DModelOutput | tuple[torch.Tensor]:
        r"""
        Predict the velocity, data minus noise.

        Either `cond` and `text_ids` are given, as in training: then padding is treated exactly as in SWivid/F5-TTS,
        whose networks were trained with what little of it comes through. (DeepAudio-V1's network was trained without a
        mask; the code that samples it masks less than this does.) Or `conditions`, as in sampling: then padding has no
        influence on the frames of an item.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, num_frames, mel_channels)`):
                Noisy mel at time `timestep`.
            timestep (`torch.Tensor` of shape `(batch_size,)`):
                Flow time in `[0, 1]`: 0 is noise, 1 is data. Keep it in float32 whatever the dtype of the network.
            cond, text_ids, energy, drop_audio_cond, drop_text:
                See [`~F5TTSTransformer1DModel.encode_conditions`]. Ids of tokens are not checked here.
            attention_mask (`torch.Tensor` of shape `(batch_size, num_frames)`, bool, *optional*):
                True at frames of the item, False at padding, which comes last. Only beside `cond` and `text_ids`.
            conditions ([`F5TTSConditions`], *optional*):
                Output of `encode_conditions`. Its batch size may be `num_sets * batch_size`: the mel is then evaluated
                once under each set, as classifier-free guidance needs.
            attention_kwargs (`dict`, *optional*):
                `scale` is the strength of loaded LoRA weights.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`F5TTSTransformer1DModelOutput`] instead of a tuple.

        Returns:
            [`F5TTSTransformer1DModelOutput`] whose `sample` has the batch size of the conditions.

        Raises:
            InputError: When a shape does not fit, or neither or both kinds of conditions are given.
        """
        if hidden_states.ndim != 3 or hidden_states.shape[2] != self.config.mel_channels:
            raise InputError(
                f"`hidden_states` has shape {tuple(hidden_states.shape)}; expected (batch_size, num_frames, "
                f"{self.config.mel_channels})."
            )
        batch_size, num_frames, _ = hidden_states.shape
        if timestep.shape != (batch_size,):
            raise InputError(f"`timestep` has shape {tuple(timestep.shape)}; expected ({batch_size},).")
        if conditions is None:
            if cond is None or text_ids is None:
                raise InputError("`conditions` was not given; pass it, or `cond` and `text_ids`.")
            self._check_conditions(cond, text_ids, energy)
            if cond.shape != hidden_states.shape:
                raise InputError(
                    f"`cond` has shape {tuple(cond.shape)}; expected that of `hidden_states`, "
                    f"{tuple(hidden_states.shape)}."
                )
            if attention_mask is not None and (
                attention_mask.shape != (batch_size, num_frames) or attention_mask.dtype != torch.bool
            ):
                raise InputError(
                    f"`attention_mask` has shape {tuple(attention_mask.shape)} and dtype {attention_mask.dtype}; "
                    f"expected ({batch_size}, {num_frames}) and torch.bool."
                )
            text_states = self.text_embed(text_ids, num_frames, attention_mask, drop_text)
            condition_states = self._project_conditions(cond, text_states, energy, drop_audio_cond)
            key_mask = attention_mask if self.config.attn_mask_enabled else None
            output_mask = attention_mask
        else:
            inputs = {"cond": cond, "text_ids": text_ids, "energy": energy, "attention_mask": attention_mask}
            switches = {"drop_audio_cond": drop_audio_cond, "drop_text": drop_text}
            given = [name for name, value in inputs.items() if value is not None]
            given += [name for name, value in switches.items() if value]
            if given:
                raise InputError(
                    f"`conditions` and `{given[0]}` were given; the conditions hold it already. Pass it to "
                    "`encode_conditions`."
                )
            if conditions.states.shape[0] == 1:
                conditions = conditions.expand(batch_size)
            if conditions.states.shape[1] != num_frames or conditions.states.shape[0] % batch_size != 0:
                raise InputError(
                    f"`conditions` is for {conditions.states.shape[0]} items of {conditions.states.shape[1]} frames; "
                    f"expected {batch_size} (or a multiple of it) of {num_frames}, as `hidden_states` has."
                )
            condition_states, attention_mask = conditions
            key_mask, output_mask = attention_mask, None

        # 1. Embed. The mel and the time are the same in every condition set.
        condition_states = condition_states.unflatten(0, (-1, batch_size))
        hidden_states = (self.proj_in(hidden_states) + condition_states).flatten(0, 1)
        hidden_states = hidden_states + self.position_conv(hidden_states, attention_mask)
        # Every modulation begins with a SiLU of the same input.
        temb = F.silu(self.time_embed(timestep).to(hidden_states.dtype))
        angles = _angles(num_frames, self.config.attention_head_dim, hidden_states.device)
        rotary_emb = torch.polar(torch.ones_like(angles), angles)

        # 2. Transformer blocks.
        residual = hidden_states
        for block in self.transformer_blocks:
            if torch.is_grad_enabled() and self.gradient_checkpointing:
                hidden_states = self._gradient_checkpointing_func(
                    block, hidden_states, temb, rotary_emb, key_mask, output_mask
                )
            else:
                hidden_states = block(hidden_states, temb, rotary_emb, key_mask, output_mask)
        if self.skip_proj is not None:
            hidden_states = self.skip_proj(torch.cat([hidden_states, residual], dim=-1))

        # 3. Velocity.
        (hidden_states,) = self.norm_out(hidden_states, temb)
        sample = self.proj_out(hidden_states)
        if not return_dict:
            return (sample,)
        return F5TTSTransformer1DModelOutput(sample=sample)
