# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Training data in all its forms, and what is wrong with some of it."""

import io
import json
import tarfile

import pytest

from deepaudio_diffusers import InputError
from deepaudio_diffusers.training.data import DataReport, count_samples, read_samples


def write_shard(path, files: dict[str, bytes]):
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_a_folder_with_metadata(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "voice.WAV").write_bytes(b"sound")
    rows = [{"file_name": "clip.mp4", "prompt": "rain"}, {"file_name": "voice.WAV", "transcript": "hello"}]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    clip, voice = read_samples(tmp_path, DataReport())
    assert (clip.key, clip.video, clip.audio, clip.metadata) == (
        "clip",
        tmp_path / "clip.mp4",
        tmp_path / "clip.mp4",
        {"prompt": "rain"},
    )
    assert voice.video is None
    assert voice.audio == tmp_path / "voice.WAV"


def test_shards(tmp_path):
    first = {"a.mp4": b"va", "a.wav": b"sa", "a.speech.wav": b"sp", "a.json": b'{"prompt": "a"}', "b.wav": b"sb"}
    write_shard(tmp_path / "x-000000.tar", first)
    write_shard(tmp_path / "x-000001.tar", {"c.wav": b"sc", "c.json": b'{"speaker": "rms"}'})
    a, b, c = read_samples(tmp_path, DataReport())
    assert (a.key, a.video, a.audio, a.files["speech.wav"], a.metadata["prompt"]) == ("a", b"va", b"sa", b"sp", "a")
    assert (b.video, b.audio, b.metadata) == (None, b"sb", {})
    assert c.metadata["speaker"] == "rms"


def test_samples_are_counted_before_they_are_read(tmp_path):
    write_shard(
        tmp_path / "shards" / "x-000000.tar", {"a.wav": b"s", "a.speech.wav": b"s", "a.json": b"{}", "b.wav": b"s"}
    )
    write_shard(tmp_path / "shards" / "x-000001.tar", {"c.wav": bytes(5000)})
    assert count_samples(tmp_path / "shards") == 3
    (tmp_path / "shards" / "x-000001.tar").write_bytes(b"no archive")
    assert count_samples(tmp_path / "shards") == 2
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "a.wav"}\n{"file_name": "b.wav"}\n')
    assert count_samples(tmp_path) == 2
    assert count_samples("someone/data") is None


def test_what_is_wrong_is_counted(tmp_path):
    write_shard(tmp_path / "x-000000.tar", {"a.wav": b"s", "a.json": b"{no json", "b.wav": b"s", "b.json": b"{}"})
    whole = tmp_path / "whole.tar"
    write_shard(whole, {"c.wav": bytes(5000), "d.wav": bytes(5000)})
    (tmp_path / "x-000001.tar").write_bytes(whole.read_bytes()[:4000])
    whole.unlink()
    report = DataReport()
    samples = list(read_samples(tmp_path, report))
    assert [sample.key for sample in samples] == ["b"]
    assert report.reasons["its metadata is no JSON"] == 1
    assert sum(report.reasons.values()) == 2
    assert "x-000001.tar" in str(report)
    with pytest.raises(InputError, match="'a' cannot be used: its metadata is no JSON"):
        list(read_samples(tmp_path, DataReport(on_bad_data="error")))


def test_lines_of_metadata_that_cannot_be_read(tmp_path):
    lines = ['{"file_name": "gone.wav"}', "[1, 2]", '{"prompt": "no file"}', "{"]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    report = DataReport()
    assert list(read_samples(tmp_path, report)) == []
    assert report.reasons == {"the file is missing": 1, "a line is no JSON object with file_name": 3}


def test_no_data(tmp_path):
    with pytest.raises(InputError, match=r"neither metadata\.jsonl nor"):
        list(read_samples(tmp_path, DataReport()))
    with pytest.raises(InputError, match="There is no folder"):
        list(read_samples(tmp_path / "missing.d", DataReport()))
