# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a video file holds, as a player shows it."""

from dataclasses import dataclass

from ..errors import EmptyMediaError, MediaError
from .decode import (
    MediaSource,
    Orientation,
    display_size,
    known_duration,
    open_video,
    pixel_aspect_of,
    reporting_damage,
    source_name,
)


@dataclass(frozen=True)
class MediaInfo:
    """Facts about the video stream of a file.

    Args:
        duration_in_s (`float`): From the beginning of the first frame to the end of the last one.
        fps (`float`): Frames per second; an average where the rate varies.
        width (`int`): Width as displayed.
        height (`int`): Height as displayed.
        rotation (`int`): How far a player turns the stored picture, in degrees clockwise: 0, 90, 180 or 270.
        has_audio (`bool`): Whether there is a sound track.
        start_time_in_s (`float`): When the first frame is shown, on the clock of the file.
    """

    duration_in_s: float
    fps: float
    width: int
    height: int
    rotation: int
    has_audio: bool
    start_time_in_s: float


def probe(source: MediaSource) -> MediaInfo:
    """Read the facts about a video from one decoded frame and the times of all frames.

    Headers are not asked for the duration: Matroska has none for a stream, files that were cut off keep the old one.

    Raises:
        MediaError: The file is missing, unreadable, damaged, or has no presentation times. See also `open_video`.
        EmptyMediaError: There are no frames, or they last no time.
    """
    name = source_name(source)
    with open_video(source) as (container, stream):
        first_frame = None
        shown = []
        with reporting_damage(name):
            for packet in container.demux(stream):
                if first_frame is None:
                    first_frame = next(iter(packet.decode()), None)
                # The empty packet at the end flushes the decoder. Discarded ones lie before the cut of a trimmed file.
                if packet.size and not packet.is_discard:
                    shown.append((packet.pts, known_duration(packet)))
        if first_frame is None or not shown:
            raise EmptyMediaError(f"{name} has a video stream without frames; pass a complete video file.")
        if any(time is None for time, _ in shown):
            raise MediaError(
                f"{name} does not say when its frames are shown; put the video into a container such as mp4."
            )
        # Packets come in decoding order.
        shown.sort()
        first, (last, last_duration) = shown[0][0], shown[-1]
        if not last_duration and len(shown) > 1:
            last_duration = last - shown[-2][0]
        duration_in_s = float((last - first + last_duration) * stream.time_base)
        if duration_in_s <= 0:
            raise EmptyMediaError(f"{name} has {len(shown)} frame(s) that last no time; pass a longer video.")
        orientation = Orientation.of(first_frame)
        height, width = display_size(first_frame, pixel_aspect_of(stream), orientation)
        return MediaInfo(
            duration_in_s=duration_in_s,
            fps=len(shown) / duration_in_s,
            width=width,
            height=height,
            rotation=orientation.rotation,
            has_audio=bool(container.streams.audio),
            start_time_in_s=float(first * stream.time_base),
        )
