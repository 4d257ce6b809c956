# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""VGGish (Hershey et al., "CNN architectures for large-scale audio classification", arXiv 1609.09430; original code:
tensorflow/models and harritaylor/torchvggish, both Apache-2.0), as it is used for the Fréchet audio distance: without
the principal components, the quantisation and the last activation."""

from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn
from transformers.audio_utils import mel_filter_bank

from ...errors import InputError
from ...processing.audio import check_waveform


SAMPLING_RATE = 16_000
WINDOW_LENGTH, HOP_LENGTH, N_FFT = 400, 160, 512
NUM_MELS, MIN_FREQUENCY, MAX_FREQUENCY = 64, 125.0, 7500.0
# Added to a magnitude before its logarithm is taken.
MAGNITUDE_OFFSET = 0.01
# A piece lasts 0.96 s, and the next begins where it ends.
PIECE_IN_FRAMES = 96


class VGGish(ModelMixin, ConfigMixin):
    """
    Hears 16 kHz in pieces of 0.96 s, each by itself. What is left over at the end is not heard.

    Args:
        channels (`tuple[tuple[int, ...], ...]`): Of the convolutions, between which the resolution is halved.
        hidden_size (`int`): Of the two layers before the embedding.
        embedding_size (`int`): Size of the embeddings.
        weights_name (`str`, *optional*): Of published weights; reports show it.
    """

    @register_to_config
    def __init__(
        self,
        channels: tuple[tuple[int, ...], ...] = ((64,), (128,), (256, 256), (512, 512)),
        hidden_size: int = 4096,
        embedding_size: int = 128,
        weights_name: str | None = None,
    ) -> None:
        super().__init__()
        widths = [1, *(width for stage in channels for width in stage)]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3, padding=1) for before, after in pairwise(widths))
        num_pixels = (PIECE_IN_FRAMES >> len(channels)) * (NUM_MELS >> len(channels))
        self.hidden1 = nn.Linear(num_pixels * widths[-1], hidden_size)
        self.hidden2 = nn.Linear(hidden_size, hidden_size)
        self.embed = nn.Linear(hidden_size, embedding_size)

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Embeddings of the pieces of sounds.

        Args:
            waveform (`torch.Tensor` of shape `(batch_size, num_samples)`): Floats in [-1, 1] at 16 kHz.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_pieces, embedding_size)`.

        Raises:
            InputError: When the waveform has another shape, is not finite, or is shorter than a piece.
        """
        pieces = log_mel_pieces(waveform).to(self.device, self.dtype)
        maps = pieces.flatten(0, 1)[:, None]
        convolutions = iter(self.convolutions)
        for stage in self.config.channels:
            for _ in stage:
                maps = F.relu(next(convolutions)(maps))
            maps = F.max_pool2d(maps, 2)
        # The channels of a pixel side by side, as TensorFlow has them.
        hidden = F.relu(self.hidden1(maps.permute(0, 2, 3, 1).flatten(1)))
        return self.embed(F.relu(self.hidden2(hidden))).unflatten(0, pieces.shape[:2])


def log_mel_pieces(waveform: torch.Tensor) -> torch.Tensor:
    """The mel spectrograms that VGGish sees, natural logarithms of magnitudes: `(batch_size, num_samples)` ->
    `(batch_size, num_pieces, 96, 64)`, in float64 on the CPU. There are no frames beyond the ends of a sound.

    Raises:
        InputError: See [`VGGish.forward`].
    """
    check_waveform("waveform", waveform, "(batch_size, num_samples)", 2)
    least = (PIECE_IN_FRAMES - 1) * HOP_LENGTH + WINDOW_LENGTH
    if waveform.shape[1] < least:
        raise InputError(f"`waveform` has {waveform.shape[1]} samples; VGGish needs {least} or more.")
    frames = waveform.cpu().double().unfold(1, WINDOW_LENGTH, HOP_LENGTH)
    spectrum = torch.fft.rfft(frames * torch.hann_window(WINDOW_LENGTH, dtype=torch.float64), N_FFT)
    mel = (spectrum.abs() @ _mel_bands() + MAGNITUDE_OFFSET).log()
    num_pieces = mel.shape[1] // PIECE_IN_FRAMES
    return mel[:, : num_pieces * PIECE_IN_FRAMES].unflatten(1, (num_pieces, PIECE_IN_FRAMES))


@lru_cache(maxsize=1)
def _mel_bands() -> torch.Tensor:
    """Equally high triangles in mel, `(257, 64)`."""
    bands = mel_filter_bank(
        N_FFT // 2 + 1,
        NUM_MELS,
        MIN_FREQUENCY,
        MAX_FREQUENCY,
        SAMPLING_RATE,
        mel_scale="kaldi",
        triangularize_in_mel_space=True,
    )
    return torch.from_numpy(bands)
