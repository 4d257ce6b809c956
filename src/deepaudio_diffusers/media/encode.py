# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Coding pictures as a video without sound."""

import io

import av
import numpy as np

from ..errors import InputError


def encode_video(frames: np.ndarray, frame_rate: int, crf: int = 18) -> bytes:
    """Code pictures in H.264.

    Args:
        frames (`np.ndarray` of shape `(num_frames, height, width, 3)`): uint8, red, green and blue. Height and width
            are even, because colour is coded at half the resolution.
        frame_rate: Frames per second.
        crf: The lower, the better the pictures and the larger the file, from 0 to 51.

    Returns:
        `bytes`: An mp4 file, the same each time for the same pictures; other versions of the coder make others.

    Raises:
        InputError: `frames` is not as described.
    """
    is_video = isinstance(frames, np.ndarray) and frames.dtype == np.uint8 and frames.ndim == 4 and len(frames)
    if not is_video or frames.shape[1] % 2 or frames.shape[2] % 2 or frames.shape[3] != 3:
        found = f"{frames.dtype} {frames.shape}" if isinstance(frames, np.ndarray) else type(frames).__name__
        raise InputError(
            f"`frames` is {found}; pass uint8 pictures (num_frames, height, width, 3) of even height and width."
        )
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        # x264's macroblock tree makes other bytes of the same pictures now and then, even with one thread.
        options = {"crf": str(crf), "preset": "veryfast", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=frame_rate, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        # With one thread the bytes do not depend on the number of cores.
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()
