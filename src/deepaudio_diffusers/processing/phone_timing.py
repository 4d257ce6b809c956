# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""When each phone of a text sounds: from a table of durations, or read off a contour of loudness.

F5-TTS leaves it to the network to find out which part of the text sounds when. Small networks learn to speak sooner if
they are told: the text is then one phone for each mel frame. While training, the frames are those of the recording;
later they follow from what recordings have taught about the durations and the loudness of phones.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .audio import check_count, check_length


PAUSE = "pau"
# The pauses at both ends when a table decides.
EDGE_PAUSE_IN_S = 0.04

# What is added to a contour, which is relative to its loudest frame, before its logarithm is taken.
ENERGY_FLOOR = 0.01
# Added to the square of the measured spread: a predicted contour is less exact than a measured one.
LEVEL_SPREAD_FLOOR = 0.4
# The levels of neighbouring frames resemble each other, so they count less than as many independent ones would.
LEVEL_WEIGHT = 0.5
# Factors on the mean durations that are tried, and the spread of their logarithm that is expected.
TEMPI = (0.6, 0.8, 1.0, 1.25, 1.6)
TEMPO_SPREAD = 0.22
# The same within an utterance; its square is added to that of the spread of a phone's durations.
LOCAL_TEMPO_SPREAD = 0.15
# No phone is longer than its mean by more than this many spreads.
MAX_SPREADS = 3.0
# Log-probability of a pause where the text has none, and of each of its frames.
PAUSE_LOG_PROBABILITY = -2.0
PAUSE_FRAME_LOG_PROBABILITY = -0.05

Span = tuple[str, float, float]


@dataclass(frozen=True)
class PhoneStatistics:
    """What recordings have taught about phones.

    Attributes:
        phones (`tuple[str, ...]`): Names; the first one is `"pau"`, a pause. An id is an index into them.
        durations_in_s (`np.ndarray` of shape `(num_phones,)`): Mean duration; of pauses, that of those within speech.
        duration_spreads (`np.ndarray` of shape `(num_phones,)`): Standard deviation of the logarithm of the duration.
        levels (`np.ndarray` of shape `(num_phones,)`): Mean of the logarithm of the energy contour.
        level_spreads (`np.ndarray` of shape `(num_phones,)`): Standard deviation of that logarithm.

    Raises:
        InputError: If the first phone is not `"pau"`, a phone stands there twice, or an array has another shape, or
            values that are not finite or, where they have to be, not positive.
    """

    phones: tuple[str, ...]
    durations_in_s: np.ndarray
    duration_spreads: np.ndarray
    levels: np.ndarray
    level_spreads: np.ndarray

    def __post_init__(self):
        if self.phones[:1] != (PAUSE,) or len(set(self.phones)) < len(self.phones):
            raise InputError(f"`phones` is {self.phones}; expected 'pau' and, after it, other names, each once.")
        for name in ("durations_in_s", "duration_spreads", "levels", "level_spreads"):
            values = getattr(self, name)
            if values.shape != (len(self.phones),) or not np.isfinite(values).all():
                raise InputError(f"`{name}` is {values}; expected {len(self.phones)} finite numbers, one a phone.")
            if name != "levels" and (values <= 0 if name == "durations_in_s" else values < 0).any():
                raise InputError(f"`{name}` is {values}; a phone has to last, and a spread is not negative.")

    def ids(self, phones: Iterable[str]) -> np.ndarray:
        """Index of each phone, int64; InputError for a phone that is not among them."""
        index = {phone: i for i, phone in enumerate(self.phones)}
        phones = list(phones)
        unknown = sorted(set(phones) - set(index))
        if unknown:
            raise InputError(f"`phones` has {', '.join(map(repr, unknown))}; known are {', '.join(self.phones)}.")
        return np.array([index[phone] for phone in phones], dtype=np.int64)


def measure_phone_statistics(
    spans: Sequence[Sequence[Span]], energies: Sequence[np.ndarray], frame_length_in_s: float
) -> PhoneStatistics:
    """Mean and spread of the duration and the loudness of each phone.

    Args:
        spans (`Sequence[Sequence[tuple[str, float, float]]]`): Of each recording, name, begin and end in seconds of
            each phone, with `"pau"` for pauses.
        energies (`Sequence[np.ndarray]`, each of shape `(num_frames,)`): Its
            [`~deepaudio_diffusers.processing.audio.energy_contour`].
        frame_length_in_s (`float`): Of the contours.

    Returns:
        [`PhoneStatistics`]: Of all phones that occur; in alphabetical order behind `"pau"`.

    Raises:
        InputError: If there are not as many contours as recordings, or there is no pause, or a phone does not occur
            in the middle of any frame.
    """
    if len(spans) != len(energies) or not spans:
        raise InputError(f"`spans` are {len(spans)} and `energies` {len(energies)}; pass one of each for a recording.")
    durations: dict[str, list[float]] = {}
    levels: dict[str, list[float]] = {}
    for recording, energy in zip(spans, energies, strict=True):
        for index, (phone, start, end) in enumerate(recording):
            # The pauses at both ends are as long as somebody has cut them.
            if phone != PAUSE or 0 < index < len(recording) - 1:
                durations.setdefault(phone, []).append(end - start)
        for phone, level in zip(
            _phones_at_frames(recording, len(energy), frame_length_in_s), _level(energy), strict=True
        ):
            levels.setdefault(phone, []).append(level)
    missing = ({PAUSE} | set(durations)) - (set(durations) & set(levels))
    if missing:
        raise InputError(f"`spans` has too few {', '.join(sorted(missing))}; pass more recordings.")
    phones = (PAUSE, *sorted(set(durations) - {PAUSE}))
    return PhoneStatistics(
        phones,
        np.array([np.mean(durations[phone]) for phone in phones]),
        np.array([np.std(np.log(durations[phone])) for phone in phones]),
        np.array([np.mean(levels[phone]) for phone in phones]),
        np.array([np.std(levels[phone]) for phone in phones]),
    )


def place_spans(
    spans: Sequence[Span], num_frames: int, frame_length_in_s: float, statistics: PhoneStatistics
) -> np.ndarray:
    """Phone in the middle of each frame, where their times are known.

    Args:
        spans (`Sequence[tuple[str, float, float]]`): Name, begin and end in seconds of each phone, in the order of
            time. Where there is none, there is a pause.
        num_frames (`int`): Frames of the result.
        frame_length_in_s (`float`): Length of a frame.
        statistics ([`PhoneStatistics`]): Names of the phones.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: int64 ids.

    Raises:
        InputError: If a phone is unknown, or a length is not positive.
    """
    check_count("num_frames", num_frames)
    check_length("frame_length_in_s", frame_length_in_s)
    return statistics.ids(_phones_at_frames(spans, num_frames, frame_length_in_s))


def time_phones(
    words: Sequence[Sequence[str]], num_frames: int, frame_length_in_s: float, statistics: PhoneStatistics
) -> np.ndarray:
    """Phone in each frame by the mean durations, scaled to the length.

    Args:
        words (`Sequence[Sequence[str]]`): Phones of each word. A word that is `["pau"]` is a pause within the text.
        num_frames (`int`): Frames to fill.
        frame_length_in_s (`float`): Length of a frame.
        statistics ([`PhoneStatistics`]): Mean durations.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: int64 ids, with 40 ms of pause at both ends if there is room.

    Raises:
        InputError: If there are no phones, fewer frames than phones, an unknown phone, or a length is not positive.
    """
    ids = _ids_of_words(words, num_frames, frame_length_in_s, statistics)
    return np.repeat(*_durations_by_table(np.concatenate(ids), num_frames, frame_length_in_s, statistics))


def time_phones_by_energy(
    words: Sequence[Sequence[str]], energy: np.ndarray, frame_length_in_s: float, statistics: PhoneStatistics
) -> np.ndarray:
    """Phone in each frame as a contour of loudness suggests.

    The most probable path through a semi-Markov model (Ferguson, "Variable duration models for speech", 1980): the
    phones in their order, with a log-normal distribution of durations and a normal distribution of levels each, and
    pauses of any length, or none, at both ends and between words. The tempo is the one that makes the path most
    probable.

    Args:
        words (`Sequence[Sequence[str]]`): Phones of each word; a word that is `["pau"]` makes no difference.
        energy (`np.ndarray` of shape `(num_frames,)`): Contour with values in `[0, 1]`, 1 in the loudest frame.
        frame_length_in_s (`float`): Length of a frame.
        statistics ([`PhoneStatistics`]): Durations and levels.

    Returns:
        `np.ndarray` of shape `(num_frames,)`: int64 ids.

    Raises:
        InputError: If there are no phones, fewer frames than phones, an unknown phone, or the length is not positive,
            or the contour has another shape or values outside `[0, 1]`.
    """
    if not isinstance(energy, np.ndarray) or energy.ndim != 1 or not ((energy >= 0) & (energy <= 1)).all():
        raise InputError("`energy` is no contour; pass an array of shape (num_frames,) with values in [0, 1].")
    ids = [word for word in _ids_of_words(words, len(energy), frame_length_in_s, statistics) if word.any()]
    if not ids:
        raise InputError("`words` has nothing but pauses; pass at least one word.")
    return np.repeat(*_durations_by_energy(ids, energy, frame_length_in_s, statistics))


def _phones_at_frames(spans: Sequence[Span], num_frames: int, frame_length_in_s: float) -> list[str]:
    phones = [PAUSE] * num_frames
    for phone, start_in_s, end_in_s in spans:
        # The frames whose middle lies within the span.
        start, end = (max(0, math.ceil(time_in_s / frame_length_in_s - 0.5)) for time_in_s in (start_in_s, end_in_s))
        phones[start:end] = [phone] * (min(end, num_frames) - min(start, num_frames))
    return phones


def _level(energy: np.ndarray) -> np.ndarray:
    return np.log(energy + ENERGY_FLOOR)


def _ids_of_words(
    words: Sequence[Sequence[str]], num_frames: int, frame_length_in_s: float, statistics: PhoneStatistics
) -> list[np.ndarray]:
    check_count("num_frames", num_frames)
    check_length("frame_length_in_s", frame_length_in_s)
    ids = [statistics.ids(word) for word in words]
    num_phones = sum(map(len, ids))
    if num_phones == 0:
        raise InputError("`words` has no phones; pass at least one word.")
    if num_phones > num_frames:
        raise InputError(
            f"`words` has {num_phones} phones, but there are {num_frames} frames, and each phone takes at least one; "
            "allow more time or shorten the text."
        )
    return ids


def _durations_by_table(
    ids: np.ndarray, num_frames: int, frame_length_in_s: float, statistics: PhoneStatistics
) -> tuple[np.ndarray, np.ndarray]:
    """Ids with pauses at both ends, and the number of frames of each."""
    pause = min(int(EDGE_PAUSE_IN_S / frame_length_in_s), (num_frames - len(ids)) // 2)
    num_spoken = num_frames - 2 * pause
    ends = np.cumsum(statistics.durations_in_s[ids])
    ends = np.rint(ends * num_spoken / ends[-1]).astype(np.int64)
    # At least one frame for each phone: first from the left, then from the right.
    order = np.arange(len(ids))
    ends = np.maximum.accumulate(ends - order).clip(min=1) + order
    ends = np.minimum(ends, num_spoken - order[::-1])
    durations = np.diff(ends, prepend=0)
    return np.concatenate([[0], ids, [0]]), np.concatenate([[pause], durations, [pause]])


def _durations_by_energy(
    words: Sequence[np.ndarray], energy: np.ndarray, frame_length_in_s: float, statistics: PhoneStatistics
) -> tuple[np.ndarray, np.ndarray]:
    """Ids with pauses at both ends and between words, and the number of frames of each."""
    # A state for each pause and each phone.
    states = np.concatenate([[0], *(np.append(word, 0) for word in words)])
    spreads = np.sqrt(statistics.level_spreads[states] ** 2 + LEVEL_SPREAD_FLOOR**2)[:, None]
    distances = (_level(energy) - statistics.levels[states][:, None]) / spreads
    scores = LEVEL_WEIGHT * (-0.5 * distances**2 - np.log(spreads))
    best_score, best_durations = -math.inf, np.zeros(len(states), dtype=np.int64)
    for tempo in TEMPI:
        score, durations = _best_path(states, scores, tempo, frame_length_in_s, statistics)
        score -= 0.5 * (math.log(tempo) / TEMPO_SPREAD) ** 2
        if score > best_score:
            best_score, best_durations = score, durations
    return states, best_durations


def _best_path(
    states: np.ndarray, scores: np.ndarray, tempo: float, frame_length_in_s: float, statistics: PhoneStatistics
) -> tuple[float, np.ndarray]:
    """Logarithm of its probability and the number of frames of each state.

    Args:
        states: `(num_states,)` ids of phones; pauses may be left out.
        scores: `(num_states, num_frames)` log-probabilities of the level of each frame in each state.
        tempo: Factor on the mean durations.
    """
    num_frames = scores.shape[1]
    totals = np.concatenate([np.zeros((len(states), 1)), np.cumsum(scores, axis=1)], axis=1)
    # best[t]: log-probability of the first t frames, if the states so far have taken exactly these.
    best = np.full(num_frames + 1, -np.inf)
    best[0] = 0.0
    # starts[s, t]: where state s began that ended before frame t.
    starts = np.zeros((len(states), num_frames + 1), dtype=np.int64)
    frames = np.arange(num_frames + 1)
    for index, (phone, total) in enumerate(zip(states, totals, strict=True)):
        if phone == 0:
            # Geometric durations: the best begin of a pause does not depend on where it ends.
            decay = PAUSE_FRAME_LOG_PROBABILITY * frames
            before = best + PAUSE_LOG_PROBABILITY - total - decay
            running = np.maximum.accumulate(before)
            begins = np.maximum.accumulate(np.where(before >= running, frames, 0))
            ended = running + total + decay
            starts[index] = np.where(ended > best, begins, frames)
            best = np.maximum(ended, best)
        else:
            lengths = _log_durations(phone, num_frames, frame_length_in_s / tempo, statistics)
            begins = frames[:, None] - np.arange(1, len(lengths) + 1)
            before = np.where(begins >= 0, (best - total)[begins.clip(min=0)], -np.inf) + lengths
            choice = before.argmax(axis=1)
            starts[index] = begins[frames, choice]
            best = before[frames, choice] + total
    ends = [num_frames]
    for index in reversed(range(len(states))):
        ends.append(int(starts[index, ends[-1]]))
    return float(best[-1]), np.diff(ends[::-1])


def _log_durations(phone: int, num_frames: int, frame_length_in_s: float, statistics: PhoneStatistics) -> np.ndarray:
    """Log-probability of lasting 1, 2, ... frames."""
    spread = math.hypot(statistics.duration_spreads[phone], LOCAL_TEMPO_SPREAD)
    mean = math.log(statistics.durations_in_s[phone] / frame_length_in_s)
    longest = max(1, min(num_frames, math.ceil(math.exp(mean + MAX_SPREADS * spread))))
    lengths = np.log(np.arange(1, longest + 1))
    return -0.5 * ((lengths - mean) / spread) ** 2 - lengths - math.log(spread)
