# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Writing sound: as a file of its own, or as the sound track of a video whose coded pictures are copied untouched.

A file gets its name only when it is complete. Until then it lies beside that place under another name, so a failure
leaves nothing behind and does no harm to an older file of that name.
"""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from numbers import Integral
from pathlib import Path

import av
import numpy as np
import torch
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from ..errors import InputError, MediaError
from .decode import MediaSource, known_duration, open_video, reporting_damage, source_name
from .probe import probe


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
# A rate that both codecs have, for sound at a rate that they lack.
RESAMPLING_RATE = 48_000
# Ample for two channels in both; at low sampling rates they use less.
BIT_RATE = 192_000
# Metadata about the old file as such, which is wrong for a new one.
CONTAINER_TAGS = {"major_brand", "minor_version", "compatible_brands", "duration", "encoder"}
LAYOUTS = {1: "mono", 2: "stereo"}


def write_audio(path: str | os.PathLike, audio: np.ndarray | torch.Tensor, sampling_rate: int) -> None:
    """Write a sound file of 16-bit samples. Values outside [-1, 1] are clipped.

    Args:
        path: Where to write; an existing file is replaced. `.wav` or `.flac`.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second.

    Raises:
        InputError: `path`, `audio` or `sampling_rate` is not as described.
        MediaError: The file cannot be written.
    """
    format_name, codec = _format_of(path, AUDIO_FORMATS)
    samples, sampling_rate = _samples_of(audio), _rate_of(sampling_rate)
    with _complete_file(path, format_name) as container:
        stream = container.add_stream(codec, rate=sampling_rate, layout=LAYOUTS[len(samples)])
        for start in range(0, samples.shape[1], sampling_rate):
            _encode_second(container, stream, samples, start)
        container.mux(stream.encode())


def write_audio_into_video(
    source: MediaSource, audio: np.ndarray | torch.Tensor, sampling_rate: int, output: str | os.PathLike
) -> None:
    """Copy a video with `audio` as its only sound track.

    The coded pictures are copied as they are, with their rotation and the metadata; subtitles and other tracks are
    left out. The pictures start at time zero. The sound is cut, or filled up with silence, to the length of the clip.

    Args:
        source: The video: path, bytes or seekable binary file object. It is only read.
        audio: Floating-point samples of shape `(channels, num_samples)` or `(num_samples,)`, one or two channels.
        sampling_rate: Samples per second of `audio`. Rates that the codec of the sound does not have are resampled.
        output: Where to write; an existing file is replaced. `.mp4` or `.mov` (sound in AAC), `.mkv` or `.webm`
            (sound in Opus).

    Raises:
        InputError: `output`, `audio` or `sampling_rate` is not as described, or `output` is the source itself.
        MediaError: The source cannot be read, or its pictures do not fit into a file with this extension;
            `NoVideoStreamError` and `EmptyMediaError` if there are no pictures.
    """
    format_name, codec = _format_of(output, VIDEO_FORMATS)
    samples, sampling_rate = _samples_of(audio), _rate_of(sampling_rate)
    if _is_same_file(source, output):
        raise InputError(f"`output` is the source {source_name(source)} itself; pass another path.")
    info = probe(source)
    if sampling_rate not in av.Codec(codec, "w").audio_rates:
        samples = _resample(samples, sampling_rate, RESAMPLING_RATE)
        sampling_rate = RESAMPLING_RATE
    num_samples = round(info.duration_in_s * sampling_rate)
    samples = np.pad(samples[:, :num_samples], ((0, 0), (0, max(0, num_samples - samples.shape[1]))))

    with open_video(source) as (container, pictures), _complete_file(output, format_name) as target:
        try:
            # `opaque` asks for no encoder of the pictures' codec; there may be none.
            copied = target.add_stream_from_template(pictures, opaque=True)
            # From this, players of Matroska learn how long the last picture is shown. 1001 serves 30000/1001.
            copied.rate = Fraction(info.fps).limit_denominator(1001)
            copied.metadata.update(_metadata_of(pictures))
            sound = target.add_stream(codec, rate=sampling_rate, layout=LAYOUTS[len(samples)], bit_rate=BIT_RATE)
            target.metadata.update(_metadata_of(container))
            target.start_encoding()
        except (av.error.FFmpegError, ValueError) as error:
            raise MediaError(
                f"{source_name(source)} is coded as {pictures.codec_context.codec.canonical_name}, which does not fit "
                f"into '{Path(output).name}'; choose another extension out of {', '.join(VIDEO_FORMATS)}."
            ) from error

        first_shown = round(info.start_time_in_s / pictures.time_base)
        usual_duration = max(1, round(1 / (info.fps * pictures.time_base)))
        num_written = 0
        has_edit_list = format_name in FORMATS_WITH_EDIT_LIST
        for packet in _packets(container, pictures, source_name(source), usual_duration, has_edit_list):
            packet.pts, packet.dts, packet.stream = packet.pts - first_shown, packet.dts - first_shown, copied
            # Sound and pictures of one moment have to lie close together in the file.
            while num_written < num_samples and num_written / sampling_rate <= packet.dts * packet.time_base:
                _encode_second(target, sound, samples, num_written)
                num_written += sampling_rate
            target.mux(packet)
        for start in range(num_written, num_samples, sampling_rate):
            _encode_second(target, sound, samples, start)
        target.mux(sound.encode())


def _metadata_of(item: InputContainer | VideoStream) -> dict[str, str]:
    return {key: value for key, value in item.metadata.items() if key.lower() not in CONTAINER_TAGS}


def _packets(
    container: InputContainer, stream: VideoStream, name: str, usual_duration: int, has_edit_list: bool
) -> Iterator[av.Packet]:
    """The coded pictures in decoding order, each with its times and duration.

    Damage is reported in here, so that it is not taken for a failure to write.
    """
    waiting = []
    with reporting_damage(name):
        for packet in container.demux(stream):
            # The last packet has no data; it is for flushing a decoder.
            if packet.size:
                if packet.is_discard and not has_edit_list:
                    raise MediaError(
                        f"{name} hides some of its pictures, as trimmed videos do, and the new file cannot; write "
                        ".mp4 or .mov, which can."
                    )
                if not known_duration(packet):
                    packet.duration = usual_duration
                waiting.append(packet)
                # Matroska lacks the decoding times of the first pictures. They go before the first one that is known.
                if packet.dts is not None:
                    yield from _with_decoding_times(waiting, packet.dts, usual_duration)
                    waiting = []
    if waiting:
        yield from _with_decoding_times(waiting, min(packet.pts for packet in waiting), usual_duration)


def _with_decoding_times(packets: list[av.Packet], last_time: int, step: int) -> list[av.Packet]:
    for i, packet in enumerate(reversed(packets)):
        packet.dts = last_time - i * step
    return packets


def _format_of(path: str | os.PathLike, formats: dict[str, tuple[str, str]]) -> tuple[str, str]:
    extension = Path(path).suffix.lower()
    if extension not in formats:
        raise InputError(f"'{Path(path).name}' has the extension {extension!r}; expected one of {', '.join(formats)}.")
    return formats[extension]


def _is_same_file(source: MediaSource, output: str | os.PathLike) -> bool:
    # Also a file object may have been opened from the path `output`.
    path = source if isinstance(source, str | os.PathLike) else getattr(source, "name", None)
    if not isinstance(path, str | os.PathLike):
        return False
    return Path(path).exists() and Path(output).exists() and os.path.samefile(path, output)


def _rate_of(sampling_rate: int) -> int:
    """Check `sampling_rate`, which may be an integer of numpy, and give it as an int."""
    if not isinstance(sampling_rate, Integral) or isinstance(sampling_rate, bool) or sampling_rate <= 0:
        raise InputError(f"`sampling_rate` is {sampling_rate!r}; expected samples per second as a positive int.")
    return int(sampling_rate)


def _samples_of(audio: np.ndarray | torch.Tensor) -> np.ndarray:
    """Check `audio` and give it as float32 of shape `(channels, num_samples)`."""
    if isinstance(audio, torch.Tensor) and audio.is_floating_point():
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
        raise InputError("`audio` has NaN or infinite values; check how it was made.")
    return samples


@contextmanager
def _complete_file(path: str | os.PathLike, format_name: str) -> Iterator[OutputContainer]:
    """A container to write to, which becomes the file `path` if all goes well and vanishes if not."""
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex}.partial")
    try:
        partial.touch()
    except OSError as error:
        raise MediaError(
            f"'{path.name}' cannot be written into the folder '{path.parent.name}' ({error.strerror}); check that the "
            "folder exists and may be written to."
        ) from error
    try:
        # Metadata that is not in UTF-8 is carried over as it is.
        with av.open(str(partial), "w", format=format_name, metadata_errors="surrogateescape") as container:
            yield container
        os.replace(partial, path)
    except (av.error.FFmpegError, OSError) as error:
        raise MediaError(
            f"'{path.name}' cannot be written ({error.strerror}); check the folder and its space."
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def _audio_frame(samples: np.ndarray, sampling_rate: int, start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=LAYOUTS[len(samples)])
    frame.sample_rate = sampling_rate
    frame.time_base = Fraction(1, sampling_rate)
    frame.pts = start
    return frame


def _encode_second(container: OutputContainer, stream: AudioStream, samples: np.ndarray, start: int) -> None:
    """Encode and write one second of `samples` from `start` on."""
    second = samples[:, start : start + stream.rate]
    container.mux(stream.encode(_audio_frame(second, stream.rate, start)))


def _resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    resampler = av.AudioResampler(format="fltp", layout=LAYOUTS[len(samples)], rate=new_rate)
    frames = [*resampler.resample(_audio_frame(samples, rate, 0)), *resampler.resample(None)]
    return np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
