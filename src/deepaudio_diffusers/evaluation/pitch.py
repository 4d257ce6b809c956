# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""By how much one sound is higher than another that is otherwise like it."""

import numpy as np
import torch

from ..errors import InputError
from ..processing.audio import check_waveform


N_FFT, HOP_LENGTH = 2048, 512
BINS_PER_OCTAVE = 12
LOWEST_IN_HZ = 60.0
# What is softer hardly counts.
MAGNITUDE_FLOOR = 0.1


def log_frequency_spectrogram(waveform: torch.Tensor, sampling_rate: int) -> np.ndarray:
    """Log magnitudes on an axis on which an octave has one length everywhere, `(num_frames, num_bins)`.

    Raises:
        InputError: When the waveform is not of shape `(num_samples,)`, is not finite or has no full window.
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    if len(waveform) < N_FFT:
        raise InputError(f"`waveform` has {len(waveform)} samples; at least {N_FFT} are needed.")
    spectrum = torch.stft(
        waveform.float(), N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT), center=False, return_complex=True
    )
    magnitudes = spectrum.abs().T.numpy()
    num_bins = int(BINS_PER_OCTAVE * np.log2(sampling_rate / 2 / LOWEST_IN_HZ))
    positions = LOWEST_IN_HZ * 2 ** (np.arange(num_bins) / BINS_PER_OCTAVE) * N_FFT / sampling_rate
    bins = np.arange(magnitudes.shape[1])
    return np.stack([np.log(np.interp(positions, bins, frame) + MAGNITUDE_FLOOR) for frame in magnitudes])


def octaves_above(reference: torch.Tensor, other: torch.Tensor, sampling_rate: int, max_octaves: float = 2.5) -> float:
    """The shift on the axis of octaves at which the spectrogram of a reference is most like that of another sound.

    Args:
        reference, other (`torch.Tensor` of shape `(num_samples,)`): Sounds that happen at the same time.
        sampling_rate (`int`): Samples per second.
        max_octaves (`float`, defaults to 2.5): The largest shift that is tried, to either side.

    Returns:
        `float`: Above 0 if the other is higher.

    Raises:
        InputError: When the waveforms differ in length; see also `log_frequency_spectrogram`.
    """
    if reference.shape != other.shape:
        raise InputError(f"Sounds of {len(reference)} and {len(other)} samples do not happen at the same time.")
    first, second = (log_frequency_spectrogram(waveform, sampling_rate) for waveform in (reference, other))
    most = round(max_octaves * BINS_PER_OCTAVE)
    silence = np.log(MAGNITUDE_FLOOR)
    padded = np.pad(first, ((0, 0), (most, most)), constant_values=silence)
    likeness = []
    for shift in range(-most, most + 1):
        shifted = padded[:, most - shift : most - shift + second.shape[1]]
        likeness.append(np.corrcoef(shifted.ravel(), second.ravel())[0, 1] if shifted.std() and second.std() else -1.0)
    return (int(np.argmax(likeness)) - most) / BINS_PER_OCTAVE
