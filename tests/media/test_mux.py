# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import errno
import hashlib
import resource
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyloudnorm
import pytest
import torch

from deepaudio_diffusers.errors import GenerationError, InputError, MediaError, NoVideoStreamError
from deepaudio_diffusers.media import decode_frames, probe, write_audio, write_audio_into_video
from tests.media.clips import (
    CHAPTERS,
    FONT,
    LINES,
    ROTATION_MATRICES,
    png_file,
    read_sound,
    turn,
    video_packets,
    write_clip,
    write_rich_clip,
)
from tests.media.test_decode import TIMES, clip_without_durations, decoded_numbers, trim


def noise(num_samples: int, channels: int = 1) -> np.ndarray:
    """Noise below 2 kHz, which every codec keeps and whose place in time can be found."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal((channels, num_samples)))
    spectrum[:, num_samples // 8 :] = 0
    samples = np.fft.irfft(spectrum, num_samples)
    return (0.3 * samples / np.abs(samples).max()).astype(np.float32)


def delay_between(samples: np.ndarray, reference: np.ndarray) -> int:
    """By how many samples `samples` is later than `reference`."""
    size = len(samples) + len(reference)
    correlation = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(reference, size).conj(), size)
    delay = int(correlation.argmax())
    return delay if delay < len(samples) else delay - size


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.mp4", TIMES, audio_length_in_s=1.0, metadata={"title": "Träumerei"})


@pytest.mark.parametrize(("sampling_rate", "channels"), [(16_000, 1), (np.int64(44_100), 2)])
@pytest.mark.parametrize("extension", [".wav", ".flac"])
def test_sound_files_hold_what_was_written(tmp_path, extension, sampling_rate, channels):
    audio = noise(sampling_rate * 5 // 2, channels)
    write_audio(tmp_path / f"sound{extension}", torch.from_numpy(audio), sampling_rate)
    samples, rate = read_sound(tmp_path / f"sound{extension}")
    assert rate == sampling_rate
    assert samples.shape == audio.shape
    # Half a step of 16 bits.
    assert np.abs(samples - audio).max() <= 0.5 / 2**15 + 1e-7


def test_sound_that_is_too_loud_is_clipped(tmp_path):
    write_audio(tmp_path / "loud.wav", np.array([0.0, 1.5, -1.5, 0.5]), 16_000)
    samples, _ = read_sound(tmp_path / "loud.wav")
    assert samples[0].tolist() == [0.0, 1 - 2**-15, -1.0, 0.5]


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_pictures_are_copied_bit_by_bit(tmp_path, clip, extension):
    original = clip.read_bytes()
    output = tmp_path / f"output{extension}"
    write_audio_into_video(clip, noise(32_000), 16_000, output)
    assert [content for content, _ in video_packets(output)] == [content for content, _ in video_packets(clip)]
    times = [float(time) for _, time in video_packets(clip)]
    # Matroska rounds to milliseconds.
    assert [float(time) for _, time in video_packets(output)] == pytest.approx(times, abs=1e-3)
    assert decoded_numbers(output) == list(range(48))
    assert clip.read_bytes() == original


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("clip.mp4", "libx264"),
        ("clip.mp4", "libx265"),
        ("clip.mov", "prores_ks"),
        ("clip.mkv", "libx264"),
        ("clip.mkv", "libvpx-vp9"),
        ("clip.webm", "libvpx"),
        ("clip.webm", "libvpx-vp9"),
        ("clip.webm", "libsvtav1"),
    ],
)
def test_packets_have_the_same_hashes_in_a_file_of_the_same_kind(tmp_path, name, codec):
    source = write_clip(tmp_path / name, TIMES, codec=codec, audio_length_in_s=2.0)
    output = tmp_path / f"output{source.suffix}"
    write_audio_into_video(source, noise(32_000), 16_000, output)
    hashes = [[hashlib.sha256(content).hexdigest() for content, _ in video_packets(path)] for path in (source, output)]
    assert len(hashes[0]) == 48
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("name", "codec", "extension"),
    [
        ("clip.webm", "libvpx", ".webm"),
        ("clip.webm", "libvpx-vp9", ".mp4"),
        # Matroska gives no decoding times for the first pictures.
        ("clip.mkv", "libx264", ".mp4"),
        # These give no durations.
        ("clip.ts", "libx264", ".mkv"),
        ("clip.flv", "libx264", ".mp4"),
    ],
)
def test_pictures_of_other_formats_keep_their_times(tmp_path, name, codec, extension):
    source = write_clip(tmp_path / name, TIMES, codec=codec)
    output = tmp_path / f"output{extension}"
    write_audio_into_video(source, noise(32_000), 16_000, output)
    assert decoded_numbers(output) == list(range(48))
    times = [frame.time_in_s for frame in decode_frames(source)]
    assert [frame.time_in_s for frame in decode_frames(output)] == pytest.approx(times, abs=1e-3)
    assert probe(output).start_time_in_s == 0.0
    assert probe(output).duration_in_s == pytest.approx(probe(source).duration_in_s, abs=2e-3)
    if extension == ".mp4":
        assert header_duration_in_s(output) == pytest.approx(2.0, abs=2e-3)


def header_duration_in_s(path) -> float:
    """How long the pictures last by the header, which takes what is known of the last one into account."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return float(stream.duration * stream.time_base)


def test_the_last_picture_is_shown_for_a_while(tmp_path):
    source, times = clip_without_durations(tmp_path / "clip.mp4")
    write_audio_into_video(source, noise(100), 16_000, tmp_path / "output.mp4")
    average = 1 / probe(source).fps
    assert header_duration_in_s(tmp_path / "output.mp4") == pytest.approx(float(times[-1]) + average, abs=1e-3)


@pytest.mark.parametrize(("extension", "sampling_rate"), [(".mp4", 16_000), (".mov", 44_100), (".mp4", 22_000)])
@pytest.mark.parametrize("length_in_s", [1.3, 2.0, 3.1])
def test_sound_in_aac_is_as_long_as_the_clip(tmp_path, clip, extension, sampling_rate, length_in_s):
    audio = noise(round(length_in_s * sampling_rate), channels=2)
    write_audio_into_video(clip, audio, sampling_rate, tmp_path / f"output{extension}")
    with av.open(str(tmp_path / f"output{extension}")) as container:
        (stream,) = container.streams.audio
        # The file tells players where in the last packet the sound ends.
        assert stream.duration * stream.time_base == 2


@pytest.mark.parametrize("sampling_rate", [16_000, 44_100])
@pytest.mark.parametrize("length_in_s", [1.3, 3.1])
def test_sound_in_opus_is_as_long_as_the_clip(tmp_path, clip, sampling_rate, length_in_s):
    audio = noise(round(length_in_s * sampling_rate))
    write_audio_into_video(clip, audio, sampling_rate, tmp_path / "output.mkv")
    samples, rate = read_sound(tmp_path / "output.mkv")
    assert samples.shape[1] == 2 * rate
    # Silent from where the sound ends, if that is before the end of the clip.
    end = round(min(length_in_s, 2.0) * rate)
    assert np.abs(samples[:, end - rate // 10 : end]).max() > 0.1
    assert np.abs(samples[:, end + rate // 10 :]).max(initial=0) < 1e-3


@pytest.mark.parametrize(("extension", "sampling_rate"), [(".mp4", 16_000), (".mp4", 44_100), (".mkv", 48_000)])
def test_sound_begins_with_the_pictures(tmp_path, sampling_rate, extension):
    source = write_clip(tmp_path / "late.mp4", TIMES, start=1.5)
    audio = noise(2 * sampling_rate)
    write_audio_into_video(source, audio[0], sampling_rate, tmp_path / f"output{extension}")
    samples, rate = read_sound(tmp_path / f"output{extension}")
    assert rate == sampling_rate
    assert delay_between(samples[0], audio[0]) == 0
    assert np.corrcoef(samples[0, : audio.shape[1]], audio[0])[0, 1] > 0.99
    assert probe(tmp_path / f"output{extension}").start_time_in_s == 0.0


@pytest.mark.parametrize("extension", [".mp4", ".mov", ".mkv"])
def test_rotation_and_metadata_are_kept(tmp_path, clip, extension):
    turn(clip, ROTATION_MATRICES[90])
    write_audio_into_video(clip, noise(100), 16_000, tmp_path / f"output{extension}")
    assert probe(tmp_path / f"output{extension}").rotation == 90
    with av.open(str(tmp_path / f"output{extension}")) as container:
        metadata = {key.lower(): value for key, value in container.metadata.items()}
        assert metadata["title"] == "Träumerei"
        assert len(container.streams) == 2


def test_what_was_trimmed_away_stays_hidden(tmp_path, clip):
    trimmed = trim(clip, tmp_path / "trimmed.mp4", num_frames=10)
    write_audio_into_video(trimmed, noise(100), 16_000, tmp_path / "output.mp4")
    assert decoded_numbers(tmp_path / "output.mp4") == list(range(10, 48))


def test_bytes_and_files_are_sources_too(tmp_path, clip):
    expected = [content for content, _ in video_packets(clip)]
    with clip.open("rb") as file:
        for source in (clip.read_bytes(), file):
            write_audio_into_video(source, noise(32_000), 16_000, tmp_path / "output.mp4")
            assert [content for content, _ in video_packets(tmp_path / "output.mp4")] == expected


def test_the_source_is_not_written_to(tmp_path, clip):
    link = tmp_path / "link.mp4"
    link.symlink_to(clip)
    original = clip.read_bytes()
    with clip.open("rb") as file:
        for source, output in ((clip, clip), (clip, link), (str(link), clip), (file, clip)):
            with pytest.raises(InputError, match="`output` is the source"):
                write_audio_into_video(source, noise(100), 16_000, output)
    assert clip.read_bytes() == original


def vp8_clip(folder):
    return write_clip(folder / "vp8.webm", TIMES, codec="libvpx")


def sound_only(folder):
    write_audio(folder / "sound.wav", noise(100), 16_000)
    return folder / "sound.wav"


def trimmed_clip(folder):
    # Found out about when the first picture is to be written.
    return trim(write_clip(folder / "clip.mp4", TIMES), folder / "trimmed.mp4", num_frames=10)


@pytest.mark.parametrize(
    ("make_source", "output", "error", "message"),
    [
        (vp8_clip, "output.mp4", MediaError, r"'vp8\.webm' is coded as vp8, which does not fit into 'output\.mp4'"),
        (sound_only, "output.mp4", NoVideoStreamError, r"'sound\.wav' has no video stream"),
        (trimmed_clip, "output.mkv", MediaError, r"'trimmed\.mp4' hides some of its pictures"),
    ],
)
def test_a_failure_leaves_an_older_file_and_nothing_else(tmp_path, make_source, output, error, message):
    source = make_source(tmp_path)
    (tmp_path / output).write_text("older")
    files = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=message):
        write_audio_into_video(source, noise(100), 16_000, tmp_path / output)
    assert (tmp_path / output).read_text() == "older"
    assert sorted(tmp_path.iterdir()) == files


def test_an_older_file_is_replaced(tmp_path, clip):
    (tmp_path / "output.mp4").write_text("older")
    write_audio_into_video(clip, noise(100), 16_000, tmp_path / "output.mp4")
    assert probe(tmp_path / "output.mp4").duration_in_s == 2.0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "output.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"output": "output.avi"}, r"'output\.avi' has the extension '\.avi'; expected one of \.mp4, \.mov"),
        ({"output": "output"}, "'output' has the extension ''"),
        ({"audio": [0.0]}, "`audio` is of type list"),
        ({"audio": np.zeros(10, np.int16)}, "dtype int16"),
        ({"audio": np.zeros((1, 1, 10))}, r"`audio` has shape \(1, 1, 10\)"),
        ({"audio": np.zeros((3, 10))}, r"`audio` has shape \(3, 10\)"),
        ({"audio": np.zeros((1, 0))}, r"`audio` has shape \(1, 0\)"),
        ({"sampling_rate": 0}, "`sampling_rate` is 0"),
        ({"sampling_rate": True}, "`sampling_rate` is True"),
        ({"sampling_rate": 16_000.0}, r"`sampling_rate` is 16000\.0"),
        ({"keep_original": "all"}, "`keep_original` is 'all'; expected 'none', 'mix' or 'duck'"),
        ({"original_track": -1}, "`original_track` is -1"),
        ({"audio_gain_in_db": np.nan}, "`audio_gain_in_db` is nan"),
        ({"ducking_in_db": "loud"}, "`ducking_in_db` is 'loud'"),
        ({"loudness_in_lufs": np.inf}, "`loudness_in_lufs` is inf"),
    ],
)
def test_wrong_arguments_are_named(tmp_path, arguments, message):
    arguments = {"source": tmp_path / "clip.mp4", "audio": noise(100), "sampling_rate": 16_000} | arguments
    output = tmp_path / arguments.pop("output", "output.mp4")
    with pytest.raises(InputError, match=message):
        write_audio_into_video(**arguments, output=output)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"'sound\.wav' cannot be written into the folder 'missing'"):
        write_audio(tmp_path / "missing" / "sound.wav", noise(100), 16_000)


def test_the_reason_for_not_writing_is_told(tmp_path):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, usual[1]))
    try:
        with pytest.raises(
            MediaError, match=r"'sound\.wav' cannot be written \(File too large\); check the folder"
        ) as info:
            write_audio(tmp_path / "sound.wav", noise(100_000), 48_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert info.value.__cause__.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("audio", [np.array([0.0, np.nan]), np.array([np.inf, 0.5]), np.zeros(100), np.full(9, 1e-6)])
def test_sound_that_is_none_is_not_written(tmp_path, clip, audio):
    files = sorted(tmp_path.iterdir())
    for write in (
        lambda: write_audio(tmp_path / "sound.wav", audio, 16_000),
        lambda: write_audio_into_video(clip, audio, 16_000, tmp_path / "output.mp4"),
    ):
        with pytest.raises(GenerationError, match="no file was written"):
            write()
    assert sorted(tmp_path.iterdir()) == files


def test_silence_is_written_on_request(tmp_path, clip):
    write_audio(tmp_path / "sound.wav", np.zeros(100), 16_000, allow_silence=True)
    write_audio_into_video(clip, np.zeros(100), 16_000, tmp_path / "output.mp4", allow_silence=True)
    assert not read_sound(tmp_path / "output.mp4")[0].any()


# What a format can hold besides pictures and sound.
HELD = {
    ("rich.mkv", "subrip", ".mkv"): {"subtitle", "attachment", "cover"},
    ("rich.mkv", "subrip", ".mp4"): {"cover"},
    ("rich.mkv", "webvtt", ".webm"): {"subtitle"},
    ("rich.mp4", "mov_text", ".mp4"): {"subtitle", "cover"},
    ("rich.mp4", "mov_text", ".mov"): {"subtitle"},
    ("rich.mp4", "mov_text", ".mkv"): {"cover"},
}


@pytest.mark.parametrize(("name", "subtitles", "extension"), HELD)
def test_everything_else_is_kept_or_named(tmp_path, caplog, name, subtitles, extension):
    codec = "libvpx-vp9" if extension == ".webm" else "libx264"
    plain = write_clip(tmp_path / "plain.mkv", TIMES, codec=codec, audio_length_in_s=2.0)
    source = write_rich_clip(tmp_path / name, plain, subtitles)
    output = tmp_path / f"output{extension}"
    write_audio_into_video(source, noise(32_000), 16_000, output)

    kinds = {"subtitle", "cover"} | ({"attachment"} if name.endswith(".mkv") else set())
    held = HELD[name, subtitles, extension]
    with av.open(str(output)) as container:
        found = {"cover" if i and s.type == "video" else s.type for i, s in enumerate(container.streams)}
        assert found & kinds == held
        chapters = [(c["metadata"]["title"], c["start"] * c["time_base"]) for c in container.chapters()]
        assert chapters == [(title, i) for i, title in enumerate(CHAPTERS)]
        for stream in container.streams:
            if stream.type == "attachment":
                assert stream.data == FONT
            if stream.type == "subtitle":
                assert stream.metadata["language"] == "fra"
    for kind in kinds:
        assert (f"{kind}" in caplog.text) == (kind not in held)
    with av.open(str(output)) as container:
        covers = list(container.streams.video[1:])
        assert [bytes(next(container.demux(stream))) for stream in covers] == [png_file()] * len(covers)
    with av.open(str(output)) as container:
        lines = (
            [bytes(p) for p in container.demux(container.streams.subtitles) if p.size] if "subtitle" in held else []
        )
        assert all(line.encode() in packet for line, packet in zip(LINES, lines, strict=bool(lines)))


def test_the_timecode_is_kept(tmp_path, clip):
    source = tmp_path / "timecode.mov"
    with av.open(str(clip)) as container, av.open(str(source), "w") as target:
        stream = container.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        copied.metadata["timecode"] = "01:02:03:04"
        copied.rate = 24
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
    write_audio_into_video(source, noise(100), 16_000, tmp_path / "output.mov")
    with av.open(str(tmp_path / "output.mov")) as container:
        assert container.streams.video[0].metadata["timecode"] == "01:02:03:04"


@pytest.fixture(scope="module")
def talking_clip(tmp_path_factory):
    """Two seconds of pictures with a tone of 400 Hz, left louder than right, that begins with them."""
    folder = tmp_path_factory.mktemp("talking")
    return with_sound(write_clip(folder / "plain.mkv", TIMES), folder / "talking.mkv", tone(400, 48_000))


def tone(frequency: float, sampling_rate: int, length_in_s: float = 2.0) -> np.ndarray:
    times = np.arange(round(length_in_s * sampling_rate)) / sampling_rate
    return 0.2 * np.sin(2 * np.pi * frequency * times).astype(np.float32)


def with_sound(clip, path, left, layout="stereo"):
    """Copy the pictures of `clip` and give them the sound `left` at 48 kHz, half as strong in the other channels."""
    num_channels = len(av.AudioLayout(layout).channels)
    samples = np.stack([left, *[left / 2] * (num_channels - 1)])
    with av.open(str(clip)) as container, av.open(str(path), "w") as target:
        stream = container.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        sound = target.add_stream("flac", rate=48_000, layout=layout)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T).reshape(1, -1), "flt", layout)
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        target.mux(sound.encode(frame))
        target.mux(sound.encode())
    return path


def level(samples: np.ndarray, sampling_rate: int, frequency: float, start: float, end: float) -> float:
    """The amplitude of a tone in part of the sound."""
    part = samples[round(start * sampling_rate) : round(end * sampling_rate)]
    window = np.hanning(len(part))
    wave = np.exp(-2j * np.pi * frequency * np.arange(len(part)) / sampling_rate)
    return 2 * abs((part * window * wave).sum()) / window.sum()


def test_the_old_sound_is_mixed_in_with_its_gain(tmp_path, talking_clip):
    output = tmp_path / "output.mkv"
    new = tone(1000, 16_000)
    write_audio_into_video(
        talking_clip, new, 16_000, output, keep_original="mix", original_gain_in_db=-6.0, audio_gain_in_db=3.0
    )
    samples, rate = read_sound(output)
    # Rate and channels of the old sound; a single new one goes to both sides.
    assert rate == 48_000 and samples.shape == (2, round(probe(talking_clip).duration_in_s * rate))
    for channel, strength in zip(samples, (1.0, 0.5), strict=True):
        assert level(channel, rate, 400, 0.5, 1.5) == pytest.approx(0.2 * strength * 10 ** (-6 / 20), rel=0.03)
        assert level(channel, rate, 1000, 0.5, 1.5) == pytest.approx(0.2 * 10 ** (3 / 20), rel=0.03)
    assert [content for content, _ in video_packets(output)] == [content for content, _ in video_packets(talking_clip)]


def test_the_old_sound_makes_room_for_the_new_one(tmp_path, talking_clip):
    new = tone(1000, 48_000)
    new[:24_000] = 0
    new[48_000:] = 0
    output = tmp_path / "output.mkv"
    write_audio_into_video(talking_clip, new, 48_000, output, keep_original="duck", ducking_in_db=-20.0)
    samples, rate = read_sound(output)
    # Heard from 0.5 s to 1.0 s.
    assert level(samples[0], rate, 400, 0.0, 0.25) == pytest.approx(0.2, rel=0.03)
    assert level(samples[0], rate, 400, 0.55, 0.95) == pytest.approx(0.02, rel=0.15)
    assert level(samples[0], rate, 400, 1.7, 2.0) == pytest.approx(0.2, rel=0.05)


def clip_with_sound_at(folder, offset_in_s, old):
    """A clip whose pictures begin at 200 s and whose sound `old`, at 48 kHz, begins by `offset_in_s` later."""
    clip = write_clip(folder / "clip.mp4", TIMES, start=200.0)
    with av.open(str(clip)) as container, av.open(str(folder / "source.mp4"), "w") as target:
        stream = container.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        sound = target.add_stream("aac", rate=48_000, layout="mono", bit_rate=192_000)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copied
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(old[None], "fltp", "mono")
        frame.sample_rate, frame.time_base = 48_000, Fraction(1, 48_000)
        frame.pts = round((200.0 + offset_in_s) * 48_000)
        target.mux(sound.encode(frame))
        target.mux(sound.encode())
    return folder / "source.mp4"


@pytest.mark.parametrize("offset_in_s", [0.3, -0.2])
def test_the_old_sound_stays_in_time_with_the_pictures(tmp_path, offset_in_s):
    old = noise(96_000)[0]
    source = clip_with_sound_at(tmp_path, offset_in_s, old)
    output = tmp_path / "output.mkv"
    write_audio_into_video(source, np.zeros(10), 48_000, output, keep_original="mix", allow_silence=True)
    samples, rate = read_sound(output)
    # The file that it was in rounds to milliseconds.
    assert delay_between(samples[0], old) == pytest.approx(offset_in_s * rate, abs=rate // 1000)


@pytest.mark.parametrize("offset_in_s", [-100.0, 10_000.0])
def test_old_sound_that_lies_beside_the_pictures_is_not_heard(tmp_path, offset_in_s):
    source = clip_with_sound_at(tmp_path, offset_in_s, tone(400, 48_000))
    write_audio_into_video(source, tone(1000, 48_000), 48_000, tmp_path / "output.mkv", keep_original="mix")
    samples, rate = read_sound(tmp_path / "output.mkv")
    assert level(samples[0], rate, 400, 0.5, 1.5) == pytest.approx(0.0, abs=0.005)
    assert level(samples[0], rate, 1000, 0.5, 1.5) == pytest.approx(0.2, rel=0.03)


@pytest.mark.parametrize(("layout", "extension"), [("5.1", ".mkv"), ("5.1", ".mp4"), ("7.1", ".mkv"), ("7.1", ".mp4")])
def test_the_channels_of_the_old_sound_are_kept(tmp_path, layout, extension):
    clip = write_clip(tmp_path / "plain.mkv", TIMES)
    source = with_sound(clip, tmp_path / "source.mkv", tone(400, 48_000), layout)
    output = tmp_path / f"output{extension}"
    write_audio_into_video(source, tone(1000, 48_000), 48_000, output, keep_original="mix")
    with av.open(str(output)) as container:
        assert container.streams.audio[0].layout.name == layout
        names = [channel.name for channel in container.streams.audio[0].layout.channels]
        resampler = av.AudioResampler(format="flt")
        frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        samples = np.concatenate([frame.to_ndarray().reshape(-1, len(names)) for frame in frames]).T
    for name, channel in zip(names, samples, strict=True):
        # The new sound is in the centre and nowhere else.
        assert level(channel, 48_000, 1000, 0.5, 1.5) == pytest.approx(0.2 if name == "FC" else 0.0, abs=0.02)
        if name != "LFE":
            assert level(channel, 48_000, 400, 0.5, 1.5) == pytest.approx(0.2 if name == "FL" else 0.1, abs=0.02)


def test_one_old_channel_and_two_new_ones_are_two(tmp_path):
    clip = write_clip(tmp_path / "plain.mkv", TIMES)
    source = with_sound(clip, tmp_path / "source.mkv", tone(400, 48_000), "mono")
    new = np.stack([tone(1000, 48_000), np.zeros(96_000, np.float32)])
    write_audio_into_video(source, new, 48_000, tmp_path / "output.mkv", keep_original="mix")
    samples, rate = read_sound(tmp_path / "output.mkv")
    for channel, strength in zip(samples, (0.2, 0.0), strict=True):
        assert level(channel, rate, 400, 0.5, 1.5) == pytest.approx(0.2, rel=0.03)
        assert level(channel, rate, 1000, 0.5, 1.5) == pytest.approx(strength, abs=0.01)


def test_channels_that_the_codec_does_not_have_become_stereo(tmp_path, caplog):
    clip = write_clip(tmp_path / "plain.mkv", TIMES)
    source = with_sound(clip, tmp_path / "source.mkv", tone(400, 48_000), layout="6.0(front)")
    write_audio_into_video(source, tone(1000, 48_000), 48_000, tmp_path / "output.mkv", keep_original="mix")
    assert "has no place for the channels '6.0(front)'" in caplog.text
    assert len(read_sound(tmp_path / "output.mkv")[0]) == 2


def test_a_mix_that_is_too_loud_is_turned_down(tmp_path, talking_clip, caplog):
    write_audio_into_video(
        talking_clip, tone(400, 48_000), 48_000, tmp_path / "output.mkv", keep_original="mix", audio_gain_in_db=18.0
    )
    assert "dB too loud and was turned down" in caplog.text
    samples, _ = read_sound(tmp_path / "output.mkv")
    assert 0.9 < np.abs(samples).max() < 1.1


def test_a_clip_without_sound_has_none_to_keep(tmp_path, caplog):
    source = write_clip(tmp_path / "clip.mp4", TIMES)
    write_audio_into_video(source, tone(400, 16_000), 16_000, tmp_path / "output.mp4", keep_original="duck")
    assert "'clip.mp4' has no sound that could be kept" in caplog.text
    assert level(read_sound(tmp_path / "output.mp4")[0][0], 16_000, 400, 0.5, 1.5) == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("keep_original", ["none", "mix"])
@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_the_sound_is_as_loud_as_asked_for(tmp_path, talking_clip, extension, keep_original):
    output = tmp_path / f"output{extension}"
    write_audio_into_video(
        talking_clip, noise(96_000)[0], 48_000, output, keep_original=keep_original, loudness_in_lufs=-23.0
    )
    samples, rate = read_sound(output)
    assert pyloudnorm.Meter(rate).integrated_loudness(samples.T) == pytest.approx(-23.0, abs=0.3)


def test_no_more_loudness_than_the_peaks_allow(tmp_path, talking_clip, caplog):
    clicks = np.zeros(96_000, np.float32)
    clicks[::12_000] = 0.5
    write_audio_into_video(talking_clip, clicks, 48_000, tmp_path / "output.mkv", loudness_in_lufs=-10.0)
    assert "LUFS instead of -10.0" in caplog.text
    assert np.abs(read_sound(tmp_path / "output.mkv")[0]).max() < 1.0


def test_nothing_but_the_output_is_left_in_the_folder(tmp_path, clip):
    write_audio_into_video(clip, noise(100), 16_000, tmp_path / "output.mkv")
    write_audio(tmp_path / "sound.wav", noise(100), 16_000)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "output.mkv", "sound.wav"]


def test_an_output_that_is_damaged_on_the_way_is_not_kept(tmp_path, clip, monkeypatch):
    """What the disk gives back is compared with what was read, picture by picture."""
    real_open = av.open

    def open_damaged(file, mode="r", **kwargs):
        if mode == "r" and str(file).endswith(".partial"):
            file = Path(file)
            content = bytearray(file.read_bytes())
            # The stripes of a picture that is shown early, after its header.
            place = content.index(video_packets(clip)[0][0][-40:])
            content[place] ^= 0xFF
            file.write_bytes(content)
        return real_open(file, mode, **kwargs)

    monkeypatch.setattr(av, "open", open_damaged)
    with pytest.raises(MediaError, match=r"'output\.mp4' was written, but reading it again failed \(its pictures"):
        write_audio_into_video(clip, noise(32_000), 16_000, tmp_path / "output.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
