# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics are those of the recordings, and phones are found where a contour was made for them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.phone_timing import (
    PhoneStatistics,
    measure_phone_statistics,
    place_spans,
    time_phones,
    time_phones_by_energy,
)


FRAME_LENGTH_IN_S = 0.016
# Loud and long, quiet and short, and one between.
STATISTICS = PhoneStatistics(
    ("pau", "a", "t", "m"),
    durations_in_s=np.array([0.2, 0.128, 0.064, 0.08]),
    duration_spreads=np.array([0.5, 0.3, 0.3, 0.3]),
    levels=np.log(np.array([0.0, 0.8, 0.08, 0.3]) + 0.01),
    level_spreads=np.array([0.3, 0.3, 0.3, 0.3]),
)
ENERGIES = {"pau": 0.0, "a": 1.0, "t": 0.08, "m": 0.3}
WORDS = [["t", "a", "m"], ["m", "a"], ["t", "a"]]


def spans_of(*phones_and_frames: tuple[str, int]) -> list[tuple[str, float, float]]:
    spans, start = [], 0
    for phone, num_frames in phones_and_frames:
        spans.append((phone, start * FRAME_LENGTH_IN_S, (start + num_frames) * FRAME_LENGTH_IN_S))
        start += num_frames
    return spans


def recording(*phones_and_frames: tuple[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Ids and contour."""
    ids = [STATISTICS.phones.index(phone) for phone, n in phones_and_frames for _ in range(n)]
    energy = [ENERGIES[phone] for phone, n in phones_and_frames for _ in range(n)]
    return np.array(ids), np.array(energy)


def runs(ids: np.ndarray) -> list[tuple[str, int]]:
    bounds = [0, *(np.flatnonzero(np.diff(ids)) + 1).tolist(), len(ids)]
    return [(STATISTICS.phones[ids[start]], end - start) for start, end in pairwise(bounds)]


def test_statistics_are_those_of_the_recordings():
    spans = [
        spans_of(("pau", 1), ("t", 2), ("a", 8), ("pau", 10), ("a", 2), ("pau", 1)),
        spans_of(("t", 4), ("pau", 20), ("a", 2)),
    ]
    energies = [np.full(24, 0.5), np.full(26, 1.0)]
    energies[0][[0, 23]] = energies[0][11:21] = energies[1][4:24] = 0.0
    statistics = measure_phone_statistics(spans, energies, FRAME_LENGTH_IN_S)
    assert statistics.phones == ("pau", "a", "t")
    # The pauses at both ends do not count.
    np.testing.assert_allclose(statistics.durations_in_s, [15 * 0.016, 4 * 0.016, 3 * 0.016])
    np.testing.assert_allclose(statistics.duration_spreads, [np.log(2) / 2, np.log([8, 2, 2]).std(), np.log(2) / 2])
    np.testing.assert_allclose(statistics.levels[0], np.log(0.01))
    np.testing.assert_allclose(statistics.levels[1], (10 * np.log(0.51) + 2 * np.log(1.01)) / 12)
    np.testing.assert_allclose(statistics.level_spreads[0], 0.0, atol=1e-12)


def test_statistics_need_recordings_and_pauses():
    with pytest.raises(InputError, match="`spans` are 0"):
        measure_phone_statistics([], [], FRAME_LENGTH_IN_S)
    with pytest.raises(InputError, match="`spans` are 1 and `energies` 2"):
        measure_phone_statistics([spans_of(("a", 3))], [np.ones(3), np.ones(3)], FRAME_LENGTH_IN_S)
    with pytest.raises(InputError, match="too few pau"):
        measure_phone_statistics([spans_of(("a", 3))], [np.ones(3)], FRAME_LENGTH_IN_S)


@pytest.mark.parametrize(
    "changes",
    [
        {"phones": ("a", "pau", "t", "m")},
        {"phones": ("pau", "a", "a", "m")},
        {"phones": ()},
        {"levels": np.zeros(3)},
        {"levels": np.array([0.0, np.nan, 0.0, 0.0])},
        {"durations_in_s": np.array([0.1, 0.0, 0.1, 0.1])},
        {"level_spreads": np.array([0.1, -0.1, 0.1, 0.1])},
    ],
)
def test_impossible_statistics_are_refused(changes):
    with pytest.raises(InputError, match=f"`{next(iter(changes))}`"):
        replace(STATISTICS, **changes)


def test_known_times_give_the_phone_in_the_middle_of_each_frame():
    spans = [("a", 0.009, 0.04), ("t", 0.04, 0.0561)]
    assert place_spans(spans, 5, FRAME_LENGTH_IN_S, STATISTICS).tolist() == [0, 1, 2, 2, 0]


def test_known_times_beyond_the_last_frame_are_left_out():
    spans = spans_of(("a", 3), ("t", 3), ("m", 3))
    assert place_spans(spans, 4, FRAME_LENGTH_IN_S, STATISTICS).tolist() == [1, 1, 1, 2]


def test_table_gives_mean_durations_and_short_pauses_at_both_ends():
    ids = time_phones(WORDS, 2 + 46 + 2, FRAME_LENGTH_IN_S, STATISTICS)
    expected = [("pau", 2), ("t", 4), ("a", 8), ("m", 10), ("a", 8), ("t", 4), ("a", 8), ("pau", 2)]
    # 44 frames on average; the words end and begin with the same phone.
    assert [phone for phone, _ in runs(ids)] == [phone for phone, _ in expected]
    assert all(abs(n - m) <= 1 for (_, n), (_, m) in zip(runs(ids), expected, strict=True))


def test_table_is_scaled_to_the_length():
    for num_frames in (7, 8, 9, 12, 20, 99, 400):
        ids = time_phones(WORDS, num_frames, FRAME_LENGTH_IN_S, STATISTICS)
        assert ids.shape == (num_frames,)
        assert [phone for phone, _ in runs(ids) if phone != "pau"] == ["t", "a", "m", "a", "t", "a"]
    lengths = dict(runs(time_phones([["t", "a"]], 100, FRAME_LENGTH_IN_S, STATISTICS)))
    assert lengths == {"pau": 2, "t": 32, "a": 64}


def test_table_pauses_within_a_text_where_told_to():
    ids = time_phones([["a"], ["pau"], ["m"]], 60, FRAME_LENGTH_IN_S, STATISTICS)
    assert [phone for phone, _ in runs(ids)] == ["pau", "a", "pau", "m", "pau"]


@pytest.mark.parametrize(
    "truth",
    [
        (("t", 4), ("a", 8), ("m", 5), ("m", 5), ("a", 8), ("t", 4), ("a", 8)),
        (("pau", 30), ("t", 4), ("a", 8), ("m", 5), ("m", 5), ("a", 8), ("t", 4), ("a", 8), ("pau", 60)),
        (("t", 4), ("a", 8), ("m", 5), ("pau", 12), ("m", 5), ("a", 8), ("pau", 20), ("t", 4), ("a", 8), ("pau", 3)),
        (("t", 7), ("a", 13), ("m", 8), ("pau", 9), ("m", 3), ("a", 5), ("t", 3), ("a", 5)),
    ],
    ids=["no_pauses", "silence_around", "pauses_between_words", "changing_tempo"],
)
def test_phones_are_found_where_the_contour_has_them(truth):
    expected, energy = recording(*truth)
    ids = time_phones_by_energy(WORDS, energy, FRAME_LENGTH_IN_S, STATISTICS)
    np.testing.assert_array_equal(ids, expected)


@pytest.mark.parametrize("tempo", [0.5, 1, 2])
def test_tempo_is_found(tempo):
    frames = [round(n * tempo) for n in (4, 8, 6, 8, 4, 8)]
    expected, energy = recording(("pau", 10), *zip("tamata", frames, strict=True), ("pau", 10))
    ids = time_phones_by_energy([["t", "a", "m", "a", "t", "a"]], energy, FRAME_LENGTH_IN_S, STATISTICS)
    np.testing.assert_array_equal(ids, expected)


def test_noise_on_the_contour_moves_phones_little():
    truth = (("pau", 9), ("t", 4), ("a", 9), ("m", 5), ("pau", 12), ("m", 4), ("a", 7), ("t", 5), ("a", 8), ("pau", 3))
    expected, energy = recording(*truth)
    noise = np.exp(0.3 * np.random.default_rng(0).standard_normal(len(energy)))
    ids = time_phones_by_energy(WORDS, np.minimum(energy * noise + 0.003, 1.0), FRAME_LENGTH_IN_S, STATISTICS)
    assert (ids == expected).mean() > 0.9


@pytest.mark.parametrize("energy", [np.zeros(40), np.ones(40), np.zeros(7), np.ones(7)])
def test_a_contour_without_phones_still_gives_all_of_them(energy):
    ids = time_phones_by_energy(WORDS, energy, FRAME_LENGTH_IN_S, STATISTICS)
    assert len(ids) == len(energy)
    assert [phone for phone, _ in runs(ids) if phone != "pau"] in (
        ["t", "a", "m", "a", "t", "a"],
        ["t", "a", "m", "m", "a", "t", "a"],
    )


def test_contour_decides_about_pauses_and_not_the_text():
    _, energy = recording(("t", 4), ("a", 8), ("m", 5), ("a", 8))
    ids = time_phones_by_energy([["t", "a"], ["pau"], ["m", "a"]], energy, FRAME_LENGTH_IN_S, STATISTICS)
    assert "pau" not in dict(runs(ids))


@pytest.mark.parametrize(
    ("words", "num_frames", "named"),
    [
        ([], 10, "no phones"),
        ([["t", "a", "m"]], 2, "3 phones, but there are 2 frames"),
        ([["t", "x"]], 10, "'x'"),
    ],
)
def test_what_cannot_be_timed_is_refused(words, num_frames, named):
    with pytest.raises(InputError, match=named):
        time_phones(words, num_frames, FRAME_LENGTH_IN_S, STATISTICS)
    with pytest.raises(InputError, match=named):
        time_phones_by_energy(words, np.ones(num_frames), FRAME_LENGTH_IN_S, STATISTICS)


@pytest.mark.parametrize("energy", [np.ones((1, 9)), np.full(9, 1.5), np.full(9, np.nan), [1.0] * 9])
def test_what_is_no_contour_is_refused(energy):
    with pytest.raises(InputError, match="`energy`"):
        time_phones_by_energy([["a"]], energy, FRAME_LENGTH_IN_S, STATISTICS)


def test_a_text_of_pauses_has_no_words_for_a_contour():
    with pytest.raises(InputError, match="nothing but pauses"):
        time_phones_by_energy([["pau"]], np.ones(9), FRAME_LENGTH_IN_S, STATISTICS)


def test_lengths_are_positive():
    with pytest.raises(InputError, match="`num_frames` is 0"):
        time_phones([["a"]], 0, FRAME_LENGTH_IN_S, STATISTICS)
    with pytest.raises(InputError, match="`frame_length_in_s` is -1"):
        place_spans([], 3, -1.0, STATISTICS)
