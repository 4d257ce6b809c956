# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whose voice it is: speaker embeddings of the GE2E encoder (Wan et al., "Generalized end-to-end loss for speaker
verification", ICASSP 2018) with the weights of Resemblyzer (resemble-ai, Apache-2.0).

Its wheel has the weights in it. Of the library nothing else is needed, so its many requirements need not be installed:
`pip install --no-deps resemblyzer`. Silences are not cut out first, as the library can do; else it is the same.
"""

import importlib.util
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from ..errors import InputError
from ..processing.audio import check_waveform, resample


SAMPLING_RATE = 16_000
N_FFT, HOP_LENGTH, NUM_MELS = 400, 160, 40
HIDDEN_SIZE, NUM_LAYERS = 256, 3
# What the network hears at a time, and how far such parts lie apart.
PART_IN_FRAMES, STEP_IN_FRAMES = 160, 77
# The last part must be covered by this much of the sound, unless it is the only one.
MIN_COVERAGE = 0.75
TARGET_LEVEL_IN_DB = -30.0
INSTALLATION = "pip install --no-deps resemblyzer"


class SpeakerEncoder(nn.Module):
    """A recording -> a vector of unit length that is alike for recordings of one voice."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(NUM_MELS, HIDDEN_SIZE, NUM_LAYERS, batch_first=True)
        self.linear = nn.Linear(HIDDEN_SIZE, HIDDEN_SIZE)
        self._filters = mel_filter_bank(
            N_FFT // 2 + 1, NUM_MELS, 0.0, SAMPLING_RATE / 2, SAMPLING_RATE, norm="slaney", mel_scale="slaney"
        )

    @classmethod
    def from_resemblyzer(cls) -> "SpeakerEncoder":
        """The network with the published weights.

        Raises:
            InputError: When the library is not installed.
        """
        # Found, not imported: importing it would import all that it requires.
        spec = importlib.util.find_spec("resemblyzer")
        if spec is None:
            raise InputError(f"Comparing voices needs the weights of the library `resemblyzer`; run `{INSTALLATION}`.")
        weights = torch.load(Path(spec.origin).with_name("pretrained.pt"), map_location="cpu", weights_only=True)
        encoder = cls()
        names = encoder.state_dict().keys()
        encoder.load_state_dict({name: weights["model_state"][name] for name in names})
        return encoder.eval().requires_grad_(False)

    def forward(self, mel: torch.Tensor) -> torch.Tensor:
        """Mel spectrograms `(batch_size, num_frames, 40)` -> embeddings `(batch_size, 256)` of unit length."""
        _, (hidden, _) = self.lstm(mel)
        return F.normalize(self.linear(hidden[-1]).relu(), dim=-1)

    @torch.no_grad()
    def embed(self, waveform: torch.Tensor, sampling_rate: int) -> np.ndarray:
        """The voice of a recording.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): Speech at `sampling_rate`.
            sampling_rate (`int`): Samples per second.

        Returns:
            `np.ndarray` of shape `(256,)`: Of unit length; the product of two is their similarity.

        Raises:
            InputError: When the waveform has another shape, is not finite, or is silent.
        """
        check_waveform("waveform", waveform, "(num_samples,)", 1)
        speech = resample(waveform, sampling_rate, SAMPLING_RATE).cpu()
        rms = speech.square().mean().sqrt().item()
        if rms == 0:
            raise InputError("`waveform` is silent; a voice cannot be told from silence.")
        speech = speech * max(1.0, 10 ** (TARGET_LEVEL_IN_DB / 20) / rms)
        parts = self._parts(len(speech))
        last_sample = (parts[-1] + PART_IN_FRAMES) * HOP_LENGTH
        speech = F.pad(speech, (0, max(0, last_sample - len(speech))))
        mel = spectrogram(
            speech.numpy(),
            window_function(N_FFT, "hann"),
            frame_length=N_FFT,
            hop_length=HOP_LENGTH,
            power=2.0,
            pad_mode="constant",
            mel_filters=self._filters,
            mel_floor=0.0,
        ).T
        inputs = np.stack([mel[start : start + PART_IN_FRAMES] for start in parts]).astype(np.float32)
        return F.normalize(self(torch.from_numpy(inputs)).mean(0), dim=0).numpy()

    @staticmethod
    def _parts(num_samples: int) -> list[int]:
        """The first frame of each part."""
        num_frames = num_samples // HOP_LENGTH + 1
        starts = list(range(0, max(1, num_frames - PART_IN_FRAMES + STEP_IN_FRAMES + 1), STEP_IN_FRAMES))
        covered = (num_samples - starts[-1] * HOP_LENGTH) / (PART_IN_FRAMES * HOP_LENGTH)
        return starts[:-1] if covered < MIN_COVERAGE and len(starts) > 1 else starts
