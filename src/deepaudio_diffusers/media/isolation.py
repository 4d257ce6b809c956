# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading a file in a process of its own, so that what it does to a decoder stays there.

The two processes exchange messages of JSON and plain bytes; nothing that a process which was taken over could send is
ever run. The process has limits on memory and on open files, and is ended when it takes too long. It is a guard
against crashes, hangs and swollen memory, not a wall: it runs with the rights of its user.
"""

import json
import logging
import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from signal import Signals
from typing import Any, BinaryIO
from weakref import ReferenceType, ref

import numpy as np

from .. import errors
from ..errors import DeepAudioError, LimitExceededError, UnreadableMediaError
from .source import MediaFile


# A message: the lengths of its two parts, then a header in JSON, then bytes.
LENGTHS = struct.Struct("<IQ")
MAX_HEADER_BYTES = 2**20
# Beside decoding, the process has to start.
START_TIME_IN_S = 30.0
COPY_BYTES = 2**20
# A frame is still asked for when the next one has shown how long it lasts.
KEPT_FRAMES = 2


def write_message(stream: BinaryIO, header: dict[str, Any], payload: bytes | memoryview = b"") -> None:
    """Send a message."""
    text = json.dumps(header).encode("ascii")
    stream.write(LENGTHS.pack(len(text), len(payload)))
    stream.write(text)
    stream.write(payload)
    stream.flush()


def read_message(stream: BinaryIO, max_payload: float) -> tuple[dict[str, Any], bytes]:
    """Receive a message; `EOFError` if there is none or it is none."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        raise EOFError
    num_header, num_payload = LENGTHS.unpack(lengths)
    if num_header > MAX_HEADER_BYTES or num_payload > max_payload:
        raise EOFError
    header, payload = stream.read(num_header), stream.read(num_payload)
    if len(header) < num_header or len(payload) < num_payload:
        raise EOFError
    return json.loads(header), payload


class IsolatedProcess:
    """A process that reads one file. It ends with the context."""

    def __init__(self, media: MediaFile):
        self._name = media.name
        self._limits = media.limits
        self._seconds_left = media.limits.max_decode_time_in_s + START_TIME_IN_S
        self._was_too_slow = False
        # What can be imported here can be imported there.
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", str(int(min(media.limits.max_memory, 2**62)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def __enter__(self) -> "IsolatedProcess":
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        # Closing flushes what the process did not live to read.
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()

    def ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
        """Send a request and wait for the answer.

        Raises:
            DeepAudioError: What the reader raised in there.
            UnreadableMediaError: The process crashed.
            LimitExceededError: It took too long, or too much memory.
        """
        begin = time.monotonic()
        watchdog = None
        if self._seconds_left < threading.TIMEOUT_MAX:
            watchdog = threading.Timer(max(0.0, self._seconds_left), self._end)
            watchdog.start()
        try:
            write_message(self._process.stdin, request)
            while True:
                header, payload = read_message(self._process.stdout, self._limits.max_memory)
                if "warning" not in header:
                    break
                logging.getLogger(header["logger"]).warning(header["warning"])
        except (EOFError, BrokenPipeError, ValueError) as error:
            raise self._error_of_end() from error
        finally:
            if watchdog is not None:
                watchdog.cancel()
            self._seconds_left -= time.monotonic() - begin
        if "error" in header:
            raise _error_named(header["error"])(header["message"])
        return header, payload

    def _end(self) -> None:
        self._was_too_slow = True
        self._process.kill()

    def _error_of_end(self) -> DeepAudioError:
        self._process.kill()
        code = self._process.wait()
        if self._was_too_slow:
            return LimitExceededError(
                f"{self._name} takes longer to read than `max_decode_time_in_s` "
                f"({self._limits.max_decode_time_in_s:,} s) allows; its process was ended."
            )
        cause = Signals(-code).name if -code in set(Signals) else f"exit code {code}"
        return UnreadableMediaError(
            f"{self._name} made the decoder crash ({cause}). Only the process that read it is lost; pass another file."
        )


def _error_named(name: str) -> type[DeepAudioError]:
    error = getattr(errors, name, None)
    is_ours = isinstance(error, type) and issubclass(error, DeepAudioError)
    return error if is_ours else UnreadableMediaError


@contextmanager
def isolated(media: MediaFile) -> Iterator[tuple[IsolatedProcess, dict[str, Any]]]:
    """A process for `media`, and the description of the file that its first request has to carry."""
    description = {
        "limits": asdict(media.limits),
        "allow_network": media.allow_network,
        "label": media.label,
    }
    if isinstance(media.source, str | os.PathLike):
        # Not made absolute: an address is a string too, and the process has the same working folder.
        with IsolatedProcess(media) as process:
            yield process, description | {"source": os.fspath(media.source)}
        return
    with tempfile.NamedTemporaryFile() as file:
        _copy(media, file)
        with IsolatedProcess(media) as process:
            yield process, description | {"source": file.name, "label": media.label or media.name}


def _copy(media: MediaFile, file: BinaryIO) -> None:
    """Write what is not on the disk to `file`, as far as the limits allow."""
    if isinstance(media.source, bytes):
        media.limits.check("max_bytes", len(media.source), f"{media.name} has {len(media.source):,} bytes")
        file.write(media.source)
    else:
        media.source.seek(0)
        size = 0
        while chunk := media.source.read(COPY_BYTES):
            size += len(chunk)
            media.limits.check("max_bytes", size, f"{media.name} has {size:,} bytes or more")
            file.write(chunk)
    file.flush()


class IsolatedFrame:
    """A frame that lies in another process; what [`DecodedFrame`] says of these attributes holds.

    Its pixels can be had until the frame after the next is asked for.
    """

    def __init__(self, header: dict[str, Any], process: IsolatedProcess):
        height, width = header["display_size"]
        self.time_in_s: float = header["time_in_s"]
        self.file_time_in_s: float = header["file_time_in_s"]
        self.end_in_s: float = header["end_in_s"]
        self.display_size: tuple[int, int] = (height, width)
        self._number = header["number"]
        self._process = process
        self._pixels: np.ndarray | None = None

    def to_rgb(self) -> np.ndarray:
        """The stored pixels, turned as displayed: uint8 of shape `(height, width, 3)`."""
        if self._pixels is not None:
            return self._pixels
        header, payload = self._process.ask({"do": "pixels", "number": self._number})
        return _array_of(payload, np.uint8, header["shape"], 3)

    def keep_pixels(self) -> None:
        """Fetch the pixels now, because the process is about to end."""
        self._pixels = self.to_rgb()


def decode_frames_isolated(media: MediaFile, start_in_s: float) -> Iterator[IsolatedFrame]:
    """As `decode_frames`, in a process of its own."""
    with isolated(media) as (process, description):
        request = {"do": "frames", "media": description, "start_in_s": float(start_in_s)}
        # Those that somebody still has.
        latest: deque[ReferenceType[IsolatedFrame]] = deque(maxlen=KEPT_FRAMES)
        while True:
            header, _ = process.ask(request)
            if header["end"]:
                break
            frame = IsolatedFrame(header, process)
            latest.append(ref(frame))
            yield frame
            del frame
            request = {"do": "next"}
        for reference in latest:
            frame = reference()
            if frame is not None:
                frame.keep_pixels()


def decode_audio_isolated(
    media: MediaFile, track: int, start_in_s: float
) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
    """As `decode_audio`, in a process of its own: what a block says of itself, and its samples."""
    with isolated(media) as (process, description):
        request = {"do": "sound", "media": description, "track": track, "start_in_s": start_in_s}
        while True:
            header, payload = process.ask(request)
            if header["end"]:
                return
            yield header["block"], _array_of(payload, np.float32, header["shape"], 2)
            request = {"do": "next"}


def ask_isolated(media: MediaFile, request: dict[str, Any]) -> dict[str, Any]:
    """One request about a file that has one answer."""
    with isolated(media) as (process, description):
        return process.ask(request | {"media": description})[0]


def _array_of(payload: bytes, dtype: type, shape: list[int], num_dimensions: int) -> np.ndarray:
    try:
        array = np.frombuffer(payload, dtype).reshape(shape)
    except (TypeError, ValueError) as error:
        raise UnreadableMediaError(
            "The process that reads the file sent something else than pixels or sound."
        ) from error
    if array.ndim != num_dimensions:
        raise UnreadableMediaError("The process that reads the file sent pixels or sound of another shape.")
    return array
