# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a sound begins when it should: onsets by spectral flux (Bello et al., "A tutorial on onset detection in
music signals", IEEE TSAP 13(5), 2005), matched to what is known as in MIREX."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..processing.audio import check_waveform, log_mel_spectrogram


FRAME_LENGTH_IN_S = 0.005
WINDOW_IN_S = 0.032
NUM_BANDS = 40
# A rise is measured over this many frames, as long as the window takes to fill up.
RISE_IN_FRAMES = 4
# Nothing larger within this time before and after: the release of a key is no onset of its own.
PEAK_REACH_IN_S = 0.09

# Chosen on the true audio of the validation split of the synthetic world, seed 0, by
# `python benchmarks/tiny_report.py --world WORLD --calibrate_onsets`: what is added to a magnitude before its
# logarithm is taken, the smallest rise that is an onset, and how much later than the event the rise is largest.
MAGNITUDE_FLOOR = 4.0
THRESHOLD = 0.2
DELAY_IN_S = -0.0078


@dataclass(frozen=True)
class OnsetCounts:
    """How many onsets of a clip were matched, how many were detected, and how many there are."""

    matched: int
    detected: int
    known: int


def onset_strength(waveform: torch.Tensor, sampling_rate: int, magnitude_floor: float = MAGNITUDE_FLOOR) -> np.ndarray:
    """How much louder a sound becomes, averaged over bands of its spectrum.

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): Floats in [-1, 1].
        sampling_rate (`int`): Samples per second.
        magnitude_floor (`float`): Added to magnitudes: what is softer hardly counts.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: One value for each 5 ms, in nepers.

    Raises:
        InputError: When the waveform has another shape, is not finite or is shorter than a window.
    """
    check_waveform("waveform", waveform, "(num_samples,)", 1)
    magnitudes = log_mel_spectrogram(
        waveform[None],
        sampling_rate=sampling_rate,
        n_fft=round(sampling_rate * WINDOW_IN_S),
        hop_length=round(sampling_rate * FRAME_LENGTH_IN_S),
        num_mels=NUM_BANDS,
        mel_type="vocos",
    )[0].exp()
    levels = (magnitudes + magnitude_floor).log()
    rise = (levels[RISE_IN_FRAMES:] - levels[:-RISE_IN_FRAMES]).clamp(min=0).mean(-1)
    # The rise between two frames belongs to the middle between them.
    before = RISE_IN_FRAMES // 2
    return np.pad(rise.numpy(), (before, RISE_IN_FRAMES - before))


def pick_onsets(strength: np.ndarray, threshold: float = THRESHOLD, delay_in_s: float = DELAY_IN_S) -> np.ndarray:
    """The times of the peaks of `onset_strength`, in seconds.

    A peak is at least `threshold` and the largest value within 90 ms before and after; of equal ones, the first.
    """
    reach = round(PEAK_REACH_IN_S / FRAME_LENGTH_IN_S)
    padded = np.pad(strength, reach, constant_values=-np.inf)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    is_peak = (strength >= threshold) & (around.argmax(axis=1) == reach)
    return np.flatnonzero(is_peak) * FRAME_LENGTH_IN_S - delay_in_s


def detect_onsets(waveform: torch.Tensor, sampling_rate: int) -> np.ndarray:
    """The times at which something begins to sound, in seconds. See `onset_strength`."""
    return pick_onsets(onset_strength(waveform, sampling_rate))


def match_onsets(detected: Sequence[float], known: Sequence[float], tolerance_in_s: float) -> OnsetCounts:
    """Pair up onsets that lie within a tolerance of each other, each at most once, as many as possible.

    Args:
        detected, known (sequence of `float`): Times in seconds, in rising order.
        tolerance_in_s (`float`): How far apart the two of a pair may be.

    Raises:
        InputError: When the times do not rise.
    """
    for name, times in (("detected", detected), ("known", known)):
        if (np.diff(times) < 0).any():
            raise InputError(f"`{name}` is not in rising order; sort it.")
    # With one tolerance for all, the earliest that fits leaves the most for the rest.
    matched = i = j = 0
    while i < len(detected) and j < len(known):
        if abs(detected[i] - known[j]) <= tolerance_in_s:
            matched, i, j = matched + 1, i + 1, j + 1
        elif detected[i] < known[j]:
            i += 1
        else:
            j += 1
    return OnsetCounts(matched, len(detected), len(known))


def f1_score(counts: np.ndarray) -> float:
    """F1 of all clips together.

    Args:
        counts (`np.ndarray` of shape `(num_clips, 3)`): Matched, detected and known onsets of each clip.

    Returns:
        `float`: From 0 to 1; 1 where nothing is known and nothing was detected.
    """
    matched, detected, known = counts.sum(axis=0)
    return float(2 * matched / (detected + known)) if detected + known else 1.0


def calibrate(
    waveforms: Sequence[torch.Tensor], known: Sequence[Sequence[float]], sampling_rate: int, tolerance_in_s: float
) -> tuple[float, float, float, float]:
    """Find the floor, threshold and delay with which most onsets of true sounds are found.

    Args:
        waveforms (sequence of `torch.Tensor` of shape `(num_samples,)`): True sounds.
        known (sequence of times): When something begins in each, in seconds.
        sampling_rate (`int`): Samples per second.
        tolerance_in_s (`float`): See `match_onsets`.

    Returns:
        `tuple[float, float, float, float]`: The floor, the threshold, the delay and the F1 score with them.
    """
    best = (0.0, 0.0, 0.0, -1.0)
    for floor in (0.1, 0.3, 1.0, 2.0, 4.0):
        strengths = [onset_strength(waveform, sampling_rate, floor) for waveform in waveforms]
        for threshold in (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6, 0.8, 1.0, 1.3):
            detected = [pick_onsets(strength, threshold, 0.0) for strength in strengths]
            delay = _median_delay(detected, known)
            counts = [
                match_onsets(found - delay, times, tolerance_in_s)
                for found, times in zip(detected, known, strict=True)
            ]
            score = f1_score(np.array([(count.matched, count.detected, count.known) for count in counts]))
            if score > best[3]:
                best = (floor, float(threshold), delay, score)
    return best


def _median_delay(detected: Sequence[np.ndarray], known: Sequence[Sequence[float]]) -> float:
    """How much later than the nearest known onset those that were detected are."""
    delays = [
        found - times[np.abs(np.asarray(times) - found).argmin()]
        for clip, times in zip(detected, known, strict=True)
        for found in clip
        if len(times)
    ]
    near = [delay for delay in delays if abs(delay) <= PEAK_REACH_IN_S]
    return float(np.median(near)) if near else 0.0
