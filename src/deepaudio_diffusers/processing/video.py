# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From a video to the two streams of frames that the networks see: 8 a second for CLIP, 25 a second for Synchformer.

Cheng et al., "Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis" (arXiv 2412.15322); original
code: hkchengrex/MMAudio (MIT). Pixels are equal to the original's bit for bit: it resizes uint8 frames with
torchvision, which calls the same PyTorch function as this module.

There are two ways to choose the frame for a moment. `"presentation"` takes the frame that a player shows then.
`"mmaudio"` is the original's, for comparisons with it: the first frame that begins at or after the moment, on a clock
that adds up rounding errors, with time counted on the clock of the file.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.utils import logging
from PIL import Image

from ..errors import InputError
from ..media.decode import DecodedFrame, MediaSource, decode_frames
from .sequence import (
    CLIP_FRAMES_PER_SECOND,
    SYNC_FRAMES_PER_SECOND,
    SYNC_SEGMENT_FRAMES,
    num_clip_frames_of,
    num_sync_frames_of,
    number,
    segment_sync_frames,
)


logger = logging.get_logger(__name__)

# What the published encoders see, in pixels.
CLIP_FRAME_SIZE = 384
SYNC_FRAME_SIZE = 224
# The statistics that OpenAI's CLIP and its successors were trained with.
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)

# Two computations of one moment, such as 3 / 24 and 1 / 8, differ by far less; two frames, by far more.
TIME_EPSILON_IN_S = 1e-6
# Matroska rounds times to milliseconds, so a clip of 8 s can end at 7.999 s.
LENGTH_TOLERANCE_IN_S = 2e-3
# Coding alone makes a picture that stands still differ by so much, out of 255.
STILL_TOLERANCE = 8

VideoInput = MediaSource | list[Image.Image] | np.ndarray | torch.Tensor


@dataclass(frozen=True)
class VideoFrameStreams:
    """The frames that the two encoders see. A frame that is shown at several moments is stored once.

    Sample `k` of a stream is `frames[index[k]]`.

    Args:
        clip_frames (`torch.Tensor` of shape `(num_unique_clip_frames, 3, clip_frame_size, clip_frame_size)`): RGB in
            uint8, squeezed to a square.
        clip_index (`torch.Tensor` of shape `(num_clip_frames,)`): For each 1/8 s, which of `clip_frames` is shown.
        sync_frames (`torch.Tensor` of shape `(num_unique_sync_frames, 3, sync_frame_size, sync_frame_size)`): RGB in
            uint8, the square centre.
        sync_index (`torch.Tensor` of shape `(num_sync_frames,)`): For each 1/25 s, which of `sync_frames` is shown.
        duration_in_s (`float`): Length of the video, or of the part of it that was asked for.
    """

    clip_frames: torch.Tensor
    clip_index: torch.Tensor
    sync_frames: torch.Tensor
    sync_index: torch.Tensor
    duration_in_s: float

    @property
    def sync_segments(self) -> torch.Tensor:
        """For every frame of every Synchformer segment, which of `sync_frames` it is: `(num_segments, 16)`."""
        starts = torch.tensor(segment_sync_frames(len(self.sync_index)))
        return self.sync_index[starts[:, None] + torch.arange(SYNC_SEGMENT_FRAMES)]


def num_samples_before(time_in_s: float, frames_per_second: int) -> int:
    """How many of the moments `0, 1 / frames_per_second, 2 / frames_per_second ...` lie before `time_in_s`.

    A frame that is shown from time `a` to time `b` therefore gets the samples `num_samples_before(a)` to
    `num_samples_before(b)`, the last one excluded.
    """
    return max(0, math.ceil((time_in_s - TIME_EPSILON_IN_S) * frames_per_second))


class MMAudioClock:
    """The original's way to choose frames, where a frame gets all samples that have become due when it begins.

    The moments are sums of `1 / frames_per_second`, not products: after some seconds they are off in the last bits,
    which decides for frames that begin at such a moment.
    """

    def __init__(self, frames_per_second: int):
        self._step = 1 / frames_per_second
        self._next_moment = 0.0
        self._num_samples = 0

    def num_samples_until(self, time_in_s: float) -> int:
        """How many moments lie at or before `time_in_s`, which may not decrease from call to call."""
        while time_in_s >= self._next_moment:
            self._next_moment += self._step
            self._num_samples += 1
        return self._num_samples


def resize_clip_frame(
    pixels: torch.Tensor, display_size: tuple[int, int], size: int = CLIP_FRAME_SIZE
) -> torch.Tensor:
    """Squeeze uint8 pixels of shape `(3, height, width)` to `(3, size, size)`, whatever their displayed shape is."""
    return _resize(pixels, size, size)


def resize_sync_frame(
    pixels: torch.Tensor, display_size: tuple[int, int], size: int = SYNC_FRAME_SIZE
) -> torch.Tensor:
    """Resize uint8 pixels `(3, height, width)` to a shorter edge of `size` and take the centre `(3, size, size)`.

    Args:
        pixels: The stored pixels.
        display_size: Height and width as displayed, which are not those of `pixels` where pixels are not square.
        size: Height and width of the result.
    """
    height, width = display_size
    # Rounded as torchvision does: down for the longer edge, half to even for the corner of the centre.
    if height < width:
        height, width = size, int(size * width / height)
    else:
        height, width = int(size * height / width), size
    top, left = round((height - size) / 2), round((width - size) / 2)
    return _resize(pixels, height, width)[:, top : top + size, left : left + size]


def _resize(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if pixels.shape[1:] == (height, width):
        return pixels
    # PyTorch resizes uint8 in integer arithmetic. Resizing in float and rounding gives other last digits.
    return F.interpolate(pixels[None], (height, width), mode="bicubic", antialias=True, align_corners=False)[0]


def normalize_clip_frames(frames: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """uint8 frames of shape `(..., 3, height, width)` in the form that the CLIP encoder was trained on.

    As in the original, the mean and the standard deviation are applied in `dtype`.
    """
    mean = torch.tensor(CLIP_MEAN, dtype=dtype, device=frames.device)[:, None, None]
    std = torch.tensor(CLIP_STD, dtype=dtype, device=frames.device)[:, None, None]
    return _to_unit_interval(frames).to(dtype).sub_(mean).div_(std)


def normalize_sync_frames(frames: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """uint8 frames of shape `(..., 3, height, width)` in [-1, 1], the form that Synchformer was trained on.

    As in the original, everything is computed in float32 and then cast to `dtype`.
    """
    return _to_unit_interval(frames).sub_(0.5).div_(0.5).to(dtype)


def _to_unit_interval(frames: torch.Tensor) -> torch.Tensor:
    # A multiplication, as in torchvision: division by 255 differs in the last bit.
    return frames.to(torch.float32).mul_(1 / 255)


def picture_to_rgb(picture: Image.Image) -> np.ndarray:
    """The pixels of a PIL image: writable uint8 of shape `(height, width, 3)`. Transparency is ignored.

    Raises:
        InputError: There are no pixels, or their values have no fixed range (modes "I", "I;16" and "F").
    """
    if 0 in picture.size:
        raise InputError(f"A picture has the size {picture.width} x {picture.height}; pass one with pixels.")
    if picture.mode.startswith(("I", "F")):
        # Pillow would cut everything above 255.
        raise InputError(
            f"A picture has the mode {picture.mode!r}, whose values have no fixed range; scale them to 0 ... 255 and "
            "pass 8-bit pixels."
        )
    return np.array(picture.convert("RGB"))


@dataclass(frozen=True)
class _MemoryFrame:
    """A frame of the caller's, with those attributes of `DecodedFrame` that sampling needs."""

    picture: Image.Image | np.ndarray | torch.Tensor
    time_in_s: float
    end_in_s: float

    @property
    def file_time_in_s(self) -> float:
        return self.time_in_s

    @property
    def display_size(self) -> tuple[int, int]:
        if isinstance(self.picture, Image.Image):
            return self.picture.height, self.picture.width
        return tuple(self.picture.shape[:2])

    def to_rgb(self) -> np.ndarray:
        if isinstance(self.picture, Image.Image):
            return picture_to_rgb(self.picture)
        if isinstance(self.picture, torch.Tensor):
            return self.picture.cpu().numpy()
        return self.picture


def _frames_in_memory(
    video: list[Image.Image] | np.ndarray | torch.Tensor, fps: float | None
) -> Iterator[_MemoryFrame]:
    if fps is not None:
        fps = number("`fps`", fps)
    if fps is None or not 0 < fps < math.inf:
        raise InputError(f"`fps` is {fps}, but frames need their number per second; pass for instance `fps=25`.")
    frames = video
    if isinstance(video, list | tuple):
        if not video or not all(isinstance(frame, Image.Image) for frame in video):
            kinds = ", ".join(sorted({type(frame).__name__ for frame in video})) or "nothing"
            raise InputError(f"`video` is a list of {kinds}; pass PIL images, or stack arrays into one array.")
    else:
        if video.dtype not in (np.uint8, torch.uint8):
            raise InputError(f"`video` has dtype {video.dtype}; pass uint8 frames with values from 0 to 255.")
        if isinstance(video, torch.Tensor) and video.ndim == 4 and video.shape[1] == 3:
            # (T, 3, H, W) -> (T, H, W, 3)
            frames = video.permute(0, 2, 3, 1)
        if frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise InputError(
                f"`video` has shape {tuple(video.shape)}; expected (num_frames, height, width, 3), or for a tensor "
                "also (num_frames, 3, height, width), with at least one frame."
            )
    return (_MemoryFrame(frame, i / fps, (i + 1) / fps) for i, frame in enumerate(frames))


class _SampledStream:
    """The frames of one stream as they are picked, each resized and stored once."""

    def __init__(self, frames_per_second: int, resize: Callable[[torch.Tensor, tuple[int, int]], torch.Tensor]):
        self.frames_per_second = frames_per_second
        self.num_samples = 0
        self._frames: list[torch.Tensor] = []
        self._index: list[int] = []
        self._resize = resize

    def append(self, pixels: torch.Tensor, display_size: tuple[int, int], num_samples: int) -> None:
        """Store a frame for the samples up to the total of `num_samples`."""
        self._index.extend([len(self._frames)] * (num_samples - self.num_samples))
        # Contiguous, so that nothing is kept of the larger picture that this may be a part of.
        self._frames.append(self._resize(pixels, display_size).contiguous())
        self.num_samples = num_samples

    def finish(self, num_samples: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first `num_samples` samples: their frames, and the index of each sample's frame."""
        index = self._index[:num_samples]
        frames = torch.stack(self._frames[: index[-1] + 1])
        # Not in memory twice while the next stream is put together.
        self._frames.clear()
        return frames, torch.tensor(index)


def _show(frame: DecodedFrame | _MemoryFrame, streams: tuple[_SampledStream, ...], num_samples: list[int]) -> None:
    """Let `frame` have the samples of each stream up to the total in `num_samples`."""
    waiting = [
        (stream, total) for stream, total in zip(streams, num_samples, strict=True) if total > stream.num_samples
    ]
    if waiting:
        # (H, W, 3) -> (3, H, W). PyTorch wants the memory in order and writable; the caller's may be neither.
        pixels = torch.from_numpy(np.require(frame.to_rgb(), requirements=["C", "W"])).permute(2, 0, 1)
        for stream, total in waiting:
            stream.append(pixels, frame.display_size, total)


def _show_until(time_in_s: float, frame: DecodedFrame | _MemoryFrame, streams: tuple[_SampledStream, ...]) -> None:
    _show(frame, streams, [num_samples_before(time_in_s, stream.frames_per_second) for stream in streams])


def _sample_presentation(
    frames: Iterable[DecodedFrame | _MemoryFrame],
    streams: tuple[_SampledStream, ...],
    start_in_s: float,
    length_in_s: float | None,
) -> float:
    """Give each frame the samples between its time and the next frame's; returns the length of the part."""
    shown = None
    for frame in frames:
        time_in_s = frame.time_in_s - start_in_s
        if length_in_s is not None and time_in_s >= length_in_s:
            break
        if shown is not None:
            _show_until(time_in_s, shown, streams)
        shown = frame
    else:
        # Rounded, because 2.8 - 2.0 is a little less than 0.8, which would cost the last sample.
        available_in_s = round(shown.end_in_s - start_in_s, 9)
        if available_in_s <= 0:
            raise InputError(
                f"`start_in_s` is {start_in_s}, but the video lasts {shown.end_in_s:.3f} s; begin earlier, or pass a "
                "longer video."
            )
        if length_in_s is None:
            length_in_s = available_in_s
        # The last frame is the first one.
        if shown.time_in_s == 0 and length_in_s > available_in_s:
            logger.warning(f"The video has a single frame; it is held for {length_in_s} s.")
        elif length_in_s > available_in_s + LENGTH_TOLERANCE_IN_S:
            raise InputError(
                f"`audio_length_in_s` is {length_in_s}, but the video has {available_in_s:.3f} s from `start_in_s` "
                f"({start_in_s}) on; ask for less, or pass a longer video."
            )
    _show_until(length_in_s, shown, streams)
    return length_in_s


def _sample_mmaudio(
    frames: Iterable[DecodedFrame | _MemoryFrame],
    streams: tuple[_SampledStream, ...],
    start_in_s: float,
    length_in_s: float | None,
) -> float:
    """Give each frame the samples that are due when it begins; returns the length of the part."""
    clocks = [MMAudioClock(stream.frames_per_second) for stream in streams]
    end_in_s = math.inf if length_in_s is None else length_in_s
    for frame in frames:
        time_in_s = frame.file_time_in_s - start_in_s
        if time_in_s < 0:
            continue
        if time_in_s > end_in_s:
            break
        _show(frame, streams, [clock.num_samples_until(time_in_s) for clock in clocks])
    if time_in_s < 0:
        raise InputError(
            f"`start_in_s` is {start_in_s}, but the last frame of the video begins at {frame.file_time_in_s:.3f} s; "
            "begin earlier, or pass a longer video."
        )
    duration_in_s = min(end_in_s, *(stream.num_samples / stream.frames_per_second for stream in streams))
    if length_in_s is not None and duration_in_s < length_in_s:
        logger.warning(
            f"`audio_length_in_s` is {length_in_s}, but the video lasts {duration_in_s} s: shortened to that."
        )
    return duration_in_s


def read_video_streams(
    video: VideoInput,
    *,
    fps: float | None = None,
    start_in_s: float = 0.0,
    audio_length_in_s: float | None = None,
    sampling: Literal["presentation", "mmaudio"] = "presentation",
    clip_frame_size: int = CLIP_FRAME_SIZE,
    sync_frame_size: int = SYNC_FRAME_SIZE,
) -> VideoFrameStreams:
    """Read a video, or a part of it, as the two streams of frames that the networks see.

    The video is decoded once and up to the end of the part only; every picked frame is resized at once and let go.
    What is kept grows by at most 7 MiB a second of video at the published frame sizes, whatever its resolution.

    Args:
        video: Path, bytes or seekable binary file object of a video file, or a `MediaFile` with limits of its own; or
            frames, as a list of PIL images or uint8 RGB of shape `(num_frames, height, width, 3)` (numpy, torch) or
            `(num_frames, 3, height, width)` (torch).
        fps: Frames per second of `video`, for frames.
        start_in_s: Where the part begins.
        audio_length_in_s: Length of the part. By default it reaches to the end of the video. A video of a single frame
            is held for as long.
        sampling: `"presentation"` picks for every moment the frame that a player shows. `"mmaudio"` picks the frames
            that the original code picks, counts a start offset of the file as part of the video, and shortens
            `audio_length_in_s` where the video is shorter.
        clip_frame_size: Height and width of the frames for the CLIP encoder, in pixels.
        sync_frame_size: Height and width of the frames for Synchformer, in pixels.

    Raises:
        InputError: An argument has the wrong type or value, or the video is shorter than 0.64 s or than
            `audio_length_in_s`.
        MediaError: The file cannot be read; `NoVideoStreamError` and `EmptyMediaError` say why.
    """
    if sampling not in ("presentation", "mmaudio"):
        raise InputError(f"`sampling` is {sampling!r}; expected 'presentation' or 'mmaudio'.")
    start_in_s = number("`start_in_s`", start_in_s)
    if not 0 <= start_in_s < math.inf:
        raise InputError(f"`start_in_s` is {start_in_s}; expected a time of at least 0 s.")
    if audio_length_in_s is not None:
        audio_length_in_s = number("`audio_length_in_s`", audio_length_in_s)
        # Refuses lengths that no video can serve before anything is decoded.
        num_clip_frames_of(audio_length_in_s)

    if isinstance(video, list | tuple | np.ndarray | torch.Tensor):
        frames = _frames_in_memory(video, fps)
    elif isinstance(video, Image.Image):
        raise InputError("`video` is a single PIL image; pass a picture as `image=`, or a list of frames with `fps`.")
    elif fps is not None:
        raise InputError(f"`fps` is {fps}, but a video file has its own frame rate; leave `fps` out.")
    elif sampling == "presentation":
        frames = decode_frames(video, start_in_s)
    else:
        frames = decode_frames(video)

    clip = _SampledStream(CLIP_FRAMES_PER_SECOND, partial(resize_clip_frame, size=clip_frame_size))
    sync = _SampledStream(SYNC_FRAMES_PER_SECOND, partial(resize_sync_frame, size=sync_frame_size))
    sample = _sample_presentation if sampling == "presentation" else _sample_mmaudio
    # Closing the decoder closes the file.
    with closing(frames):
        duration_in_s = sample(frames, (clip, sync), start_in_s, audio_length_in_s)

    clip_frames, clip_index = clip.finish(num_clip_frames_of(duration_in_s))
    sync_frames, sync_index = sync.finish(num_sync_frames_of(duration_in_s))
    if int((sync_frames.amax(dim=0) - sync_frames.amin(dim=0)).max()) <= STILL_TOLERANCE:
        logger.warning(
            "The pictures stand still from beginning to end: they do not tell when something is to be heard."
        )
    return VideoFrameStreams(clip_frames, clip_index, sync_frames, sync_index, duration_in_s)
