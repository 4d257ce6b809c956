# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Synchformer as a whole: how much too early or too late the sound of a video is.

Iashin et al., "Synchformer: Efficient Synchronization from Sparse Cues" (ICASSP 2024,
https://arxiv.org/abs/2401.16423). Two encoders look at segments of 0.64 s, each segment by itself: of the pictures the
one that MMAudio is conditioned on, of the sound an Audio Spectrogram Transformer (AST, Gong et al., 2021,
https://arxiv.org/abs/2104.01778). A transformer over the features of all segments then chooses one of 21 offsets.
Original repositories: https://github.com/v-iashin/Synchformer (MIT licence) and, as it scores videos,
https://github.com/hkchengrex/av-benchmark (MIT licence).

The AST has layers of this package although transformers has the network: transformers has renamed its weights between
releases, and a saved folder has to be loadable by all of them.

Shapes below: B clips, S segments (14), Tv and Ta time steps of a segment (8 of pictures, 6 of sound), D hidden size
(768).
"""

from dataclasses import dataclass

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.loaders import FromOriginalModelMixin
from diffusers.models.attention import AttentionMixin, FeedForward
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import nn

from ..errors import InputError
from .encoder_synchformer import SynchformerAttention, SynchformerSpatialAggregator, SynchformerVideoEncoder


# Of the published AST.
AST_LAYER_NORM_EPS = 1e-12
# Of the transformer that compares.
SYNC_LAYER_NORM_EPS = 1e-5
# The class token and the distillation token of AST.
NUM_AST_TOKENS = 2


@dataclass
class SynchformerOutput(BaseOutput):
    """
    Output of [`Synchformer`].

    Args:
        logits (`torch.Tensor` of shape `(batch_size, num_offsets)`):
            For each offset of [`Synchformer.offsets_in_s`] how likely it is.
    """

    logits: torch.Tensor


class SynchformerLayer(nn.Module):
    """Attention of all tokens to all, feed-forward; each normalised first and added to its input."""

    def __init__(self, dim: int, heads: int, mlp_ratio: float, eps: float):
        super().__init__()
        self.norm_attn = nn.LayerNorm(dim, eps=eps)
        self.attn = SynchformerAttention(dim, heads)
        self.norm_ff = nn.LayerNorm(dim, eps=eps)
        self.ff = FeedForward(dim, mult=mlp_ratio, activation_fn="gelu")

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        normed = self.norm_attn(hidden_states)
        hidden_states = hidden_states + self.attn(normed, normed)
        return hidden_states + self.ff(self.norm_ff(hidden_states))


class SynchformerAudioEncoder(nn.Module):
    """
    AST over the mel spectrogram of a segment, then one transformer layer that pools the frequencies of each time step.

    Args:
        dim (`int`): Width of the network.
        num_layers (`int`): Number of layers of AST.
        heads (`int`): Heads of every attention layer.
        mlp_ratio (`float`): Width of the feed-forward layers as a multiple of `dim`.
        num_mel_bins (`int`): Mel bands of the spectrogram.
        num_mel_frames (`int`): Frames of the spectrogram of a segment.
        patch_size (`int`): Bands and frames of a patch.
        patch_stride (`int`): Bands and frames from one patch to the next.
    """

    def __init__(
        self,
        dim: int,
        num_layers: int,
        heads: int,
        mlp_ratio: float,
        num_mel_bins: int,
        num_mel_frames: int,
        patch_size: int,
        patch_stride: int,
    ):
        super().__init__()
        self.num_steps = (num_mel_frames - patch_size) // patch_stride + 1
        num_bands = (num_mel_bins - patch_size) // patch_stride + 1
        num_tokens = NUM_AST_TOKENS + num_bands * self.num_steps
        self.patch_embedding = nn.Conv2d(1, dim, patch_size, patch_stride)
        self.class_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.distillation_token = nn.Parameter(torch.randn(1, 1, dim) * 0.02)
        self.position_embedding = nn.Parameter(torch.randn(1, num_tokens, dim) * 0.02)
        self.layers = nn.ModuleList(
            [SynchformerLayer(dim, heads, mlp_ratio, AST_LAYER_NORM_EPS) for _ in range(num_layers)]
        )
        self.norm_out = nn.LayerNorm(dim, eps=AST_LAYER_NORM_EPS)
        self.frequency_aggregator = SynchformerSpatialAggregator(dim, heads, mlp_ratio)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Mel spectrograms `(B * S, num_mel_frames, num_mel_bins)` -> features `(B * S, Ta, D)`."""
        # The patches of one band follow each other in time, then those of the next band.
        patches = self.patch_embedding(mel.transpose(1, 2)[:, None]).flatten(2).transpose(1, 2)
        tokens = (token.expand(len(patches), -1, -1) for token in (self.class_token, self.distillation_token))
        hidden_states = torch.cat([*tokens, patches], dim=1) + self.position_embedding
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        # (B * S, bands * Ta, D) -> (B * S * Ta, bands, D)
        patches = self.norm_out(hidden_states[:, NUM_AST_TOKENS:]).unflatten(1, (-1, self.num_steps))
        patches = patches.transpose(1, 2).flatten(0, 1)
        return self.frequency_aggregator(patches).unflatten(0, (-1, self.num_steps))


class SynchformerComparison(nn.Module):
    """
    The transformer over the features of pictures and sound that chooses an offset.

    Its tokens are one to read the answer off, the features of the pictures, one that stands between, and the features
    of the sound, with a learned embedding for each place.

    Args:
        dim (`int`): Width of the network.
        num_layers (`int`): Number of layers.
        heads (`int`): Heads of every attention layer.
        mlp_ratio (`float`): Width of the feed-forward layers as a multiple of `dim`.
        num_tokens (`int`): Number of features of pictures and sound.
        num_offsets (`int`): Number of offsets to choose from.
    """

    def __init__(self, dim: int, num_layers: int, heads: int, mlp_ratio: float, num_tokens: int, num_offsets: int):
        super().__init__()
        self.video_proj = nn.Linear(dim, dim)
        self.audio_proj = nn.Linear(dim, dim)
        self.norm_video = nn.LayerNorm(dim, eps=SYNC_LAYER_NORM_EPS)
        self.norm_audio = nn.LayerNorm(dim, eps=SYNC_LAYER_NORM_EPS)
        self.offset_token = nn.Parameter(torch.randn(1, 1, dim))
        self.modality_token = nn.Parameter(torch.randn(1, 1, dim))
        self.position_embedding = nn.Parameter(torch.randn(1, num_tokens + 2, dim))
        self.layers = nn.ModuleList(
            [SynchformerLayer(dim, heads, mlp_ratio, SYNC_LAYER_NORM_EPS) for _ in range(num_layers)]
        )
        self.norm_out = nn.LayerNorm(dim, eps=SYNC_LAYER_NORM_EPS)
        self.offset_head = nn.Linear(dim, num_offsets)

    def forward(self, video_features: torch.Tensor, audio_features: torch.Tensor) -> torch.Tensor:
        """Features `(B, S * Tv, D)` and `(B, S * Ta, D)` -> logits `(B, num_offsets)`."""
        video = self.norm_video(self.video_proj(video_features))
        audio = self.norm_audio(self.audio_proj(audio_features))
        offset, modality = (token.expand(len(video), -1, -1) for token in (self.offset_token, self.modality_token))
        hidden_states = torch.cat([offset, video, modality, audio], dim=1) + self.position_embedding
        for layer in self.layers:
            hidden_states = layer(hidden_states)
        return self.offset_head(self.norm_out(hidden_states[:, 0]))


class Synchformer(ModelMixin, ConfigMixin, AttentionMixin, FromOriginalModelMixin):
    r"""
    Tells by how much the sound of a clip of 4.8 s is shifted against its pictures.

    The defaults are the published network, which has 236.9 M parameters. It is for inference: the dropout of the
    original's training is left out.

    Args:
        hidden_size (`int`, defaults to 768): Width of all parts.
        num_video_layers (`int`, defaults to 12): Number of space-time blocks of [`SynchformerVideoEncoder`].
        num_audio_layers (`int`, defaults to 12): Number of layers of AST.
        num_sync_layers (`int`, defaults to 3): Number of layers of the transformer that compares.
        num_attention_heads (`int`, defaults to 12): Heads of every attention layer of the two encoders.
        num_sync_heads (`int`, defaults to 8): Heads of every attention layer of the transformer that compares.
        mlp_ratio (`float`, defaults to 4.0): Width of the feed-forward layers as a multiple of `hidden_size`.
        image_size (`int`, defaults to 224): Height and width of the frames in pixels.
        patch_size (`int`, defaults to 16): Height and width of a patch of a frame in pixels.
        tubelet_size (`int`, defaults to 2): Number of frames of a patch, that is, of a time step.
        num_frames (`int`, defaults to 16): Number of frames of a segment.
        num_mel_bins (`int`, defaults to 128): Mel bands.
        num_mel_frames (`int`, defaults to 66): Frames of the mel spectrogram of a segment.
        mel_patch_size (`int`, defaults to 16): Bands and frames of a patch of the spectrogram.
        mel_patch_stride (`int`, defaults to 10): Bands and frames from one of these to the next.
        num_segments (`int`, defaults to 14): Number of segments that are compared.
        num_offsets (`int`, defaults to 21): Number of offsets to choose from.
        max_offset_in_s (`float`, defaults to 2.0): The largest of them in seconds; the smallest is its negative.

    Raises:
        InputError: When a size is no multiple of what divides it: heads, patches or tubelets.
    """

    _no_split_modules = ["SynchformerBlock", "SynchformerLayer", "SynchformerSpatialAggregator"]
    _repeated_blocks = ["SynchformerBlock", "SynchformerLayer"]
    _skip_layerwise_casting_patterns = ["patch_embedding", "norm"]

    @register_to_config
    def __init__(
        self,
        hidden_size: int = 768,
        num_video_layers: int = 12,
        num_audio_layers: int = 12,
        num_sync_layers: int = 3,
        num_attention_heads: int = 12,
        num_sync_heads: int = 8,
        mlp_ratio: float = 4.0,
        image_size: int = 224,
        patch_size: int = 16,
        tubelet_size: int = 2,
        num_frames: int = 16,
        num_mel_bins: int = 128,
        num_mel_frames: int = 66,
        mel_patch_size: int = 16,
        mel_patch_stride: int = 10,
        num_segments: int = 14,
        num_offsets: int = 21,
        max_offset_in_s: float = 2.0,
    ):
        super().__init__()
        if hidden_size % num_sync_heads:
            raise InputError(
                f"`hidden_size` is {hidden_size}; pass a multiple of `num_sync_heads`, which is {num_sync_heads}."
            )
        self.video_encoder = SynchformerVideoEncoder(
            hidden_size,
            num_video_layers,
            num_attention_heads,
            mlp_ratio,
            image_size,
            patch_size,
            tubelet_size,
            num_frames,
        )
        self.audio_encoder = SynchformerAudioEncoder(
            hidden_size,
            num_audio_layers,
            num_attention_heads,
            mlp_ratio,
            num_mel_bins,
            num_mel_frames,
            mel_patch_size,
            mel_patch_stride,
        )
        num_tokens = num_segments * (self.video_encoder.num_steps + self.audio_encoder.num_steps)
        self.comparison = SynchformerComparison(
            hidden_size, num_sync_layers, num_sync_heads, mlp_ratio, num_tokens, num_offsets
        )

    @classmethod
    def from_single_file(cls, pretrained_model_link_or_path_or_dict, **kwargs) -> "Synchformer":
        """Load an original checkpoint; its shapes tell the configuration unless `config` or `original_config` does.

        Args:
            pretrained_model_link_or_path_or_dict (`str`, `os.PathLike` or `dict`): A file of the published layout, its
                address on the Hub, or the state dict itself.
            **kwargs: See [`~diffusers.loaders.FromOriginalModelMixin.from_single_file`]. Entries of `original_config`
                override what the shapes tell.

        Returns:
            [`Synchformer`] with the weights of the file.
        """
        if kwargs.get("config") is None:
            kwargs.setdefault("original_config", {})
        return super().from_single_file(pretrained_model_link_or_path_or_dict, **kwargs)

    @property
    def offsets_in_s(self) -> torch.Tensor:
        """The offsets in seconds, `(num_offsets,)`, on the CPU. As in the original the sound is early by an offset
        above 0, and late by one below."""
        largest = self.config.max_offset_in_s
        return torch.linspace(-largest, largest, self.config.num_offsets, dtype=torch.float64, device="cpu").float()

    def encode_video(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            pixel_values (`torch.Tensor` of shape `(batch_size, num_segments, num_frames, 3, image_size, image_size)`):
                Segments of consecutive frames at 25 fps, scaled to `[-1, 1]`; any number of them.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_segments, num_frames // tubelet_size, hidden_size)`.

        Raises:
            InputError: If `pixel_values` does not have the shape above.
        """
        config = self.config
        expected = (config.num_frames, 3, config.image_size, config.image_size)
        self._check_segments("pixel_values", pixel_values, expected)
        features = self.video_encoder(pixel_values.flatten(0, 1)).features
        return features.unflatten(0, pixel_values.shape[:2])

    def encode_audio(self, mel: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            mel (`torch.Tensor` of shape `(batch_size, num_segments, num_mel_frames, num_mel_bins)`):
                Mel spectrograms of segments, from [`synchformer_mel`]; any number of them.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_segments, num_steps, hidden_size)`, with 6 steps in the published
            network.

        Raises:
            InputError: If `mel` does not have the shape above.
        """
        self._check_segments("mel", mel, (self.config.num_mel_frames, self.config.num_mel_bins))
        return self.audio_encoder(mel.flatten(0, 1)).unflatten(0, mel.shape[:2])

    def compare(self, video_features: torch.Tensor, audio_features: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            video_features (`torch.Tensor`): From `encode_video`, of `num_segments` segments.
            audio_features (`torch.Tensor`): From `encode_audio`, of as many.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_offsets)`: logits of the offsets.

        Raises:
            InputError: If there is another number of segments.
        """
        for name, features, num_steps in (
            ("video_features", video_features, self.video_encoder.num_steps),
            ("audio_features", audio_features, self.audio_encoder.num_steps),
        ):
            expected = (self.config.num_segments, num_steps, self.config.hidden_size)
            if features.ndim != 4 or features.shape[1:] != expected:
                raise InputError(
                    f"`{name}` has shape {tuple(features.shape)}; expected (batch_size, "
                    f"{', '.join(map(str, expected))}): the network compares {self.config.num_segments} segments."
                )
        return self.comparison(video_features.flatten(1, 2), audio_features.flatten(1, 2))

    def forward(
        self, pixel_values: torch.Tensor, mel: torch.Tensor, return_dict: bool = True
    ) -> SynchformerOutput | tuple[torch.Tensor]:
        r"""
        Args:
            pixel_values (`torch.Tensor`): See `encode_video`; `num_segments` segments.
            mel (`torch.Tensor`): See `encode_audio`; as many.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`SynchformerOutput`] instead of a plain tuple.

        Returns:
            [`SynchformerOutput`] or `tuple`: logits of shape `(batch_size, num_offsets)`.

        Raises:
            InputError: If an argument does not have its shape.
        """
        logits = self.compare(self.encode_video(pixel_values), self.encode_audio(mel))
        if not return_dict:
            return (logits,)
        return SynchformerOutput(logits=logits)

    @staticmethod
    def _check_segments(name: str, segments: torch.Tensor, expected: tuple[int, ...]) -> None:
        if segments.ndim != 2 + len(expected) or segments.shape[2:] != expected:
            raise InputError(
                f"`{name}` has shape {tuple(segments.shape)}; expected (batch_size, num_segments, "
                f"{', '.join(map(str, expected))})."
            )
