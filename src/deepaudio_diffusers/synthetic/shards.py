# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Samples of the world in WebDataset shards: plain tar files, in which the members of a sample share a key.

The same samples make the same bytes, apart from coded pictures. What is in a sample is summed up by its content hash,
which is taken before pictures are coded, so that it does not depend on the coder.
"""

import hashlib
import io
import json
import os
import tarfile
import wave
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import UnreadableMediaError
from ..media.encode import encode_video
from .acoustics import SAMPLING_RATE
from .clips import Clip
from .scenes.stage import FRAME_RATE


FULL_SCALE = 2**15


@dataclass(frozen=True, eq=False)
class Sample:
    """What belongs together in a shard.

    Args:
        key: Name of the sample, without dots.
        members: Contents by extension, such as `"wav"`, in the order in which they are stored.
    """

    key: str
    members: Mapping[str, bytes]

    @property
    def metadata(self) -> dict[str, Any]:
        """What the member `"json"` says."""
        return json.loads(self.members["json"])


def clip_sample(key: str, clip: Clip) -> Sample:
    """A clip with its picture coded: members `mp4`, `wav`, `json`, and `speech.wav` where it has a stem."""
    sounds = {"wav": _pcm16(clip.audio)}
    if clip.speech is not None:
        sounds["speech.wav"] = _pcm16(clip.speech)
    text = _with_content_hash(key, clip.metadata, [clip.video, *sounds.values()])
    waves = {extension: wav_bytes(samples) for extension, samples in sounds.items()}
    stem = {"speech.wav": waves.pop("speech.wav")} if clip.speech is not None else {}
    return Sample(key, {"mp4": encode_video(clip.video, FRAME_RATE)} | waves | {"json": text} | stem)


def speech_sample(key: str, waveform: np.ndarray, metadata: Mapping[str, Any]) -> Sample:
    """Speech without a picture: members `wav` and `json`; `waveform` is float `(num_samples,)`."""
    samples = _pcm16(waveform)
    return Sample(key, {"wav": wav_bytes(samples), "json": _with_content_hash(key, metadata, [samples])})


def write_shard(path: str | os.PathLike, samples: Iterable[Sample]) -> None:
    """Write a shard. It gets its name when it is complete, so a shard that exists is a whole one."""
    partial = Path(f"{os.fspath(path)}.partial")
    with tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in samples:
            for extension, content in sample.members.items():
                # Owner and time are 0 unless they are set.
                member = tarfile.TarInfo(f"{sample.key}.{extension}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    partial.replace(path)


def read_shard(path: str | os.PathLike) -> Iterator[Sample]:
    """The samples of a shard in order.

    Raises:
        UnreadableMediaError: The file is damaged or no tar file.
    """
    key, members = None, {}
    try:
        with tarfile.open(path, "r:") as archive:
            for member in archive:
                name, _, extension = member.name.partition(".")
                if key is not None and name != key:
                    yield Sample(key, members)
                    members = {}
                key = name
                members[extension] = archive.extractfile(member).read()
    except tarfile.TarError as error:
        raise UnreadableMediaError(f"The shard {os.fspath(path)} cannot be read ({error}); make it again.") from error
    if key is not None:
        yield Sample(key, members)


def wav_bytes(samples: np.ndarray) -> bytes:
    """A wav file, mono at 16 kHz, of int16 samples `(num_samples,)`."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLING_RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    return file.getvalue()


def wav_samples(content: bytes) -> np.ndarray:
    """The sound in a wav file that `wav_bytes` made: float32 `(num_samples,)`."""
    with wave.open(io.BytesIO(content)) as reader:
        samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
    return samples.astype(np.float32) / FULL_SCALE


def _pcm16(waveform: np.ndarray) -> np.ndarray:
    return np.clip(np.round(waveform.astype(np.float64) * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype("<i2")


def _with_content_hash(key: str, metadata: Mapping[str, Any], arrays: Iterable[np.ndarray]) -> bytes:
    """JSON of the metadata with the key, and with a hash of both and of the arrays."""
    metadata = {"key": key, **metadata}
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for array in arrays:
        digest.update(array.tobytes())
    return json.dumps(metadata | {"content_hash": digest.hexdigest()}).encode()
