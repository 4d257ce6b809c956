# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What can be read, by which rules, and the one place where a file is opened for reading.

FFmpeg's libraries open whatever a name or a playlist points to: network addresses, other files, devices. Here they
open the one file that was given, if it is a regular file in a format that refers to nothing outside itself. Nothing
is ever written to a source.
"""

import io
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.stream import Stream

from ..errors import (
    EmptyMediaError,
    InputError,
    LimitExceededError,
    UnreadableMediaError,
    UnsafeArtifactError,
)
from .limits import Limits, Meter


logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class MediaFile:
    """A media file together with the rules for reading it. It is accepted wherever a path is.

    Args:
        source (`str`, `os.PathLike`, `bytes` or binary file object): The file.
        limits ([`Limits`]): How much it may ask for.
        isolated (`bool`): Read it in a process of its own, so that a file that makes a decoder crash, hang or swallow
            memory raises a `MediaError` and does no other harm. For files of strangers; it costs about half a second.
        allow_network (`bool`): Whether `source` may be an `http://` or `https://` address.
        label (`str`, *optional*): What messages call the file, where its name says nothing to the user.
    """

    source: "str | os.PathLike | bytes | BinaryIO"
    limits: Limits = field(default_factory=Limits)
    isolated: bool = False
    allow_network: bool = False
    label: str | None = None

    @classmethod
    def of(cls, source: "MediaSource") -> "MediaFile":
        """`source` with its own rules, or with the usual ones where it has none.

        Raises:
            InputError: `source` is nothing that could be read.
        """
        if isinstance(source, cls):
            return source
        is_file_object = hasattr(source, "read") and hasattr(source, "seek")
        if not isinstance(source, str | os.PathLike | bytes) and not is_file_object:
            raise InputError(
                f"A media file of type {type(source).__name__} cannot be read; pass a path, the bytes of a file, or a "
                "seekable binary file object."
            )
        return cls(source)

    @property
    def name(self) -> str:
        """What messages call it: the base name of a path, else the kind of object it is."""
        if self.label is not None:
            return printable(self.label)
        if isinstance(self.source, str | os.PathLike):
            return printable(Path(self.source).name)
        return "the given data" if isinstance(self.source, bytes) else "the given file object"

    @property
    def path(self) -> Path | None:
        """Where it lies, as far as that is known."""
        path = self.source if isinstance(self.source, str | os.PathLike) else getattr(self.source, "name", None)
        return Path(path) if isinstance(path, str | os.PathLike) else None


MediaSource = str | os.PathLike | bytes | BinaryIO | MediaFile

# Formats that hold all that they need. Not among them: playlists and streaming manifests, descriptions of network
# sessions, numbered picture files, capture devices, and anything that turns plain text into pictures.
SAFE_FORMATS = (
    # Containers.
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,ogg,asf,rm,nut,mxf,gxf,wtv,dv,nsv,ivf,amv,yuv4mpegpipe,"
    # Streams of pictures.
    "h264,hevc,vvc,av1,obu,m4v,mpegvideo,vc1,dirac,mjpeg,gif,apng,png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe,"
    # Streams of sound.
    "wav,w64,aiff,au,caf,flac,mp3,aac,loas,ac3,eac3,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,ape,wv,tta,tak,mpc,mpc8,voc,"
    "oma,dsf,iff,sox,ircam,nistsphere,gsm,qcp,shn,sln,opus"
)
NETWORK_SCHEMES = ("http", "https")
# Two letters or more: one is a drive.
ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
# How files begin that only say which other files or addresses to play.
PLAYLISTS = re.compile(
    rb"\A(?:\xef\xbb\xbf)?\s*(?:#EXTM3U|ffconcat version|v=0\s|\[playlist\]|\[reference\]|rtsptext|<asx|<smil"
    rb"|(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:MPD|SmoothStreamingMedia|AssetMap|smil|manifest)\b)",
    re.IGNORECASE | re.DOTALL,
)
SNIFFED_BYTES = 1024
# After so many failures in a row there is nothing more to be read.
MAX_READ_FAILURES = 32
# Headers are rounded, and the last frame may be stated to last longer than it is known to.
CUT_OFF_TOLERANCE_IN_S = 0.25


def printable(text: str) -> str:
    """`text` in quotation marks, with what a terminal or a reader could be misled by shown as escapes."""
    return repr(text.encode("utf-8", "backslashreplace").decode("utf-8"))


@contextmanager
def open_media(source: MediaSource) -> Iterator[InputContainer]:
    """Open `source` for reading.

    Raises:
        InputError: `source` is of another type.
        UnreadableMediaError: It is missing, not a regular file, not to be read, or no media file.
        UnsafeArtifactError: It is an address, or a playlist or description that refers to other files.
        EmptyMediaError: It has no bytes.
        LimitExceededError: It is larger, has more streams, or says that it is longer than its limits allow.
    """
    media = MediaFile.of(source)
    name, limits = media.name, media.limits
    file, protocols = _file_of(media)
    # Both options are of the reader's own making; no text of the user's is among them.
    options = {
        "protocol_whitelist": protocols,
        "format_whitelist": SAFE_FORMATS,
        "max_pixels": str(int(min(limits.max_pixels, 2**31 - 1))),
    }
    try:
        container = av.open(
            file, "r", options=options, metadata_errors="surrogateescape", timeout=limits.max_decode_time_in_s
        )
    except av.error.ExitError as error:
        raise LimitExceededError(
            f"{name} takes longer to open than `max_decode_time_in_s` ({limits.max_decode_time_in_s:g} s) allows; "
            "pass another file."
        ) from error
    except (av.error.FFmpegError, OSError) as error:
        raise UnreadableMediaError(
            f"{name} cannot be opened as a media file ({error.strerror}); pass a video such as mp4, mov, mkv or webm, "
            "or a sound file such as wav, flac or mp3."
        ) from error
    with container:
        num_streams = len(container.streams)
        limits.check("max_streams", num_streams, f"{name} has {num_streams} streams")
        if container.duration is not None:
            duration_in_s = container.duration / av.time_base
            limits.check("max_duration_in_s", duration_in_s, f"{name} says that it lasts {duration_in_s:.0f} s")
        yield container


def _file_of(media: MediaFile) -> tuple[str | BinaryIO, str]:
    """What FFmpeg is to open, and by which protocols."""
    source, name = media.source, media.name
    if isinstance(source, str | os.PathLike):
        try:
            # Not to be confused: a file whose name has a colon is a file.
            status = os.stat(source)
        except (OSError, ValueError) as error:
            address = ADDRESS.match(source) if isinstance(source, str) else None
            if address is None:
                raise UnreadableMediaError(f"{name} does not exist or is not a file; check the path.") from error
            return _address_of(media, address[1].lower())
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableMediaError(
                f"{name} exists but is not a file: a folder, device or pipe; pass the path of a file."
            )
        try:
            with open(source, "rb") as opened:
                head = opened.read(SNIFFED_BYTES)
        except OSError as error:
            raise UnreadableMediaError(f"{name} may not be read ({error.strerror}); check its permissions.") from error
        # An absolute path, so that a name with a colon is not taken for an address.
        file, size, protocols = os.path.abspath(source), status.st_size, "file"
    else:
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(SNIFFED_BYTES)
        file.seek(0)
        # No protocol has this name.
        protocols = "none"
    if size == 0:
        raise EmptyMediaError(f"{name} is empty (0 bytes); pass a complete file.")
    media.limits.check("max_bytes", size, f"{name} has {size:,} bytes")
    if PLAYLISTS.match(head):
        raise UnsafeArtifactError(
            f"{name} is a playlist, which would make the reader open other files or addresses; pass the media file "
            "itself."
        )
    return file, protocols


def _address_of(media: MediaFile, scheme: str) -> tuple[str, str]:
    if scheme not in NETWORK_SCHEMES:
        raise UnsafeArtifactError(
            f"{media.name} is not a file but begins with {scheme!r}, which would make the reader open something else; "
            "pass the path of a file."
        )
    if not media.allow_network:
        raise UnsafeArtifactError(
            f"{media.name} is an address in the network and is not opened; download it, or pass "
            "`MediaFile(address, allow_network=True)` if you trust it."
        )
    return media.source, "http,https,tcp,tls"


@contextmanager
def reporting_damage(name: str) -> Iterator[None]:
    """Turn what FFmpeg reports while reading or decoding into an `UnreadableMediaError` about the file `name`."""
    try:
        yield
    except av.error.ExitError as error:
        raise LimitExceededError(f"{name} takes longer to read than `max_decode_time_in_s` allows.") from error
    except av.error.FFmpegError as error:
        raise UnreadableMediaError(
            f"{name} is damaged and cannot be read ({error.strerror}); pass an intact file."
        ) from error


def read_packets(container: InputContainer, streams: Stream | tuple[Stream, ...], meter: Meter) -> Iterator[av.Packet]:
    """The packets of one or several streams in the order of the file, up to the last one that can be read.

    The last packet of each stream is empty; it is for flushing the decoder.

    Raises:
        UnreadableMediaError: The packets are encrypted.
    """
    num_failures = 0
    while num_failures < MAX_READ_FAILURES:
        try:
            for packet in container.demux(streams):
                num_failures = 0
                meter.num_packets += packet.size > 0
                if packet.has_sidedata("encryption_info"):
                    raise UnreadableMediaError(
                        f"{meter.name} is encrypted, as films with copy protection are; pass a file without it."
                    )
                yield packet
            return
        except av.error.ExitError:
            raise
        except IndexError:
            # After the last packet of a file in the middle of which a stream turned up, PyAV looks for that stream.
            return
        except av.error.FFmpegError:
            # Reading may go on behind a damaged place. At the end of a file that was cut off it does not.
            num_failures += 1


def decode_packets(packets: Iterator[av.Packet], meter: Meter) -> Iterator[Any]:
    """The frames in `packets`. Damaged packets are left out, as long as they are few.

    Raises:
        UnreadableMediaError: Too many packets are damaged.
    """
    last_error = stream = None
    is_flushed = False
    for packet in packets:
        stream, is_flushed = packet.stream, packet.size == 0
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            if not is_flushed:
                last_error = error
                meter.count_damage(error)
            continue
        yield from frames
    if stream is not None and not is_flushed:
        # Reading broke off, and the decoder has some frames left.
        with suppress(av.error.FFmpegError):
            for frame in stream.decode(None):
                # Usually that of the packet.
                frame.time_base = stream.time_base
                yield frame
    meter.finish(last_error)


def warn_if_cut_off(container: InputContainer, stream: Stream, name: str, end_in_s: float) -> None:
    """Say so if a stream that lasts `end_in_s` should last longer by what the file says."""
    stated_in_s = None
    if stream.duration is not None:
        stated_in_s = float(stream.duration * stream.time_base)
    elif container.duration is not None and len(container.streams) == 1:
        stated_in_s = container.duration / av.time_base
    if stated_in_s is not None and stated_in_s > end_in_s + CUT_OFF_TOLERANCE_IN_S:
        logger.warning(
            f"{name} says that it lasts {stated_in_s:.2f} s, but only {end_in_s:.2f} s of it are there; the other "
            f"{stated_in_s - end_in_s:.2f} s are missing."
        )
