# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing media files with PyAV. No other part of the package imports `av`."""

from .audio import DecodedAudio, read_audio
from .decode import DecodedFrame, decode_frames
from .limits import Limits
from .mux import write_audio, write_audio_into_video
from .probe import MediaInfo, probe
from .source import MediaFile, MediaSource


__all__ = [
    "DecodedAudio",
    "DecodedFrame",
    "Limits",
    "MediaFile",
    "MediaInfo",
    "MediaSource",
    "decode_frames",
    "probe",
    "read_audio",
    "write_audio",
    "write_audio_into_video",
]
