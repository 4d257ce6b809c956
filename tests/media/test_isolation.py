# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The same results in a process of its own, and no harm from what happens there."""

import io
import os
import threading
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import (
    DeepAudioError,
    EmptyMediaError,
    InputError,
    LimitExceededError,
    NoVideoStreamError,
    UnreadableMediaError,
    UnsafeArtifactError,
)
from deepaudio_diffusers.media import Limits, MediaFile, decode_frames, probe, read_audio, write_audio_into_video
from deepaudio_diffusers.media.isolation import LENGTHS, read_message, write_message
from deepaudio_diffusers.processing.video import read_video_streams
from tests.media.clips import ROTATION_MATRICES, tones, turn, video_packets, write_clip, write_sound


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    times = [Fraction(i, 24) for i in range(36)]
    path = write_clip(folder / "clip.mp4", times, size=(48, 64), audio_length_in_s=1.5)
    return turn(path, ROTATION_MATRICES[90])


def test_everything_is_read_alike(clip):
    isolated = MediaFile(clip, isolated=True)
    assert probe(isolated) == probe(clip)
    assert np.array_equal(read_audio(isolated, start_in_s=0.5).samples, read_audio(clip, start_in_s=0.5).samples)
    streams, expected = read_video_streams(isolated, start_in_s=0.5), read_video_streams(clip, start_in_s=0.5)
    for name in ("clip_frames", "clip_index", "sync_frames", "sync_index"):
        assert torch.equal(getattr(streams, name), getattr(expected, name))
    assert streams.duration_in_s == expected.duration_in_s


def test_frames_have_the_same_facts(clip):
    for frame, expected in zip(decode_frames(MediaFile(clip, isolated=True)), decode_frames(clip), strict=True):
        assert frame.time_in_s == expected.time_in_s
        assert frame.file_time_in_s == expected.file_time_in_s
        assert frame.end_in_s == expected.end_in_s
        assert frame.display_size == expected.display_size == (64, 48)
        assert np.array_equal(frame.to_rgb(), expected.to_rgb())


def test_pixels_can_be_had_until_the_frame_after_the_next(clip):
    frames = decode_frames(MediaFile(clip, isolated=True))
    first, second = next(frames), next(frames)
    first.to_rgb()
    next(frames)
    second.to_rgb()
    with pytest.raises(InputError, match="asked for after two further frames"):
        first.to_rgb()
    # The last two outlive the process.
    *_, before_last, last = frames
    assert before_last.to_rgb().shape == last.to_rgb().shape == (64, 48, 3)


def test_bytes_and_files_are_sources_too(clip):
    expected = probe(clip)
    for source in (clip.read_bytes(), io.BytesIO(clip.read_bytes())):
        assert probe(MediaFile(source, isolated=True)) == expected


def test_a_video_is_written_alike(tmp_path, clip):
    samples = tones(16_000, "mono", 1.0)
    arguments = {"keep_original": "mix", "loudness_in_lufs": np.float32(-30.0), "original_track": np.int64(0)}
    write_audio_into_video(clip, samples, 16_000, tmp_path / "expected.mp4", **arguments)
    write_audio_into_video(MediaFile(clip, isolated=True), samples, 16_000, tmp_path / "output.mp4", **arguments)
    assert video_packets(tmp_path / "output.mp4") == video_packets(tmp_path / "expected.mp4")
    expected = read_audio(tmp_path / "expected.mp4").samples
    assert np.array_equal(read_audio(tmp_path / "output.mp4").samples, expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["expected.mp4", "output.mp4"]


def test_warnings_come_through(tmp_path, caplog):
    path = write_clip(tmp_path / "raw.h264", [Fraction(i, 24) for i in range(4)])
    probe(MediaFile(path, isolated=True))
    assert "'raw.h264' does not say when its frames are shown" in caplog.text


@pytest.mark.parametrize(
    ("make", "limits", "error", "message"),
    [
        (lambda folder: folder / "none.mp4", Limits(), UnreadableMediaError, r"'none\.mp4' does not exist"),
        (lambda folder: b"", Limits(), EmptyMediaError, "is empty"),
        (lambda folder: "http://host/a.mp4", Limits(), UnsafeArtifactError, "is an address in the network"),
        (lambda folder: write_sound(folder / "a.wav", tones(8000, "mono", 1), 8000, "pcm_u8", "mono"), Limits(),
         NoVideoStreamError, r"'a\.wav' has no video stream"),
        (lambda folder: b"x" * 100, Limits(max_bytes=99), LimitExceededError, "`max_bytes` allows 99"),
    ],
)  # fmt: skip
def test_errors_come_through(tmp_path, make, limits, error, message):
    with pytest.raises(error, match=message) as raised:
        probe(MediaFile(make(tmp_path), limits=limits, isolated=True))
    assert type(raised.value) is error


# What the decoder of the other process does instead of opening a file.
CRASH = "ctypes.string_at(0)"
ABORT = "os.abort()"
HANG = "time.sleep(60)"
SWELL = "bytearray(2**40)"
PRINT = "print('noise', flush=True) or real_open"


@pytest.fixture
def decoder_that(tmp_path, monkeypatch):
    """Makes the decoder in other processes do what it is told when it opens a file."""

    def prepare(action):
        (tmp_path / "sitecustomize.py").write_text(
            "import ctypes, os, time, av\nreal_open = av.open\n"
            f"av.open = lambda *args, **kwargs: ({action})(*args, **kwargs)\n"
        )
        monkeypatch.syspath_prepend(str(tmp_path))

    return prepare


@pytest.mark.parametrize(("action", "cause"), [(CRASH, "SIGSEGV"), (ABORT, "SIGABRT")])
def test_a_crash_is_an_error_and_no_more(clip, tmp_path, decoder_that, action, cause):
    decoder_that(action)
    isolated = MediaFile(clip, isolated=True)
    output = tmp_path / "output" / "output.mp4"
    output.parent.mkdir()
    for read in (
        lambda: probe(isolated),
        lambda: next(decode_frames(isolated)),
        lambda: read_audio(isolated),
        lambda: write_audio_into_video(isolated, tones(16_000, "mono", 1.0), 16_000, output),
    ):
        with pytest.raises(UnreadableMediaError, match=rf"'clip\.mp4' made the decoder crash \({cause}\)"):
            read()
    # Not even what the process had begun to write is left.
    assert list(output.parent.iterdir()) == []


def test_a_hang_is_ended(clip, decoder_that, monkeypatch):
    decoder_that(HANG)
    monkeypatch.setattr("deepaudio_diffusers.media.isolation.START_TIME_IN_S", 1.0)
    start = time.monotonic()
    with pytest.raises(LimitExceededError, match=r"'clip\.mp4' takes longer to read than `max_decode_time_in_s`"):
        probe(MediaFile(clip, isolated=True, limits=Limits(max_decode_time_in_s=0.5)))
    assert time.monotonic() - start < 10


def test_memory_is_limited(clip, decoder_that):
    decoder_that(SWELL)
    with pytest.raises(LimitExceededError, match="`max_memory`"):
        probe(MediaFile(clip, isolated=True))


def test_what_a_library_prints_does_not_come_between(clip, decoder_that):
    decoder_that(PRINT)
    assert probe(MediaFile(clip, isolated=True)).width == 48


def test_no_process_and_no_file_is_left(clip):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    def children():
        return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()

    files, processes = open_files(), children()
    for _ in range(2):
        next(decode_frames(MediaFile(clip, isolated=True)))
        with pytest.raises(DeepAudioError):
            probe(MediaFile(b"x" * 100, isolated=True))
    assert (open_files(), children()) == (files, processes)


def test_messages_survive_the_way_and_nothing_else_does():
    stream = io.BytesIO()
    write_message(stream, {"text": "Träumerei\udcff", "number": 1.5}, b"payload")
    content = stream.getvalue()
    assert read_message(io.BytesIO(content), 100) == ({"text": "Träumerei\udcff", "number": 1.5}, b"payload")
    for damaged in (b"", content[:-1], content[:20], LENGTHS.pack(2**31, 0), LENGTHS.pack(2, 2**60) + b"{}"):
        with pytest.raises(EOFError):
            read_message(io.BytesIO(damaged), 100)
