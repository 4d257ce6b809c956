# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small clips for the tests of training: a dot that jumps when a tone begins, as WebDataset shards."""

import io
import json
import tarfile
import wave
from pathlib import Path

import numpy as np

from deepaudio_diffusers.media.encode import encode_video


SAMPLING_RATE = 16_000
FRAMES_PER_SECOND = 25
NUM_FRAMES = 32
SIZE = 32
PITCHES_IN_HZ = {"low": 300.0, "high": 2400.0}


def tone_clip(seed: int, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Frames (32, 32, 32, 3), a waveform (20480,), and the time at which the dot jumps and the tone begins."""
    rng = np.random.default_rng(seed)
    onset = int(rng.integers(8, 24))
    frames = np.full((NUM_FRAMES, SIZE, SIZE, 3), 40, np.uint8)
    frames[:onset, 20:28, 4:12] = 220
    top = 2 if name == "high" else 12
    frames[onset:, top : top + 8, 16:30] = 220
    time = np.arange(NUM_FRAMES * SAMPLING_RATE // FRAMES_PER_SECOND) / SAMPLING_RATE
    waveform = 1e-3 * rng.standard_normal(len(time))
    is_on = time >= onset / FRAMES_PER_SECOND
    waveform[is_on] += 0.4 * np.sin(2 * np.pi * PITCHES_IN_HZ[name] * time[is_on])
    return frames, waveform.astype(np.float32), onset / FRAMES_PER_SECOND


def wav_of(waveform: np.ndarray) -> bytes:
    """A WAV file of 16-bit samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(SAMPLING_RATE)
        writer.writeframes((waveform * 32767).astype("<i2").tobytes())
    return file.getvalue()


def write_shard(path: Path, samples: list[dict[str, bytes]]) -> None:
    """Samples by suffix as one shard."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for index, sample in enumerate(samples):
            for suffix, content in sample.items():
                member = tarfile.TarInfo(f"clip-{index:03d}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def write_damaged_shard(path: Path) -> None:
    """A shard that ends within the first file of its first sample."""
    write_shard(path, [tone_sample(0)])
    path.write_bytes(path.read_bytes()[:1000])


def tone_sample(seed: int) -> dict[str, bytes]:
    """A whole clip as the files of a sample."""
    name = list(PITCHES_IN_HZ)[seed % 2]
    frames, waveform, onset_in_s = tone_clip(seed, name)
    metadata = {
        "prompt": f"a {name} tone",
        "classes": [name],
        "visible": [name],
        "events": [{"time_in_s": onset_in_s, "class": name, "strength": 1.0}],
    }
    return {
        "mp4": encode_video(frames, FRAMES_PER_SECOND),
        "wav": wav_of(waveform),
        "json": json.dumps(metadata).encode(),
    }


def write_tone_clips(folder: Path, count: int) -> Path:
    """A folder with one shard of clips; returns it."""
    write_shard(folder / "clips-000000.tar", [tone_sample(seed) for seed in range(count)])
    return folder
