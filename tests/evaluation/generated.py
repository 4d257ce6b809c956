# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips whose sound and motion are known, as files."""

import json
from pathlib import Path

import numpy as np
import torch

from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.media.encode import encode_video


SAMPLING_RATE = 16_000
FRAME_RATE = 25
LENGTH_IN_S = 4.0
# Not at equal distances, so that only one offset fits.
EVENTS_IN_S = (0.8, 1.32, 2.2, 2.48, 3.4)


def jumping_block(events_in_s: tuple[float, ...] = EVENTS_IN_S) -> bytes:
    """A video of a patterned block that stands still but for jumps at the events."""
    rng = np.random.default_rng(0)
    pattern = rng.integers(0, 255, (24, 24, 1)).repeat(3, axis=2)
    # Blurred, as optical flow cannot follow noise of single pixels.
    pattern = np.kron(pattern[::4, ::4], np.ones((4, 4, 1)))
    frames = np.full((round(LENGTH_IN_S * FRAME_RATE), 64, 64, 3), 30, np.uint8)
    for number, frame in enumerate(frames):
        jumps = sum(number >= round(time * FRAME_RATE) for time in events_in_s)
        left = 8 + 4 * (jumps % 2)
        frame[20:44, left : left + 24] = pattern
    return encode_video(frames, FRAME_RATE)


def blows(events_in_s: tuple[float, ...] = EVENTS_IN_S, offset_in_s: float = 0.0) -> torch.Tensor:
    """Blows at the events, or so much later: `(num_samples,)`."""
    sound = np.zeros(round(LENGTH_IN_S * SAMPLING_RATE))
    decay = np.arange(SAMPLING_RATE // 5) / SAMPLING_RATE
    blow = np.exp(-decay / 0.04) * np.sin(2 * np.pi * 700 * decay) * 0.5
    for time in events_in_s:
        start = round((time + offset_in_s) * SAMPLING_RATE)
        if 0 <= start < len(sound) - len(blow):
            sound[start : start + len(blow)] += blow
    return torch.from_numpy(sound).float()


def vowel(pitch_in_hz: float, length_in_s: float = 0.6) -> torch.Tensor:
    """A buzz with a moving formant, `(num_samples,)`."""
    time = np.arange(round(length_in_s * SAMPLING_RATE)) / SAMPLING_RATE
    harmonics = sum(
        np.exp(-(((pitch_in_hz * n - 700 - 300 * np.sin(5 * time)) / 400) ** 2))
        * np.sin(2 * np.pi * pitch_in_hz * n * time)
        for n in range(1, 20)
    )
    return torch.from_numpy(0.1 * harmonics).float()


def write_clips(folder: Path, num_clips: int = 6) -> Path:
    """References, and two systems of results: `same`, which is the references, and `bad`, which fails in each way that
    results fail but for the last clip. Returns the manifest."""
    lines = []
    for name in ("reference", "same", "bad"):
        (folder / name).mkdir(parents=True)
    for number in range(num_clips):
        sound = vowel(110 + 15 * number)
        for name in ("reference", "same"):
            write_audio(folder / name / f"clip-{number}.wav", sound, SAMPLING_RATE)
        lines.append(
            {"key": f"clip-{number}", "reference": f"reference/clip-{number}.wav", "transcript": f"word {number}"}
        )
    bad = folder / "bad"
    # clip-0 is missing.
    (bad / "clip-1.wav").write_bytes(b"no sound at all")
    write_audio(bad / "clip-2.wav", torch.zeros(SAMPLING_RATE), SAMPLING_RATE, allow_silence=True)
    write_audio(bad / "clip-3.wav", torch.ones(1), SAMPLING_RATE)
    write_float_wav(bad / "clip-4.wav", np.full(SAMPLING_RATE, np.nan, np.float32))
    write_audio(bad / "clip-5.wav", vowel(110 + 15 * 5), SAMPLING_RATE)
    write_audio(bad / "stranger.wav", vowel(110), SAMPLING_RATE)
    manifest = folder / "manifest.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)) + "\n")
    return manifest


def write_float_wav(path: Path, samples: np.ndarray) -> None:
    """A wav file of 32-bit floats, which can hold NaN."""
    data = samples.astype("<f4").tobytes()
    header = b"RIFF" + (36 + len(data)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    header += (3).to_bytes(2, "little") + (1).to_bytes(2, "little") + SAMPLING_RATE.to_bytes(4, "little")
    header += (4 * SAMPLING_RATE).to_bytes(4, "little") + (4).to_bytes(2, "little") + (32).to_bytes(2, "little")
    path.write_bytes(header + b"data" + len(data).to_bytes(4, "little") + data)
