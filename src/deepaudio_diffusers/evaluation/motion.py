# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether what is heard happens when something moves: optical flow, AV-align, and the offset between both.

AV-align is that of Yariv et al., "Diverse and aligned audio-to-video generation via text-to-video model adaptation"
(AAAI 2024): local maxima of the mean optical flow (Farnebäck, 2003) against onsets of the sound, one frame apart at
most. Onsets are those of [`detect_onsets`], where the authors take librosa's.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import InputError
from ..media import MediaSource, decode_frames
from .onsets import FRAME_LENGTH_IN_S, onset_strength
from .optional import require


PURPOSE = "Measuring motion"
# Larger pictures are made smaller: flow of whole objects needs no details.
LARGEST_SIDE = 320
# Scale of the pyramid, its levels, window, iterations, size and width of the polynomial: those of the authors.
FARNEBACK = (0.5, 3, 15, 3, 5, 1.2)
# Offsets that DeSync knows, as in Synchformer.
LARGEST_OFFSET_IN_S, OFFSET_STEP_IN_S = 2.0, 0.2
# Sound and picture are compared with this blur, as events are seen to the frame only.
BLUR_IN_S = 0.04


@dataclass(frozen=True, eq=False)
class Motion:
    """
    How much moves in a video.

    Args:
        times (`np.ndarray` of shape `(num_frames,)`): When each frame is shown, in seconds from the first.
        flow (`np.ndarray` of shape `(num_frames,)`): Mean length of the optical flow from the frame before, in
            pixels; the first frame has that of the second.
    """

    times: np.ndarray
    flow: np.ndarray

    @property
    def frame_length_in_s(self) -> float:
        """Of a usual frame."""
        return float(np.median(np.diff(self.times)))

    @property
    def peaks(self) -> np.ndarray:
        """When more moves than just before and just after, in seconds."""
        inner = self.flow[1:-1]
        return self.times[1:-1][(inner > self.flow[:-2]) & (inner > self.flow[2:])]


def measure_motion(video: MediaSource) -> Motion:
    """The optical flow of a video.

    Args:
        video (path, bytes or file): A video file.

    Raises:
        InputError: When the video has less than three frames, or OpenCV is not installed.
        MediaError: When it cannot be read.
    """
    cv2 = require("cv2", PURPOSE)
    times, flow, previous = [], [], None
    with closing(decode_frames(video)) as frames:
        for frame in frames:
            picture = cv2.cvtColor(frame.to_rgb(), cv2.COLOR_RGB2GRAY)
            scale = LARGEST_SIDE / max(picture.shape)
            if scale < 1:
                picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if previous is not None:
                vectors = cv2.calcOpticalFlowFarneback(previous, picture, None, *FARNEBACK, 0)
                flow.append(float(np.hypot(vectors[..., 0], vectors[..., 1]).mean()))
            times.append(frame.time_in_s)
            previous = picture
    if len(times) < 3:
        raise InputError(f"The video has {len(times)} frames; motion needs at least three.")
    return Motion(np.array(times), np.array([flow[0], *flow]))


def av_align(onsets: Sequence[float], motion: Motion) -> float:
    """AV-align: onsets that are within a frame of a peak of the motion, over all onsets and peaks.

    Args:
        onsets (sequence of `float`): When something begins to sound, in seconds.
        motion (`Motion`): Of the video.

    Returns:
        `float`: From 0 to 1, and 1 where neither has anything.
    """
    peaks, onsets = motion.peaks, np.asarray(onsets, dtype=float)
    if not len(peaks) or not len(onsets):
        return float(len(peaks) == len(onsets))
    matched = int((np.abs(onsets[:, None] - peaks).min(axis=1) < motion.frame_length_in_s).sum())
    return matched / (len(onsets) + len(peaks) - matched)


def motion_offset(waveform: torch.Tensor, sampling_rate: int, motion: Motion) -> float:
    """How much later the sound is than the motion, by the best correlation of onset strength and change of motion.

    No network is needed for this, and it only understands sounds of things that are seen to be struck or to stop.

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): The sound, from the first frame of the video on.
        sampling_rate (`int`): Samples per second.
        motion (`Motion`): Of the video.

    Returns:
        `float`: One of -2, -1.8, ..., 2 seconds, as Synchformer has them; below 0 when the sound is early.
    """
    strength = onset_strength(waveform, sampling_rate)
    grid = np.arange(len(strength)) * FRAME_LENGTH_IN_S
    # What is struck changes its motion at once. A change between two frames is known when the second is shown.
    change = np.abs(np.diff(motion.flow, prepend=motion.flow[0]))
    seen = np.interp(grid, motion.times, change, left=0.0, right=0.0)
    seen, heard = _blurred(seen), _blurred(strength)
    steps = round(OFFSET_STEP_IN_S / FRAME_LENGTH_IN_S)
    most = round(LARGEST_OFFSET_IN_S / OFFSET_STEP_IN_S)
    # Offsets between those of the grid count for the nearest.
    likeness = np.array([_overlap(seen, heard, lag) for lag in range(-most * steps, most * steps + 1)])
    return round((int(likeness.argmax()) - most * steps) / steps) * OFFSET_STEP_IN_S


def _blurred(values: np.ndarray) -> np.ndarray:
    width = round(BLUR_IN_S / FRAME_LENGTH_IN_S)
    kernel = np.exp(-0.5 * (np.arange(-3 * width, 3 * width + 1) / width) ** 2)
    blurred = np.convolve(values, kernel / kernel.sum(), mode="same")
    return blurred - blurred.mean()


def _overlap(seen: np.ndarray, heard: np.ndarray, lag: int) -> float:
    """Product of what is seen with what is heard `lag` later."""
    if abs(lag) >= len(seen):
        return -np.inf
    first, second = (seen[: len(seen) - lag], heard[lag:]) if lag >= 0 else (seen[-lag:], heard[:lag])
    return float(first @ second)
