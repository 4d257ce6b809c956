# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.motion import Motion, av_align, measure_motion, motion_offset
from deepaudio_diffusers.evaluation.onsets import detect_onsets
from deepaudio_diffusers.media.encode import encode_video
from tests.evaluation.generated import EVENTS_IN_S, FRAME_RATE, SAMPLING_RATE, blows, jumping_block


@pytest.fixture(scope="module")
def motion():
    return measure_motion(jumping_block())


def test_motion_peaks_when_things_move(motion):
    moving = motion.times[motion.flow > 0.3 * motion.flow.max()]
    assert moving.tolist() == pytest.approx(list(EVENTS_IN_S), abs=0.01)


def test_sounds_of_motion_are_aligned_and_others_are_not(motion):
    aligned, late = (av_align(detect_onsets(blows(offset_in_s=offset), SAMPLING_RATE), motion) for offset in (0, 0.2))
    # Coding makes small peaks of the flow between the jumps; those count against a clip.
    assert aligned > 0.3
    assert late < aligned / 2


def test_av_align_is_intersection_over_union():
    motion = Motion(np.arange(9) / FRAME_RATE, np.array([0, 0, 1, 0, 0, 0, 2, 0, 0.0]))
    assert motion.peaks.tolist() == pytest.approx([2 / FRAME_RATE, 6 / FRAME_RATE])
    # One of three onsets is within a frame of one of two peaks.
    assert av_align([0.0, 0.09, 0.16], motion) == pytest.approx(1 / 4)
    assert av_align([], motion) == 0.0
    assert av_align([], Motion(np.arange(4) / FRAME_RATE, np.zeros(4))) == 1.0


@pytest.mark.parametrize("offset_in_s", [-1.0, -0.4, 0.0, 0.2, 0.6, 1.2])
def test_a_known_offset_is_recovered(motion, offset_in_s):
    found = motion_offset(blows(offset_in_s=offset_in_s), SAMPLING_RATE, motion)
    assert found == pytest.approx(offset_in_s, abs=1e-9)


def test_a_picture_has_no_motion():
    with pytest.raises(InputError, match="three"):
        measure_motion(encode_video(np.zeros((2, 64, 64, 3), np.uint8), FRAME_RATE))
