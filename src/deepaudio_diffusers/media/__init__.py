# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing media files with PyAV. No other part of the package imports `av`."""

from .decode import DecodedFrame, MediaSource, decode_frames
from .mux import write_audio, write_audio_into_video
from .probe import MediaInfo, probe


__all__ = [
    "DecodedFrame",
    "MediaInfo",
    "MediaSource",
    "decode_frames",
    "probe",
    "write_audio",
    "write_audio_into_video",
]
