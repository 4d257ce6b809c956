# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A world is made of shards that can be read, goes on where it was interrupted, and is the same every time."""

import json
import shutil
import tarfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from deepaudio_diffusers.errors import InputError, UnreadableMediaError
from deepaudio_diffusers.media.probe import probe
from deepaudio_diffusers.synthetic.clips import SEED_RANGES, make_clip
from deepaudio_diffusers.synthetic.sentences import GRID_WORDS, WORD_LIST, sentence_set
from deepaudio_diffusers.synthetic.shards import Sample, clip_sample, read_shard, wav_samples, write_shard
from deepaudio_diffusers.synthetic.speech import build_lexicon, read_lexicon, write_lexicon
from deepaudio_diffusers.synthetic.world import SEEDS_PER_WORLD, WORLD_VERSION, WorldSettings, make_world


needs_synthesiser = pytest.mark.skipif(
    shutil.which("flite") is None or not WORD_LIST.is_file(),
    reason="a world needs the Debian packages flite and wamerican-small",
)
SETTINGS = {
    "seed": 7,
    "num_train": 3,
    "num_validation": 1,
    "num_test": 2,
    "num_speech_per_speaker": 2,
    "num_validation_speech_per_speaker": 0,
    "num_test_speech_per_speaker": 1,
}


def start_world(out: Path) -> Path:
    """A folder in which the lexicon is there already, because the whole of it takes long."""
    out.mkdir()
    write_lexicon(out / "lexicon.txt", build_lexicon(GRID_WORDS))
    return out


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Path:
    out = start_world(tmp_path_factory.mktemp("worlds") / "world")
    make_world(out, **SETTINGS)
    return out


def shards_of(out: Path) -> list[Path]:
    return sorted(out.rglob("*.tar"))


def all_samples(out: Path) -> list[Sample]:
    return [sample for path in shards_of(out) for sample in read_shard(path)]


@needs_synthesiser
def test_a_world_has_all_its_folders(world):
    assert [path.relative_to(world).as_posix() for path in shards_of(world)] == [
        "clips/test/test-000000.tar",
        "clips/test_unseen_looks/test_unseen_looks-000000.tar",
        "clips/train/train-000000.tar",
        "clips/validation/validation-000000.tar",
        "speech/test/test-000000.tar",
        "speech/train/train-000000.tar",
    ]
    assert not list(world.rglob("*.partial"))
    card = (world / "README.md").read_text()
    assert "| `clips/train` | 3 |" in card and "{" not in card
    manifest = json.loads((world / "manifest.json").read_text())
    assert manifest["complete"] and manifest["world_version"] == WORLD_VERSION
    assert manifest["num_clips"] == {"train": 3, "validation": 1, "test": 2, "test_unseen_looks": 2}
    assert manifest["num_utterances"] == {"train": 8, "validation": 0, "test": 4}
    assert manifest["num_lexicon_words"] == len(read_lexicon(world / "lexicon.txt"))


@needs_synthesiser
def test_samples_are_clips_and_utterances(world):
    samples = all_samples(world)
    assert len({sample.key for sample in samples}) == len(samples) == 20
    for sample in samples:
        metadata = sample.metadata
        assert metadata["key"] == sample.key
        first, _ = SEED_RANGES[metadata["split"]]
        assert first + 7 * SEEDS_PER_WORLD <= metadata["seed"] < first + 8 * SEEDS_PER_WORLD
        waveform = wav_samples(sample.members["wav"])
        assert len(waveform) == round(metadata["duration_in_s"] * 16_000)
        assert np.abs(waveform).max() > 0.01
        if sample.key.startswith("speech-"):
            assert list(sample.members) == ["wav", "json"]
            assert metadata["phones"][-1][2] == pytest.approx(metadata["duration_in_s"], abs=1e-6)
            assert sentence_set(metadata["transcript"]) == metadata["split"]
        else:
            assert list(sample.members)[:3] == ["mp4", "wav", "json"]
            info = probe(sample.members["mp4"])
            assert (info.width, info.height, info.fps, info.duration_in_s) == (64, 64, 25, 3.84)
            assert info.num_audio_tracks == 0


@needs_synthesiser
def test_voices_and_kinds_of_sentences_take_turns(world):
    utterances = [sample.metadata for sample in read_shard(world / "speech" / "train" / "train-000000.tar")]
    pairs = Counter((metadata["speaker"], metadata["sentence_kind"]) for metadata in utterances)
    assert pairs == {(speaker, kind): 1 for speaker in ("slt", "rms", "awb", "kal16") for kind in ("grid", "open")}


@needs_synthesiser
def test_clips_in_which_the_prompt_decides_are_more_of_the_training_split(tmp_path):
    world = start_world(tmp_path / "world")
    numbers = dict.fromkeys((name for name in SETTINGS if name != "seed"), 0)
    manifest = make_world(world, seed=7, **numbers | {"num_train": 1}, num_train_choices=8)
    assert manifest["num_clips"]["train_choices"] == 8
    assert "| `clips/train_choices` | 8 |" in (world / "README.md").read_text()
    clips = [sample.metadata for sample in read_shard(world / "clips" / "train_choices" / "train_choices-000000.tar")]
    assert [clip["visible"] for clip in clips[:3]] == [["block"], ["siren"], ["pluck"]]
    assert len(clips[3]["visible"]) == len(clips[7]["visible"]) == 2
    assert all(clip["split"] == "train" for clip in clips)
    # From the other end of the seeds, so that there is room for both.
    assert [clip["seed"] for clip in clips] == [8 * SEEDS_PER_WORLD - 1 - i for i in range(8)]


@needs_synthesiser
def test_what_a_world_lacks_is_not_in_its_manifest(world):
    """So that worlds from before there was such a thing stay the same."""
    manifest = json.loads((world / "manifest.json").read_text())
    assert manifest["settings"] == SETTINGS
    assert "train_choices" not in manifest["num_clips"]


@needs_synthesiser
def test_what_is_there_is_not_made_again(world):
    shards = shards_of(world)
    before = {path: path.stat().st_mtime_ns for path in shards}
    manifest = json.loads((world / "manifest.json").read_text())
    lost = shards[0]
    content = lost.read_bytes()
    lost.unlink()
    (world / "manifest.json").write_text(json.dumps(manifest | {"complete": False}))
    assert make_world(world, **SETTINGS, num_processes=1) == manifest
    assert lost.read_bytes() == content
    assert {path: path.stat().st_mtime_ns for path in shards[1:]} == {path: before[path] for path in shards[1:]}


@needs_synthesiser
def test_a_folder_with_another_world_is_left_alone(world):
    with pytest.raises(InputError, match="other settings"):
        make_world(world, **SETTINGS | {"num_train": 4})
    assert json.loads((world / "manifest.json").read_text())["complete"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 100}, "`seed` is 100"),
        ({"num_train": -1}, "`num_train` is -1"),
        ({"num_test": 2.0}, "`num_test` is 2.0"),
        ({"num_train": 1_000_001}, "1,000,001"),
        ({"num_train": 600_000, "num_train_choices": 400_001}, "`num_train_choices` are 600,000 and 400,001"),
        ({"num_processes": 0}, "`num_processes` is 0"),
    ],
)
def test_wrong_settings_are_named(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        make_world(tmp_path / "world", **SETTINGS | changes)
    assert not (tmp_path / "world").exists()


def test_splits_and_worlds_have_no_seed_in_common():
    ranges = sorted(SEED_RANGES.values())
    assert all(end <= first for (_, end), (first, _) in pairwise(ranges))
    assert WorldSettings(99, 1, 1, 1, 1).num_utterances == {"train": 4, "validation": 240, "test": 1040}


def test_shards_are_plain_and_the_same_each_time(tmp_path):
    sample = clip_sample("train-000005", make_clip(5, "train", visible=["drum"]))
    other = Sample("train-000006", {"json": b"{}", "speech.wav": b"x"})
    for name in ("a.tar", "b.tar"):
        write_shard(tmp_path / name, [sample, other])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == [
        *(f"train-000005.{extension}" for extension in ("mp4", "wav", "json")),
        *(f"train-000006.{extension}" for extension in ("json", "speech.wav")),
    ]
    assert {(member.mtime, member.uid, member.gid) for member in members} == {(0, 0, 0)}
    read = list(read_shard(tmp_path / "a.tar"))
    assert [(one.key, one.members) for one in read] == [(one.key, one.members) for one in (sample, other)]


def test_the_content_hash_knows_pixels_samples_and_metadata():
    clip = make_clip(5, "train", visible=["drum"])
    hashes = [clip_sample("a", clip).metadata["content_hash"], clip_sample("b", clip).metadata["content_hash"]]
    clip.video[3, 4, 5, 0] ^= 1
    hashes.append(clip_sample("a", clip).metadata["content_hash"])
    clip.audio[100] += 0.01
    hashes.append(clip_sample("a", clip).metadata["content_hash"])
    assert len(set(hashes)) == 4


def test_a_shard_that_could_not_be_finished_has_no_name(tmp_path):
    def samples():
        yield Sample("a", {"json": b"{}"})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shard(tmp_path / "a.tar", samples())
    assert not (tmp_path / "a.tar").exists()


def test_damaged_shards_are_named(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"no tar file" * 100)
    with pytest.raises(UnreadableMediaError, match=r"a\.tar"):
        list(read_shard(path))
