# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from deepaudio_diffusers.errors import (
    EmptyMediaError,
    InputError,
    MediaError,
    NoVideoStreamError,
    UnreadableMediaError,
)
from deepaudio_diffusers.media import decode_frames, probe, write_audio
from tests.media.clips import ROTATION_MATRICES, numbers_of, turn, write_clip


TIMES = [Fraction(i, 24) for i in range(48)]
# What sets each of them apart: no durations of streams, no durations of frames, no presentation times, a start offset.
FORMATS = {
    "clip.mp4": "libx264",
    "clip.mov": "prores_ks",
    "clip.mkv": "libx264",
    "clip.webm": "libvpx-vp9",
    "clip.ts": "libx264",
    "clip.flv": "libx264",
    "clip.avi": "mpeg4",
    "clip.gif": "gif",
}


def decoded_numbers(source, **kwargs) -> list[int]:
    return numbers_of(np.stack([frame.to_rgb().transpose(2, 0, 1) for frame in decode_frames(source, **kwargs)]))


@pytest.fixture(scope="module", params=FORMATS)
def any_clip(request, tmp_path_factory):
    """A clip of two seconds, 24 frames each, in one of the formats."""
    codec = FORMATS[request.param]
    # These two know no other unit of time.
    time_base = Fraction(1, 24) if request.param == "clip.avi" else Fraction(1, 90000)
    return write_clip(tmp_path_factory.mktemp("clips") / request.param, TIMES, codec=codec, time_base=time_base)


# Matroska and FLV round times to milliseconds, GIF to hundredths of a second.
TOLERANCE_IN_S = {".mkv": 2e-3, ".webm": 2e-3, ".flv": 2e-3, ".gif": 2e-2}


def test_frames_come_in_order_with_the_times_of_a_player(any_clip):
    tolerance = TOLERANCE_IN_S.get(any_clip.suffix, 1e-9)
    frames = list(decode_frames(any_clip))
    assert frames[0].time_in_s == 0.0
    assert [frame.time_in_s for frame in frames] == pytest.approx([float(time) for time in TIMES], abs=tolerance)
    assert frames[-1].end_in_s == pytest.approx(2.0, abs=tolerance)
    assert decoded_numbers(any_clip) == list(range(48))


def test_probing_agrees_with_decoding(any_clip):
    info = probe(any_clip)
    first, *_, last = decode_frames(any_clip)
    assert info.duration_in_s == last.end_in_s
    assert info.start_time_in_s == first.file_time_in_s
    assert (info.height, info.width) == first.display_size == (64, 64)
    assert info.fps == pytest.approx(24, rel=1e-2)
    assert info.rotation == 0
    assert not info.has_audio


def test_a_part_is_entered_or_read_up_to(any_clip):
    frames = list(decode_frames(any_clip, start_in_s=1.75))
    # Whatever came before, it comes in order, and the frame that is shown at the start is among it.
    times = [frame.time_in_s for frame in frames]
    assert times[0] <= 1.75
    assert times == pytest.approx([float(time) for time in TIMES[-len(times) :]], abs=2e-2)
    assert decoded_numbers(any_clip, start_in_s=1.75) == list(range(48))[-len(times) :]


@pytest.mark.parametrize("gop_size", [12, 250])
def test_a_stream_is_entered_at_a_key_frame_only(tmp_path, gop_size):
    # The highest bit is set from number 128 on: coded long before the place where the file is entered.
    times = [Fraction(i, 24) for i in range(96)]
    options = {"g": str(gop_size), "sc_threshold": "0"}
    path = write_clip(tmp_path / "clip.ts", times, first_number=100, codec_options=options)
    numbers = decoded_numbers(path, start_in_s=3.0)
    assert numbers == list(range(100, 196))[-len(numbers) :]
    # With one key frame, at the beginning, all has to be decoded.
    assert (len(numbers) == 96) == (gop_size == 250)


def clip_without_durations(path):
    """A clip of which FFmpeg says that its frames are shown for at most one sixteen-thousandth of a second."""
    steps = np.random.default_rng(0).integers(9, 120, 40)
    times = [Fraction(int(time), 1000) for time in np.cumsum(steps) - steps[0]]
    return write_clip(path, times, codec="libvpx-vp9", time_base=Fraction(1, 16000)), times


def test_a_duration_that_is_none_does_not_count(tmp_path):
    path, times = clip_without_durations(tmp_path / "clip.mp4")
    *_, last = decode_frames(path)
    as_long_as_the_one_before = 2 * times[-1] - times[-2]
    assert last.end_in_s == probe(path).duration_in_s == float(as_long_as_the_one_before)


def test_a_sound_track_does_not_lengthen_the_clip(tmp_path):
    for name, codec in (("clip.mp4", "libx264"), ("clip.webm", "libvpx")):
        info = probe(write_clip(tmp_path / name, TIMES, codec=codec, audio_length_in_s=3.0))
        assert info.duration_in_s == pytest.approx(2.0, abs=2e-3)
        assert info.has_audio


def test_a_start_offset_is_not_counted(tmp_path):
    info = probe(write_clip(tmp_path / "clip.mp4", TIMES, start=1.5))
    assert (info.start_time_in_s, info.duration_in_s) == (1.5, 2.0)


def test_what_was_trimmed_away_is_not_counted(tmp_path):
    whole = write_clip(tmp_path / "whole.mp4", TIMES)
    trimmed = trim(whole, tmp_path / "trimmed.mp4", num_frames=10)
    assert probe(trimmed).duration_in_s == pytest.approx(38 / 24)
    assert decoded_numbers(trimmed) == list(range(10, 48))


def trim(path, trimmed_path, num_frames):
    """Copy a clip so that its first frames only serve to decode the others, as editors on telephones do."""
    with av.open(str(path)) as container, av.open(str(trimmed_path), "w") as target:
        stream = container.streams.video[0]
        copied = target.add_stream_from_template(stream, opaque=True)
        cut = int(Fraction(num_frames, 24) / stream.time_base)
        for packet in container.demux(stream):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - cut, packet.dts - cut, copied
                target.mux(packet)
    return trimmed_path


def test_the_rest_of_a_file_that_was_cut_off_is_read(tmp_path):
    content = write_clip(tmp_path / "clip.mkv", TIMES, size=(128, 128)).read_bytes()
    info = probe(content[: len(content) * 3 // 4])
    *_, last = decode_frames(content[: len(content) * 3 // 4])
    assert 1.0 < info.duration_in_s == last.end_in_s < 2.0


@pytest.mark.parametrize("rotation", ROTATION_MATRICES)
def test_frames_are_turned_by_the_display_matrix(tmp_path, rotation):
    path = write_clip(tmp_path / "clip.mp4", TIMES[:3], size=(48, 64))
    stored = next(decode_frames(path)).to_rgb()
    turned = next(decode_frames(turn(path, ROTATION_MATRICES[rotation])))
    assert np.array_equal(turned.to_rgb(), np.rot90(stored, -rotation // 90))
    assert turned.display_size == turned.to_rgb().shape[:2]
    info = probe(path)
    assert (info.rotation, info.height, info.width) == (rotation, *turned.display_size)


@pytest.mark.parametrize(("matrix", "axis"), [((-1, 0, 0, 1), 1), ((1, 0, 0, -1), 0)])
def test_frames_are_mirrored_by_the_display_matrix(tmp_path, matrix, axis):
    path = write_clip(tmp_path / "clip.mp4", TIMES[:3])
    stored = next(decode_frames(path)).to_rgb()
    mirrored = next(decode_frames(turn(path, matrix))).to_rgb()
    assert np.array_equal(mirrored, np.flip(stored, axis))


def test_pixels_that_are_not_square_count_in_the_displayed_size(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", TIMES[:3], pixel_aspect=Fraction(4, 3))
    assert (probe(path).width, probe(path).height) == (85, 64)
    assert next(decode_frames(turn(path, ROTATION_MATRICES[90]))).display_size == (85, 64)


def cover_only_file(path):
    """A sound file with a cover picture, which FFmpeg presents as a video stream."""
    write_audio(path, np.full(1000, 0.1, np.float32), 16_000)
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    mime_type = b"image/png"
    # The block "picture" of FLAC: kind (front cover), type, no description, size and depth, data.
    block = struct.pack(">II", 3, len(mime_type)) + mime_type
    block += struct.pack(">IIIIII", 0, 8, 8, 24, 0, len(picture.getvalue())) + picture.getvalue()
    content = path.read_bytes()
    # It goes behind the signature and the stream information of 4 + 34 bytes, which must not be the last block.
    info = bytes([content[4] & 0x7F]) + content[5:42]
    header = bytes([6 | (content[4] & 0x80)]) + len(block).to_bytes(3, "big")
    path.write_bytes(content[:4] + info + header + block + content[42:])
    return path


def text_file(path):
    path.write_text("This is no video." * 100)
    return path


def sound_file(path):
    write_audio(path, np.full(1000, 0.1, np.float32), 16_000)
    return path


def empty_file(path):
    path.touch()
    return path


def damaged_file(path):
    """A clip whose later pictures are scrambled, while the index that leads to them is intact."""
    content = bytearray(write_clip(path, TIMES, size=(128, 128)).read_bytes())
    first, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    for i in range((first + end) // 2, end):
        content[i] ^= 0x55
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("read", [probe, lambda source: list(decode_frames(source))], ids=["probe", "decode"])
@pytest.mark.parametrize(
    ("make", "name", "error", "message"),
    [
        (lambda path: path, "missing.mp4", UnreadableMediaError, "does not exist"),
        (lambda path: path.parent, "", UnreadableMediaError, "is not a file"),
        (empty_file, "empty.mp4", EmptyMediaError, "is empty"),
        (text_file, "text.mp4", UnreadableMediaError, "cannot be opened as a media file"),
        (sound_file, "sound.wav", NoVideoStreamError, r"no video stream \(found: audio\)"),
        (cover_only_file, "cover.flac", NoVideoStreamError, r"no video stream \(found: audio, video\)"),
    ],
)
def test_files_that_are_no_video_are_named(tmp_path, read, make, name, error, message):
    path = make(tmp_path / name)
    with pytest.raises(error, match=rf"'{path.name}' .*{message}") as raised:
        read(path)
    assert type(raised.value) is error
    # Where the file lies is nobody's business.
    assert str(tmp_path) not in str(raised.value)


def test_a_damaged_file_is_named(tmp_path):
    path = damaged_file(tmp_path / "damaged.mp4")
    with pytest.raises(MediaError, match=r"'damaged\.mp4' is damaged"):
        list(decode_frames(path))


def test_a_stream_without_times_is_read_at_its_rate(tmp_path, caplog):
    # With pictures that are coded in another order than they are shown in.
    path = write_clip(tmp_path / "raw.h264", TIMES, time_base=Fraction(1, 24))
    frames = list(decode_frames(path))
    assert "'raw.h264' does not say when its frames are shown" in caplog.text
    rate = 1 / frames[1].time_in_s
    assert [frame.time_in_s for frame in frames] == pytest.approx([i / rate for i in range(48)], abs=1e-4)
    assert decoded_numbers(path) == list(range(48))
    assert probe(path).duration_in_s == pytest.approx(frames[-1].end_in_s, abs=1e-4)


def test_something_else_than_a_source_is_named():
    with pytest.raises(InputError, match="type int"):
        probe(5)


def test_an_empty_source_in_memory_is_named():
    for source in (b"", io.BytesIO()):
        with pytest.raises(EmptyMediaError, match=r"the given .* is empty"):
            probe(source)
