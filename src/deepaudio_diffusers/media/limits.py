# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How much a media file may ask for, and the count of what it has had."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields

from ..errors import InputError, LimitExceededError, UnreadableMediaError


logger = logging.getLogger(__name__)

# So many damaged packets are let pass before their share counts: of few packets, one is a large share.
DAMAGED_PACKETS_AT_FIRST = 8
# A decoder that is told of the limit says no more about a size beyond it than about damage.
NOTHING_DECODED = (
    "{} is damaged and cannot be read (none of its {} frames can be decoded, or they are larger than `max_pixels` "
    "allows); pass an intact file."
)


@dataclass(frozen=True)
class Limits:
    """How much a media file may ask for. What goes beyond raises `LimitExceededError`; `math.inf` lifts a limit.

    The defaults let a film in 8K pass and keep a small file from taking the machine.

    Args:
        max_bytes (`int`): Size of the file.
        max_streams (`int`): Streams in the file.
        max_pixels (`int`): Stored pixels of a frame.
        max_frames (`int`): Decoded frames.
        max_duration_in_s (`float`): Length in seconds, as the file states it and as it turns out.
        max_audio_samples (`int`): Samples of sound that are read into memory at a time, all channels together.
        max_decode_time_in_s (`float`): Seconds spent on reading and decoding, the caller's own work not counted.
        max_memory (`int`): Bytes of memory that a process of its own may take to read the file (`isolated`).
        max_damaged_share (`float`): Share of damaged packets up to which the rest of a file is read.
    """

    max_bytes: int = 256 * 2**30
    max_streams: int = 64
    max_pixels: int = 8192 * 4320
    max_frames: int = 5_000_000
    max_duration_in_s: float = 12 * 3600.0
    max_audio_samples: int = 2**28
    max_decode_time_in_s: float = 3600.0
    max_memory: int = 4 * 2**30
    max_damaged_share: float = 0.2

    def __post_init__(self):
        for field in fields(self):
            value = getattr(self, field.name)
            # Written so that NaN fails too.
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
                raise InputError(f"`{field.name}` is {value!r}; pass a number of at least 0, or `math.inf`.")

    @classmethod
    def strict(cls) -> "Limits":
        """Limits for files of strangers, on a machine that serves others too: clips of ten minutes, up to 4K."""
        return cls(
            max_bytes=2**30,
            max_streams=16,
            max_pixels=4096 * 2304,
            max_frames=100_000,
            max_duration_in_s=600.0,
            max_audio_samples=2**26,
            max_decode_time_in_s=120.0,
            max_memory=2 * 2**30,
        )

    def check(self, limit: str, value: float, what: str) -> None:
        """Raise `LimitExceededError` if `value` is beyond the limit called `limit`; `what` says what has it."""
        allowed = getattr(self, limit)
        if value > allowed:
            raise LimitExceededError(
                f"{what}; `{limit}` allows {allowed:,}. If you trust the file, read it with "
                f"`MediaFile(..., limits=Limits({limit}=...))`."
            )


class Meter:
    """What reading one stream of a file has taken so far, counted against its [`Limits`].

    Args:
        limits ([`Limits`]): What is allowed.
        name (`str`): What messages call the file.
    """

    def __init__(self, limits: Limits, name: str):
        self.limits = limits
        self.name = name
        self.num_frames = 0
        self.num_packets = 0
        self.num_damaged = 0
        self._seconds = 0.0

    def count_frame(self, num_pixels: int) -> None:
        """Count a decoded frame of `num_pixels`."""
        self.num_frames += 1
        self.limits.check("max_frames", self.num_frames, f"{self.name} has {self.num_frames} frames or more")
        self.limits.check("max_pixels", num_pixels, f"{self.name} has frames of {num_pixels} pixels")

    def check_time(self, time_in_s: float) -> None:
        """Check a time that the file has come to, counted from its beginning."""
        self.limits.check("max_duration_in_s", time_in_s, f"{self.name} lasts {time_in_s:.0f} s or more")

    def count_damage(self, error: Exception) -> None:
        """Count a packet that cannot be decoded; `UnreadableMediaError` if there are too many of them."""
        self.num_damaged += 1
        if self.num_damaged > DAMAGED_PACKETS_AT_FIRST:
            self._check_damage(error)

    def finish(self, error: Exception | None) -> None:
        """Judge the damage after the last packet; `error` is what was wrong with one of the damaged ones."""
        if self.num_damaged:
            self._check_damage(error)
            logger.warning(
                f"{self.num_damaged} of {self.num_packets} packets of {self.name} are damaged and were left out."
            )

    def _check_damage(self, error: Exception) -> None:
        if self.num_damaged == self.num_packets:
            raise UnreadableMediaError(NOTHING_DECODED.format(self.name, self.num_packets)) from error
        if self.num_damaged > self.limits.max_damaged_share * self.num_packets:
            raise UnreadableMediaError(
                f"{self.name} is damaged and cannot be read ({self.num_damaged} of {self.num_packets} packets: "
                f"{error.strerror}); pass an intact file."
            ) from error

    def timed(self, items: Iterator) -> Iterator:
        """Pass `items` on and count the time that making them takes."""
        while True:
            start = time.monotonic()
            item = next(items, None)
            self._seconds += time.monotonic() - start
            if item is None:
                return
            self.limits.check(
                "max_decode_time_in_s", self._seconds, f"{self.name} takes {self._seconds:.1f} s or more to decode"
            )
            yield item
