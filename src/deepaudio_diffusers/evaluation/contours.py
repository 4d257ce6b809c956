# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a sound is loud when it should be."""

import numpy as np
import torch
import torch.nn.functional as F

from ..errors import InputError
from ..processing.audio import check_waveform


FRAMES_PER_SECOND = 62.5
# Longer than a frame, so that neither the phase of a low tone nor a single sample counts.
WINDOW_IN_S = 0.064
FLOOR_IN_DB = -60.0


def loudness_contour(waveform: torch.Tensor, sampling_rate: int) -> np.ndarray:
    """The level of a sound over time, in dB of full scale.

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): Floats in [-1, 1].
        sampling_rate (`int`): Samples per second.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: The root mean square of 64 ms around each 16 ms, not less than -60 dB.

    Raises:
        InputError: When the waveform has another shape or is not finite.
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    hop, window = round(sampling_rate / FRAMES_PER_SECOND), round(sampling_rate * WINDOW_IN_S)
    before = (window - hop) // 2
    padded = F.pad(waveform.double(), (before, window))
    power = padded.unfold(0, window, hop).square().mean(-1)[: len(waveform) // hop]
    return (10 * power.clamp(min=10 ** (FLOOR_IN_DB / 10)).log10()).numpy()


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Pearson's correlation of two contours; 0 where one of them never changes, as that of silence.

    Raises:
        InputError: When they are not equally long.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise InputError(f"Contours of shapes {first.shape} and {second.shape} cannot be compared frame by frame.")
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first**2).sum() * (second**2).sum())
    return float((first * second).sum() / scale) if scale > 0 else 0.0
