# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.synthetic.manifest import write_manifest
from deepaudio_diffusers.synthetic.shards import Sample, wav_bytes, write_shard


@pytest.fixture
def world(tmp_path):
    """A world of four clips, two of which are of speech alone, and two utterances of one voice."""
    world = tmp_path / "world"
    for folder in ("clips/test", "speech/test"):
        (world / folder).mkdir(parents=True)
    clips = []
    for number, classes in enumerate((["talk"], ["drum"], ["talk", "drum"], ["talk"])):
        talks = "talk" in classes
        metadata = {
            "classes": classes,
            "prompt": " and ".join(classes),
            "transcript": f"sentence {number}" if talks else None,
            "speaker": "slt" if talks else None,
        }
        members = {"mp4": b"video", "wav": wav_bytes(np.full(10, number)), "json": json.dumps(metadata).encode()}
        clips.append(Sample(f"test-{number}", members))
    write_shard(world / "clips" / "test" / "test-000000.tar", clips)
    utterances = [
        Sample(
            f"speech-{number}",
            {
                "wav": wav_bytes(np.full(10, 50 + number)),
                "json": json.dumps(
                    {"speaker": "slt", "transcript": f"sentence {number}", "sentence_kind": "grid"}
                ).encode(),
            },
        )
        for number in range(2)
    ]
    write_shard(world / "speech" / "test" / "test-000000.tar", utterances)
    (world / "manifest.json").write_text('{"complete": true}')
    return world


def entries(folder):
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def test_clips_become_files_with_a_voice_that_says_something_else(world, tmp_path):
    assert main(["evaluate", "world", str(world), "--talking-only", "--output", str(tmp_path / "out")]) == 0
    found = entries(tmp_path / "out")
    assert [entry["key"] for entry in found] == ["test-0", "test-3"]
    assert all(
        (tmp_path / "out" / entry[name]).is_file() for entry in found for name in ("reference", "video", "voice")
    )
    assert found[0]["transcript"] == "sentence 0" and found[0]["voice_text"] == "sentence 1"
    assert (tmp_path / "out" / "reference" / "test-3.wav").read_bytes() == wav_bytes(np.full(10, 3))


def test_all_clips_or_the_first_of_them(world, tmp_path):
    assert write_manifest(world, "test", tmp_path / "all") == 4
    assert "transcript" not in entries(tmp_path / "all")[1]
    assert write_manifest(world, "test", tmp_path / "two", num_clips=2) == 2


def test_what_is_no_finished_world_is_refused(world, tmp_path):
    with pytest.raises(InputError, match="'validation'"):
        write_manifest(world, "validation", tmp_path / "out")
    (world / "manifest.json").write_text('{"complete": false}')
    with pytest.raises(InputError, match="finished"):
        write_manifest(world, "test", tmp_path / "out")
