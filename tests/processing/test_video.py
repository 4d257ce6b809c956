# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import io
import json
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from deepaudio_diffusers.errors import InputError, MediaError
from deepaudio_diffusers.processing.video import (
    MMAudioClock,
    normalize_clip_frames,
    normalize_sync_frames,
    read_video_streams,
    resize_clip_frame,
    resize_sync_frame,
)
from tests.golden import FIXTURES, load_golden
from tests.media.clips import ROTATION_MATRICES, numbered_picture, numbers_of, turn, write_clip, write_large_clip


GOLDEN_VIDEOS = json.loads((FIXTURES / "mmaudio" / "video_loading.json").read_text())["videos"]
NTSC_FILM = Fraction(24000, 1001)


def shown_numbers(streams) -> tuple[list[int], list[int]]:
    """The number of the source frame behind every sample of the two streams."""
    clip_numbers = np.array(numbers_of(streams.clip_frames))[streams.clip_index]
    sync_numbers = np.array(numbers_of(streams.sync_frames))[streams.sync_index]
    return clip_numbers.tolist(), sync_numbers.tolist()


def frames_by_definition(times, frames_per_second, num_samples, start=0) -> list[int]:
    """What a player shows at each sample, computed with exact fractions."""
    moments = [start + Fraction(k, frames_per_second) for k in range(num_samples)]
    return [max(i for i, time in enumerate(times) if time <= moment) for moment in moments]


def irregular_times(num_frames: int) -> list[Fraction]:
    """Times of a video with a variable frame rate, in whole milliseconds as Matroska has them."""
    steps = np.random.default_rng(0).integers(9, 120, num_frames - 1)
    return [Fraction(0), *(Fraction(int(time), 1000) for time in np.cumsum(steps))]


@pytest.mark.parametrize("name", GOLDEN_VIDEOS)
def test_the_clock_of_the_original_picks_the_same_frames(name):
    golden = GOLDEN_VIDEOS[name]
    for frames_per_second, key in ((8, "clip_src_index"), (25, "sync_src_index")):
        clock, index = MMAudioClock(frames_per_second), []
        for i in range(golden["n_frames"]):
            index += [i] * (clock.num_samples_until(i * 1001 / 24000) - len(index))
        assert index == golden[key]


@pytest.mark.parametrize("name", GOLDEN_VIDEOS)
def test_a_clip_is_read_like_the_original_reads_it(tmp_path, name):
    golden = GOLDEN_VIDEOS[name]
    times = [i / NTSC_FILM for i in range(golden["n_frames"])]
    path = write_clip(tmp_path / "clip.mp4", times, time_base=1 / (NTSC_FILM * 1001), last_duration=1 / NTSC_FILM)
    streams = read_video_streams(path, audio_length_in_s=8.0, sampling="mmaudio")
    assert streams.duration_in_s == golden["duration_sec"]
    clip_numbers, sync_numbers = shown_numbers(streams)
    assert clip_numbers == golden["clip_src_index"][: golden["clip_frames"][0]]
    assert sync_numbers == golden["sync_src_index"][: golden["sync_frames"][0]]


def test_the_clock_of_the_original_adds_up_its_rounding_errors():
    # Six steps of 1/25 add up to a little more than 0.24, so a frame that begins then comes too early for the sample.
    assert MMAudioClock(25).num_samples_until(6 / 25) == 6
    # Steps of 1/8 have no rounding errors.
    assert MMAudioClock(8).num_samples_until(6 / 8) == 7


@pytest.mark.parametrize("frame_rate", [1, 5, 12, NTSC_FILM, 24, 25, Fraction(30000, 1001), 30, 48, 50, 60, 120])
def test_every_sample_is_the_frame_that_a_player_shows_then(frame_rate):
    num_frames = int(2 * frame_rate) + 1
    # A number per frame in one channel each, so that it survives resizing.
    video = np.broadcast_to(np.arange(num_frames, dtype=np.uint8)[:, None, None, None], (num_frames, 4, 4, 3))
    streams = read_video_streams(video, fps=float(frame_rate))
    assert streams.duration_in_s == pytest.approx(num_frames / frame_rate)

    times = [i / Fraction(frame_rate) for i in range(num_frames)]
    for frames, index, rate in (
        (streams.clip_frames, streams.clip_index, 8),
        (streams.sync_frames, streams.sync_index, 25),
    ):
        assert len(index) == int(streams.duration_in_s * rate)
        assert frames[index][:, 0, 0, 0].tolist() == frames_by_definition(times, rate, len(index))
        # Only frames that are shown are kept, each once.
        assert index.unique().tolist() == list(range(len(frames)))


@pytest.mark.parametrize(
    ("file_name", "codec"), [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.webm", "libvpx")]
)
def test_a_variable_frame_rate_is_followed(tmp_path, file_name, codec):
    times = irregular_times(50)
    path = write_clip(tmp_path / file_name, times, codec=codec)
    streams = read_video_streams(path)
    clip_numbers, sync_numbers = shown_numbers(streams)
    assert clip_numbers == frames_by_definition(times, 8, len(clip_numbers))
    assert sync_numbers == frames_by_definition(times, 25, len(sync_numbers))
    assert streams.duration_in_s == pytest.approx(times[-1] + Fraction(1, 24), abs=0.02)


@pytest.mark.parametrize("file_name", ["clip.mp4", "clip.ts"])
def test_a_start_offset_is_no_part_of_the_clip(tmp_path, file_name):
    times = [Fraction(i, 24) for i in range(24)]
    plain = read_video_streams(write_clip(tmp_path / "plain.mp4", times))
    late = read_video_streams(write_clip(tmp_path / file_name, times, start=1.5))
    assert late.duration_in_s == plain.duration_in_s == 1.0
    assert shown_numbers(late) == shown_numbers(plain)


def test_the_original_counts_a_start_offset_as_part_of_the_clip(tmp_path):
    path = write_clip(tmp_path / "late.mp4", [Fraction(i, 24) for i in range(24)], start=1.5)
    clip_numbers, _ = shown_numbers(read_video_streams(path, sampling="mmaudio"))
    # Twelve samples are due before the first frame and one when it begins.
    assert clip_numbers[:14] == [0] * 13 + [3]


@pytest.mark.parametrize(
    ("file_name", "codec"),
    [("clip.mp4", "libx264"), ("clip.mkv", "libx264"), ("clip.ts", "libx264"), ("clip.avi", "mpeg4")],
)
def test_a_part_is_the_same_as_in_the_whole(tmp_path, file_name, codec):
    # Key frames every half second, so that the file can be entered; the stream for broadcast still cannot.
    times = [Fraction(i, 24) for i in range(144)]
    path = write_clip(tmp_path / file_name, times, codec=codec, time_base=Fraction(1, 24), codec_options={"g": "12"})
    streams = read_video_streams(path, start_in_s=4.0, audio_length_in_s=1.2)
    assert streams.duration_in_s == 1.2
    clip_numbers, sync_numbers = shown_numbers(streams)
    assert clip_numbers == frames_by_definition(times, 8, 9, start=4)
    assert sync_numbers == frames_by_definition(times, 25, 30, start=4)


def test_a_start_costs_no_sample_to_rounding():
    assert 2.8 - 2.0 < 0.8
    streams = read_video_streams(np.zeros((28, 4, 4, 3), np.uint8), fps=10, start_in_s=2.0)
    assert (len(streams.sync_index), streams.duration_in_s) == (20, 0.8)


def test_a_length_that_was_lost_to_rounding_may_be_asked_for(tmp_path):
    # Matroska makes 1.999 s of it. The last frame is held for the rest.
    path = write_clip(tmp_path / "clip.mkv", [Fraction(i, 24) for i in range(48)])
    assert read_video_streams(path).duration_in_s < 2.0
    streams = read_video_streams(path, audio_length_in_s=2.0)
    assert (len(streams.clip_index), len(streams.sync_index), streams.duration_in_s) == (16, 50, 2.0)


class CountingFile(io.BytesIO):
    """A file in memory that counts the bytes read from it."""

    num_bytes_read = 0

    def read(self, size=-1):
        content = super().read(size)
        self.num_bytes_read += len(content)
        return content


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory):
    """Half a minute of uncompressed frames, all of one size and each a key frame."""
    path = tmp_path_factory.mktemp("long") / "long.avi"
    times = [Fraction(i, 10) for i in range(300)]
    tenth = Fraction(1, 10)
    return write_clip(path, times, codec="rawvideo", time_base=tenth, last_duration=tenth).read_bytes()


@pytest.mark.parametrize("sampling", ["presentation", "mmaudio"])
def test_reading_stops_at_the_end_of_the_part(long_clip, sampling):
    file = CountingFile(long_clip)
    read_video_streams(file, audio_length_in_s=1.0, sampling=sampling)
    # One second out of thirty, some frames ahead for the decoder's threads, and the index.
    assert file.num_bytes_read < len(long_clip) / 3


def test_a_late_part_is_entered_without_reading_what_comes_before(long_clip):
    file = CountingFile(long_clip)
    streams = read_video_streams(file, start_in_s=28.0, audio_length_in_s=1.0)
    assert file.num_bytes_read < len(long_clip) / 3
    assert shown_numbers(streams)[0] == [280 - 256 + i for i in (0, 1, 2, 3, 5, 6, 7, 8)]


def test_paths_bytes_and_files_are_read_alike(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 24) for i in range(24)])
    expected = read_video_streams(path)
    with path.open("rb") as file:
        # Wherever its reader had stopped.
        file.seek(100)
        for video in (str(path), path.read_bytes(), file):
            streams = read_video_streams(video)
            assert torch.equal(streams.clip_frames, expected.clip_frames)
            assert torch.equal(streams.sync_frames, expected.sync_frames)


def test_pictures_arrays_and_tensors_are_read_alike():
    array = np.stack([numbered_picture(i, 48, 64) for i in range(20)])
    expected = read_video_streams(array, fps=20)
    assert shown_numbers(expected)[0] == [0, 2, 5, 7, 10, 12, 15, 17]
    read_only = array.view()
    read_only.flags.writeable = False
    tensor = torch.from_numpy(array)
    for video in ([Image.fromarray(frame) for frame in array], read_only, tensor, tensor.permute(0, 3, 1, 2)):
        streams = read_video_streams(video, fps=20)
        assert torch.equal(streams.clip_frames, expected.clip_frames)
        assert torch.equal(streams.sync_frames, expected.sync_frames)
        assert torch.equal(streams.sync_index, expected.sync_index)


@pytest.mark.parametrize("num_sync_frames", [16, 23, 24, 50])
def test_segments_have_16_frames_and_begin_every_8(num_sync_frames):
    video = np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 4, 4, 3))
    streams = read_video_streams(video, fps=8, audio_length_in_s=num_sync_frames / 25)
    assert len(streams.sync_index) == num_sync_frames
    assert streams.sync_segments.dtype == torch.int64
    assert torch.equal(streams.sync_segments, streams.sync_index.unfold(0, 16, 8))


@pytest.mark.parametrize("number_type", [int, np.int64, np.float32, Fraction])
def test_any_number_is_a_time(number_type):
    video = np.stack([numbered_picture(i, 48, 64) for i in range(20)])
    streams = read_video_streams(
        video, fps=number_type(5), start_in_s=number_type(1), audio_length_in_s=number_type(2)
    )
    assert shown_numbers(streams)[0] == [5, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 11, 12, 13, 13, 14]
    assert type(streams.duration_in_s) is float


@pytest.mark.parametrize("rotation", ROTATION_MATRICES)
def test_frames_are_turned_as_displayed(tmp_path, rotation):
    path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 24) for i in range(24)])
    upright = read_video_streams(path)
    turned = read_video_streams(turn(path, ROTATION_MATRICES[rotation]))
    expected = torch.rot90(upright.clip_frames, -rotation // 90, dims=(2, 3)).float()
    # Resizing the turned picture rounds in another order.
    assert (turned.clip_frames.float() - expected).abs().max() <= 2


def test_the_square_centre_is_that_of_the_displayed_shape(tmp_path):
    # Stored as a square but shown twice as wide, so that the centre has the four middle ones of the eight stripes.
    path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 24) for i in range(24)], pixel_aspect=Fraction(2))
    streams = read_video_streams(path)
    bits = streams.sync_frames[:, 1, 112, [28, 84, 140, 196]] > 127
    expected = [(number >> 2) & 0b1111 for number in range(24)]
    assert (bits.int() * torch.tensor([1, 2, 4, 8])).sum(dim=1).tolist() == expected


FRAME_SIZES = ["90x160", "160x90", "101x77", "384x384", "224x224", "375x500", "720x1281"]


@pytest.mark.parametrize("size", FRAME_SIZES)
@pytest.mark.parametrize("is_channels_last", [False, True])
def test_resizing_is_that_of_torchvision_bit_by_bit(size, is_channels_last):
    """The fixture holds every 16th (14th) row and column of what torchvision 0.28 makes of this picture."""
    golden = load_golden("mmaudio/torchvision_frames")
    height, width = map(int, size.split("x"))
    y, x = np.mgrid[:height, :width]
    channels = [(x * x + 3 * y) % 256, (5 * x + y * y) % 251, (x * y + (x // 7) * 40) % 256]
    pixels = torch.from_numpy(np.stack(channels).astype(np.uint8))
    if is_channels_last:
        pixels = pixels.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert torch.equal(resize_clip_frame(pixels, (height, width))[:, ::16, ::16], golden[f"{size}.clip"])
    assert torch.equal(resize_sync_frame(pixels, (height, width))[:, ::14, ::14], golden[f"{size}.sync"])


@pytest.mark.parametrize(("normalize", "name"), [(normalize_clip_frames, "clip"), (normalize_sync_frames, "sync")])
def test_normalizing_is_that_of_torchvision_bit_by_bit(normalize, name):
    golden = load_golden("mmaudio/torchvision_frames")
    levels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).expand(3, 16, 16)
    assert torch.equal(normalize(levels), golden[f"levels.{name}"])
    assert torch.equal(normalize(levels, torch.bfloat16), golden[f"levels.{name}_bf16"])


# Prints by how many bytes the peak of the memory has grown. Not by `ru_maxrss`, which begins with that of the parent.
MEMORY_SCRIPT = """
import sys
from pathlib import Path
from deepaudio_diffusers.processing.video import read_video_streams
def value(name):
    return int(Path("/proc/self/status").read_text().split(name)[1].split()[0]) * 1024
read_video_streams(sys.argv[1], audio_length_in_s=0.7)
Path("/proc/self/clear_refs").write_text("5")
before = value("VmRSS:")
read_video_streams(sys.argv[1])
print(value("VmHWM:") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Reads what Linux tells about processes.")
def test_memory_does_not_hold_the_decoded_video(tmp_path):
    path = write_large_clip(tmp_path / "large.mp4", num_frames=360, frame_rate=60)
    output = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT, path], capture_output=True, text=True, check=True)
    # Six seconds decode to 360 frames of 1280 x 720. What is kept of them takes 42 MiB, and as much again on the way.
    decoded = 360 * 1280 * 720 * 3
    assert int(output.stdout) < decoded / 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sampling": "original"}, "`sampling` is 'original'"),
        ({"start_in_s": -1.0}, "`start_in_s` is -1.0"),
        ({"start_in_s": 2.0}, r"^`start_in_s` is 2\.0, but the video lasts 1\.000 s; begin earlier"),
        ({"start_in_s": 2.0, "audio_length_in_s": 1.0}, r"^`start_in_s` is 2\.0, but the video lasts 1\.000 s"),
        ({"start_in_s": 2.0, "sampling": "mmaudio"}, r"^`start_in_s` is 2\.0, but the last frame .* at 0\.900 s"),
        ({"audio_length_in_s": 1.5}, r"^`audio_length_in_s` is 1\.5, .* has 1\.000 s"),
        (
            {"start_in_s": 0.25, "audio_length_in_s": 1.5},
            r"^`audio_length_in_s` is 1\.5, .* has 0\.750 s from `start_in_s` \(0\.25\)",
        ),
        ({"audio_length_in_s": 0.5}, "0.5 s; it has to be at least 0.64 s"),
        ({"start_in_s": 0.5}, "0.5 s; it has to be at least 0.64 s"),
        ({"fps": None}, "`fps` is None"),
        ({"fps": 0.0}, "`fps` is 0.0"),
        ({"fps": "25"}, "`fps` is '25', of type str; pass a number"),
        ({"fps": True}, "`fps` is True, of type bool"),
        ({"start_in_s": "0"}, "`start_in_s` is '0', of type str"),
        ({"start_in_s": None}, "`start_in_s` is None, of type NoneType"),
        ({"audio_length_in_s": "1"}, "`audio_length_in_s` is '1', of type str"),
        ({"video": []}, "list of nothing"),
        ({"video": [np.zeros((4, 4, 3), np.uint8)]}, "list of ndarray"),
        ({"video": np.zeros((10, 4, 4, 3))}, "dtype float64"),
        ({"video": np.zeros((10, 4, 4), np.uint8)}, r"shape \(10, 4, 4\)"),
        ({"video": torch.zeros(0, 3, 4, 4, dtype=torch.uint8)}, r"shape \(0, 3, 4, 4\)"),
        ({"video": 5, "fps": None}, "type int"),
        ({"video": Image.new("RGB", (4, 4))}, "single PIL image; pass a picture as `image=`"),
        ({"video": [Image.new("RGB", (0, 4))]}, "size 0 x 4"),
        ({"video": [Image.new("F", (4, 4))]}, "mode 'F'"),
        ({"video": b"0", "fps": 25.0}, "a video file has its own frame rate"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    arguments = {"video": np.zeros((10, 4, 4, 3), np.uint8), "fps": 10.0} | arguments
    with pytest.raises(InputError, match=message):
        read_video_streams(**arguments)


def test_the_clock_of_the_original_shortens_a_length_that_the_video_does_not_have():
    streams = read_video_streams(np.zeros((10, 4, 4, 3), np.uint8), fps=10, audio_length_in_s=2.0, sampling="mmaudio")
    # The last frame begins at 0.9 s, when eight samples of 1/8 s and twenty-three of 1/25 s are due.
    assert (len(streams.clip_index), len(streams.sync_index), streams.duration_in_s) == (7, 23, 23 / 25)


def test_a_name_that_no_file_can_have_is_refused():
    with pytest.raises(MediaError, match="does not exist or is not a file"):
        read_video_streams(f"{'x' * 300}.mp4")


def test_a_file_that_is_not_a_video_is_named(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("This is not a video." * 100)
    with pytest.raises(MediaError, match=r"'notes\.mp4' cannot be opened as a media file"):
        read_video_streams(path)
