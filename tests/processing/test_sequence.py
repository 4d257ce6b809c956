# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import json
import math

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.sequence import (
    LATENT_DOWNSAMPLING,
    MMAudioSequenceLengths,
    num_clip_frames_of_latents,
    num_sync_tokens_of_latents,
    segment_sync_frames,
)
from tests.golden import FIXTURES


HOP_LENGTHS = {16_000: 256, 44_100: 512}
GOLDEN_ROWS = json.loads((FIXTURES / "mmaudio" / "sequence_lengths.json").read_text())["rows"]


@pytest.mark.parametrize("row", GOLDEN_ROWS, ids=lambda row: f"{row['duration']}s-{row['sr']}")
def test_lengths_are_those_of_the_original(row):
    hop_length = HOP_LENGTHS[row["sr"]]
    lengths = MMAudioSequenceLengths.from_duration(row["duration"], row["sr"], hop_length)
    assert lengths.num_latents == row["latent"]
    assert lengths.num_clip_frames == row["clip"]
    assert lengths.num_sync_tokens == row["sync"]
    assert lengths.num_latents * LATENT_DOWNSAMPLING * hop_length == row["audio"]


@pytest.mark.parametrize("sampling_rate", HOP_LENGTHS)
def test_lengths_fit_together_at_every_duration(sampling_rate):
    hop_length = HOP_LENGTHS[sampling_rate]
    for milliseconds in range(640, 12_000, 7):
        lengths = MMAudioSequenceLengths.from_duration(milliseconds / 1000, sampling_rate, hop_length)
        # The latents cover the clip, and not one of them is too many.
        num_decoded_samples = lengths.num_latents * LATENT_DOWNSAMPLING * hop_length
        assert 0 <= num_decoded_samples - lengths.num_samples <= 2 * hop_length
        assert lengths.num_samples == round(milliseconds / 1000 * sampling_rate)
        assert lengths.num_sync_segments == len(segment_sync_frames(lengths.num_sync_frames))
        assert lengths.num_sync_tokens == 8 * lengths.num_sync_segments
        last_segment = segment_sync_frames(lengths.num_sync_frames)[-1]
        assert last_segment + 16 <= lengths.num_sync_frames < last_segment + 24


@pytest.mark.parametrize("duration_in_s", [0.0, -1.0, 0.639, math.nan, math.inf])
def test_a_clip_shorter_than_one_segment_is_refused(duration_in_s):
    with pytest.raises(InputError, match=rf"is {duration_in_s} s.* at least 0\.64 s"):
        MMAudioSequenceLengths.from_duration(duration_in_s, 16_000, 256)


@pytest.mark.parametrize("duration_in_s", ["8", None, True, [8.0]], ids=repr)
def test_a_duration_that_is_no_number_is_refused(duration_in_s):
    with pytest.raises(
        InputError, match=rf"`audio_length_in_s`.*of type {type(duration_in_s).__name__}; pass a number"
    ):
        MMAudioSequenceLengths.from_duration(duration_in_s, 16_000, 256)


@pytest.mark.parametrize("duration_in_s", [8, np.int64(8), np.float32(8)], ids=lambda value: type(value).__name__)
def test_any_number_is_a_duration(duration_in_s):
    lengths = MMAudioSequenceLengths.from_duration(duration_in_s, 44_100, 512)
    assert lengths == MMAudioSequenceLengths.from_duration(8.0, 44_100, 512)
    assert type(lengths.duration_in_s) is float


def test_equally_long_clips_are_equal():
    def lengths_of(duration_in_s):
        return MMAudioSequenceLengths.from_duration(duration_in_s, 16_000, 256)

    assert lengths_of(0.9) == lengths_of(math.nextafter(0.9, 1))
    assert lengths_of(0.9) != lengths_of(0.8)


@pytest.mark.parametrize(("num_frames", "starts"), [(16, [0]), (23, [0]), (24, [0, 8]), (200, list(range(0, 185, 8)))])
def test_segments_overlap_by_half_and_leave_out_the_rest(num_frames, starts):
    assert list(segment_sync_frames(num_frames)) == starts


def test_fewer_frames_than_one_segment_are_refused():
    with pytest.raises(InputError, match="`num_sync_frames` is 15"):
        segment_sync_frames(15)


@pytest.mark.parametrize("row", [row for row in GOLDEN_ROWS if row["duration"] == 8.0], ids=lambda row: str(row["sr"]))
def test_lengths_of_latents_invert_the_lengths_of_a_duration(row):
    latents_per_second = row["sr"] / HOP_LENGTHS[row["sr"]] / 2
    assert num_clip_frames_of_latents(row["latent"], latents_per_second) == row["clip"]
    assert num_sync_tokens_of_latents(row["latent"], latents_per_second) == row["sync"]
