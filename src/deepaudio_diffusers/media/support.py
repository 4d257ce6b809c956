# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the FFmpeg inside PyAV can do; builds differ."""

import av
from av.codec.codec import UnknownCodecError


# What clips and recordings are mostly coded in.
USUAL_DECODERS = (
    "h264",
    "hevc",
    "vp8",
    "vp9",
    "av1",
    "mpeg4",
    "mjpeg",
    "gif",
    "aac",
    "opus",
    "mp3",
    "flac",
    "pcm_s16le",
)
# What `media` writes with.
NEEDED_ENCODERS = ("aac", "libopus", "flac", "pcm_s16le", "libx264", "libvpx-vp9")


def describe_ffmpeg() -> str:
    """The versions of PyAV and of the libraries of FFmpeg that it brings along."""
    libraries = ", ".join(f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items())
    return f"PyAV {av.__version__} with {libraries}"


def missing_codecs() -> tuple[list[str], list[str]]:
    """Which of [`USUAL_DECODERS`] and of [`NEEDED_ENCODERS`] this build lacks."""
    return (
        [name for name in USUAL_DECODERS if not _is_known(name, "r")],
        [name for name in NEEDED_ENCODERS if not _is_known(name, "w")],
    )


def _is_known(name: str, mode: str) -> bool:
    try:
        av.Codec(name, mode)
    except UnknownCodecError:
        return False
    return True
