# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Putting two sounds together, and making a sound as loud as asked for. Arrays in, arrays out."""

import logging
import math

import av
import numpy as np


logger = logging.getLogger(__name__)

# A sound below this is not heard, so nothing has to make room for it.
AUDIBLE_RMS = 10 ** (-50 / 20)
STEP_IN_S = 0.01
# The old sound makes room a little before the new one begins, and comes back some time after it has ended.
ATTACK_IN_S = 0.2
RELEASE_IN_S = 0.4
FADE_IN_S = 0.2
# The shortest stretch that has a loudness (ITU-R BS.1770).
LOUDNESS_BLOCK_IN_S = 0.4
# What coders add to a peak stays below full scale.
MAX_PEAK = 10 ** (-1 / 20)
# The channels that count for loudness, in the order of BS.1770; those behind count more.
LOUDNESS_CHANNELS = (("FL",), ("FR",), ("FC",), ("SL", "BL"), ("SR", "BR"))


def gain_of(gain_in_db: float) -> float:
    """The factor for a gain in decibels."""
    return 10 ** (gain_in_db / 20)


def channel_names(layout: str) -> list[str]:
    """The channels of a layout in order, such as `["FL", "FR"]`."""
    return [channel.name for channel in av.AudioLayout(layout).channels]


def spread(samples: np.ndarray, layout: str) -> np.ndarray:
    """One or two channels of sound, placed in `layout`, as `(channels, num_samples)`.

    Two channels go to the front left and right. One goes to the centre where there is one, else to both sides.
    """
    names = channel_names(layout)
    if len(names) == len(samples):
        return samples
    targets = ["FL", "FR"] if len(samples) == 2 or "FC" not in names else ["FC"]
    if not set(targets) <= set(names):
        # Layouts without names for their channels.
        targets = names[: max(len(targets), len(samples))]
    placed = np.zeros((len(names), samples.shape[1]), samples.dtype)
    for i, target in enumerate(targets):
        placed[names.index(target)] = samples[min(i, len(samples) - 1)]
    return placed


def ducking_gain(samples: np.ndarray, sampling_rate: int, ducking_in_db: float) -> np.ndarray:
    """How loud the old sound is while `samples` are heard: `ducking_in_db` down, and back to 1 when they are silent.

    Args:
        samples: The new sound, `(channels, num_samples)`.
        sampling_rate: Samples per second.
        ducking_in_db: Gain under the new sound, such as -12.

    Returns:
        Factors of shape `(num_samples,)`, without steps.
    """
    step = max(1, round(STEP_IN_S * sampling_rate))
    num_samples = samples.shape[1]
    num_steps = math.ceil(num_samples / step)
    power = np.zeros(num_steps * step, np.float32)
    power[:num_samples] = np.square(samples).mean(axis=0)
    is_heard = np.sqrt(power.reshape(num_steps, step).mean(axis=1)) > AUDIBLE_RMS
    attack, release, fade = (round(seconds / STEP_IN_S) for seconds in (ATTACK_IN_S, RELEASE_IN_S, FADE_IN_S))
    wide = np.convolve(is_heard, np.ones(attack + release + 1))[attack : attack + num_steps] > 0.5
    # The mean over the last steps makes a ramp, which ends where the new sound begins.
    ramp = np.convolve(np.pad(wide, (fade, 0), mode="edge"), np.ones(fade) / fade, mode="valid")[1:][:num_steps]
    places = (np.arange(num_steps) + 0.5) * step
    gain_in_db = np.interp(np.arange(num_samples), places, ramp) * ducking_in_db
    return (10 ** (gain_in_db / 20)).astype(np.float32)


def keep_below_full_scale(samples: np.ndarray) -> np.ndarray:
    """`samples`, turned down as a whole where their peak is above full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak <= 1:
        return samples
    logger.warning(f"The mix is {20 * math.log10(peak):.1f} dB too loud and was turned down by as much.")
    return samples / peak


def loudness_of(samples: np.ndarray, sampling_rate: int, layout: str) -> float:
    """Integrated loudness in LUFS by ITU-R BS.1770; minus infinity for silence, or for less than 0.4 s."""
    # Imported here, because it brings SciPy with it, which takes a second.
    import pyloudnorm

    if samples.shape[1] <= LOUDNESS_BLOCK_IN_S * sampling_rate:
        return -math.inf
    names = channel_names(layout)
    counted = samples
    if len(samples) > 2:
        places = [next((name for name in group if name in names), None) for group in LOUDNESS_CHANNELS]
        counted = np.stack(
            [np.zeros(samples.shape[1], samples.dtype) if p is None else samples[names.index(p)] for p in places]
        )
    meter = pyloudnorm.Meter(sampling_rate, block_size=LOUDNESS_BLOCK_IN_S)
    # The logarithm of nothing is meant.
    with np.errstate(divide="ignore"):
        return float(meter.integrated_loudness(counted.T.astype(np.float64)))


def normalize_loudness(samples: np.ndarray, sampling_rate: int, layout: str, loudness_in_lufs: float) -> np.ndarray:
    """`samples` at an integrated loudness of `loudness_in_lufs`, or as near to it as is possible without clipping."""
    loudness = loudness_of(samples, sampling_rate, layout)
    if not math.isfinite(loudness):
        logger.warning("The sound is too short or too quiet to have a loudness; its level is left as it is.")
        return samples
    gain = gain_of(loudness_in_lufs - loudness)
    peak = float(np.abs(samples).max())
    if gain * peak > MAX_PEAK:
        gain = MAX_PEAK / peak
        reached = loudness + 20 * math.log10(gain)
        logger.warning(
            f"The sound reaches {reached:.1f} LUFS instead of {loudness_in_lufs:.1f}: any louder, and its peaks would "
            "be clipped."
        )
    return samples * np.float32(gain)
