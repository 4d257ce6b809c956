# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sound from physics: decaying modes of struck bodies, vibrating strings, oscillators, and coloured noise.

Everything is float64, whose rounding errors are far below a step of 16 bits, so every machine writes the same samples.
"""

from collections.abc import Callable, Sequence

import numpy as np


SAMPLING_RATE = 16_000
# Higher modes are not sounded: little of them is below half the sampling rate, and nothing aliases.
HIGHEST_MODE_IN_HZ = 7600.0
# Modes are computed as products of two short series of this many powers.
_BLOCK = 256

# Ratios of a body's mode frequencies to its lowest (Fletcher and Rossing, "The Physics of Musical Instruments", 1998):
# a bar with free ends, an ideal round membrane, and a church bell by the names of its partials from hum to octave.
BAR_MODES = (1.0, 2.756, 5.404, 8.933)
MEMBRANE_MODES = (1.0, 1.594, 2.136, 2.296, 2.653)
BELL_MODES = (0.5, 1.0, 1.2, 1.5, 2.0, 2.67, 3.0, 4.0)


def struck(
    frequencies_in_hz: Sequence[float],
    decay_times_in_s: Sequence[float],
    amplitudes: Sequence[float],
    *,
    length_in_s: float,
    attack_in_s: float = 0.0006,
) -> np.ndarray:
    """The sound of a body after a blow: sines that decay exponentially.

    Args:
        frequencies_in_hz: Of each mode.
        decay_times_in_s: Until each mode has fallen to 1/e.
        amplitudes: Of each mode, at the blow.
        length_in_s: The last twentieth fades out.
        attack_in_s: Time in which the sound rises.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    num_samples = round(length_in_s * SAMPLING_RATE)
    num_blocks = -(-num_samples // _BLOCK)
    sound = np.zeros((num_blocks, _BLOCK))
    for frequency, decay_time, amplitude in zip(frequencies_in_hz, decay_times_in_s, amplitudes, strict=True):
        if frequency > HIGHEST_MODE_IN_HZ:
            continue
        exponent = (2j * np.pi * frequency - 1 / decay_time) / SAMPLING_RATE
        starts = amplitude * np.exp(exponent * _BLOCK * np.arange(num_blocks))
        steps = np.exp(exponent * np.arange(_BLOCK))
        # The imaginary part of the product, without its real part.
        sound += np.outer(starts.real, steps.imag) + np.outer(starts.imag, steps.real)
    sound = sound.ravel()[:num_samples]
    rising = max(1, round(attack_in_s * SAMPLING_RATE))
    sound[:rising] *= np.arange(rising) / rising
    falling = num_samples // 20
    sound[num_samples - falling :] *= np.arange(falling, 0, -1) / falling
    return sound


def click(rng: np.random.Generator, length_in_s: float, decay_in_s: float) -> np.ndarray:
    """A burst of white noise that decays exponentially: `(num_samples,)`."""
    num_samples = round(length_in_s * SAMPLING_RATE)
    return rng.standard_normal(num_samples) * np.exp(-np.arange(num_samples) / (decay_in_s * SAMPLING_RATE))


def coloured_noise(rng: np.random.Generator, num_samples: int, gain: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Stationary noise whose spectrum is `gain` of the frequency in Hz, with an RMS of 1: `(num_samples,)`."""
    spectrum = np.fft.rfft(rng.standard_normal(num_samples))
    spectrum *= gain(np.fft.rfftfreq(num_samples, 1 / SAMPLING_RATE))
    noise = np.fft.irfft(spectrum, num_samples)
    return noise / np.sqrt(np.mean(noise**2))


def band(centre_in_hz: float, width_in_hz: float) -> Callable[[np.ndarray], np.ndarray]:
    """A gain for `coloured_noise`: a bell curve of the frequency."""
    return lambda frequency: np.exp(-0.5 * ((frequency - centre_in_hz) / width_in_hz) ** 2)


def oscillator(frequency_in_hz: np.ndarray, harmonics: Sequence[float]) -> np.ndarray:
    """A tone whose pitch moves.

    Args:
        frequency_in_hz (`np.ndarray` of shape `(num_samples,)`): At each sample.
        harmonics: Amplitudes of the first harmonic, the second, and so on.

    Returns:
        `np.ndarray` of shape `(num_samples,)`.
    """
    phase = 2 * np.pi * np.cumsum(frequency_in_hz) / SAMPLING_RATE
    sound = np.zeros_like(phase)
    for number, amplitude in enumerate(harmonics, 1):
        audible = np.clip((HIGHEST_MODE_IN_HZ - number * frequency_in_hz) / 400, 0, 1)
        sound += amplitude * audible * np.sin(number * phase)
    return sound


def add_at(track: np.ndarray, time_in_s: float, sound: np.ndarray) -> None:
    """Add `sound` to `track` in place from `time_in_s` on; what does not fit is left out."""
    start = round(time_in_s * SAMPLING_RATE)
    end = min(len(track), start + len(sound))
    if 0 <= start < end:
        track[start:end] += sound[: end - start]
