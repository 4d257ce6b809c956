# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sound as people have it. The numbers in the names are those of the table in `docs/robustness.md`."""

import struct
from fractions import Fraction

import numpy as np
import pytest

from deepaudio_diffusers.errors import (
    EmptyMediaError,
    GenerationError,
    LimitExceededError,
    UnreadableMediaError,
)
from deepaudio_diffusers.media import read_audio, write_audio, write_audio_into_video
from tests.media.clips import read_sound, tones, write_clip, write_sound


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", [Fraction(i, 24) for i in range(24)])


def wav(samples: np.ndarray, rate: int = 8_000, stated_bytes: int | None = None) -> bytes:
    """A mono file of 16 bits whose header states another size if asked to."""
    data = (samples * 32_767).astype("<i2").tobytes()
    size = len(data) if stated_bytes is None else stated_bytes
    header = b"RIFF" + struct.pack("<I", min(36 + size, 2**32 - 1)) + b"WAVEfmt "
    header += struct.pack("<IHHIIHH", 16, 1, 1, rate, rate * 2, 2, 16)
    return header + b"data" + struct.pack("<I", size) + data


SINE = tones(8_000, "mono", 2.0)[0]


def test_42_the_sound_of_a_silent_clip_is_to_be_kept(tmp_path, clip, caplog):
    write_audio_into_video(clip, SINE, 8_000, tmp_path / "output.mp4", keep_original="mix")
    assert "'clip.mp4' has no sound that could be kept" in caplog.text
    assert np.abs(read_sound(tmp_path / "output.mp4")[0]).max() > 0.1


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_099, 44_101, 96_000, 192_000])
@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_43_any_rate(tmp_path, clip, rate, extension):
    samples = tones(rate, "mono", 1.0)
    path = write_sound(tmp_path / "sound.wav", samples, rate, "pcm_f32le", "mono")
    decoded = read_audio(path)
    assert decoded.sampling_rate == rate
    assert np.array_equal(decoded.samples, samples)
    write_audio_into_video(clip, decoded.samples, rate, tmp_path / f"output{extension}")
    written, new_rate = read_sound(tmp_path / f"output{extension}")
    # The tone is where it was, at whatever rate the codec has.
    times = np.arange(round(0.8 * new_rate)) / new_rate + 0.1
    expected = 0.2 * np.sin(2 * np.pi * 40 * times)
    first = round(0.1 * new_rate)
    assert np.corrcoef(written[0, first : first + len(times)], expected)[0, 1] > 0.99


@pytest.mark.parametrize("layout", ["mono", "stereo", "2.1", "quad", "5.0", "5.1", "6.1", "7.1"])
def test_44_any_channels(tmp_path, layout):
    samples = tones(48_000, layout, 0.5)
    path = write_sound(tmp_path / "sound.wav", samples, 48_000, "pcm_f32le", layout)
    assert np.array_equal(read_audio(path).samples, samples)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_45_samples_that_are_no_numbers(tmp_path, clip, value):
    samples = tones(8_000, "mono", 1.0)
    samples[0, 4_000] = value
    path = write_sound(tmp_path / "sound.wav", samples, 8_000, "pcm_f32le", "mono")
    with pytest.raises(UnreadableMediaError, match=r"'sound\.wav' has NaN or infinite samples"):
        read_audio(path)
    with pytest.raises(GenerationError, match="NaN or infinite"):
        write_audio_into_video(clip, samples, 8_000, tmp_path / "output.mp4")
    assert not (tmp_path / "output.mp4").exists()


def test_46_silence_is_read_but_is_no_result(tmp_path):
    path = tmp_path / "silent.wav"
    path.write_bytes(wav(np.zeros(8_000)))
    assert not read_audio(path).samples.any()
    with pytest.raises(GenerationError, match="is silent from beginning to end"):
        write_audio(tmp_path / "output.wav", np.zeros(8_000), 8_000)
    assert not (tmp_path / "output.wav").exists()


def test_47_louder_than_full_scale(tmp_path):
    samples = tones(8_000, "mono", 1.0) * 20
    path = write_sound(tmp_path / "loud.wav", samples, 8_000, "pcm_f32le", "mono")
    assert np.array_equal(read_audio(path).samples, samples)


def test_48_an_offset(tmp_path):
    path = write_sound(tmp_path / "offset.wav", tones(8_000, "mono", 1.0) + 0.5, 8_000, "pcm_f32le", "mono")
    assert read_audio(path).samples.mean() == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize(("stated", "kept"), [(100, 100), (10**6, 32_000), (2**32 - 1, 32_000), (0, 32_000)])
def test_53_a_header_that_states_another_length(stated, kept):
    samples = read_audio(wav(SINE, stated_bytes=stated)).samples
    assert samples.shape == (1, kept // 2)


@pytest.mark.parametrize(
    ("codec", "tolerance"),
    [
        ("pcm_u8", 2**-7),
        ("pcm_s16be", 2**-15),
        ("pcm_s24le", 2**-22),
        ("pcm_s32le", 2**-23),
        ("pcm_f32le", 0),
        ("pcm_f64le", 1e-7),
        ("pcm_alaw", 2**-5),
        ("pcm_mulaw", 2**-5),
        ("adpcm_ima_wav", 2**-4),
    ],
)
def test_54_any_kind_of_samples(tmp_path, codec, tolerance):
    name = "sound.aiff" if codec == "pcm_s16be" else "sound.wav"
    path = write_sound(tmp_path / name, SINE[None], 8_000, codec, "mono")
    samples = read_audio(path).samples[0, : len(SINE)]
    assert np.abs(samples - SINE).max() <= tolerance


def test_55_a_song_that_was_cut_off(tmp_path):
    content = write_sound(tmp_path / "song.mp3", SINE[None], 8_000, "libmp3lame", "mono").read_bytes()
    assert 0.5 < read_audio(content[: len(content) * 2 // 3]).samples.shape[1] / 8_000 < 1.9


def test_55_a_song_of_which_only_the_tag_is_left():
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 7, 0]) + bytes(896)
    with pytest.raises((UnreadableMediaError, EmptyMediaError)):
        read_audio(tag)


def test_56_a_hundred_thousand_seconds(tmp_path):
    path = tmp_path / "endless.wav"
    # No more than the header has to be there for that.
    path.write_bytes(wav(SINE, rate=8_000, stated_bytes=100_000 * 8_000 * 2))
    with path.open("r+b") as file:
        file.truncate(100_000 * 8_000 * 2 + 44)
    with pytest.raises(LimitExceededError, match=r"'endless\.wav' says that it lasts 100000 s; `max_duration_in_s`"):
        read_audio(path)


def test_57_channels_that_cancel_each_other(tmp_path):
    samples = np.stack([SINE, -SINE])
    path = write_sound(tmp_path / "phase.wav", samples, 8_000, "pcm_f32le", "stereo")
    # Kept apart here, so that whoever mixes them down can tell.
    assert np.array_equal(read_audio(path).samples, samples)
