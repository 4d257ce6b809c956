# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import av
import numpy as np
import pytest

from deepaudio_diffusers.errors import (
    EmptyMediaError,
    InputError,
    LimitExceededError,
    NoAudioStreamError,
    UnreadableMediaError,
    UnsafeArtifactError,
)
from deepaudio_diffusers.media import Limits, MediaFile, read_audio
from tests.media.clips import tones, write_clip, write_sound


# Name, codec, rate, channels, and how far from what was written the sound may be.
FORMATS = [
    ("s16.wav", "pcm_s16le", 44_100, "stereo", 2**-15),
    ("s24.wav", "pcm_s24le", 8_000, "mono", 2**-22),
    ("u8.wav", "pcm_u8", 11_025, "mono", 2**-7),
    ("alaw.wav", "pcm_alaw", 8_000, "mono", 2**-5),
    ("f64.wav", "pcm_f64le", 96_000, "quad", 1e-7),
    ("odd.wav", "pcm_f32le", 44_101, "mono", 1e-7),
    ("sound.flac", "flac", 192_000, "stereo", 2**-15),
    ("sound.mp3", "libmp3lame", 22_050, "mono", 0.05),
    ("sound.m4a", "aac", 48_000, "5.1", 0.05),
    ("sound.ogg", "libopus", 48_000, "stereo", 0.05),
    ("sound.mkv", "libopus", 48_000, "7.1", 0.05),
    ("sound.mov", "pcm_s16le", 16_000, "stereo", 2**-15),
]


@pytest.fixture(scope="module", params=FORMATS, ids=[name for name, *_ in FORMATS])
def sound(request, tmp_path_factory):
    """A file with 2.6 s of tones, what was written, its rate, and the tolerance."""
    name, codec, rate, layout, tolerance = request.param
    samples = tones(rate, layout, length_in_s=2.6)
    path = write_sound(tmp_path_factory.mktemp("sounds") / name, samples, rate, codec, layout)
    return path, samples, rate, tolerance


def test_rate_channels_length_and_samples_are_those_of_the_file(sound):
    path, written, rate, tolerance = sound
    decoded = read_audio(path)
    assert decoded.sampling_rate == rate
    assert decoded.samples.dtype == np.float32
    assert decoded.samples.flags.c_contiguous
    assert decoded.samples.shape == written.shape
    # Coders that lose something settle at first and have nothing to go by at the end.
    inner = slice(rate // 10, -rate // 10)
    assert np.abs(decoded.samples[:, inner] - written[:, inner]).max() <= tolerance


def test_a_part_is_the_same_as_in_the_whole(sound):
    path, _, rate, _ = sound
    whole = read_audio(path).samples
    # Near the beginning, and where files with an index are entered.
    for start_in_s, length_in_s in ((0.3, 0.4), (2.2, 0.25)):
        part = read_audio(path, start_in_s=start_in_s, length_in_s=length_in_s).samples
        first, num_samples = round(start_in_s * rate), round(length_in_s * rate)
        assert part.shape == (len(whole), num_samples)
        # The clock of Matroska has milliseconds.
        slack = rate // 1000 if path.suffix == ".mkv" else 0
        differences = [
            np.abs(part - whole[:, first + shift : first + shift + num_samples]).max()
            for shift in range(-slack, slack + 1)
        ]
        assert min(differences) < 1e-4


def test_bytes_and_files_are_sources_too(sound):
    path, *_ = sound
    expected = read_audio(path)
    with path.open("rb") as file:
        file.seek(10)
        for source in (str(path), path.read_bytes(), file, MediaFile(path)):
            assert np.array_equal(read_audio(source).samples, expected.samples)


def test_the_sound_of_a_video_is_read(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 24) for i in range(24)], audio_length_in_s=1.0)
    assert read_audio(path).samples.shape == (2, 48_000)


def test_any_of_several_tracks_is_read(tmp_path):
    path = tmp_path / "tracks.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("flac", rate=rate, layout="mono") for rate in (16_000, 48_000)]
        for stream in streams:
            frame = av.AudioFrame.from_ndarray(np.full((1, stream.rate), stream.rate // 16, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = stream.rate, 0, Fraction(1, stream.rate)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
    for track, rate in enumerate((16_000, 48_000)):
        decoded = read_audio(path, track=track)
        assert decoded.sampling_rate == rate
        assert np.allclose(decoded.samples, rate // 16 / 2**15)
    with pytest.raises(InputError, match=r"`track` is 2, but 'tracks\.mkv' has 2 sound track"):
        read_audio(path, track=2)


def test_a_gap_in_the_times_is_silence(tmp_path):
    path = tmp_path / "gap.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8_000, layout="mono")
        for start in (0, 24_000):
            frame = av.AudioFrame.from_ndarray(np.full((1, 8_000), 16_384, np.int16), "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 8_000, start, Fraction(1, 8_000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    samples = read_audio(path).samples[0]
    assert len(samples) == 32_000
    assert (samples[:8_000] == 0.5).all() and (samples[24_000:] == 0.5).all()
    assert not samples[8_000:24_000].any()


def video_only(path):
    return write_clip(path, [Fraction(i, 24) for i in range(4)])


def sine(path):
    return write_sound(path, tones(8_000, "mono", 1.0), 8_000, "pcm_s16le", "mono")


def sound_with_nan(path):
    samples = tones(8_000, "mono", 1.0)
    samples[0, 100] = np.nan
    return write_sound(path, samples, 8_000, "pcm_f32le", "mono")


def empty_file(path):
    path.touch()
    return path


@pytest.mark.parametrize(
    ("make", "name", "arguments", "error", "message"),
    [
        (video_only, "clip.mp4", {}, NoAudioStreamError, r"'clip\.mp4' has no sound track \(found: video\)"),
        (empty_file, "empty.wav", {}, EmptyMediaError, r"'empty\.wav' is empty"),
        (lambda path: path, "none.wav", {}, UnreadableMediaError, r"'none\.wav' does not exist"),
        (sound_with_nan, "nan.wav", {}, UnreadableMediaError, r"'nan\.wav' has NaN or infinite samples"),
        (lambda path: f"http://{path.name}/a.wav", "host", {}, UnsafeArtifactError, "is an address in the network"),
        (sine, "sine.wav", {"track": -1}, InputError, "`track` is -1"),
        (sine, "sine.wav", {"track": 1.0}, InputError, "`track` is 1.0"),
        (sine, "sine.wav", {"start_in_s": -1}, InputError, "`start_in_s` is -1"),
        (sine, "sine.wav", {"start_in_s": np.nan}, InputError, "`start_in_s` is nan"),
        (sine, "sine.wav", {"start_in_s": 1.0}, InputError, r"`start_in_s` is 1\.0, but .* lasts 1\.000 s"),
        (sine, "sine.wav", {"start_in_s": 100.0}, InputError, r"`start_in_s` is 100\.0, but .* lasts 1\.000 s"),
        (sine, "sine.wav", {"length_in_s": 0}, InputError, "`length_in_s` is 0"),
        (sine, "sine.wav", {"length_in_s": 1.5}, InputError, r"`length_in_s` is 1\.5, but .* has 1\.000 s"),
        (sine, "sine.wav", {"length_in_s": "1"}, InputError, "`length_in_s` is '1'"),
        (lambda path: 5, "", {}, InputError, "type int cannot be read"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, make, name, arguments, error, message):
    with pytest.raises(error, match=message) as raised:
        read_audio(make(tmp_path / name), **arguments)
    assert type(raised.value) is error
    assert str(tmp_path) not in str(raised.value)


def test_no_more_is_read_into_memory_than_is_allowed(tmp_path):
    path = sine(tmp_path / "sine.wav")
    media = MediaFile(path, limits=Limits(max_audio_samples=7_999))
    with pytest.raises(LimitExceededError, match=r"'sine\.wav' .*`max_audio_samples` allows 7,999"):
        read_audio(media)
    assert read_audio(media, length_in_s=0.5).samples.shape == (1, 4_000)
