# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips are what their metadata says, and the same on every machine."""

import hashlib
import shutil
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.media.decode import decode_frames
from deepaudio_diffusers.media.encode import encode_video
from deepaudio_diffusers.synthetic.clips import CLASSES, SEED_RANGES, make_clip
from deepaudio_diffusers.synthetic.puppet import mouth_opening
from deepaudio_diffusers.synthetic.scenes import FOLEY_CLASSES
from deepaudio_diffusers.synthetic.sentences import sentence_set


needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="speech needs the Debian package flite")


def test_a_clip_has_the_form_that_it_should_have():
    clip = make_clip(3, "train", visible=["hammer"])
    assert clip.video.shape == (96, 64, 64, 3) and clip.video.dtype == np.uint8
    assert clip.audio.shape == (61440,) and clip.audio.dtype == np.float32
    assert np.abs(clip.audio).max() < 0.98
    assert clip.speech is None
    assert set(clip.metadata) == {
        *("split", "seed", "duration_in_s", "prompt", "classes", "visible", "events", "choices"),
        *("transcript", "sentence_kind", "speaker", "phones", "words"),
    }
    assert clip.metadata["classes"] == clip.metadata["visible"] == ["hammer"]
    assert clip.metadata["duration_in_s"] == 3.84
    assert clip.metadata["transcript"] is None and clip.metadata["phones"] is None
    for event in clip.metadata["events"]:
        assert event["class"] == "hammer"
        start = round(event["time_in_s"] * 16_000)
        before, after = clip.audio[start - 160 : start], clip.audio[start : start + 160]
        assert np.abs(np.diff(after, 2)).max() > np.abs(np.diff(before, 2)).max()


def test_pixels_and_samples_are_the_same_on_every_machine():
    """Whoever changes these changes every world: then `WORLD_VERSION` has to be raised."""
    digest = hashlib.sha256()
    for seed, label in enumerate(FOLEY_CLASSES):
        clip = make_clip(seed, "train", visible=[label])
        digest.update(clip.video.tobytes())
        digest.update(np.round(clip.audio * 32768.0).astype("<i2").tobytes())
    assert digest.hexdigest() == "56c03c1bf4b7c690ea39a46f6443c47d2667a75b3cc2480decbe310eaeeab2d3"


def test_of_two_objects_those_sound_that_the_prompt_names():
    numbers = Counter()
    for seed in range(10):
        metadata = make_clip(seed, "train", visible=["bounce", "hammer"]).metadata
        assert metadata["visible"] == ["bounce", "hammer"]
        assert ("ball" in metadata["prompt"]) == ("bounce" in metadata["classes"])
        assert ("hammer" in metadata["prompt"]) == ("hammer" in metadata["classes"])
        assert {event["class"] for event in metadata["events"]} == set(metadata["classes"])
        assert (" and " in metadata["prompt"].replace("up and down", "")) == (len(metadata["classes"]) == 2)
        numbers[len(metadata["classes"])] += 1
    assert min(numbers[1], numbers[2]) >= 2


def test_two_objects_stand_side_by_side():
    """What one does is seen in its half of the picture."""
    clip = make_clip(0, "train", visible=["hammer", "fan"])
    assert clip.metadata["visible"] == ["hammer", "fan"]
    motion = np.abs(np.diff(clip.video.astype(int), axis=0)).max(axis=(0, 3))
    assert motion[:, 4:28].max() > 80 and motion[:, 36:60].max() > 80


@needs_flite
def test_the_seed_decides_what_is_seen():
    clips = [make_clip(seed, "train") for seed in range(8)]
    again = make_clip(4, "train")
    np.testing.assert_array_equal(clips[4].video, again.video)
    np.testing.assert_array_equal(clips[4].audio, again.audio)
    assert clips[4].metadata == again.metadata
    assert {len(clip.metadata["visible"]) for clip in clips} == {1, 2}
    assert {label for clip in clips for label in clip.metadata["visible"]} <= set(CLASSES)
    assert all(set(clip.metadata["classes"]) <= set(clip.metadata["visible"]) for clip in clips)


@needs_flite
def test_the_puppet_speaks_with_its_mouth():
    clip = make_clip(200_000_003, "test", visible=["talk"])
    metadata = clip.metadata
    assert clip.speech is None and metadata["classes"] == ["talk"]
    assert sentence_set(metadata["transcript"]) == "test"
    assert [word for word, _, _ in metadata["words"]] == metadata["transcript"].split()
    phones = metadata["phones"]
    for (_, _, end), (_, start, _) in pairwise(phones):
        assert start == pytest.approx(end, abs=2e-6)
    assert 0 < phones[0][1] < phones[-1][2] < 3.84
    start, end = (round(time * 16_000) for time in (phones[0][1], phones[-1][2]))
    assert np.abs(clip.audio[start:end]).max() > 0.1
    assert np.abs(np.concatenate((clip.audio[:start], clip.audio[end:]))).max() < 0.01
    # The mouth is the darkest place of the lower half of the picture.
    opening = mouth_opening(clip.audio, (np.arange(96) + 0.5) / 25)
    dark = (clip.video[:, 32:56, 12:52].max(-1) < 60).sum(axis=(1, 2))
    assert np.corrcoef(opening, dark)[0, 1] > 0.7


@needs_flite
def test_speech_beside_foley_has_a_stem():
    clips = [make_clip(seed, "train", visible=["talk", "bounce"]) for seed in range(6)]
    both = [clip for clip in clips if len(clip.metadata["classes"]) == 2]
    assert both and len(both) < 6
    for clip in both:
        rest = clip.audio - clip.speech
        first = clip.metadata["events"][0]["time_in_s"]
        assert np.abs(rest[: round(first * 16_000) - 1]).max() < 0.01
        assert np.abs(rest).max() > 0.02
        assert clip.metadata["transcript"]
    for clip in clips:
        if clip.metadata["classes"] == ["bounce"]:
            assert clip.speech is None and clip.metadata["transcript"] is None
        if clip.metadata["classes"] == ["talk"]:
            assert clip.speech is None and not clip.metadata["events"]


def test_unseen_looks_are_of_their_own():
    clip = make_clip(300_000_000, "test_unseen_looks", visible=["bounce"])
    assert clip.video.std() > 5
    assert clip.metadata["split"] == "test_unseen_looks"
    assert clip.metadata["events"]


@pytest.mark.parametrize("split", SEED_RANGES)
def test_seeds_belong_to_their_splits(split):
    first, end = SEED_RANGES[split]
    for seed in (first - 1, end):
        with pytest.raises(InputError, match="seed"):
            make_clip(seed, split, visible=["fan"])


@pytest.mark.parametrize(
    ("split", "visible", "message"),
    [
        ("holdout", ["fan"], "`split` is 'holdout'"),
        ("train", ["piano"], "`visible` has 'piano'"),
        ("train", [], "`visible` is"),
        ("train", ["fan", "saw", "bell"], "`visible` is"),
        ("train", ["talk", "talk"], "`visible` is"),
    ],
)
def test_wrong_arguments_are_named(split, visible, message):
    with pytest.raises(InputError, match=message):
        make_clip(0, split, visible=visible)


def test_pictures_survive_their_coding(tmp_path):
    clip = make_clip(1, "train", visible=["bounce"])
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_video(clip.video, 25))
    frames = list(decode_frames(path))
    assert len(frames) == 96
    assert [frame.time_in_s for frame in frames] == pytest.approx(np.arange(96) / 25)
    decoded = np.stack([frame.frame.to_ndarray(format="rgb24") for frame in frames])
    assert decoded.shape == clip.video.shape
    error = np.sqrt(np.mean((decoded.astype(float) - clip.video) ** 2))
    assert error < 8
    # No shift of colours.
    assert np.abs((decoded.astype(float) - clip.video).mean(axis=(0, 1, 2))).max() < 2


def test_the_same_pictures_make_the_same_file():
    videos = [make_clip(seed, "train", visible=["siren"]).video for seed in (4, 5)]
    files = {encode_video(video, 25) for _ in range(4) for video in videos}
    assert len(files) == 2


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 63, 64, 3), np.uint8), np.zeros((2, 64, 64, 3)), [], np.zeros((0, 2, 2, 3), np.uint8)]
)
def test_only_pictures_are_coded(frames):
    with pytest.raises(InputError, match="frames"):
        encode_video(frames, 25)
