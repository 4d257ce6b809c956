# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Cnn14 of PANNs (Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern recognition",
arXiv 1912.10211; original code: qiuqiangkong/audioset_tagging_cnn and torchlibrosa, both MIT)."""

from dataclasses import dataclass
from functools import lru_cache

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.utils import BaseOutput
from torch import nn
from transformers.audio_utils import mel_filter_bank

from ...errors import InputError
from ...processing.audio import check_waveform


# The smallest power of a mel band whose logarithm is taken.
POWER_FLOOR = 1e-10
# All blocks but the last halve both axes of the spectrogram.
NUM_HALVINGS = 5


@dataclass
class Cnn14Output(BaseOutput):
    """
    Output of [`Cnn14`].

    Args:
        embeddings (`torch.Tensor` of shape `(batch_size, embedding_size)`): What the logits are read off.
        logits (`torch.Tensor` of shape `(batch_size, num_labels)`): For each class whether it is heard.
    """

    embeddings: torch.Tensor
    logits: torch.Tensor


class Cnn14Block(nn.Module):
    """Two convolutions, each normalised over the batch.

    Args:
        in_channels, out_channels (`int`): Of the first convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """`(batch_size, in_channels, num_frames, num_mels)` -> the same with `out_channels`."""
        maps = F.relu(self.norm1(self.conv1(maps)))
        return F.relu(self.norm2(self.conv2(maps)))


class Cnn14(ModelMixin, ConfigMixin):
    """
    Tells what is heard in a sound. The defaults are those of the network for 16 kHz; that for 32 kHz has
    `sampling_rate=32_000, n_fft=1024, hop_length=320, max_frequency=14_000`.

    Args:
        sampling_rate (`int`): Samples per second of what it hears.
        n_fft, hop_length (`int`): Length of the Fourier transform and distance of its frames, in samples.
        num_mels (`int`): Mel bands.
        min_frequency, max_frequency (`float`): Between which they lie, in Hz.
        channels (`tuple[int, ...]`): Of the six blocks.
        embedding_size (`int`): Size of the embeddings.
        num_labels (`int`): Classes; 527 in AudioSet.
        weights_name (`str`, *optional*): Of published weights; reports show it.
    """

    @register_to_config
    def __init__(
        self,
        sampling_rate: int = 16_000,
        n_fft: int = 512,
        hop_length: int = 160,
        num_mels: int = 64,
        min_frequency: float = 50.0,
        max_frequency: float = 8000.0,
        channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048),
        embedding_size: int = 2048,
        num_labels: int = 527,
        weights_name: str | None = None,
    ) -> None:
        super().__init__()
        self.norm_in = nn.BatchNorm2d(num_mels)
        self.blocks = nn.ModuleList(
            Cnn14Block(before, after) for before, after in zip((1, *channels), channels, strict=False)
        )
        self.embed = nn.Linear(channels[-1], embedding_size)
        self.classify = nn.Linear(embedding_size, num_labels)

    @property
    def min_samples(self) -> int:
        """Samples of the shortest sound that it can hear: one pixel is left after the last block."""
        return max(self.config.n_fft // 2 + 1, (2**NUM_HALVINGS - 1) * self.config.hop_length)

    def forward(self, waveform: torch.Tensor) -> Cnn14Output:
        """Tell what is heard.

        Args:
            waveform (`torch.Tensor` of shape `(batch_size, num_samples)`): Floats in [-1, 1] at the sampling rate of
                the configuration.

        Raises:
            InputError: When the waveform has another shape, is not finite, or is shorter than `min_samples`.
        """
        maps = self.log_mel(waveform).to(self.device, self.dtype)[:, None]
        maps = self.norm_in(maps.transpose(1, 3)).transpose(1, 3)
        for block in self.blocks[:-1]:
            maps = F.avg_pool2d(block(maps), 2)
        over_time = self.blocks[-1](maps).mean(3)
        embeddings = F.relu(self.embed(over_time.amax(2) + over_time.mean(2)))
        return Cnn14Output(embeddings, self.classify(embeddings))

    def log_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """The mel spectrogram that it sees, in dB, in float64 on the CPU: `(batch_size, num_samples)` ->
        `(batch_size, num_frames, num_mels)`.

        Frames are centred at multiples of the hop; beyond its ends the sound is continued by reflection.

        Raises:
            InputError: See `forward`.
        """
        check_waveform("waveform", waveform, "(batch_size, num_samples)", 2)
        if waveform.shape[1] < self.min_samples:
            raise InputError(f"`waveform` has {waveform.shape[1]} samples; Cnn14 needs {self.min_samples} or more.")
        n_fft = self.config.n_fft
        window = torch.hann_window(n_fft, dtype=torch.float64)
        spectrum = torch.stft(
            waveform.cpu().double(), n_fft, self.config.hop_length, window=window, return_complex=True
        )
        power = torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)
        return 10 * (power @ self.mel_bands()).clamp(min=POWER_FLOOR).log10()

    def mel_bands(self) -> torch.Tensor:
        """The mel bands, triangles of equal area on the Slaney scale: `(n_fft // 2 + 1, num_mels)`, in float64."""
        config = self.config
        return _mel_bands(
            config.n_fft, config.num_mels, config.min_frequency, config.max_frequency, config.sampling_rate
        )


@lru_cache(maxsize=8)
def _mel_bands(n_fft: int, num_mels: int, lowest: float, highest: float, sampling_rate: int) -> torch.Tensor:
    bands = mel_filter_bank(
        n_fft // 2 + 1, num_mels, lowest, highest, sampling_rate, norm="slaney", mel_scale="slaney"
    )
    return torch.from_numpy(bands)
