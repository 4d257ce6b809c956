# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Opening videos and decoding them one frame at a time, with PyAV (FFmpeg's libraries).

Frames come in presentation order with the time at which a player shows them. They stay in the decoder's own pixel
format until [`DecodedFrame.to_rgb`] is called, so frames that nobody picks cost no conversion.
"""

import io
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from ..errors import EmptyMediaError, InputError, MediaError, NoVideoStreamError


MediaSource = str | os.PathLike | bytes | BinaryIO

# A jump lands on a key frame by decoding order. Aiming this much earlier keeps the frames that such a landing cannot
# decode (they refer to frames before the key frame) out of the wanted window.
SEEK_MARGIN_IN_S = 1.0
# No frame is shown for less. Shorter durations are what FFmpeg fills in where a file has none.
MIN_FRAME_DURATION_IN_S = 2e-3


@dataclass(frozen=True)
class Orientation:
    """How a player turns the stored picture before showing it: first transpose, then mirror.

    Args:
        is_transposed (`bool`): Rows and columns change places.
        is_mirrored_horizontally (`bool`): Left and right change places, after transposing.
        is_mirrored_vertically (`bool`): Top and bottom change places, after transposing.
        rotation (`int`): Where the upper edge goes, in degrees clockwise: 0, 90, 180 or 270.
    """

    is_transposed: bool
    is_mirrored_horizontally: bool
    is_mirrored_vertically: bool
    rotation: int

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix that the file gives for `frame`, if it gives one."""
        matrices = [data for data in frame.side_data if data.type.name == "DISPLAYMATRIX"]
        if not matrices:
            return cls(False, False, False, 0)
        # The stored pixel (x, y) is shown at (a x + c y, b x + d y), up to a shift.
        a, b, _, c, d = struct.unpack_from("=5i", bytes(matrices[0]))
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(True, c < 0, b < 0, 90 if c < 0 else 270)
        return cls(False, a < 0, d < 0, 0 if d > 0 else 180)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turn pixels of shape `(height, width, channels)`; the result may be a view."""
        if self.is_transposed:
            pixels = pixels.swapaxes(0, 1)
        if self.is_mirrored_horizontally:
            pixels = pixels[:, ::-1]
        if self.is_mirrored_vertically:
            pixels = pixels[::-1]
        return pixels


@dataclass(frozen=True)
class DecodedFrame:
    """One frame of a video.

    Args:
        time_in_s (`float`): When the frame is shown, counted from the first frame of the video.
        file_time_in_s (`float`): When the frame is shown, on the clock of the file, which may start anywhere.
        end_in_s (`float`): Until when the frame is shown, counted like `time_in_s`. Where the file does not say how
            long, it is taken to be shown as long as the frame before it.
        pixel_aspect (`Fraction`): Width of a stored pixel over its height.
        orientation (`Orientation`): How the stored picture is turned for display.
        frame (`av.VideoFrame`): The frame as the decoder made it.
    """

    time_in_s: float
    file_time_in_s: float
    end_in_s: float
    pixel_aspect: Fraction
    orientation: Orientation
    frame: av.VideoFrame

    @property
    def display_size(self) -> tuple[int, int]:
        """Height and width as a player shows them: turned, and with the shape of the pixels taken into account."""
        return display_size(self.frame, self.pixel_aspect, self.orientation)

    def to_rgb(self) -> np.ndarray:
        """The stored pixels, turned as displayed: contiguous uint8 of shape `(height, width, 3)`."""
        return np.ascontiguousarray(self.orientation.apply(self.frame.to_ndarray(format="rgb24")))


def display_size(frame: av.VideoFrame, pixel_aspect: Fraction, orientation: Orientation) -> tuple[int, int]:
    """Height and width at which a player shows a frame whose pixels are `pixel_aspect` times as wide as high."""
    height, width = frame.height, round(frame.width * pixel_aspect)
    return (width, height) if orientation.is_transposed else (height, width)


def source_name(source: MediaSource) -> str:
    """What messages call a source: the base name of a path, else the kind of object it is."""
    if isinstance(source, str | os.PathLike):
        return f"'{Path(source).name}'"
    return "the given data" if isinstance(source, bytes) else "the given file object"


@contextmanager
def open_video(source: MediaSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open `source` for reading and find its video stream. Nothing is ever written to `source`.

    Args:
        source: Path of a file, the bytes of a file, or a seekable binary file object, which is read from its start.

    Raises:
        InputError: `source` is of another type.
        MediaError: The file does not exist, cannot be opened, or is not a media file.
        NoVideoStreamError: There is no video stream; a cover picture is not one.
        EmptyMediaError: The file has no bytes.
    """
    name = source_name(source)
    if isinstance(source, str | os.PathLike):
        # Not the method of Path, which raises an error of its own for names that are too long.
        if not os.path.isfile(source):
            raise MediaError(f"{name} does not exist or is not a file; check the path.")
        is_empty = Path(source).stat().st_size == 0
        # An absolute path, so that a name with a colon is not taken for a network address.
        file = os.path.abspath(source)
    elif isinstance(source, bytes):
        is_empty = not source
        file = io.BytesIO(source)
    elif hasattr(source, "read") and hasattr(source, "seek"):
        is_empty = source.seek(0, os.SEEK_END) == 0
        source.seek(0)
        file = source
    else:
        raise InputError(
            f"A video of type {type(source).__name__} cannot be read; pass a path, the bytes of a file, or a seekable "
            "binary file object."
        )
    if is_empty:
        raise EmptyMediaError(f"{name} is empty (0 bytes); pass a complete video file.")

    try:
        container = av.open(file, metadata_errors="surrogateescape")
    except av.error.FFmpegError as error:
        raise MediaError(
            f"{name} cannot be opened as a media file ({error.strerror}); pass a video such as mp4, mov, mkv or webm."
        ) from error
    with container:
        streams = [stream for stream in container.streams.video if not is_cover(stream)]
        if not streams:
            found = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"
            raise NoVideoStreamError(f"{name} has no video stream (found: {found}); pass a file with moving pictures.")
        if streams[0].codec_context is None:
            raise MediaError(f"{name} is coded in a way that FFmpeg cannot decode; pass it as h264, for instance.")
        yield container, streams[0]


@contextmanager
def reporting_damage(name: str) -> Iterator[None]:
    """Turn what FFmpeg reports while reading or decoding into a `MediaError` about the file `name`."""
    try:
        yield
    except av.error.FFmpegError as error:
        raise MediaError(f"{name} is damaged and cannot be read ({error.strerror}); pass an intact file.") from error


def is_cover(stream: VideoStream) -> bool:
    """Whether a video stream is a still cover picture, as music files have."""
    return bool(stream.disposition & Disposition.attached_pic)


def pixel_aspect_of(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; square where the file does not say."""
    return stream.sample_aspect_ratio or Fraction(1)


def known_duration(item: av.Packet | av.VideoFrame) -> int:
    """How long a packet or frame is shown, in units of its time base; 0 where the file does not say."""
    duration = item.duration or 0
    return duration if duration * item.time_base >= MIN_FRAME_DURATION_IN_S else 0


def decode_frames(source: MediaSource, start_in_s: float = 0.0) -> Iterator[DecodedFrame]:
    """Decode a video in presentation order, one frame at a time; stop iterating to stop decoding.

    Args:
        source: As for [`open_video`].
        start_in_s: The first time of interest. A file with an index is entered shortly before it; in any case the
            frame that is shown at `start_in_s` comes out, with some frames before it.

    Raises:
        MediaError: The file cannot be read, is damaged, or has no presentation times. See also [`open_video`].
        EmptyMediaError: Not a single frame can be decoded.
    """
    name = source_name(source)
    with open_video(source) as (container, stream):
        stream.thread_type = "AUTO"
        frames = _read_frames(container.demux(stream), stream, name)
        first = next(frames, None)
        if first is None:
            raise EmptyMediaError(f"{name} has a video stream without frames; pass a complete video file.")
        if start_in_s <= SEEK_MARGIN_IN_S:
            yield first
            yield from frames
            return
        frames = _enter(container, stream, name, first.frame.pts, start_in_s)
        if frames is not None:
            yield from frames
            return
    # There is no usable index: read from the beginning.
    yield from decode_frames(source)


def _enter(
    container: InputContainer, stream: VideoStream, name: str, origin: int, start_in_s: float
) -> Iterator[DecodedFrame] | None:
    """The frames from a key frame before `start_in_s` on; `None` where the file cannot be entered at such a one."""
    try:
        container.seek(origin + int((start_in_s - SEEK_MARGIN_IN_S) / stream.time_base), stream=stream)
    except av.error.FFmpegError:
        # The format has no index.
        return None
    # Streams for broadcast are entered anywhere; the decoder gives nothing until it comes to a key frame.
    frames = _read_frames(container.demux(stream), stream, name, origin)
    first = next(frames, None)
    if first is None or first.time_in_s > start_in_s:
        return None
    return chain([first], frames)


def _read_frames(
    packets: Iterable[av.Packet], stream: VideoStream, name: str, origin: int | None = None
) -> Iterator[DecodedFrame]:
    time_base = stream.time_base
    pixel_aspect = pixel_aspect_of(stream)
    # The rate is unknown only where there are too few frames to guess it from.
    usual_duration = 1 / (stream.guessed_rate * time_base) if stream.guessed_rate else 0
    orientation = previous = None
    with reporting_damage(name):
        for frame in chain.from_iterable(packet.decode() for packet in packets):
            now = frame.pts
            if now is None:
                raise MediaError(
                    f"{name} does not say when its frames are shown; put the video into a container such as mp4."
                )
            if origin is None:
                origin = now
            if orientation is None:
                # Of one frame only: one that was asked for its side data stays in memory until the garbage collector
                # comes by, because the two refer to each other.
                orientation = Orientation.of(frame)
            if known_duration(frame):
                usual_duration = known_duration(frame)
            elif previous is not None:
                usual_duration = now - previous
            yield DecodedFrame(
                # Exact fractions up to here, so that a time is the float nearest to the true one.
                time_in_s=float((now - origin) * time_base),
                file_time_in_s=float(now * time_base),
                end_in_s=float((now - origin + usual_duration) * time_base),
                pixel_aspect=pixel_aspect,
                orientation=orientation,
                frame=frame,
            )
            previous = now
