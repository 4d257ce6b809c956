# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The other side of `isolation.py`: a process that reads one file and answers about it."""

import logging
import math
import os
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, BinaryIO

import numpy as np

from ..errors import DeepAudioError, InputError, LimitExceededError
from .audio import decode_audio
from .decode import decode_frames
from .isolation import KEPT_FRAMES, read_message, write_message
from .limits import Limits
from .mux import write_audio_into_video
from .probe import probe
from .source import MediaFile


MAX_OPEN_FILES = 64


class WarningSender(logging.Handler):
    """Sends warnings to the other process, where the caller's own handlers are."""

    def __init__(self, stream: BinaryIO):
        super().__init__(logging.WARNING)
        self._stream = stream

    def emit(self, record: logging.LogRecord) -> None:
        write_message(self._stream, {"warning": record.getMessage(), "logger": record.name})


class Answers:
    """What the process can be asked. Every method gives the header and the payload of its answer."""

    def __init__(self) -> None:
        self._items: Iterator[Any] | None = None
        self._kept: deque = deque(maxlen=KEPT_FRAMES)
        self._describe = self._describe_frame

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytes | memoryview]:
        match request["do"]:
            case "probe":
                return asdict(probe(_media_of(request))), b""
            case "frames":
                self._items = enumerate(decode_frames(_media_of(request), request["start_in_s"]))
                return self._next()
            case "sound":
                self._items = decode_audio(_media_of(request), request["track"], request["start_in_s"])
                self._describe = self._describe_block
                return self._next()
            case "next":
                return self._next()
            case "pixels":
                return self._pixels(request["number"])
            case "write":
                audio = np.load(request["audio"], allow_pickle=False, mmap_mode="r")
                write_audio_into_video(_media_of(request), audio, **request["arguments"])
                return {}, b""
        raise InputError(f"There is no request called {request['do']!r}.")

    def _next(self) -> tuple[dict[str, Any], bytes | memoryview]:
        item = next(self._items, None)
        return ({"end": True}, b"") if item is None else self._describe(item)

    def _describe_frame(self, item: tuple[int, Any]) -> tuple[dict[str, Any], bytes]:
        number, frame = item
        self._kept.append(item)
        header = {
            "end": False,
            "number": number,
            "time_in_s": frame.time_in_s,
            "file_time_in_s": frame.file_time_in_s,
            "end_in_s": frame.end_in_s,
            "display_size": frame.display_size,
        }
        return header, b""

    def _describe_block(self, block: Any) -> tuple[dict[str, Any], memoryview]:
        description = {
            "start": block.start,
            "sampling_rate": block.sampling_rate,
            "layout": block.layout,
            "file_start_in_s": block.file_start_in_s,
        }
        samples = np.ascontiguousarray(block.samples, np.float32)
        return {"end": False, "block": description, "shape": samples.shape}, samples.data.cast("B")

    def _pixels(self, number: int) -> tuple[dict[str, Any], memoryview]:
        for kept, frame in self._kept:
            if kept == number:
                pixels = frame.to_rgb()
                return {"shape": pixels.shape}, pixels.data.cast("B")
        raise InputError("The pixels of a frame were asked for after two further frames; ask earlier.")


def _media_of(request: dict[str, Any]) -> MediaFile:
    media = request["media"]
    return MediaFile(
        media["source"], Limits(**media["limits"]), allow_network=media["allow_network"], label=media["label"]
    )


def _limit_resources(max_memory: int) -> None:
    """Let the system hold the process within bounds, where it can."""
    try:
        import resource
    except ImportError:
        # Windows has no such limits.
        return
    for kind, value in (
        (resource.RLIMIT_AS, max_memory),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def main() -> None:
    """Answer requests from the standard input until it ends."""
    _limit_resources(int(sys.argv[1]))
    requests = sys.stdin.buffer
    # Whatever a library prints must not come between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    logging.getLogger("deepaudio_diffusers").addHandler(WarningSender(answers))
    logging.getLogger("deepaudio_diffusers").propagate = False
    state = Answers()
    while True:
        try:
            request, _ = read_message(requests, math.inf)
        except EOFError:
            return
        try:
            header, payload = state.answer(request)
        except DeepAudioError as error:
            header, payload = {"error": type(error).__name__, "message": str(error)}, b""
        except MemoryError:
            message = "The file takes more memory to read than `max_memory` allows; pass another one."
            header, payload = {"error": LimitExceededError.__name__, "message": message}, b""
        write_message(answers, header, payload)


if __name__ == "__main__":
    main()
