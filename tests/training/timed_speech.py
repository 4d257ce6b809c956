# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Something like speech for the tests of training: a tone for each phone, with known times."""

import json
from pathlib import Path

import numpy as np

from tests.training.sounding_clips import SAMPLING_RATE, wav_of, write_shard


WORDS = {"ab": ["aa", "b"], "ba": ["b", "aa"], "see": ["s", "iy"]}
PITCHES_IN_HZ = {"aa": 300.0, "b": 500.0, "s": 3000.0, "iy": 900.0}
VOICES_IN_HZ = {"low": 0.0, "high": 150.0}
LEXICON = "".join(f"{word}\t{' '.join(phones)}\n" for word, phones in WORDS.items())
PAUSE_IN_S = 0.05


def utterance(seed: int, speaker: str) -> tuple[np.ndarray, dict]:
    """A waveform of a second or so, and its metadata; there are pauses around the words."""
    rng = np.random.default_rng(seed)
    words = list(rng.choice(list(WORDS), size=2 + seed % 2))
    pieces, spans, end = [], [], 0
    for phone in ["pau", *(phone for word in words for phone in [*WORDS[word], "pau"])]:
        length_in_s = PAUSE_IN_S if phone == "pau" else rng.uniform(0.08, 0.16)
        times = np.arange(int(length_in_s * SAMPLING_RATE)) / SAMPLING_RATE
        pitch_in_hz = PITCHES_IN_HZ.get(phone, 0.0) + VOICES_IN_HZ[speaker]
        loudness = 0.0 if phone == "pau" else rng.uniform(0.1, 0.4)
        pieces.append(loudness * np.sin(2 * np.pi * pitch_in_hz * times))
        start, end = end, end + len(times)
        spans.append([phone, start / SAMPLING_RATE, end / SAMPLING_RATE])
    return np.concatenate(pieces), {"transcript": " ".join(words), "speaker": speaker, "phones": spans}


def speech_sample(seed: int, **changes) -> dict[str, bytes]:
    """An utterance as the files of a sample; `changes` replace metadata."""
    waveform, metadata = utterance(seed, list(VOICES_IN_HZ)[seed % 2])
    return {"wav": wav_of(waveform), "json": json.dumps(metadata | changes).encode()}


def write_speech(folder: Path, num_utterances: int = 8, first_seed: int = 0) -> Path:
    """A folder with one shard of utterances by two speakers in turn."""
    samples = [speech_sample(first_seed + i) for i in range(num_utterances)]
    write_shard(folder / "speech-000000.tar", samples)
    return folder


def write_lexicon(path: Path) -> Path:
    path.write_text(LEXICON, encoding="utf-8")
    return path
