# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How alike two spectra are: mel distance and mel-cepstral distortion."""

import math

import numpy as np
import torch

from ..errors import InputError
from ..processing.audio import check_waveform, resample
from .optional import require


# The protocol of pymcd 0.2.1, which DeepAudio-V1 and other works on dubbing report.
MCD_SAMPLING_RATE = 22_050
MCD_FRAME_PERIOD_IN_MS = 5.0
MCD_N_FFT = 512
MCD_ORDER = 13
MCD_WARPING = 0.65
MCD_MODES = ("plain", "dtw", "dtw_sl")
# Added to the squared envelope before its logarithm is taken.
MCD_FLOOR = 1e-8


def mel_distance(first: torch.Tensor, second: torch.Tensor) -> float:
    """Mean absolute difference of two log mel spectrograms (natural logarithm), in units of log10."""
    if first.shape != second.shape:
        raise InputError(f"Spectrograms of shapes {tuple(first.shape)} and {tuple(second.shape)} cannot be compared.")
    return (first - second).abs().mean().item() / math.log(10)


def mel_cepstra(waveform: torch.Tensor, sampling_rate: int) -> np.ndarray:
    """The spectral envelope of speech in few numbers: mel cepstra of WORLD's envelope (Morise et al., 2016).

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): Speech at `sampling_rate`.
        sampling_rate (`int`): Samples per second.

    Returns:
        `np.ndarray` of shape `(num_frames, 14)`: One row for each 5 ms.

    Raises:
        InputError: When the waveform has another shape or is not finite, or a library is missing.
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    pyworld = require("pyworld", "Mel-cepstral distortion")
    speech = resample(waveform, sampling_rate, MCD_SAMPLING_RATE).double().cpu().numpy()
    pitch, times = pyworld.dio(speech, MCD_SAMPLING_RATE, frame_period=MCD_FRAME_PERIOD_IN_MS)
    pitch = pyworld.stonemask(speech, pitch, times, MCD_SAMPLING_RATE)
    envelope = pyworld.cheaptrick(speech, pitch, times, MCD_SAMPLING_RATE, fft_size=MCD_N_FFT)
    # As in pymcd, the envelope is taken for an amplitude although it is a power.
    cepstra = np.fft.irfft(np.log(envelope**2 + MCD_FLOOR), axis=1)[:, : envelope.shape[1]]
    cepstra[:, [0, -1]] /= 2
    return _warp_frequencies(cepstra, MCD_ORDER, MCD_WARPING)


def mel_cepstral_distortion(
    reference: torch.Tensor, synthesized: torch.Tensor, sampling_rate: int, mode: str = "dtw_sl"
) -> float:
    """How far synthesised speech is from a recording of the same, in dB.

    Args:
        reference, synthesized (`torch.Tensor` of shape `(num_samples,)`): Speech at `sampling_rate`.
        sampling_rate (`int`): Samples per second.
        mode (`str`, defaults to `"dtw_sl"`): `"plain"` compares frame by frame, the shorter continued by silence;
            `"dtw"` after dynamic time warping; `"dtw_sl"` multiplies that by the ratio of the longer to the shorter
            (Chen et al., "V2C: Visual voice cloning", CVPR 2022).

    Raises:
        InputError: When `mode` is unknown, a waveform has another shape or is not finite, or a library is missing.
    """
    if mode not in MCD_MODES:
        raise InputError(f"`mode` is {mode!r}; accepted are {', '.join(map(repr, MCD_MODES))}.")
    if mode == "plain":
        return _plain_distortion(reference, synthesized, sampling_rate)
    return warped_distortions(reference, synthesized, sampling_rate)[MCD_MODES.index(mode) - 1]


def warped_distortions(reference: torch.Tensor, synthesized: torch.Tensor, sampling_rate: int) -> tuple[float, float]:
    """MCD-DTW and MCD-DTW-SL, for which speech has to be warped only once; see [`mel_cepstral_distortion`]."""
    fastdtw = require("fastdtw", "Mel-cepstral distortion").fastdtw
    first, second = mel_cepstra(reference, sampling_rate), mel_cepstra(synthesized, sampling_rate)
    # The path is found without the first coefficient, the level; the distance has it.
    path = np.array(fastdtw(first[:, 1:], second[:, 1:], dist=2)[1])
    warped = _decibels(first[path[:, 0]] - second[path[:, 1]])
    shorter, longer = sorted((len(first), len(second)))
    return warped, warped * longer / shorter


def _plain_distortion(reference: torch.Tensor, synthesized: torch.Tensor, sampling_rate: int) -> float:
    length = max(len(reference), len(synthesized))
    first, second = (
        mel_cepstra(torch.nn.functional.pad(waveform, (0, length - len(waveform))), sampling_rate)
        for waveform in (reference, synthesized)
    )
    return _decibels(first - second)


def _decibels(differences: np.ndarray) -> float:
    """Mean distance of cepstra, from their differences `(num_frames, num_cepstra)`."""
    return float(10 / math.log(10) * math.sqrt(2) * np.linalg.norm(differences, axis=1).mean())


def _warp_frequencies(cepstra: np.ndarray, order: int, warping: float) -> np.ndarray:
    """Cepstra of shape `(num_frames, num_cepstra)` on the axis of an all-pass filter, `(num_frames, order + 1)`, by
    the recursion of Oppenheim and Johnson ("Discrete representation of signals", Proc. IEEE 60(6), 1972)."""
    warped = np.zeros((len(cepstra), order + 1))
    for column in cepstra.T[::-1]:
        previous = warped.copy()
        warped[:, 0] = column + warping * previous[:, 0]
        warped[:, 1] = (1 - warping**2) * previous[:, 0] + warping * previous[:, 1]
        for k in range(2, order + 1):
            warped[:, k] = previous[:, k - 1] + warping * (previous[:, k] - warped[:, k - 1])
    return warped
