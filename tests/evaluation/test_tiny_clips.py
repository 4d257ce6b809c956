# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Of the sets of clips that the report on the shipped checkpoint is about."""

import numpy as np
import pytest

from benchmarks import tiny_clips
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.synthetic.clips import SEED_RANGES, make_clip
from deepaudio_diffusers.synthetic.scenes import FOLEY_CLASSES


@pytest.mark.parametrize("kind", FOLEY_CLASSES)
def test_classes_of_sudden_events_are_those_that_have_some(kind):
    metadata = make_clip(SEED_RANGES["validation"][0] + 7, "validation", visible=(kind,)).metadata
    assert bool(metadata["events"]) == (kind in tiny_clips.IMPACT_CLASSES)
    assert set(tiny_clips.sound_labels(metadata)) <= set(tiny_clips.ALL_LABELS)
    assert {tiny_clips.class_of(label) for label in tiny_clips.sound_labels(metadata)} == {kind}


def test_sets_are_made_once_and_differ_from_the_world(tmp_path):
    world = tmp_path / "world"
    world.mkdir()
    (world / "manifest.json").write_text('{"settings": {"seed": 0}}')
    clips = tiny_clips.clip_set(world, "materials", "test", 2, tmp_path / "kept")
    again = tiny_clips.clip_set(world, "materials", "test", 2, tmp_path / "kept")
    assert [clip.key for clip in clips] == [clip.key for clip in again]
    assert all((clip.audio == other.audio).all() for clip, other in zip(clips, again, strict=True))
    assert {clip.kind for clip in clips} == {"block"}
    seeds = [clip.metadata["seed"] for clip in clips]
    assert min(seeds) >= SEED_RANGES["test"][0] + tiny_clips.FIRST_SEED
    assert max(seeds) < SEED_RANGES["test"][1]


def test_soft_events_and_those_heard_as_one_are_left_out():
    events = [(0.1, 0.5), (0.15, 0.9), (0.5, 0.05), (1.0, 0.2)]
    metadata = {"events": [{"time_in_s": time, "strength": strength} for time, strength in events]}
    clip = tiny_clips.ReportClip("clip", None, None, None, metadata)
    assert np.array_equal(clip.event_times, [0.1, 1.0])


def test_a_folder_that_is_no_world_is_named(tmp_path):
    with pytest.raises(InputError, match="make-world"):
        tiny_clips.world_manifest(tmp_path)
