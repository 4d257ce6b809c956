# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Opening videos and decoding them one frame at a time, with PyAV (FFmpeg's libraries).

Frames come in presentation order with the time at which a player shows them. They stay in the decoder's own pixel
format until [`DecodedFrame.to_rgb`] is called, so frames that nobody picks cost no conversion.
"""

import logging
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from ..errors import EmptyMediaError, NoVideoStreamError, UnreadableMediaError
from .isolation import IsolatedFrame, decode_frames_isolated
from .limits import Meter
from .source import (
    MediaFile,
    MediaSource,
    decode_packets,
    open_media,
    read_packets,
    reporting_damage,
    warn_if_cut_off,
)


logger = logging.getLogger(__name__)

# A jump lands on a key frame by decoding order. Aiming this much earlier keeps the frames that such a landing cannot
# decode (they refer to frames before the key frame) out of the wanted window.
SEEK_MARGIN_IN_S = 1.0
# No frame is shown for less. Shorter durations are what FFmpeg fills in where a file has none.
MIN_FRAME_DURATION_IN_S = 2e-3
# A clock that falls back by more has been set anew, as where two recordings were joined.
CLOCK_RESET_IN_S = 1.0
# For streams that say nothing about time.
ASSUMED_RATE = Fraction(25)
# Each thread decodes a frame of its own. Large frames get fewer, so that they do not take the memory.
PIXELS_IN_THREADS = 8 * 1920 * 1080
MAX_THREADS = 8


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
        reformatter (`VideoReformatter`): Converts frames to RGB. All frames of a video share one, because setting up
            a conversion takes ten times as long as converting a small frame.
    """

    time_in_s: float
    file_time_in_s: float
    end_in_s: float
    pixel_aspect: Fraction
    orientation: Orientation
    frame: av.VideoFrame
    reformatter: VideoReformatter

    @property
    def display_size(self) -> tuple[int, int]:
        """Height and width as a player shows them: turned, and with the shape of the pixels taken into account."""
        return display_size(self.frame, self.pixel_aspect, self.orientation)

    def to_rgb(self) -> np.ndarray:
        """The stored pixels, turned as displayed: contiguous uint8 of shape `(height, width, 3)`."""
        pixels = self.reformatter.reformat(self.frame, format="rgb24").to_ndarray()
        return np.ascontiguousarray(self.orientation.apply(pixels))


def display_size(frame: av.VideoFrame, pixel_aspect: Fraction, orientation: Orientation) -> tuple[int, int]:
    """Height and width at which a player shows a frame whose pixels are `pixel_aspect` times as wide as high."""
    height, width = frame.height, round(frame.width * pixel_aspect)
    return (width, height) if orientation.is_transposed else (height, width)


@contextmanager
def open_video(source: MediaSource) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open `source` for reading and find its video stream.

    Raises:
        NoVideoStreamError: There is no video stream; a cover picture is not one.
        LimitExceededError: Its frames have too many pixels.
    """
    media = MediaFile.of(source)
    with open_media(media) as container:
        streams = [stream for stream in container.streams.video if not is_cover(stream)]
        if not streams:
            found = ", ".join(sorted({stream.type for stream in container.streams})) or "no stream at all"
            raise NoVideoStreamError(
                f"{media.name} has no video stream (found: {found}); pass a file with moving pictures."
            )
        stream = max(streams, key=_rank)
        if stream.codec_context is None:
            raise UnreadableMediaError(
                f"{media.name} is coded in a way that FFmpeg cannot decode; pass it as h264, for instance."
            )
        if len(streams) > 1:
            logger.warning(
                f"{media.name} has {len(streams)} video streams; number {streams.index(stream)} is used, "
                f"{stream.width} x {stream.height}."
            )
        num_pixels = stream.width * stream.height
        media.limits.check("max_pixels", num_pixels, f"{media.name} has frames of {stream.width} x {stream.height}")
        stream.codec_context.options = {"max_pixels": str(int(min(media.limits.max_pixels, 2**31 - 1)))}
        yield container, stream


def is_cover(stream: VideoStream) -> bool:
    """Whether a video stream is a still cover picture, as music files have."""
    return bool(stream.disposition & Disposition.attached_pic)


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    """The stream with the greatest rank is the one that a player shows."""
    is_known = stream.codec_context is not None
    return is_known, bool(stream.disposition & Disposition.default), stream.width * stream.height if is_known else 0


def pixel_aspect_of(stream: VideoStream) -> Fraction:
    """Width of a stored pixel over its height; square where the file does not say."""
    return stream.sample_aspect_ratio or Fraction(1)


def known_duration(item: av.Packet | av.VideoFrame) -> int:
    """How long a packet or frame is shown, in units of its time base; 0 where the file does not say."""
    duration = item.duration or 0
    return duration if duration * item.time_base >= MIN_FRAME_DURATION_IN_S else 0


class Clock:
    """Turns the times in a file into ever later ones, where they are missing or fall back.

    Args:
        stream ([`VideoStream`]): Whose times they are.
        name (`str`): What warnings call the file.
    """

    def __init__(self, stream: VideoStream, name: str):
        self._name = name
        self._time_base = stream.time_base
        self._rate = stream.guessed_rate or ASSUMED_RATE
        self._shift = 0
        self._last: int | None = None
        self._untimed_from: int | None = None
        self._num_untimed = 0

    def time_of(self, time: int | None, duration: int) -> int:
        """The time of something that lies at `time` by the file and lasts `duration`, in units of the time base."""
        step = duration or max(1, round(1 / (self._rate * self._time_base)))
        if time is None:
            if self._untimed_from is None:
                self._untimed_from = 0 if self._last is None else self._last + step
                logger.warning(
                    f"{self._name} does not say when its frames are shown; they are taken to come "
                    f"{float(self._rate):.3f} a second."
                )
            # Exact in the long run, whatever the time base.
            now = self._untimed_from + round(self._num_untimed / (self._rate * self._time_base))
            self._num_untimed += 1
        else:
            now = time + self._shift
            if self._last is not None and now < self._last - CLOCK_RESET_IN_S / self._time_base:
                now = self._last + step
                self._shift = now - time
                logger.warning(f"The clock of {self._name} was set back in the middle; its parts are joined.")
        self._last = now
        return now


def decode_frames(source: MediaSource, start_in_s: float = 0.0) -> Iterator[DecodedFrame | IsolatedFrame]:
    """Decode a video in presentation order, one frame at a time; stop iterating to stop decoding.

    Args:
        source: As for [`open_video`].
        start_in_s: The first time of interest. A file with an index is entered shortly before it; in any case the
            frame that is shown at `start_in_s` comes out, with some frames before it.

    Raises:
        MediaError: The file cannot be read; `NoVideoStreamError`, `EmptyMediaError`, `LimitExceededError` and
            `UnreadableMediaError` say why.
        UnsafeArtifactError: The source is an address or a playlist.
    """
    media = MediaFile.of(source)
    if media.isolated:
        yield from decode_frames_isolated(media, start_in_s)
        return
    with open_video(media) as (container, stream):
        use_threads(stream)
        meter = Meter(media.limits, media.name)
        frames = _read_frames(container, stream, meter)
        first = next(frames, None)
        if first is None:
            raise EmptyMediaError(f"{media.name} has a video stream without frames; pass a complete video file.")
        if start_in_s <= SEEK_MARGIN_IN_S or first.frame.pts is None:
            yield first
            yield from frames
            return
        frames = _enter(container, stream, meter, first.frame.pts, start_in_s)
        if frames is not None:
            yield from frames
            return
    # There is no usable index: read from the beginning.
    yield from decode_frames(source)


def use_threads(stream: VideoStream) -> None:
    """Decode on several threads, as far as the size of the frames allows."""
    stream.thread_type = "AUTO"
    threads = PIXELS_IN_THREADS // max(1, stream.width * stream.height)
    stream.codec_context.thread_count = max(1, min(threads, MAX_THREADS, os.cpu_count() or 1))


def _enter(
    container: InputContainer, stream: VideoStream, meter: Meter, origin: int, start_in_s: float
) -> Iterator[DecodedFrame] | None:
    """The frames from a key frame before `start_in_s` on; `None` where the file cannot be entered at such a one."""
    try:
        container.seek(origin + int((start_in_s - SEEK_MARGIN_IN_S) / stream.time_base), stream=stream)
    except (av.error.FFmpegError, OverflowError):
        # The format has no index, or the time is beyond what it can name.
        return None
    # Streams for broadcast are entered anywhere; the decoder gives nothing until it comes to a key frame.
    frames = _read_frames(container, stream, meter, origin)
    first = next(frames, None)
    if first is None or not first.time_in_s <= start_in_s:
        return None
    return chain([first], frames)


def _read_frames(
    container: InputContainer, stream: VideoStream, meter: Meter, origin: int | None = None
) -> Iterator[DecodedFrame]:
    time_base = stream.time_base
    pixel_aspect = pixel_aspect_of(stream)
    clock = Clock(stream, meter.name)
    # The rate is unknown only where there are too few frames to guess it from.
    usual_duration = 1 / (stream.guessed_rate * time_base) if stream.guessed_rate else 0
    reformatter = VideoReformatter()
    orientation = previous = None
    with reporting_damage(meter.name):
        frames = decode_packets(read_packets(container, stream, meter), meter)
        for frame in meter.timed(frames):
            meter.count_frame(frame.width * frame.height)
            now = clock.time_of(frame.pts, known_duration(frame))
            if previous is not None and now < previous:
                # Nothing is shown before what was shown already.
                continue
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
            end_in_s = float((now - origin + usual_duration) * time_base)
            meter.check_time(end_in_s)
            yield DecodedFrame(
                # Exact fractions up to here, so that a time is the float nearest to the true one.
                time_in_s=float((now - origin) * time_base),
                file_time_in_s=float(now * time_base),
                end_in_s=end_in_s,
                pixel_aspect=pixel_aspect,
                orientation=orientation,
                frame=frame,
                reformatter=reformatter,
            )
            previous = now
    if previous is not None:
        warn_if_cut_off(container, stream, meter.name, end_in_s)
