# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Errors that the library raises on purpose.

Every message names the argument or file (base name only), the value that was found, and the way out. All of them are
`DeepAudioError`; the ones caused by an argument are also `ValueError`, so code written for diffusers keeps working.
"""


class DeepAudioError(Exception):
    """Base class of every error raised on purpose by this library."""


class InputError(DeepAudioError, ValueError):
    """An argument of a public call has the wrong type, shape or value."""


class MediaError(DeepAudioError, ValueError):
    """A media file cannot be read or written."""


class UnreadableMediaError(MediaError):
    """A file is missing, not to be opened, damaged, or no media file at all."""


class NoVideoStreamError(MediaError):
    """A file was given as a video but carries no video stream."""


class NoAudioStreamError(MediaError):
    """A file was given as sound but carries no sound track."""


class EmptyMediaError(MediaError):
    """A media file decodes to nothing: no frames, or a duration of zero."""


class LimitExceededError(MediaError):
    """A media file asks for more than the limits it is read with: pixels, seconds, bytes, streams, time, memory."""


class UnsafeArtifactError(DeepAudioError, ValueError):
    """Something given as data would make the library open, fetch or run something else."""


class CheckpointError(DeepAudioError, ValueError):
    """A checkpoint is missing, corrupt, unsafe, or not the model that it was taken for."""


class GenerationError(DeepAudioError, RuntimeError):
    """A network produced something that must not reach the user, such as NaN audio."""
