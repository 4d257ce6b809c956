# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How far a figure that was measured on some clips may be from that of all clips like them: bootstrap intervals (Efron
and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Estimate:
    """
    A figure, the interval that it lies in with the confidence asked for, and how many clips it is from.

    Args:
        value (`float`): Of the clips that were measured.
        low, high (`float`): The interval.
        num_clips (`int`): How many clips there are.
    """

    value: float
    low: float
    high: float
    num_clips: int


def bootstrap(
    per_clip: np.ndarray,
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    confidence: float = 0.95,
    num_resamples: int = 2000,
    seed: int = 0,
    centred: bool = False,
) -> Estimate:
    """A statistic with its percentile interval over clips.

    Clips are drawn anew with replacement, all numbers of a clip together. So counts of a clip stay beside each other,
    and two systems that were measured on the same clips are compared on the same clips.

    Args:
        per_clip (`np.ndarray` of shape `(num_clips,)` or `(num_clips, num_values)`): What was measured.
        statistic (`Callable`): From such an array to a number; the mean by default.
        confidence (`float`, defaults to 0.95): How often such intervals cover the true figure.
        num_resamples (`int`, defaults to 2000): How often clips are drawn anew.
        seed (`int`, defaults to 0): Of the draws.
        centred (`bool`, defaults to `False`): Move the interval so that half of the draws lie on either side of the
            figure. For distances of sets: sets that are drawn with replacement are less varied, so their distances
            are larger by themselves.

    Raises:
        InputError: Without a clip, or with NaN or infinity among what was measured: a failure must be counted as one.
    """
    per_clip = np.asarray(per_clip, dtype=np.float64)
    if per_clip.ndim not in (1, 2) or len(per_clip) == 0:
        raise InputError(f"`per_clip` has shape {per_clip.shape}; expected one row for each of at least one clip.")
    if not np.isfinite(per_clip).all():
        clips = np.flatnonzero(~np.isfinite(per_clip.reshape(len(per_clip), -1)).all(axis=1))
        raise InputError(
            f"`per_clip` is not finite for the clips {clips[:10].tolist()}; say what a clip that failed counts as."
        )
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(per_clip), size=(num_resamples, len(per_clip)))
    resampled = [statistic(per_clip[draw]) for draw in draws]
    value = float(statistic(per_clip))
    low, middle, high = np.quantile(resampled, [(1 - confidence) / 2, 0.5, (1 + confidence) / 2])
    shift = value - middle if centred else 0.0
    return Estimate(value, float(low + shift), float(high + shift), len(per_clip))


def ratio(counts: np.ndarray) -> float:
    """Sum of the first column over that of the second; 0 where the second has nothing."""
    total = counts[:, 1].sum()
    return float(counts[:, 0].sum() / total) if total else 0.0
