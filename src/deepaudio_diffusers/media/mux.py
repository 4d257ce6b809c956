# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writing sound: as a file of its own, or into a copy of a video whose coded pictures stay as they are.

A file gets its name only when it is complete, written to the disk, and read again with success. Until then it lies
beside that place under another name, so a failure leaves nothing behind and does no harm to an older file.
"""

import hashlib
import logging
import math
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from ..errors import DeepAudioError, GenerationError, InputError, MediaError
from .audio import decode_audio
from .decode import Clock, decode_frames, is_cover, known_duration, open_video
from .isolation import ask_isolated
from .limits import Meter
from .mix import channel_names, ducking_gain, gain_of, keep_below_full_scale, normalize_loudness, spread
from .probe import MediaInfo, probe
from .source import MediaFile, MediaSource, open_media, printable, read_packets, reporting_damage


if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

# For each extension: FFmpeg's name of the format, and the codec for the sound.
AUDIO_FORMATS = {".wav": ("wav", "pcm_s16le"), ".flac": ("flac", "flac")}
VIDEO_FORMATS = {
    ".mp4": ("mp4", "aac"),
    ".mov": ("mov", "aac"),
    ".mkv": ("matroska", "libopus"),
    ".webm": ("webm", "libopus"),
}
# Those of them whose edit lists can hide pictures that only serve to decode others.
FORMATS_WITH_EDIT_LIST = {"mp4", "mov"}
# What else each format can hold, by FFmpeg's names of the codecs.
SUBTITLES = {
    "mp4": {"mov_text"},
    "mov": {"mov_text"},
    "matroska": {"subrip", "ass", "webvtt", "hdmv_pgs_subtitle", "dvd_subtitle", "dvb_subtitle"},
    "webm": {"webvtt"},
}
COVERS = {"mp4": {"png", "mjpeg", "bmp"}, "mov": set(), "matroska": {"png", "mjpeg"}, "webm": set()}
# Formats that hold coded pictures in one and the same form. Others mark where a picture begins, which is rewritten.
SOURCES_COPIED_UNCHANGED = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
# Animated pictures, which no video format holds, are coded anew.
CODECS_OF_ANIMATIONS = {"gif", "apng"}
PICTURE_CODECS = {"webm": ("libvpx-vp9", {"crf": "24", "b": "0"})}
USUAL_PICTURE_CODEC = ("libx264", {"crf": "16"})
# A rate that both codecs have, for sound at a rate that they lack.
RESAMPLING_RATE = 48_000
# Ample for a channel in both; at low sampling rates they use less.
BIT_RATE_PER_CHANNEL = 96_000
MIN_BIT_RATE = 192_000
# Metadata about the old file as such, which is wrong for a new one.
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "duration", "encoder"}
WRITE_BYTES = 2**20
# A video of a single frame that is shown for less is a still picture.
STILL_IN_S = 0.64
LAYOUTS = {1: "mono", 2: "stereo"}
# Half a step of 16 bits: what is nowhere louder is written as nothing but zeros.
SILENT_PEAK = 0.5 / 2**15


def write_audio(
    path: str | os.PathLike, audio: "np.ndarray | torch.Tensor", sampling_rate: int, *, allow_silence: bool = False
) -> None:
    """Write a sound file of 16-bit samples. Values outside [-1, 1] are clipped.

    Args:
        path: Where to write; an existing file is replaced. `.wav` or `.flac`.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second.
        allow_silence: Write `audio` even if it is nothing but silence.

    Raises:
        InputError: `path`, `audio` or `sampling_rate` is not as described.
        GenerationError: `audio` is silent, or has NaN or infinite values.
        MediaError: The file cannot be written.
    """
    format_name, codec = _format_of(path, AUDIO_FORMATS)
    samples, sampling_rate = _samples_of(audio, allow_silence), _rate_of(sampling_rate)
    with _complete_file(path) as partial:
        with _writing(partial, path, format_name, sampling_rate) as container:
            sound = _Sound(samples, sampling_rate, LAYOUTS[len(samples)], samples.shape[1])
            stream = container.add_stream(codec, rate=sampling_rate, layout=sound.layout)
            _SoundWriter(container, stream, sound).finish()
        with _verifying(path), open_media(partial) as container:
            stream = container.streams.audio[0]
            if stream.duration * stream.time_base != Fraction(samples.shape[1], sampling_rate):
                raise MediaError("its length is another")


def write_audio_into_video(
    source: MediaSource,
    audio: "np.ndarray | torch.Tensor",
    sampling_rate: int,
    output: str | os.PathLike,
    *,
    keep_original: Literal["none", "mix", "duck"] = "none",
    original_track: int = 0,
    audio_gain_in_db: float = 0.0,
    original_gain_in_db: float = 0.0,
    ducking_in_db: float = -12.0,
    loudness_in_lufs: float | None = None,
    allow_silence: bool = False,
) -> None:
    """Copy a video with `audio` as its only sound track, or mixed with the sound that it has.

    The coded pictures are copied as they are, bit for bit, with rotation, colour, chapters, metadata, subtitles and
    whatever else the new format can hold; what it cannot is named in a warning. The pictures start at time zero. The
    sound is cut, or filled up with silence, to the length of the clip. The new file is read again before it gets its
    name. Animated pictures (GIF, APNG), which no video format holds, are coded anew, with a warning.

    Args:
        source: The video: path, bytes, seekable binary file object, or a [`MediaFile`]. It is only read.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second of `audio`. Rates that the codec of the sound does not have are resampled.
        output: Where to write; an existing file is replaced. `.mp4` or `.mov` (sound in AAC), `.mkv` or `.webm`
            (sound in Opus).
        keep_original: What becomes of the sound that the video has. `"none"` leaves it out. `"mix"` puts `audio` on
            top of it. `"duck"` does so too, and turns it down while `audio` is heard. Its channels and its rate stay.
        original_track: Which of several sound tracks is kept, counted from 0. The others are left out.
        audio_gain_in_db: Gain of `audio`.
        original_gain_in_db: Gain of the sound that the video has.
        ducking_in_db: Further gain of that sound while `audio` is heard, for `"duck"`.
        loudness_in_lufs: Integrated loudness (ITU-R BS.1770) of the sound that is written, such as -16 for the
            internet or -23 for broadcast. By default the level is left as it is.
        allow_silence: Write `audio` even if it is nothing but silence.

    Raises:
        InputError: An argument is not as described, or `output` is the source itself.
        GenerationError: `audio` is silent, or has NaN or infinite values.
        MediaError: The source cannot be read, its pictures do not fit into a file with this extension, or the file
            cannot be written; its children say which.
        UnsafeArtifactError: The source is an address or a playlist.
    """
    format_name, codec = _format_of(output, VIDEO_FORMATS)
    samples, sampling_rate = _samples_of(audio, allow_silence), _rate_of(sampling_rate)
    plan = _MixPlan(
        keep_original, original_track, audio_gain_in_db, original_gain_in_db, ducking_in_db, loudness_in_lufs
    )
    media = MediaFile.of(source)
    if _is_same_file(media, output):
        raise InputError(f"`output` is the source {media.name} itself; pass another path.")
    if media.isolated:
        arguments = {"sampling_rate": sampling_rate, "allow_silence": True} | vars(plan)
        _write_isolated(media, samples, output, arguments)
        return

    info = probe(media)
    if round(info.fps * info.duration_in_s) == 1 and info.duration_in_s < STILL_IN_S:
        # A still picture is held for as long as there is something to hear.
        length_in_s = max(info.duration_in_s, samples.shape[1] / sampling_rate)
        info = replace(info, duration_in_s=length_in_s, fps=1 / length_in_s)
    sound = _sound_for(media, info, samples, sampling_rate, codec, plan)
    with open_video(media) as (container, pictures), _complete_file(output) as partial:
        if pictures.codec_context.codec.canonical_name in CODECS_OF_ANIMATIONS:
            logger.warning(f"{media.name} is an animated picture, which no video format holds; it is coded anew.")
            with _writing(partial, output, format_name, sound.sampling_rate) as target:
                _write_animation(target, format_name, codec, media, info, sound)
            expected = None
        else:
            expected = _write_copy(partial, output, format_name, codec, media, container, pictures, info, sound)
        with _verifying(output):
            _verify(partial, expected, info)


@dataclass(frozen=True)
class _MixPlan:
    """What is to become of the two sounds; see `write_audio_into_video`."""

    keep_original: str
    original_track: int
    audio_gain_in_db: float
    original_gain_in_db: float
    ducking_in_db: float
    loudness_in_lufs: float | None

    def __post_init__(self):
        if self.keep_original not in ("none", "mix", "duck"):
            raise InputError(f"`keep_original` is {self.keep_original!r}; expected 'none', 'mix' or 'duck'.")
        if not isinstance(self.original_track, Integral) or self.original_track < 0:
            raise InputError(f"`original_track` is {self.original_track!r}; pass a number, counted from 0.")
        for name in ("audio_gain_in_db", "original_gain_in_db", "ducking_in_db", "loudness_in_lufs"):
            value = getattr(self, name)
            if value is None and name == "loudness_in_lufs":
                continue
            if not isinstance(value, Real) or isinstance(value, bool) or not math.isfinite(value):
                raise InputError(f"`{name}` is {value!r}; pass a finite number of decibels.")


@dataclass(frozen=True, eq=False)
class _Sound:
    """A sound: float32 samples `(channels, num_samples)`, and how many there are with the silence behind them."""

    samples: np.ndarray
    sampling_rate: int
    layout: str
    num_samples: int


def _sound_for(
    media: MediaFile, info: MediaInfo, samples: np.ndarray, sampling_rate: int, codec: str, plan: _MixPlan
) -> _Sound:
    """The sound track for the clip: `samples`, mixed with the old sound and made as loud as `plan` says."""
    rates = av.Codec(codec, "w").audio_rates
    rate, layout = sampling_rate, LAYOUTS[len(samples)]
    original = None
    if plan.keep_original != "none":
        original = _original_sound(media, info, plan.original_track)
    if original is not None:
        rate = original.sampling_rate
        if len(channel_names(original.layout)) >= len(samples):
            layout = original.layout
    if rate not in rates:
        rate = RESAMPLING_RATE
    if not _is_encodable(codec, rate, layout):
        logger.warning(
            f"The codec {codec} has no place for the channels {layout!r} of {media.name}; written as stereo."
        )
        layout = "stereo"
    num_samples = round(info.duration_in_s * rate)
    samples = _resample(samples, LAYOUTS[len(samples)], sampling_rate, rate)[:, :num_samples]
    samples = samples * np.float32(gain_of(plan.audio_gain_in_db)) if plan.audio_gain_in_db else samples
    if original is not None:
        kept = _resample(original.samples, original.layout, original.sampling_rate, rate)
        # On the way from one channel to two, FFmpeg would make it 3 dB quieter.
        kept = spread(kept, layout) if len(kept) == 1 else _resample(kept, original.layout, rate, rate, layout)
        kept = kept[:, :num_samples]
        length = max(kept.shape[1], samples.shape[1])
        kept, samples = _with_length(kept, length), _with_length(samples, length)
        kept = kept * np.float32(gain_of(plan.original_gain_in_db))
        if plan.keep_original == "duck":
            kept *= ducking_gain(samples, rate, plan.ducking_in_db)
        samples = keep_below_full_scale(kept + spread(samples, layout))
    if plan.loudness_in_lufs is not None:
        samples = normalize_loudness(samples, rate, layout, plan.loudness_in_lufs)
    return _Sound(samples, rate, layout, num_samples)


def _original_sound(media: MediaFile, info: MediaInfo, track: int) -> _Sound | None:
    """The sound of the clip, beginning with its first picture; `None` if there is none."""
    if not info.num_audio_tracks:
        logger.warning(f"{media.name} has no sound that could be kept.")
        return None
    blocks = []
    num_samples = 0
    for block in decode_audio(media, track):
        blocks.append(block.samples)
        num_samples += block.samples.size
        media.limits.check(
            "max_audio_samples", num_samples, f"The sound of {media.name} has {num_samples:,} samples or more"
        )
    samples = np.concatenate(blocks, axis=1)
    if not np.isfinite(samples).all():
        logger.warning(f"The sound of {media.name} has NaN or infinite samples; they are silent in the new file.")
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    # Never more silence before it than the clip is long, wherever a damaged file says that it begins.
    lead_in_s = min(block.file_start_in_s - info.start_time_in_s, info.duration_in_s)
    lead = round(lead_in_s * block.sampling_rate)
    samples = np.pad(samples, ((0, 0), (lead, 0))) if lead > 0 else samples[:, -lead:]
    return _Sound(samples, block.sampling_rate, block.layout, samples.shape[1])


def _is_encodable(codec: str, rate: int, layout: str) -> bool:
    """Whether the encoder takes these channels."""
    context = av.CodecContext.create(codec, "w")
    context.sample_rate, context.layout = rate, layout
    context.format = context.codec.audio_formats[0]
    try:
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


def _with_length(samples: np.ndarray, num_samples: int) -> np.ndarray:
    """`samples`, filled up with silence."""
    return np.pad(samples, ((0, 0), (0, num_samples - samples.shape[1])))


def _write_isolated(media: MediaFile, samples: np.ndarray, output: str | os.PathLike, arguments: dict) -> None:
    """`write_audio_into_video` in a process of its own, which writes into a folder that vanishes with it."""
    output = Path(output)
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        np.save(file, samples)
        file.flush()
        folder = output.absolute().with_name(f".{uuid.uuid4().hex}.partial")
        try:
            folder.mkdir()
        except OSError as error:
            raise _not_writable(output, error) from error
        try:
            new = folder / output.name
            # JSON knows no numbers of numpy.
            arguments = {
                key: value.item() if isinstance(value, np.generic) else value for key, value in arguments.items()
            }
            ask_isolated(media, {"do": "write", "audio": file.name, "arguments": arguments | {"output": str(new)}})
            os.replace(new, output)
            _sync_folder(output)
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True)
class _Pictures:
    """What the pictures in a file have to be: how many packets, and a hash of their contents if that can be told."""

    num_packets: int
    digest: str | None


def _write_copy(
    partial: Path,
    output: str | os.PathLike,
    format_name: str,
    codec: str,
    media: MediaFile,
    container: InputContainer,
    pictures: VideoStream,
    info: MediaInfo,
    sound: _Sound,
) -> _Pictures:
    """Write the new file with the packets of the old one; returns what its pictures have to be."""
    others = [stream for stream in container.streams if stream is not pictures and _fits(stream, format_name)]
    with _writing(partial, output, format_name, sound.sampling_rate) as target:
        try:
            # `opaque` asks for no encoder of the pictures' codec; there may be none.
            copied = target.add_stream_from_template(pictures, opaque=True)
            # From this, players of Matroska learn how long the last picture is shown. 1001 serves 30000/1001.
            copied.rate = max(Fraction(info.fps).limit_denominator(1001), Fraction(1, 1001))
            copied.metadata.update(_metadata_of(pictures))
            new_track = _add_sound(target, codec, sound)
            copies = {pictures.index: copied}
            for stream in others:
                copies |= _copy_stream(target, stream, format_name, media)
            target.metadata.update(_metadata_of(container))
            target.set_chapters(_chapters_of(container, info))
            target.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{media.name} is coded as {pictures.codec_context.codec.canonical_name}, which does not fit into "
                f"{printable(Path(output).name)}; choose another extension out of {', '.join(VIDEO_FORMATS)}."
            ) from error
        _warn_of_what_is_left_out(container, copies, media, format_name)

        streams = tuple(stream for stream in container.streams if copies.get(stream.index) is not None)
        digest = hashlib.blake2b()
        num_packets = 0
        writer = _SoundWriter(target, new_track, sound)
        for packet in _packets(container, streams, pictures, media, info, format_name):
            if packet.stream is pictures:
                digest.update(memoryview(packet))
                num_packets += 1
                # Sound and pictures of one moment have to lie close together in the file.
                writer.write_until(packet.dts * packet.time_base)
            packet.stream = copies[packet.stream_index]
            target.mux(packet)
        writer.finish()
    is_unchanged = container.format.name in SOURCES_COPIED_UNCHANGED
    return _Pictures(num_packets, digest.hexdigest() if is_unchanged else None)


def _add_sound(target: OutputContainer, codec: str, sound: _Sound) -> AudioStream:
    bit_rate = max(MIN_BIT_RATE, BIT_RATE_PER_CHANNEL * len(sound.samples))
    return target.add_stream(codec, rate=sound.sampling_rate, layout=sound.layout, bit_rate=bit_rate)


def _fits(stream: Stream, format_name: str) -> bool:
    """Whether a track other than the pictures can be copied into the format."""
    if stream.type == "attachment":
        return format_name == "matroska"
    if stream.codec_context is None:
        return False
    codec = stream.codec_context.codec.canonical_name
    if stream.type == "video":
        # A picture whose size is not known is none.
        return stream.width > 0 and (not is_cover(stream) or codec in COVERS[format_name])
    return stream.type == "subtitle" and codec in SUBTITLES[format_name]


def _copy_stream(
    target: OutputContainer, stream: Stream, format_name: str, media: MediaFile
) -> dict[int, Stream | None]:
    """By its number, the track in the new file for the packets of `stream`; `None` if it has none to be copied."""
    if stream.type == "video" and is_cover(stream) and format_name == "matroska":
        # Matroska holds a cover as an attached file.
        codec = stream.codec_context.codec.canonical_name
        name, kind = ("cover.png", "image/png") if codec == "png" else ("cover.jpg", "image/jpeg")
        target.add_attachment(name, kind, _cover_of(media, stream.index))
        return {stream.index: None}
    copy = target.add_stream_from_template(stream, opaque=True)
    copy.metadata.update(_metadata_of(stream))
    copy.disposition = stream.disposition
    return {stream.index: None if stream.type == "attachment" else copy}


def _cover_of(media: MediaFile, index: int) -> bytes:
    """The file of the cover picture that is the stream `index`."""
    with open_media(media) as container, reporting_damage(media.name):
        return bytes(next(container.demux(container.streams[index])))


def _warn_of_what_is_left_out(
    container: InputContainer, copies: dict[int, Stream | None], media: MediaFile, format_name: str
) -> None:
    left_out = [
        "cover" if stream.type == "video" and is_cover(stream) else stream.type
        for stream in container.streams
        if stream.type != "audio" and stream.index not in copies
    ]
    # FFmpeg shows chapters and timecodes, which are written from the metadata, as tracks of data too.
    for is_there in (container.chapters(), any("timecode" in stream.metadata for stream in container.streams.video)):
        if is_there and "data" in left_out:
            left_out.remove("data")
    if left_out:
        logger.warning(
            f"Not everything in {media.name} fits into {format_name}; left out are tracks of these kinds: "
            f"{', '.join(left_out)}."
        )


def _chapters_of(container: InputContainer, info: MediaInfo) -> list[dict]:
    """The chapters, on a clock that begins with the first picture."""
    chapters = []
    for chapter in container.chapters():
        shift = round(info.start_time_in_s / chapter["time_base"])
        start, end = max(0, chapter["start"] - shift), max(0, chapter["end"] - shift)
        if end > start:
            chapters.append(chapter | {"start": start, "end": end})
    return chapters


class _SoundWriter:
    """Encodes and writes samples, one second at a time."""

    def __init__(self, target: OutputContainer, stream: AudioStream, sound: _Sound):
        self._target, self._stream, self._sound = target, stream, sound
        self._num_written = 0

    def write_until(self, time_in_s: Fraction) -> None:
        """Write all seconds that begin at `time_in_s` or before."""
        rate, num_samples = self._sound.sampling_rate, self._sound.num_samples
        while self._num_written < num_samples and self._num_written <= time_in_s * rate:
            end = min(self._num_written + rate, num_samples)
            second = _with_length(self._sound.samples[:, self._num_written : end], end - self._num_written)
            self._target.mux(self._stream.encode(_audio_frame(second, self._sound.layout, rate, self._num_written)))
            self._num_written = end

    def finish(self) -> None:
        """Write the rest."""
        self.write_until(Fraction(self._sound.num_samples, self._sound.sampling_rate))
        self._target.mux(self._stream.encode())


def _write_animation(
    target: OutputContainer, format_name: str, codec: str, media: MediaFile, info: MediaInfo, sound: _Sound
) -> None:
    """Encode the frames of an animated picture, with their times, and the sound."""
    picture_codec, options = PICTURE_CODECS.get(format_name, USUAL_PICTURE_CODEC)
    pictures = target.add_stream(picture_codec, rate=Fraction(info.fps).limit_denominator(1001), options=options)
    # The codecs for players want even sizes.
    pictures.width, pictures.height = info.width + info.width % 2, info.height + info.height % 2
    pictures.pix_fmt = "yuv420p"
    pictures.codec_context.time_base = Fraction(1, 1000)
    writer = _SoundWriter(target, _add_sound(target, codec, sound), sound)
    last_time = -1
    for decoded in decode_frames(media):
        frame = decoded.frame.reformat(pictures.width, pictures.height, "yuv420p")
        last_time = max(last_time + 1, round(decoded.time_in_s * 1000))
        frame.pts, frame.time_base = last_time, Fraction(1, 1000)
        frame.duration = max(1, round((decoded.end_in_s - decoded.time_in_s) * 1000))
        writer.write_until(Fraction(last_time, 1000))
        target.mux(pictures.encode(frame))
    target.mux(pictures.encode())
    writer.finish()


def _metadata_of(item: InputContainer | Stream) -> dict[str, str]:
    return {key: value for key, value in item.metadata.items() if key.lower() not in CONTAINER_TAGS}


def _packets(
    container: InputContainer,
    streams: tuple[Stream, ...],
    pictures: VideoStream,
    media: MediaFile,
    info: MediaInfo,
    format_name: str,
) -> Iterator[av.Packet]:
    """The packets of `streams` in the order of the file, each with its times and duration, from time zero on.

    Damage is reported in here, so that it is not taken for a failure to write.
    """
    waiting = []
    usual_duration = max(1, round(1 / (info.fps * pictures.time_base)))
    first_shown = round(info.start_time_in_s / pictures.time_base)
    timeline = _Timeline(pictures, media.name)
    with reporting_damage(media.name):
        meter = Meter(media.limits, media.name)
        for packet in meter.timed(read_packets(container, streams, meter)):
            # The last packet of a stream has no data; it is for flushing a decoder.
            if not packet.size:
                continue
            if packet.stream is not pictures:
                if _move_to_zero(packet, info.start_time_in_s):
                    yield packet
                continue
            if packet.is_discard and format_name not in FORMATS_WITH_EDIT_LIST:
                raise MediaError(
                    f"{media.name} hides some of its pictures, as trimmed videos do, and the new file cannot; write "
                    ".mp4 or .mov, which can."
                )
            if packet.pts is None and packet.dts is None:
                raise MediaError(
                    f"{media.name} does not say when its frames are shown; put the video into a container such as mp4."
                )
            if not known_duration(packet) or info.duration_in_s * info.fps <= 1:
                packet.duration = usual_duration
            waiting.append(packet)
            # Matroska lacks the decoding times of the first pictures. They go before the first one that is known.
            if packet.dts is not None:
                yield from timeline.place(_with_decoding_times(waiting, packet.dts, usual_duration), first_shown)
                waiting = []
        if waiting:
            last_time = min(packet.pts for packet in waiting)
            yield from timeline.place(_with_decoding_times(waiting, last_time, usual_duration), first_shown)


def _move_to_zero(packet: av.Packet, start_in_s: float) -> bool:
    """Move a packet on the clock of the new file; whether it still lies on it."""
    if packet.stream.type == "video" and is_cover(packet.stream):
        packet.pts = packet.dts = 0
        return True
    if packet.pts is None:
        return False
    packet.pts -= round(start_in_s / packet.time_base)
    packet.dts = packet.pts
    return packet.pts >= 0


class _Timeline:
    """Gives the pictures times that a file may have: decoding times that rise, and none that is missing."""

    def __init__(self, stream: VideoStream, name: str):
        self._clock = Clock(stream, name)
        self._last = None

    def place(self, packets: list[av.Packet], first_shown: int) -> Iterator[av.Packet]:
        for packet in packets:
            moved = self._clock.time_of(packet.dts, known_duration(packet)) - packet.dts - first_shown
            packet.pts = (packet.dts if packet.pts is None else packet.pts) + moved
            packet.dts += moved
            if self._last is not None and packet.dts <= self._last:
                packet.dts = self._last + 1
                packet.pts = max(packet.pts, packet.dts)
            self._last = packet.dts
            yield packet


def _with_decoding_times(packets: list[av.Packet], last_time: int, step: int) -> list[av.Packet]:
    for i, packet in enumerate(reversed(packets)):
        packet.dts = last_time - i * step
    return packets


def _format_of(path: str | os.PathLike, formats: dict[str, tuple[str, str]]) -> tuple[str, str]:
    extension = Path(path).suffix.lower()
    if extension not in formats:
        raise InputError(
            f"{printable(Path(path).name)} has the extension {extension!r}; expected one of {', '.join(formats)}."
        )
    return formats[extension]


def _is_same_file(media: MediaFile, output: str | os.PathLike) -> bool:
    # Also a file object may have been opened from the path `output`.
    path = media.path
    return path is not None and os.path.exists(path) and os.path.exists(output) and os.path.samefile(path, output)


def _rate_of(sampling_rate: int) -> int:
    """Check `sampling_rate`, which may be an integer of numpy, and give it as an int."""
    if not isinstance(sampling_rate, Integral) or isinstance(sampling_rate, bool) or sampling_rate <= 0:
        raise InputError(f"`sampling_rate` is {sampling_rate!r}; expected samples per second as a positive int.")
    return int(sampling_rate)


def _samples_of(audio: "np.ndarray | torch.Tensor", allow_silence: bool) -> np.ndarray:
    """Check `audio` and give it as float32 of shape `(channels, num_samples)`."""
    # Who has a tensor has imported PyTorch; reading files does not need it.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(audio, torch.Tensor) and audio.is_floating_point():
        samples = audio.detach().float().cpu().numpy()
    elif isinstance(audio, np.ndarray) and np.issubdtype(audio.dtype, np.floating):
        samples = audio.astype(np.float32)
    else:
        raise InputError(
            f"`audio` is of type {type(audio).__name__} and dtype {getattr(audio, 'dtype', None)}; pass samples "
            "between -1 and 1 as a floating-point numpy array or torch tensor."
        )
    if samples.ndim == 1:
        samples = samples[None]
    if samples.ndim != 2 or len(samples) not in LAYOUTS or samples.shape[1] == 0:
        raise InputError(
            f"`audio` has shape {tuple(audio.shape)}; expected (num_samples,) or (channels, num_samples) with one or "
            "two channels. Pass one item of a batch at a time."
        )
    if not np.isfinite(samples).all():
        raise GenerationError("`audio` has NaN or infinite values, and no file was written; check how it was made.")
    if not allow_silence and np.abs(samples).max() < SILENT_PEAK:
        raise GenerationError(
            "`audio` is silent from beginning to end, and no file was written; check how it was made, or pass "
            "`allow_silence=True`."
        )
    return samples


def _not_writable(path: Path, error: OSError) -> MediaError:
    return MediaError(
        f"{printable(path.name)} cannot be written into the folder {printable(path.absolute().parent.name)} "
        f"({error.strerror}); check that the folder exists and may be written to."
    )


@contextmanager
def _complete_file(path: str | os.PathLike) -> Iterator[Path]:
    """A path to write to. What lies there becomes the file `path` if all goes well, and vanishes if not."""
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial.touch()
    except OSError as error:
        raise _not_writable(path, error) from error
    try:
        yield partial
        try:
            os.replace(partial, path)
        except OSError as error:
            raise _not_writable(path, error) from error
        _sync_folder(path)
    finally:
        partial.unlink(missing_ok=True)


def _sync_folder(path: Path) -> None:
    """Have the name of a new file written to the disk, where the system lets folders be opened."""
    if os.name != "posix":
        return
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextmanager
def _writing(
    partial: Path, path: str | os.PathLike, format_name: str, sampling_rate: int
) -> Iterator[OutputContainer]:
    """A container at `partial` for the file `path`; what goes wrong with writing is a `MediaError`."""
    # Without this, Matroska numbers its tracks at random, and no two files are the same.
    options = {"fflags": "+bitexact"}
    if format_name in FORMATS_WITH_EDIT_LIST:
        # Without this, mp4 and its kin tell only to the millisecond where the sound ends.
        options["movie_timescale"] = str(sampling_rate)
    try:
        # A file of our own, because PyAV leaves its own open when a header cannot be written.
        with open(partial, "wb") as file:
            # Metadata that is not in UTF-8 is carried over as it is.
            with av.open(
                file,
                "w",
                format=format_name,
                container_options=options,
                metadata_errors="surrogateescape",
                buffer_size=WRITE_BYTES,
            ) as container:
                yield container
            file.flush()
            # On the disk before the name points to it, so that a power cut leaves the old file or the new one.
            os.fsync(file.fileno())
    except (av.error.FFmpegError, OSError) as error:
        # PyAV wraps what goes wrong with a file that it did not open itself.
        cause = error.__context__ if isinstance(error, av.error.PyAVCallbackError) else error
        raise MediaError(
            f"{printable(Path(path).name)} cannot be written ({cause.strerror}); check the folder and its space."
        ) from cause


@contextmanager
def _verifying(path: str | os.PathLike) -> Iterator[None]:
    """Turn any failure to read what was written into a `MediaError` about the file `path`."""
    try:
        yield
    except DeepAudioError as error:
        raise MediaError(
            f"{printable(Path(path).name)} was written, but reading it again failed ({error}); it was removed. Check "
            "the disk, or choose another extension."
        ) from error


def _verify(partial: Path, expected: _Pictures | None, info: MediaInfo) -> None:
    """Read the file at `partial`; `MediaError` unless its pictures are the expected ones and it has a sound track."""
    digest = hashlib.blake2b()
    num_packets = 0
    with open_video(partial) as (container, pictures), reporting_damage("it"):
        if len(container.streams.audio) != 1:
            raise MediaError(f"it has {len(container.streams.audio)} sound tracks")
        for packet in read_packets(container, pictures, Meter(MediaFile.of(partial).limits, "it")):
            if packet.size:
                digest.update(memoryview(packet))
                num_packets += 1
        if expected is None:
            return
        if num_packets != expected.num_packets:
            raise MediaError(f"it has {num_packets} pictures instead of {expected.num_packets}")
        if expected.digest is not None and digest.hexdigest() != expected.digest:
            raise MediaError("its pictures are not the same")


def _audio_frame(samples: np.ndarray, layout: str, sampling_rate: int, start: int) -> av.AudioFrame:
    # Interleaved, because PyAV miscounts planes where there are eight channels or more.
    interleaved = np.ascontiguousarray(samples.T, np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, format="flt", layout=layout)
    frame.sample_rate = sampling_rate
    frame.time_base = Fraction(1, sampling_rate)
    frame.pts = start
    return frame


def _resample(samples: np.ndarray, layout: str, rate: int, new_rate: int, new_layout: str | None = None) -> np.ndarray:
    """`samples` at another rate and, if asked for, with other channels."""
    new_layout = new_layout or layout
    if (rate, layout) == (new_rate, new_layout):
        return samples
    if not samples.shape[1]:
        return np.zeros((len(channel_names(new_layout)), 0), np.float32)
    resampler = av.AudioResampler(format="flt", layout=new_layout, rate=new_rate)
    frames = [*resampler.resample(_audio_frame(samples, layout, rate, 0)), *resampler.resample(None)]
    num_channels = len(channel_names(new_layout))
    return np.concatenate([frame.to_ndarray().reshape(-1, num_channels) for frame in frames]).T
