# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Videos as people have them. The numbers in the names are those of the table in `docs/robustness.md`."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from deepaudio_diffusers.errors import (
    EmptyMediaError,
    InputError,
    LimitExceededError,
    MediaError,
    NoVideoStreamError,
    UnreadableMediaError,
)
from deepaudio_diffusers.media import Limits, MediaFile, decode_frames, probe, read_audio, write_audio_into_video
from deepaudio_diffusers.processing.video import read_video_streams
from tests.media.clips import (
    ROTATION_MATRICES,
    numbered_picture,
    numbers_of,
    png_file,
    read_sound,
    tones,
    turn,
    video_packets,
    write_clip,
    write_sound,
)
from tests.media.test_decode import cover_only_file, decoded_numbers, trim


TIMES = [Fraction(i, 24) for i in range(48)]
SOUND = tones(16_000, "mono", 3.0)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Two seconds in mp4 with the index at the end, where it is written by default."""
    return write_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", TIMES, size=(128, 128))


def contents(path) -> list[bytes]:
    return [content for content, _ in video_packets(path)]


def read_everything(source) -> None:
    """What every job begins with."""
    for read in (probe, lambda source: list(decode_frames(source)), read_video_streams):
        read(source)


@contextmanager
def without_privileges():
    """Whoever runs the tests, the system's permissions hold."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_01_an_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(EmptyMediaError, match=r"'empty\.mp4' is empty"):
        read_everything(tmp_path / "empty.mp4")


@pytest.mark.parametrize("content", [b"This is not a video.\n" * 100, b"<html><body>404</body></html>", b"{}"])
def test_02_text_by_another_name(tmp_path, content):
    (tmp_path / "notes.mp4").write_bytes(content)
    with pytest.raises(UnreadableMediaError, match=r"'notes\.mp4' cannot be opened as a media file"):
        read_everything(tmp_path / "notes.mp4")


@pytest.mark.parametrize("seed", range(5))
def test_03_random_bytes(seed):
    with pytest.raises(UnreadableMediaError, match="the given data cannot be opened"):
        read_everything(np.random.default_rng(seed).bytes(1024))


def test_04_a_folder_by_that_name(tmp_path):
    (tmp_path / "x.mp4").mkdir()
    with pytest.raises(UnreadableMediaError, match=r"'x\.mp4' exists but is not a file"):
        read_everything(tmp_path / "x.mp4")


@pytest.mark.parametrize("name", ["none.mp4", "", "x" * 300 + ".mp4", "a\0b.mp4"])
def test_05_no_file(tmp_path, name):
    with pytest.raises(UnreadableMediaError, match=r"does not exist or is not a file|exists but is not a file"):
        read_everything(f"{tmp_path}/{name}")


def test_06_a_file_that_may_not_be_read(open_folder, clip):
    path = open_folder / "secret.mp4"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    with without_privileges(), pytest.raises(UnreadableMediaError, match=r"'secret\.mp4' may not be read"):
        read_everything(path)


@pytest.mark.parametrize("name", ["/dev/zero", "pipe.mp4"])
def test_07_devices_and_pipes(tmp_path, name):
    path = tmp_path / name
    if name == "pipe.mp4":
        os.mkfifo(path)
    with pytest.raises(UnreadableMediaError, match="exists but is not a file: a folder, device or pipe"):
        read_everything(path)


def test_08_cut_off_before_the_index(clip):
    content = clip.read_bytes()
    # Without its index it may look like a file of data.
    with pytest.raises((UnreadableMediaError, NoVideoStreamError), match=r"cannot be opened|no video stream"):
        read_everything(content[: len(content) * 3 // 4])


def test_09_cut_off_behind_the_index(tmp_path, caplog):
    path = write_clip(tmp_path / "clip.mp4", TIMES, size=(128, 128), options={"movflags": "+faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    streams = read_video_streams(path)
    assert 0.64 < streams.duration_in_s < 1.75
    assert "'clip.mp4' says that it lasts 2.00 s, but only" in caplog.text
    # What is left gets its sound.
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert probe(tmp_path / "output.mp4").duration_in_s == pytest.approx(probe(path).duration_in_s, abs=2e-3)


@pytest.mark.parametrize(("name", "codec"), [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.ts", "libx264")])
def test_10_garbage_in_the_middle(tmp_path, caplog, name, codec):
    rng = np.random.default_rng(0)
    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24, options={"g": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(96):
            frame = av.VideoFrame.from_ndarray(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6144] = rng.bytes(6144)
    streams = read_video_streams(bytes(content))
    assert streams.duration_in_s == pytest.approx(4.0, abs=0.5)
    # With more than is tolerable there is an error.
    content[len(content) // 4 : len(content) * 3 // 4] = rng.bytes(len(content) * 3 // 4 - len(content) // 4)
    if name == "clip.mp4":
        with pytest.raises(UnreadableMediaError, match="is damaged and cannot be read"):
            read_video_streams(bytes(content))


def test_11_sound_without_pictures(tmp_path):
    path = write_sound(tmp_path / "sound.mp4", SOUND, 16_000, "aac", "mono")
    with pytest.raises(NoVideoStreamError, match=r"'sound\.mp4' has no video stream \(found: audio\)"):
        read_everything(path)


def mp3_with_cover(path):
    """A song as it is bought: the cover picture is in the tag before it."""
    frame = b"\x00image/png\x00\x03\x00" + png_file()
    frame = b"APIC" + len(frame).to_bytes(4, "big") + b"\x00\x00" + frame
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    song = write_sound(path, tones(16_000, "mono", 1.0), 16_000, "libmp3lame", "mono").read_bytes()
    path.write_bytes(b"ID3\x03\x00\x00" + size + frame + song)
    return path


@pytest.mark.parametrize(("make", "name"), [(mp3_with_cover, "song.mp3"), (cover_only_file, "song.flac")])
def test_12_a_cover_picture_is_no_video(tmp_path, make, name):
    path = make(tmp_path / name)
    with av.open(str(path)) as container:
        assert container.streams.video
    with pytest.raises(NoVideoStreamError, match=rf"'{name}' has no video stream \(found: audio, video\)"):
        read_everything(path)
    assert read_audio(path).sampling_rate == 16_000


def test_13_two_video_streams(tmp_path, caplog):
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=24) for _ in range(2)]
        for stream, size in zip(streams, (32, 128), strict=True):
            stream.width = stream.height = size
            stream.pix_fmt = "yuv420p"
        for i in range(24):
            for stream in streams:
                picture = numbered_picture(i, stream.height, stream.width)
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, 24)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())
    assert next(decode_frames(path)).display_size == (128, 128)
    assert "'two.mkv' has 2 video streams; number 1 is used, 128 x 128" in caplog.text
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mkv")
    with av.open(str(tmp_path / "output.mkv")) as container:
        assert sorted(stream.width for stream in container.streams.video) == [32, 128]


@pytest.mark.parametrize("name", ["still.mp4", "still.mkv"])
def test_14_a_single_frame_is_held(tmp_path, caplog, name):
    path = write_clip(tmp_path / name, [Fraction(0)], first_number=37)
    streams = read_video_streams(path, audio_length_in_s=2.0)
    assert (len(streams.clip_index), len(streams.sync_index), streams.duration_in_s) == (16, 50, 2.0)
    assert numbers_of(streams.clip_frames) == [37]
    assert "a single frame; it is held for 2.0 s" in caplog.text
    with pytest.raises(InputError, match="Pass a longer clip"):
        read_video_streams(path)
    write_audio_into_video(path, SOUND, 16_000, tmp_path / f"output{path.suffix}")
    samples, rate = read_sound(tmp_path / f"output{path.suffix}")
    assert samples.shape[1] / rate == pytest.approx(3.0, abs=0.05)
    assert probe(tmp_path / f"output{path.suffix}").duration_in_s == pytest.approx(3.0, abs=0.05)


def change_durations(content: bytes, factor: float) -> bytes:
    """Multiply all durations that stand in the headers of an mp4 file, but not those of its packets."""
    content = bytearray(content)
    for name, offset in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        place = content.index(name) + offset
        duration = int.from_bytes(content[place : place + 4], "big")
        content[place : place + 4] = round(duration * factor).to_bytes(4, "big")
    return bytes(content)


@pytest.mark.parametrize("factor", [0.0, 0.25])
def test_15_a_header_that_states_no_length_or_too_little(clip, factor):
    streams = read_video_streams(change_durations(clip.read_bytes(), factor))
    assert streams.duration_in_s == probe(change_durations(clip.read_bytes(), factor)).duration_in_s == 2.0


def test_16_a_header_that_states_an_hour(tmp_path, clip):
    path = tmp_path / "hour.mp4"
    path.write_bytes(change_durations(clip.read_bytes(), 1800))
    assert read_video_streams(path).duration_in_s == probe(path).duration_in_s == 2.0
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert probe(tmp_path / "output.mp4").duration_in_s == 2.0


def test_16_a_header_that_states_more_than_there_is(tmp_path, caplog):
    content = write_clip(tmp_path / "cut.mkv", TIMES, size=(128, 128)).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) * 3 // 4])
    assert read_video_streams(tmp_path / "cut.mkv").duration_in_s < 1.7
    assert "'cut.mkv' says that it lasts 2.00 s, but only" in caplog.text


@pytest.mark.parametrize(("name", "start"), [("late.mp4", 10), ("late.mkv", 10), ("late.ts", 10), ("late.mov", 3600)])
def test_17_a_late_start_is_no_part_of_the_clip(tmp_path, name, start):
    path = write_clip(tmp_path / name, TIMES, start=start)
    streams = read_video_streams(path)
    assert streams.duration_in_s == pytest.approx(2.0, abs=2e-3)
    assert (
        numbers_of(streams.clip_frames)
        == [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45][: len(streams.clip_frames)]
    )
    output = tmp_path / f"output{'.mp4' if name == 'late.ts' else path.suffix}"
    write_audio_into_video(path, SOUND, 16_000, output)
    assert probe(output).start_time_in_s == 0.0


def test_18_an_edit_list_hides_the_first_frames(tmp_path, clip):
    path = trim(clip, tmp_path / "trimmed.mp4", num_frames=10)
    assert decoded_numbers(path) == list(range(10, 48))
    assert read_video_streams(path).duration_in_s == pytest.approx(38 / 24)
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert decoded_numbers(tmp_path / "output.mp4") == list(range(10, 48))


@pytest.mark.parametrize("extension", [".mp4", ".mkv"])
def test_19_a_clock_that_is_set_back(tmp_path, caplog, extension):
    """Recordings of a camera that were simply put one behind the other."""
    parts = [write_clip(tmp_path / f"{i}.ts", TIMES, first_number=48 * i).read_bytes() for i in range(2)]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(parts))
    assert decoded_numbers(path) == list(range(96))
    times = [frame.time_in_s for frame in decode_frames(path)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(95 / 24, abs=0.05)
    assert probe(path).duration_in_s == pytest.approx(4.0, abs=0.05)
    assert "The clock of 'joined.ts' was set back" in caplog.text
    write_audio_into_video(path, SOUND, 16_000, tmp_path / f"output{extension}")
    assert decoded_numbers(tmp_path / f"output{extension}") == list(range(96))


def test_20_no_times_at_all(tmp_path, caplog):
    path = write_clip(tmp_path / "raw.h264", TIMES, time_base=Fraction(1, 24))
    assert decoded_numbers(path) == list(range(48))
    assert "'raw.h264' does not say when its frames are shown" in caplog.text
    streams = read_video_streams(path)
    assert streams.duration_in_s == pytest.approx(48 / 25, abs=0.1)
    with pytest.raises(MediaError, match=r"'raw\.h264' does not say when its frames are shown; put the video into"):
        write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")


@pytest.mark.parametrize(("name", "codec"), [("screen.mp4", "libx264"), ("screen.mkv", "libx264")])
def test_21_a_variable_frame_rate(tmp_path, name, codec):
    """A recording of a screen: frames only when something changes."""
    steps = np.random.default_rng(0).choice([8, 16, 33, 500], 72, p=[0.5, 0.2, 0.25, 0.05])
    times = [Fraction(int(time), 1000) for time in np.cumsum(steps) - steps[0]]
    path = write_clip(tmp_path / name, times, codec=codec)
    length_in_s = float(times[-1] + Fraction(1, 24))
    assert read_video_streams(path).duration_in_s == pytest.approx(length_in_s, abs=0.05)
    output = tmp_path / f"output{path.suffix}"
    write_audio_into_video(path, tones(16_000, "mono", 20.0), 16_000, output)
    assert contents(output) == contents(path)
    assert [frame.time_in_s for frame in decode_frames(output)] == pytest.approx(
        [float(time) for time in times], abs=2e-3
    )
    samples, rate = read_sound(output)
    assert samples.shape[1] / rate == pytest.approx(length_in_s, abs=0.05)


@pytest.mark.parametrize(("frame_rate", "number"), [(1, 22), (240, 23)])
def test_22_23_one_frame_a_second_and_slow_motion(tmp_path, frame_rate, number):
    num_frames = 8 * frame_rate
    times = [Fraction(i, frame_rate) for i in range(num_frames)]
    path = write_clip(tmp_path / "clip.mp4", times, last_duration=Fraction(1, frame_rate), size=(16, 16))
    streams = read_video_streams(path)
    assert (len(streams.clip_index), len(streams.sync_index)) == (64, 200)
    assert streams.duration_in_s == 8.0


@pytest.mark.parametrize("rate", [90_000, 1, Fraction(1, 1000)])
def test_24_a_header_that_states_an_impossible_rate(tmp_path, rate):
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for i in range(48):
            frame = av.VideoFrame.from_ndarray(numbered_picture(i), format="rgb24")
            frame.pts, frame.time_base, frame.duration = round(i * 1000 / 24), Fraction(1, 1000), 42
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    streams = read_video_streams(path, audio_length_in_s=1.9)
    assert (len(streams.clip_index), len(streams.sync_index)) == (15, 47)
    assert numbers_of(streams.clip_frames)[:4] == [0, 2, 5, 8] or numbers_of(streams.clip_frames)[:4] == [0, 3, 6, 9]


MIRRORED = {"left and right": (-1, 0, 0, 1), "top and bottom": (1, 0, 0, -1), "both axes": (0, 1, 1, 0)}


@pytest.mark.parametrize("matrix", [*ROTATION_MATRICES.values(), *MIRRORED.values()])
def test_25_pictures_are_upright_and_the_tag_is_kept(tmp_path, matrix):
    path = write_clip(tmp_path / "phone.mp4", TIMES, size=(48, 64))
    stored = next(decode_frames(path)).to_rgb()
    turn(path, matrix)
    shown = next(decode_frames(path)).to_rgb()
    a, b, c, d = matrix
    expected = stored.swapaxes(0, 1) if b else stored
    expected = expected[:, ::-1] if (c if b else a) < 0 else expected
    expected = expected[::-1] if (b if b else d) < 0 else expected
    assert np.array_equal(shown, expected)
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert np.array_equal(next(decode_frames(tmp_path / "output.mp4")).to_rgb(), expected)
    assert contents(tmp_path / "output.mp4") == contents(path)


@pytest.mark.parametrize(("height", "width", "number"), [(241, 321, 26), (2, 2, 29)])
def test_26_29_odd_and_tiny_sizes(tmp_path, height, width, number):
    path = tmp_path / "odd.mp4"
    with av.open(str(path), "w") as container:
        # Chroma for each pixel, which sizes that are odd need.
        stream = container.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv444p"
        for i in range(24):
            picture = np.full((height, width, 3), i * 10, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    info = probe(path)
    assert (info.height, info.width) == (height, width)
    streams = read_video_streams(path)
    assert (len(streams.clip_index), len(streams.sync_index)) == (8, 25)
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert contents(tmp_path / "output.mp4") == contents(path)


# Prints by how many MiB the peak of the memory has grown.
MEMORY_SCRIPT = """
import sys
from pathlib import Path
from deepaudio_diffusers.processing.video import read_video_streams
def value(name):
    return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) // 1024
Path("/proc/self/clear_refs").write_text("5")
before = value("VmRSS:")
read_video_streams(sys.argv[1])
print(value("VmHWM:") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Reads what Linux tells about processes.")
def test_27_8k_fits_into_memory(tmp_path):
    path = tmp_path / "8k.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=3, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 7680, 4320, "yuv420p"
        picture = np.random.default_rng(0).integers(100, 110, (4320 * 3 // 2, 7680), dtype=np.uint8)
        for i in range(3):
            picture[: 500 * i] = 200
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        container.mux(stream.encode())
    output = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT, path], capture_output=True, text=True, check=True)
    assert int(output.stdout) < 600


def avi_of_size(path, size):
    """Frames of 64 x 64 in a file whose header states another size."""
    content = bytearray(write_clip(path, TIMES[:24], codec="ffv1", time_base=Fraction(1, 24)).read_bytes())
    place = content.index(b"strf") + 12
    content[place : place + 8] = size.to_bytes(4, "little") * 2
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("size", [65_535, 20_000])
@pytest.mark.parametrize("read", [probe, lambda source: next(decode_frames(source)), read_video_streams])
def test_28_a_size_beyond_all_limits(tmp_path, size, read):
    path = avi_of_size(tmp_path / "huge.avi", size)
    with pytest.raises(UnreadableMediaError, match=r"'huge\.avi' .* larger than `max_pixels` allows"):
        read(path)


def test_28_a_size_beyond_the_limit_of_the_caller(clip):
    with pytest.raises(LimitExceededError, match="has frames of 128 x 128; `max_pixels` allows 9,999"):
        read_everything(MediaFile(clip, limits=Limits(max_pixels=9_999)))


def test_30_pixels_that_are_not_square(tmp_path):
    path = write_clip(tmp_path / "wide.mp4", TIMES, pixel_aspect=Fraction(2))
    assert (probe(path).width, probe(path).height) == (128, 64)
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert (probe(tmp_path / "output.mp4").width, probe(tmp_path / "output.mp4").height) == (128, 64)


def test_31_ten_bits_and_high_dynamic_range(tmp_path):
    path = tmp_path / "hdr.mp4"
    with av.open(str(path), "w") as container:
        mastering = (
            "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1):max-cll=1000,400"
        )
        options = {"preset": "ultrafast", "x265-params": f"log-level=none:{mastering}:hdr10=1"}
        stream = container.add_stream("libx265", rate=24, options=options)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p10le"
        # BT.2020 with the curve of SMPTE 2084.
        stream.codec_context.color_primaries, stream.codec_context.color_trc = 9, 16
        stream.codec_context.colorspace = 9
        for i in range(24):
            frame = av.VideoFrame.from_ndarray(numbered_picture(i), format="rgb24").reformat(format="yuv420p10le")
            frame.color_primaries, frame.color_trc, frame.colorspace = 9, 16, 9
            frame.pts, frame.time_base = i, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert len(read_video_streams(path).sync_index) == 25

    def colours(path):
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            frame = next(container.decode(video=0))
            kinds = {data.type.name for data in frame.side_data}
            return context.color_primaries, context.color_trc, context.colorspace, context.pix_fmt, kinds

    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")
    assert colours(tmp_path / "output.mp4") == colours(path)
    assert colours(path)[:2] == (9, 16)
    assert "MASTERING_DISPLAY_METADATA" in colours(path)[-1]
    assert contents(tmp_path / "output.mp4") == contents(path)


def test_32_transparency_is_ignored(tmp_path):
    path = tmp_path / "alpha.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("prores_ks", rate=24, options={"profile": "4444"})
        stream.width = stream.height = 64
        stream.pix_fmt = "yuva444p10le"
        for i in range(24):
            picture = np.concatenate([numbered_picture(i), np.full((64, 64, 1), 128, np.uint8)], axis=2)
            frame = av.VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva444p10le")
            frame.pts, frame.time_base = i, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert decoded_numbers(path) == list(range(24))
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mov")
    assert contents(tmp_path / "output.mov") == contents(path)


def animation(path, save_as):
    pictures = [Image.fromarray(numbered_picture(i, 63, 64)) for i in range(16)]
    pictures[0].save(path, save_as, save_all=True, append_images=pictures[1:], duration=80, loop=0)
    return path


@pytest.mark.parametrize(("name", "save_as"), [("a.gif", "GIF"), ("a.png", "PNG")])
@pytest.mark.parametrize("extension", [".mp4", ".mkv", ".webm"])
def test_33_animated_pictures_are_coded_anew(tmp_path, caplog, name, save_as, extension):
    path = animation(tmp_path / name, save_as)
    info = probe(path)
    assert info.duration_in_s == pytest.approx(16 * 0.08, abs=0.05)
    assert len(read_video_streams(path).clip_index) == int(info.duration_in_s * 8)
    output = tmp_path / f"output{extension}"
    write_audio_into_video(path, SOUND, 16_000, output)
    assert f"'{name}' is an animated picture" in caplog.text
    assert probe(output).duration_in_s == pytest.approx(info.duration_in_s, abs=0.05)
    assert decoded_numbers(output) == list(range(16))


def test_33_an_animated_webp_is_refused(tmp_path):
    """FFmpeg decodes only WebP that stands still. Pillow reads both: its frames can be passed as a list."""
    path = animation(tmp_path / "a.webp", "WEBP")
    with pytest.raises(UnreadableMediaError, match=r"'a\.webp' is damaged"):
        read_everything(path)


@pytest.mark.parametrize("pixels", ["gray", "pal8", "rgb555le", "yuvj422p"])
def test_33_rare_kinds_of_pixels(tmp_path, pixels):
    codec = {"pal8": "rawvideo", "rgb555le": "rawvideo", "gray": "ffv1", "yuvj422p": "mjpeg"}[pixels]
    path = tmp_path / "rare.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=24)
        stream.width = stream.height = 64
        stream.pix_fmt = pixels
        for i in range(24):
            if pixels == "pal8":
                picture = (numbered_picture(i)[:, :, 0] > 127).astype(np.uint8)
                palette = np.zeros((256, 4), np.uint8)
                palette[1] = 255
                frame = av.VideoFrame.from_ndarray((picture, palette), format="pal8")
            else:
                frame = av.VideoFrame.from_ndarray(numbered_picture(i), format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = i, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert decoded_numbers(path) == list(range(24))


@pytest.mark.parametrize(("name", "codec"), [("tv.mp4", "libx264"), ("tv.ts", "mpeg2video")])
def test_34_interlaced_pictures(tmp_path, name, codec):
    options = {"x264-params": "interlaced=1"} if codec == "libx264" else {"flags": "+ildct+ilme"}
    path = write_clip(tmp_path / name, TIMES, codec=codec, codec_options=options, time_base=Fraction(1, 24))
    assert decoded_numbers(path) == list(range(48))
    assert len(read_video_streams(path).sync_index) == 50
    write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mkv")
    assert decoded_numbers(tmp_path / "output.mkv") == list(range(48))


def test_35_an_encrypted_film(tmp_path):
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    path = write_clip(tmp_path / "film.mp4", TIMES, options=options)
    with pytest.raises(UnreadableMediaError, match=r"'film\.mp4' is encrypted"):
        read_everything(path)
    with pytest.raises(UnreadableMediaError, match=r"'film\.mp4' is encrypted"):
        write_audio_into_video(path, SOUND, 16_000, tmp_path / "output.mp4")


def test_36_a_codec_that_is_not_there(tmp_path, clip):
    path = tmp_path / "future.mp4"
    path.write_bytes(clip.read_bytes().replace(b"avc1\x00", b"zzzz\x00"))
    with pytest.raises(UnreadableMediaError, match=r"'future\.mp4' is coded in a way that FFmpeg cannot decode"):
        read_everything(path)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"start_in_s": 2.0}, r"`start_in_s` is 2\.0, but the video lasts 2\.000 s"),
        ({"start_in_s": 50.0, "audio_length_in_s": 8.0}, r"`start_in_s` is 50\.0, but the video lasts 2\.000 s"),
        ({"start_in_s": 1e300}, "`start_in_s` is 1e\\+300"),
        ({"start_in_s": -1.0}, "`start_in_s` is -1.0"),
        ({"start_in_s": float("nan")}, "`start_in_s` is nan"),
        ({"audio_length_in_s": -1.0}, "The duration is -1.0 s"),
        ({"audio_length_in_s": float("inf")}, "The duration is inf s"),
        ({"start_in_s": 1.0, "audio_length_in_s": 1.5}, r"`audio_length_in_s` is 1\.5, but the video has 1\.000 s"),
    ],
)
def test_39_parts_that_are_not_there(clip, arguments, error):
    with pytest.raises(InputError, match=error):
        read_video_streams(clip, **arguments)


def test_40_the_size_changes_in_the_middle(tmp_path):
    """As in broadcasts, between a film and its commercials."""
    parts = [write_clip(tmp_path / f"{size}.ts", TIMES, size=(size, size)).read_bytes() for size in (64, 128)]
    path = tmp_path / "broadcast.ts"
    path.write_bytes(b"".join(parts))
    assert {frame.display_size for frame in decode_frames(path)} == {(64, 64), (128, 128)}
    streams = read_video_streams(path)
    assert streams.duration_in_s == pytest.approx(4.0, abs=0.05)
    assert streams.clip_frames.shape[1:] == (3, 384, 384)


@pytest.mark.parametrize("level", [0, 128])
def test_41_pictures_that_stand_still(level, caplog):
    video = np.full((24, 32, 32, 3), level, np.uint8)
    read_video_streams(video, fps=24)
    assert "The pictures stand still" in caplog.text
    caplog.clear()
    video[12, :16] = 255
    read_video_streams(torch.from_numpy(video), fps=24)
    assert "The pictures stand still" not in caplog.text
