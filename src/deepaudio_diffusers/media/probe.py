# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What a video file holds, as a player shows it."""

from dataclasses import dataclass

import av

from ..errors import EmptyMediaError, UnreadableMediaError
from .decode import Clock, Orientation, display_size, known_duration, open_video, pixel_aspect_of
from .isolation import ask_isolated
from .limits import NOTHING_DECODED, Meter
from .source import MediaFile, MediaSource, read_packets, reporting_damage


@dataclass(frozen=True)
class MediaInfo:
    """Facts about the video stream of a file.

    Args:
        duration_in_s (`float`): From the beginning of the first frame to the end of the last one.
        fps (`float`): Frames per second; an average where the rate varies.
        width (`int`): Width as displayed.
        height (`int`): Height as displayed.
        rotation (`int`): How far a player turns the stored picture, in degrees clockwise: 0, 90, 180 or 270.
        num_audio_tracks (`int`): How many sound tracks there are.
        start_time_in_s (`float`): When the first frame is shown, on the clock of the file.
    """

    duration_in_s: float
    fps: float
    width: int
    height: int
    rotation: int
    num_audio_tracks: int
    start_time_in_s: float

    @property
    def has_audio(self) -> bool:
        """Whether there is a sound track."""
        return self.num_audio_tracks > 0


def probe(source: MediaSource) -> MediaInfo:
    """Read the facts about a video from one decoded frame and the times of all frames.

    Headers are not asked for the duration: Matroska has none for a stream, files that were cut off keep the old one.

    Raises:
        MediaError: The file cannot be read; `NoVideoStreamError`, `LimitExceededError`, `UnreadableMediaError` and
            `EmptyMediaError` (no frames, or they last no time) say why.
        UnsafeArtifactError: The source is an address or a playlist.
    """
    media = MediaFile.of(source)
    if media.isolated:
        return MediaInfo(**ask_isolated(media, {"do": "probe"}))
    with open_video(media) as (container, stream):
        meter = Meter(media.limits, media.name)
        clock = Clock(stream, media.name)
        first_frame = None
        # The presentation times of the first picture, of the last one, and of the one before that.
        first = last = before_last = None
        num_frames = last_duration = 0
        with reporting_damage(media.name):
            for packet in meter.timed(read_packets(container, stream, meter)):
                if first_frame is None:
                    first_frame = _first_frame(packet)
                # The empty packet at the end flushes the decoder. Discarded ones lie before the cut of a trimmed file.
                if not packet.size or packet.is_discard:
                    continue
                num_frames += 1
                media.limits.check("max_frames", num_frames, f"{media.name} has {num_frames} frames or more")
                duration = known_duration(packet)
                # Packets come in decoding order, whose clock tells whether it was set back.
                decoding_time = packet.pts if packet.dts is None else packet.dts
                time = clock.time_of(decoding_time, duration)
                if decoding_time is not None and packet.pts is not None:
                    time += packet.pts - decoding_time
                first = time if first is None else min(first, time)
                meter.check_time(float((time - first) * stream.time_base))
                if last is None or time > last:
                    before_last, last, last_duration = last, time, duration
                elif before_last is None or time > before_last:
                    before_last = time
        if not num_frames:
            raise EmptyMediaError(f"{media.name} has a video stream without frames; pass a complete video file.")
        if first_frame is None:
            raise UnreadableMediaError(NOTHING_DECODED.format(media.name, num_frames))
        if not last_duration and before_last is not None:
            last_duration = last - before_last
        duration_in_s = float((last - first + last_duration) * stream.time_base)
        if duration_in_s <= 0:
            raise EmptyMediaError(f"{media.name} has {num_frames} frame(s) that last no time; pass a longer video.")
        orientation = Orientation.of(first_frame)
        height, width = display_size(first_frame, pixel_aspect_of(stream), orientation)
        return MediaInfo(
            duration_in_s=duration_in_s,
            fps=num_frames / duration_in_s,
            width=width,
            height=height,
            rotation=orientation.rotation,
            num_audio_tracks=len(container.streams.audio),
            start_time_in_s=float(first * stream.time_base),
        )


def _first_frame(packet: av.Packet) -> av.VideoFrame | None:
    """The first frame that comes out of the decoder with `packet`, if any; a damaged packet gives none."""
    try:
        return next(iter(packet.decode()), None)
    except av.error.FFmpegError:
        return None
