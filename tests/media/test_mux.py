# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import av
import numpy as np
import pytest
import torch

from deepaudio_diffusers.errors import InputError, MediaError, NoVideoStreamError
from deepaudio_diffusers.media import decode_frames, probe, write_audio, write_audio_into_video
from tests.media.clips import ROTATION_MATRICES, read_sound, turn, video_packets, write_clip
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
        ({"audio": np.array([0.0, np.nan])}, "`audio` has NaN"),
        ({"sampling_rate": 0}, "`sampling_rate` is 0"),
        ({"sampling_rate": True}, "`sampling_rate` is True"),
        ({"sampling_rate": 16_000.0}, r"`sampling_rate` is 16000\.0"),
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
