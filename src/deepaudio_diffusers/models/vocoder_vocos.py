# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Vocos, the vocoder that turns mel spectrograms into waveforms by way of spectra (https://arxiv.org/abs/2306.00814).

ConvNeXt blocks at the rate of the frames predict magnitude and phase of each frame's spectrum, and an inverse
short-time Fourier transform makes the waveform of them. Original repository: https://github.com/gemelo-ai/vocos (MIT
licence). F5-TTS (https://github.com/SWivid/F5-TTS) uses the network for 24 kHz.

Shapes below: B batch, C channels, T frames.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from ..errors import InputError


# Louder bins would be mistakes of the network.
MAX_MAGNITUDE = 100.0
LAYER_NORM_EPS = 1e-6


class VocosBlock(nn.Module):
    """ConvNeXt on (B, C, T): a convolution over time for each channel, then two linear layers over channels."""

    def __init__(self, hidden_size: int, intermediate_size: int, initial_scale: float):
        super().__init__()
        self.conv = nn.Conv1d(hidden_size, hidden_size, 7, padding=3, groups=hidden_size)
        self.norm = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.linear_1 = nn.Linear(hidden_size, intermediate_size)
        self.linear_2 = nn.Linear(intermediate_size, hidden_size)
        self.scale = nn.Parameter(torch.full((hidden_size,), initial_scale))

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        update = self.norm(self.conv(hidden_states).transpose(1, 2))
        update = self.linear_2(F.gelu(self.linear_1(update))) * self.scale
        return hidden_states + update.transpose(1, 2)


def overlap_add(frames: torch.Tensor, hop_length: int) -> torch.Tensor:
    """Sum of the frames (B, T, frame_length), each `hop_length` after the one before; (B, samples), zeros at the end.

    Thirty times as fast on a CPU as `torch.nn.functional.fold`.
    """
    batch_size, num_frames, frame_length = frames.shape
    num_hops = math.ceil(frame_length / hop_length)
    hops = F.pad(frames, (0, num_hops * hop_length - frame_length)).unflatten(-1, (num_hops, hop_length))
    summed = frames.new_zeros(batch_size, num_frames + num_hops - 1, hop_length)
    for index in range(num_hops):
        summed[:, index : index + num_frames] += hops[:, :, index]
    return summed.flatten(1)


class VocosVocoder(ModelMixin, ConfigMixin):
    r"""
    Turns mel spectrograms into waveforms.

    The defaults are the published 24 kHz network (13.5 M parameters); its mel spectrograms are natural logarithms.

    Args:
        num_mels (`int`, defaults to 100): Mel bins of the input.
        hidden_size (`int`, defaults to 512): Channels between the blocks.
        intermediate_size (`int`, defaults to 1536): Channels within them.
        num_layers (`int`, defaults to 8): Number of blocks.
        n_fft (`int`, defaults to 1024): Length of the Fourier transform, and of its Hann window, in samples.
        hop_length (`int`, defaults to 256): Samples from one frame to the next, at most half of `n_fft`.
        padding (`"center"` or `"same"`, defaults to `"center"`):
            Where the waveform begins and ends: in the middle of the first and of the last frame, so that `T` frames
            become `(T - 1) * hop_length` samples, or half a hop before and after, so that they become
            `T * hop_length` samples.
        sampling_rate (`int`, defaults to 24000): Samples per second of the waveform.

    Raises:
        InputError: When `padding` is unknown, or `n_fft` and `hop_length` do not fit together.
    """

    _no_split_modules = ["VocosBlock"]

    @register_to_config
    def __init__(
        self,
        num_mels: int = 100,
        hidden_size: int = 512,
        intermediate_size: int = 1536,
        num_layers: int = 8,
        n_fft: int = 1024,
        hop_length: int = 256,
        padding: Literal["center", "same"] = "center",
        sampling_rate: int = 24_000,
    ):
        super().__init__()
        if padding not in ("center", "same"):
            raise InputError(f"`padding` is {padding!r}; expected 'center' or 'same'.")
        if n_fft % 2 != 0 or not 0 < hop_length <= n_fft // 2:
            raise InputError(
                f"`n_fft` is {n_fft} and `hop_length` is {hop_length}; expected an even length and at most half of it."
            )

        self.conv_in = nn.Conv1d(num_mels, hidden_size, 7, padding=3)
        self.norm_in = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.blocks = nn.ModuleList(
            [VocosBlock(hidden_size, intermediate_size, 1 / num_layers) for _ in range(num_layers)]
        )
        self.norm_out = nn.LayerNorm(hidden_size, eps=LAYER_NORM_EPS)
        self.head = nn.Linear(hidden_size, n_fft + 2)

    def forward(self, mel: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        r"""
        Args:
            mel (`torch.Tensor` of shape `(batch_size, num_mels, num_frames)`):
                Log mel spectrogram, in the logarithm that the weights were trained with.
            return_dict (`bool`, defaults to `True`):
                Whether to return a [`~diffusers.models.autoencoders.vae.DecoderOutput`] instead of a plain tuple.

        Returns:
            [`~diffusers.models.autoencoders.vae.DecoderOutput`] or `tuple`: the waveform, of shape
            `(batch_size, 1, num_samples)`, with the number of samples that `padding` says. It is float32 whatever the
            dtype of the network, and not limited to `[-1, 1]`.

        Raises:
            InputError: If `mel` does not have the shape above, or too few frames to become a sample.
        """
        min_frames = 2 if self.config.padding == "center" else 1
        if mel.ndim != 3 or mel.shape[1] != self.config.num_mels or mel.shape[2] < min_frames:
            raise InputError(
                f"`mel` has shape {tuple(mel.shape)}; expected (batch_size, {self.config.num_mels}, num_frames) with "
                f"at least {min_frames} frame(s)."
            )

        hidden_states = self.norm_in(self.conv_in(mel).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            hidden_states = block(hidden_states)
        hidden_states = self.norm_out(hidden_states.transpose(1, 2))
        # From here on in float32: a waveform of half precision would hiss, and there is no such Fourier transform.
        log_magnitude, phase = self.head(hidden_states).float().chunk(2, dim=-1)
        # Limited before the exponential, which would overflow and leave no gradient.
        magnitude = log_magnitude.clamp(max=math.log(MAX_MAGNITUDE)).exp()
        waveform = self._inverse_stft(torch.polar(magnitude, phase)).unsqueeze(1)

        if not return_dict:
            return (waveform,)
        return DecoderOutput(sample=waveform)

    def _inverse_stft(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(B, T, n_fft // 2 + 1) to (B, num_samples), for both paddings, of which `torch.istft` knows one only."""
        n_fft, hop_length, num_frames = self.config.n_fft, self.config.hop_length, spectrum.shape[1]
        # Made here, because a buffer would take on the dtype of the weights.
        window = torch.hann_window(n_fft, dtype=torch.float32, device=spectrum.device)
        waveform = overlap_add(torch.fft.irfft(spectrum, n_fft) * window, hop_length)
        envelope = overlap_add(window.square().expand(1, num_frames, -1), hop_length)
        if self.config.padding == "center":
            start, num_samples = n_fft // 2, (num_frames - 1) * hop_length
        else:
            start, num_samples = (n_fft - hop_length) // 2, num_frames * hop_length
        part = slice(start, start + num_samples)
        return waveform[:, part] / envelope[:, part]
