# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import random

import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.passages import (
    MelFrames,
    estimate_speech_frames,
    fit_passages,
    passage_limit_in_bytes,
)


@pytest.mark.parametrize("centered", [True, False])
def test_frames_and_samples_undo_each_other(centered):
    frames = MelFrames(256, centered)
    for num_frames in range(1 + centered, 50):
        assert frames.frames_after_prompt(frames.samples_after_prompt(num_frames)) == num_frames
    for num_samples in range(1, 2000, 7):
        enough = frames.samples_after_prompt(frames.frames_after_prompt(num_samples))
        assert num_samples <= enough < num_samples + 256


def test_frames_of_a_waveform_are_those_of_the_two_kinds_of_mel():
    # 24,100 samples: 94 hops and a bit; a centred STFT has one frame more than hops.
    assert MelFrames(256, centered=True).frames_of_waveform(24100) == 95
    assert MelFrames(256, centered=False).frames_of_waveform(24100) == 94


@pytest.mark.parametrize(
    ("text", "reference", "num_samples", "speed", "expected_total"),
    [
        # (24,000 samples at 16 or 24 kHz, ...) as in the end-to-end golden files of the original: total frames.
        ("Short reply here.", "Some call me.  ", 24000, 1.0, 198),
        ("Well, then so be it.", "Some call me nature.  ", 24000, 1.25, 160),
        ("Hi.", "Some call me nature.  ", 24000, 1.0, 135),
    ],
)
def test_estimates_are_those_of_the_original(text, reference, num_samples, speed, expected_total):
    hops = num_samples // 256
    total = hops + estimate_speech_frames(len(text.encode()), len(reference.encode()), hops, speed)
    assert total == expected_total


def test_the_limit_of_a_passage_shares_22_s_with_the_reference():
    # 10 s of reference hold 100 bytes; the other 12 s hold 120.
    assert passage_limit_in_bytes(100, 10.0, 1.0) == 120
    assert passage_limit_in_bytes(100, 10.0, 0.5) == 60
    for length_in_s in (22.0, 30.0):
        with pytest.raises(InputError, match="leaves no room"):
            passage_limit_in_bytes(100, length_in_s, 1.0)


def test_passages_meet_the_requested_length_exactly():
    generator = random.Random(0)
    for num_passages in range(1, 21):
        for _ in range(50):
            estimates = [generator.randint(300, 400_000) for _ in range(num_passages)]
            joined = [False, *(generator.random() < 0.7 for _ in range(num_passages - 1))]
            num_samples = generator.randint(num_passages * 1000, 3_000_000)
            lengths, overlaps = fit_passages(estimates, joined, 3600, num_samples)
            assert sum(lengths) - sum(overlaps) == num_samples
            assert [overlap > 0 for overlap in overlaps] <= joined
            assert all(overlap <= 3600 for overlap in overlaps)
            # A passage outlasts the fades at both its ends.
            for i, length in enumerate(lengths):
                assert length + 1 >= overlaps[i] + (overlaps[i + 1] if i + 1 < num_passages else 0)


def test_passages_share_a_requested_length_by_their_estimates():
    lengths, overlaps = fit_passages([100_000, 300_000], [False, True], 3600, 40_000)
    assert overlaps == [0, 3600]
    assert lengths == [10_900, 32_700]


def test_without_a_requested_length_passages_keep_their_estimates():
    assert fit_passages([5000, 9000, 2560], [False, True, True], 3600) == ([5000, 9000, 2560], [0, 1280, 1280])
    assert fit_passages([50_000, 90_000], [False, False], 3600) == ([50_000, 90_000], [0, 0])
    assert fit_passages([50_000, 90_000], [False, True], 0) == ([50_000, 90_000], [0, 0])
