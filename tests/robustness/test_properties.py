# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What holds for every clip, whatever its frame rate and its length."""

import math
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from deepaudio_diffusers.media import decode_frames, probe, write_audio_into_video
from deepaudio_diffusers.processing.sequence import MMAudioSequenceLengths, num_clip_frames_of, num_sync_frames_of
from deepaudio_diffusers.processing.video import (
    _frames_in_memory,
    _sample_presentation,
    _SampledStream,
    read_video_streams,
)
from tests.media.clips import read_sound


FRAME_RATES = [
    *(Fraction(rate) for rate in (1, 8, 10, 12, 15, 16, 24, 25, 30, 48, 50, 60, 120)),
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),
]
# `None` is a variable frame rate.
frame_rates = st.sampled_from([*FRAME_RATES, None])
lengths_in_s = st.floats(0.7, 60.0)
# Without a limit on the time of an example: the machine may be busy. Derandomised, so that a failure stays one.
quickly = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def times_of(frame_rate: Fraction | None, length_in_s: float, seed: int) -> tuple[list[Fraction], Fraction]:
    """When the frames of a clip of about that length are shown, and for how long the last one is."""
    if frame_rate is not None:
        num_frames = max(1, math.ceil(length_in_s * frame_rate))
        return [i / frame_rate for i in range(num_frames)], 1 / frame_rate
    # In milliseconds, as telephones and screen recorders have them.
    steps = np.random.default_rng(seed).integers(8, 200, math.ceil(length_in_s * 25))
    times = np.cumsum(steps) - steps[0]
    times = times[times < length_in_s * 1000]
    return [Fraction(int(time), 1000) for time in times], Fraction(40, 1000)


def shown_at(times: list[Fraction], moment: Fraction) -> int:
    """The number of the frame that a player shows at `moment`."""
    return int(np.searchsorted(np.array([float(time) for time in times]), float(moment) + 1e-6, side="right")) - 1


@settings(quickly, max_examples=40)
@given(frame_rate=st.sampled_from(FRAME_RATES), length_in_s=lengths_in_s, start_share=st.floats(0.0, 0.5))
def test_frame_counts_are_exact_at_every_rate_and_length(frame_rate, length_in_s, start_share):
    times, last_duration = times_of(frame_rate, length_in_s, 0)
    start_in_s = start_share * length_in_s
    # A number for each frame in its two lowest digits, which survive because nothing is resized.
    video = np.zeros((len(times), 1, 1, 3), np.uint8)
    video[:, 0, 0, 0], video[:, 0, 0, 1] = np.arange(len(times)) % 256, np.arange(len(times)) // 256
    streams = tuple(_SampledStream(rate, lambda pixels, size: pixels) for rate in (8, 25))
    duration_in_s = _sample_presentation(_frames_in_memory(video, float(frame_rate)), streams, start_in_s, None)
    exact = times[-1] + last_duration - Fraction(start_in_s)
    # Less is refused.
    assume(exact >= Fraction(16, 25))
    assert abs(duration_in_s - exact) < 1e-6
    for stream, count in zip(streams, (num_clip_frames_of, num_sync_frames_of), strict=True):
        rate = stream.frames_per_second
        frames, index = stream.finish(count(duration_in_s))
        # Where the length is a whole number of samples, rounding may take either of its neighbours.
        shifts = (-Fraction(1, 10**6), Fraction(1, 10**6))
        assert len(index) in {math.floor((exact + shift) * rate) for shift in shifts}
        numbers = frames[index][:, :2, 0, 0].numpy().astype(int) @ [1, 256]
        moments = [Fraction(start_in_s) + Fraction(k, rate) for k in range(len(index))]
        assert numbers.tolist() == [shown_at(times, moment) for moment in moments]


@settings(quickly, max_examples=8)
@given(frame_rate=frame_rates, length_in_s=st.floats(0.7, 4.0), seed=st.integers(0, 2**16))
@example(frame_rate=Fraction(120), length_in_s=20.0, seed=0)
@example(frame_rate=None, length_in_s=20.0, seed=0)
def test_frame_counts_of_files_are_exact(frame_rate, length_in_s, seed):
    times, last_duration = times_of(frame_rate, length_in_s, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        write_tiny_clip(path, times, last_duration)
        streams = read_video_streams(path)
    exact = float(times[-1] + last_duration)
    if frame_rate is None:
        # How long the last frame is shown is up to the coder, as the frames come at no rate.
        assert float(times[-1]) < streams.duration_in_s < float(times[-1]) + 0.25
        exact = streams.duration_in_s
    assert streams.duration_in_s == pytest.approx(exact, abs=1e-5)
    assert len(streams.clip_index) in {math.floor((exact + shift) * 8) for shift in (-1e-5, 1e-5)}
    assert len(streams.sync_index) in {math.floor((exact + shift) * 25) for shift in (-1e-5, 1e-5)}


@settings(quickly, max_examples=120)
@given(length_in_s=st.floats(0.64, 4 * 3600.0), sampling_rate=st.sampled_from([16_000, 24_000, 44_100]))
def test_the_generated_sound_is_as_long_as_the_clip(length_in_s, sampling_rate):
    hop_length = 512 if sampling_rate == 44_100 else 256
    lengths = MMAudioSequenceLengths.from_duration(length_in_s, sampling_rate, hop_length)
    assert abs(lengths.num_samples - length_in_s * sampling_rate) <= 0.5
    # And there are latents enough for it.
    assert lengths.num_latents * 2 * hop_length >= lengths.num_samples


@settings(quickly, max_examples=24)
@given(
    frame_rate=frame_rates,
    length_in_s=st.floats(0.7, 6.0),
    extension=st.sampled_from([".mp4", ".mov", ".mkv"]),
    seed=st.integers(0, 2**16),
)
@example(frame_rate=None, length_in_s=60.0, extension=".mkv", seed=1)
@example(frame_rate=Fraction(60_000, 1001), length_in_s=59.9, extension=".mp4", seed=0)
def test_a_written_clip_has_its_pictures_its_times_and_sound_of_its_length(frame_rate, length_in_s, extension, seed):
    times, last_duration = times_of(frame_rate, length_in_s, seed)
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder) / f"source{extension}", Path(folder) / f"output{extension}"
        write_tiny_clip(source, times, last_duration)
        info = probe(source)
        if frame_rate is not None:
            # Matroska rounds to milliseconds.
            tolerance = 2e-3 if extension == ".mkv" else 1e-5
            assert abs(info.duration_in_s - float(times[-1] + last_duration)) < tolerance

        rate = 16_000
        sound = np.random.default_rng(0).uniform(-0.1, 0.1, round((length_in_s + 1) * rate)).astype(np.float32)
        write_audio_into_video(source, sound, rate, output)
        written = [frame.time_in_s for frame in decode_frames(output)]
        assert np.allclose(written, [float(time) for time in times], atol=1e-3 + 1e-6)
        assert hashes(output) == hashes(source)
        if extension == ".mkv":
            samples, new_rate = read_sound(output)
            num_samples = samples.shape[1]
        else:
            with av.open(str(output)) as container:
                stream = container.streams.audio[0]
                num_samples, new_rate = stream.duration, int(1 / stream.time_base)
        assert abs(num_samples - info.duration_in_s * new_rate) <= 1


def write_tiny_clip(path: Path, times: list[Fraction], last_duration: Fraction) -> None:
    with av.open(str(path), "w") as container:
        rate = Fraction(1 / last_duration).limit_denominator(1001)
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "2"})
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 240_000)
        for i, time in enumerate(times):
            picture = np.full((24, 16), i % 200 + 16, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            end = times[i + 1] if i + 1 < len(times) else time + last_duration
            frame.pts, frame.time_base = round(time * 240_000), Fraction(1, 240_000)
            frame.duration = round((end - time) * 240_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def hashes(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        return [hash(bytes(packet)) for packet in container.demux(container.streams.video[0]) if packet.size]
