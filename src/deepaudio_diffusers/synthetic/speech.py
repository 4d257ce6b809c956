# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Speech whose phones and words have known times, by the synthesiser flite (Black and Lenzo, "Flite: a small fast
run-time synthesis engine", SSW 2001).

Flite speaks a text at a tempo that the text all but determines. So that loudness tells something about the timing that
the text does not, an utterance is made of short phrases, each with a tempo of its own, and pauses between them.
"""

import re
import subprocess
import tempfile
import wave
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..processing.lexicon import read_lexicon, write_lexicon


__all__ = ["SPEAKERS", "Utterance", "build_lexicon", "read_lexicon", "synthesize_utterance", "write_lexicon"]

SAMPLING_RATE = 16_000
PAUSE = "pau"
# The voices of 16 kHz, and what their tempo is multiplied by: rms speaks more slowly than the others.
SPEAKERS = {"slt": 1.0, "rms": 0.9, "awb": 1.0, "kal16": 1.0}
# Speaks with the same front end as the other voices, and takes a quarter of their time.
LEXICON_SPEAKER = "kal16"

MAX_WORDS_IN_PHRASE = 3
PAUSE_RATE = 0.5
SHORTEST_PAUSE_IN_S, LONGEST_PAUSE_IN_S = 0.06, 0.4
CONSTANT_TEMPO_RATE = 0.25
# Of the durations of all phrases, and of the logarithm of each.
SLOWNESS = (0.8, 1.1)
SLOWNESS_SPREAD = 0.35
# In samples: what is kept of flite's own pauses at both ends of a phrase, and over what the sound fades there.
EDGE_PAUSE = 640
FADE = 80
LEVEL_IN_DB = -20.0
LARGEST_PEAK = 0.97
# A duration is not quite proportional to flite's `duration_stretch`.
MAX_ATTEMPTS = 6
LENGTH_MARGIN = 0.98

Span = tuple[str, float, float]
# The same in samples, so that what is joined stays exact.
Samples = tuple[str, int, int]


@dataclass(frozen=True)
class Utterance:
    """Synthesised speech.

    Attributes:
        waveform (`np.ndarray` of shape `(num_samples,)`): float32 at 16 kHz; -20 dB of full scale on average, or less
            where peaks would not fit.
        text (`str`): Lower-case words with a space between them.
        speaker (`str`): Name of the voice.
        phones (`list[tuple[str, float, float]]`): Name, begin and end in seconds of each phone, in flite's alphabet
            with `"pau"` for pauses; without gaps from 0 to the end of the waveform.
        words (`list[tuple[str, float, float]]`): The same of each word; pauses lie between them.
    """

    waveform: np.ndarray
    text: str
    speaker: str
    phones: list[Span]
    words: list[Span]


@dataclass(frozen=True)
class _Phrase:
    """Part of an utterance; the pauses are not among the phones."""

    waveform: np.ndarray
    phones: list[Samples]
    words: list[Samples]


def synthesize_utterance(rng: np.random.Generator, speaker: str, text: str, max_length_in_s: float) -> Utterance:
    """Speak a text in phrases of different tempo with pauses between them.

    A pause of 60 to 400 ms follows every other word on average, and every third at the latest; the words between two
    pauses are a phrase. A quarter of the utterances is one phrase. What would take too long is spoken faster.

    Args:
        rng (`np.random.Generator`): Decides about phrases, tempi and pauses.
        speaker (`str`): One of [`SPEAKERS`].
        text (`str`): Words of lower-case letters and apostrophes with spaces between them.
        max_length_in_s (`float`): The longest that the utterance may be.

    Returns:
        [`Utterance`]: It begins and ends with a pause of 40 ms at most.

    Raises:
        InputError: If the voice is unknown, the text has something else than words, is empty or too long for
            `max_length_in_s`, which has to be positive, or flite is not installed.
    """
    if speaker not in SPEAKERS:
        raise InputError(f"`speaker` is {speaker!r}; choose one of {', '.join(map(repr, SPEAKERS))}.")
    words = text.split()
    _check_words("text", words)
    if not words:
        raise InputError("`text` is empty; pass at least one word.")

    if not max_length_in_s > 0:
        raise InputError(f"`max_length_in_s` is {max_length_in_s:g}; pass a positive number of seconds.")

    lexicon = build_lexicon(words)
    phrases, stretches, pauses_in_s = _draw_prosody(rng, speaker, words)
    for _ in range(MAX_ATTEMPTS):
        spoken = [
            _speak_phrase(speaker, phrase, stretch, lexicon)
            for phrase, stretch in zip(phrases, stretches, strict=True)
        ]
        joined = _join(spoken, [round(pause_in_s * SAMPLING_RATE) for pause_in_s in pauses_in_s])
        length_in_s = len(joined.waveform) / SAMPLING_RATE
        if length_in_s <= max_length_in_s:
            phones = _with_pauses(joined.phones, len(joined.waveform))
            waveform = _at_level(joined.waveform)
            return Utterance(waveform, " ".join(words), speaker, _in_seconds(phones), _in_seconds(joined.words))
        factor = LENGTH_MARGIN * max_length_in_s / length_in_s
        stretches = [factor * stretch for stretch in stretches]
        pauses_in_s = [factor * pause_in_s for pause_in_s in pauses_in_s]
    raise InputError(
        f"`text` has {len(words)} words, which last {length_in_s:.2f} s at the least, and `max_length_in_s` is "
        f"{max_length_in_s:g}; allow more time or leave out words."
    )


def build_lexicon(words: Iterable[str]) -> dict[str, list[str]]:
    """Phones of each word, spoken alone, by the rules and the dictionary of flite.

    Args:
        words (`Iterable[str]`): Words of lower-case letters and apostrophes.

    Returns:
        `dict[str, list[str]]`: In alphabetical order of the words; without pauses.

    Raises:
        InputError: If something else than such words is given, or flite is not installed.
    """
    words = sorted(set(words))
    _check_words("words", words)
    if not words:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        # A blank line ends an utterance; flite prints the phones of each in a line.
        text = Path(folder, "words.txt")
        text.write_text("\n\n".join(words) + "\n", encoding="ascii")
        lines = _run_flite(LEXICON_SPEAKER, "-ps", "-f", str(text), "-o", "none").splitlines()
    if len(lines) != len(words):
        raise RuntimeError(f"flite printed {len(lines)} lines for {len(words)} words.")
    phones = ([phone for phone in line.split() if phone != PAUSE] for line in lines)
    return dict(zip(words, phones, strict=True))


def _check_words(name: str, words: list[str]) -> None:
    for word in words:
        if not re.fullmatch(r"[a-z]+('[a-z]+)*", word):
            raise InputError(f"`{name}` has {word!r}; pass words of lower-case letters and apostrophes.")


def _draw_prosody(
    rng: np.random.Generator, speaker: str, words: list[str]
) -> tuple[list[list[str]], list[float], list[float]]:
    """The phrases, the factor on the durations of each, and the pauses between them in seconds."""
    slowness = SPEAKERS[speaker] * rng.uniform(*SLOWNESS)
    if rng.random() < CONSTANT_TEMPO_RATE:
        return [words], [slowness], []
    phrases = [words[:1]]
    for word in words[1:]:
        if len(phrases[-1]) == MAX_WORDS_IN_PHRASE or rng.random() < PAUSE_RATE:
            phrases.append([word])
        else:
            phrases[-1].append(word)
    spread = rng.uniform(-SLOWNESS_SPREAD, SLOWNESS_SPREAD, size=len(phrases))
    pauses_in_s = rng.uniform(SHORTEST_PAUSE_IN_S, LONGEST_PAUSE_IN_S, size=len(phrases) - 1)
    return phrases, (slowness * np.exp(spread)).tolist(), pauses_in_s.tolist()


def _speak_phrase(speaker: str, words: list[str], stretch: float, lexicon: dict[str, list[str]]) -> _Phrase:
    waveform, phones = _speak(speaker, " ".join(words), stretch)
    num_phones = [len(phones)] if len(words) == 1 else [len(lexicon[word]) for word in words]
    if sum(num_phones) != len(phones):
        # A word sounds different among others, and nothing tells where it ends: then each is spoken alone.
        alone = [_speak_phrase(speaker, [word], stretch, lexicon) for word in words]
        return _join(alone, [0] * (len(words) - 1))
    bounds = pairwise([0, *np.cumsum(num_phones).tolist()])
    times = [(phones[first][1], phones[end - 1][2]) for first, end in bounds]
    return _Phrase(waveform, phones, [(word, *time) for word, time in zip(words, times, strict=True)])


def _speak(speaker: str, text: str, stretch: float) -> tuple[np.ndarray, list[Samples]]:
    """What flite says, float32, and its phones without the pauses."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "speech.wav")
        printed = _run_flite(
            speaker, "--setf", f"duration_stretch={stretch:.6f}", "-psdur", "-t", text, "-o", str(path)
        )
        with wave.open(str(path)) as file:
            waveform = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32) / 32768
            if file.getframerate() != SAMPLING_RATE:
                raise RuntimeError(f"flite's voice {speaker} has {file.getframerate()} Hz, not {SAMPLING_RATE}.")
    # Each phone is printed as its name and its end in seconds with three decimals, which is a whole sample.
    phones, start = [], 0
    for field in printed.split():
        name, end_in_s = field.split(":")
        end = round(float(end_in_s) * SAMPLING_RATE)
        if name != PAUSE:
            phones.append((name, start, end))
        start = end
    return waveform, phones


def _run_flite(speaker: str, *arguments: str) -> str:
    try:
        finished = subprocess.run(
            ["flite", "-voice", speaker, *arguments], check=True, capture_output=True, encoding="ascii"
        )
    except FileNotFoundError as error:
        raise InputError(
            "The program flite, which synthesises the speech, is missing; install it with `apt-get install flite`."
        ) from error
    return finished.stdout


def _join(phrases: list[_Phrase], pauses: list[int]) -> _Phrase:
    """Phrases with pauses of so many samples between them, and with what is kept of flite's own at both ends."""
    # Of a pause, half belongs to each phrase as far as flite paused there; what remains between them is silence.
    leads = [EDGE_PAUSE, *(min(EDGE_PAUSE, pause - pause // 2) for pause in pauses)]
    tails = [*(min(EDGE_PAUSE, pause // 2) for pause in pauses), EDGE_PAUSE]
    pieces, phones, words, num_samples = [], [], [], 0
    for phrase, pause, lead, tail in zip(phrases, [None, *pauses], leads, tails, strict=True):
        trimmed = _trim(phrase, lead, tail)
        if pause is not None:
            speech_start = words[-1][2] + pause
            pieces.append(np.zeros(speech_start - trimmed.words[0][1] - num_samples, dtype=np.float32))
            num_samples += len(pieces[-1])
        phones += _shift(trimmed.phones, num_samples)
        words += _shift(trimmed.words, num_samples)
        pieces.append(trimmed.waveform)
        num_samples += len(trimmed.waveform)
    return _Phrase(np.concatenate(pieces), phones, words)


def _trim(phrase: _Phrase, lead: int, tail: int) -> _Phrase:
    """The phrase with at most so many samples of pause at its ends."""
    start = max(0, phrase.words[0][1] - lead)
    waveform = phrase.waveform[start : phrase.words[-1][2] + tail].copy()
    waveform[:FADE] *= np.linspace(0, 1, FADE, dtype=np.float32)
    waveform[-FADE:] *= np.linspace(1, 0, FADE, dtype=np.float32)
    return _Phrase(waveform, _shift(phrase.phones, -start), _shift(phrase.words, -start))


def _shift(spans: list[Samples], offset: int) -> list[Samples]:
    return [(name, start + offset, end + offset) for name, start, end in spans]


def _with_pauses(phones: list[Samples], num_samples: int) -> list[Samples]:
    """The phones with pauses wherever there is none."""
    covering, end_before = [], 0
    for name, start, end in [*phones, (PAUSE, num_samples, num_samples)]:
        if start > end_before:
            covering.append((PAUSE, end_before, start))
        if end > start:
            covering.append((name, start, end))
        end_before = end
    return covering


def _in_seconds(spans: list[Samples]) -> list[Span]:
    return [(name, start / SAMPLING_RATE, end / SAMPLING_RATE) for name, start, end in spans]


def _at_level(waveform: np.ndarray) -> np.ndarray:
    gain = 10 ** (LEVEL_IN_DB / 20) / np.sqrt(np.mean(np.square(waveform)))
    return waveform * np.float32(min(gain, LARGEST_PEAK / np.abs(waveform).max()))
