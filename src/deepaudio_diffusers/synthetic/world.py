# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Making the whole world: clips and speech for all splits, in shards, with a lexicon, a manifest and a data card."""

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub.utils import tqdm

from ..errors import InputError
from .clips import SEED_RANGES, SPEAKERS, SPLITS, draw_choice, make_clip, shifted
from .data_card import DATA_CARD
from .scenes import FOLEY_CLASSES
from .sentences import lexicon_words, sample_sentence
from .shards import Sample, clip_sample, read_shard, speech_sample, write_shard
from .speech import SAMPLING_RATE, build_lexicon, read_lexicon, synthesize_utterance, write_lexicon


# Raised whenever the same seed makes something else.
WORLD_VERSION = 1
SAMPLES_PER_SHARD = 200
# Worlds with different seeds have no clip in common.
SEEDS_PER_WORLD = 1_000_000
NUM_WORLDS = (SEED_RANGES["train"][1] - SEED_RANGES["train"][0]) // SEEDS_PER_WORLD
SPEECH_SPLITS = ("train", "validation", "test")
# Folder of the clips for training in which the prompt decides.
CHOICES = "train_choices"
# Kinds of sentences, which take turns.
SENTENCE_KINDS = {
    "train": ("grid", "open"),
    "validation": ("grid", "open"),
    "test": ("grid", "open", "grid", "open_unseen"),
}
LONGEST_UTTERANCE_IN_S = 6.0
# Keeps the random numbers of utterances apart from those of clips with the same seeds.
_STREAM = 2


@dataclass(frozen=True)
class WorldSettings:
    """What is in a world. Equal settings make equal worlds.

    Args:
        seed: From 0 to 99; worlds with different seeds have nothing in common.
        num_train: Clips for training.
        num_validation: Clips for validation.
        num_test: Clips of each of the two test splits.
        num_speech_per_speaker: Utterances of each voice for training.
        num_validation_speech_per_speaker: The same for validation.
        num_test_speech_per_speaker: The same for tests.
        num_train_choices: Further clips for training, all of which are of the kinds in which the prompt decides.
    """

    seed: int
    num_train: int
    num_validation: int
    num_test: int
    num_speech_per_speaker: int
    num_validation_speech_per_speaker: int = 60
    num_test_speech_per_speaker: int = 260
    num_train_choices: int = 0

    def __post_init__(self):
        for name, value in asdict(self).items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise InputError(f"`{name}` is {value!r}; pass an integer that is not negative.")
        if self.seed >= NUM_WORLDS:
            raise InputError(f"`seed` is {self.seed}; there are {NUM_WORLDS} worlds, counted from 0.")
        # Both kinds of clips for training have the same seeds, from their two ends.
        if self.num_train + self.num_train_choices > SEEDS_PER_WORLD:
            raise InputError(
                f"`num_train` and `num_train_choices` are {self.num_train:,} and {self.num_train_choices:,}; a world "
                f"has seeds for {SEEDS_PER_WORLD:,} of both."
            )
        most = max(*self.num_clips.values(), *self.num_utterances.values())
        if most > SEEDS_PER_WORLD:
            raise InputError(
                f"A split would have {most:,} samples; a world has seeds for {SEEDS_PER_WORLD:,} in each."
            )

    def as_json(self) -> dict[str, int]:
        """What the manifest says; without what is not in the world."""
        return {name: value for name, value in asdict(self).items() if name != "num_train_choices" or value}

    @property
    def num_clips(self) -> dict[str, int]:
        """Clips in each folder."""
        numbers = dict(zip(SPLITS, (self.num_train, self.num_validation, self.num_test, self.num_test), strict=True))
        return numbers | ({CHOICES: self.num_train_choices} if self.num_train_choices else {})

    @property
    def num_utterances(self) -> dict[str, int]:
        """Utterances in each split."""
        numbers = (
            self.num_speech_per_speaker,
            self.num_validation_speech_per_speaker,
            self.num_test_speech_per_speaker,
        )
        return {split: len(SPEAKERS) * number for split, number in zip(SPEECH_SPLITS, numbers, strict=True)}


@dataclass(frozen=True)
class _Shard:
    """A shard to be made; its samples are those from `first` to before `end` of its folder.

    `first_seed` is the lowest that its world has for the split.
    """

    path: Path
    kind: str
    folder: str
    first_seed: int
    first: int
    end: int

    def samples(self) -> Iterator[Sample]:
        name = self.folder if self.kind == "clips" else f"speech-{self.folder}"
        for index in range(self.first, self.end):
            key, seed = f"{name}-{index:06d}", self.first_seed + index
            if self.kind == "speech":
                yield make_utterance_sample(key, seed, self.folder, index)
            elif self.folder == CHOICES:
                # From the last seed downwards: neither kind of clips depends on how many there are of the other.
                seed = self.first_seed + SEEDS_PER_WORLD - 1 - index
                yield clip_sample(key, make_clip(seed, "train", visible=draw_choice(seed, index)))
            else:
                yield clip_sample(key, make_clip(seed, self.folder))


def make_world(
    out: str | os.PathLike,
    *,
    seed: int,
    num_train: int,
    num_validation: int,
    num_test: int,
    num_speech_per_speaker: int,
    num_validation_speech_per_speaker: int = 60,
    num_test_speech_per_speaker: int = 260,
    num_train_choices: int = 0,
    num_processes: int = 2,
) -> dict[str, Any]:
    """Make a world in a folder. If it was interrupted, the same call goes on with the shards that are missing.

    Args:
        out: The folder, which is made. Its `README.md` explains what is in it.
        seed: From 0 to 99; worlds with different seeds have nothing in common.
        num_train: Clips for training.
        num_validation: Clips for validation.
        num_test: Clips of each of the two test splits.
        num_speech_per_speaker: Utterances of each of the four voices for training.
        num_validation_speech_per_speaker: The same for validation.
        num_test_speech_per_speaker: The same for tests.
        num_train_choices: Further clips for training, in `clips/train_choices`, all of which are of the kinds in which
            the prompt decides what is heard: blocks, sirens, strings, and two objects of which one may be silent.
        num_processes: Processes that make shards at the same time; the world does not depend on it.

    Returns:
        `dict`: The manifest, which is also in `manifest.json`. Its `content_hash` is the same on every machine with
        the same versions of flite and NumPy.

    Raises:
        InputError: An argument is not as described, the folder has a world with other settings, or flite or the list
            of words is not installed.
    """
    settings = WorldSettings(
        seed,
        num_train,
        num_validation,
        num_test,
        num_speech_per_speaker,
        num_validation_speech_per_speaker,
        num_test_speech_per_speaker,
        num_train_choices,
    )
    if not isinstance(num_processes, int) or num_processes < 1:
        raise InputError(f"`num_processes` is {num_processes!r}; pass a positive integer.")
    out = Path(out)
    description = {"world_version": WORLD_VERSION, "settings": settings.as_json()}
    _begin(out, description)

    if not (out / "lexicon.txt").exists():
        write_lexicon(out / "lexicon.txt.partial", build_lexicon(lexicon_words()))
        (out / "lexicon.txt.partial").replace(out / "lexicon.txt")
    hashes = _make_shards(_plan(out, settings), num_processes)
    (out / "README.md").write_text(_data_card(settings), encoding="utf-8")
    manifest = description | {
        "complete": True,
        "num_clips": settings.num_clips,
        "num_utterances": settings.num_utterances,
        "num_lexicon_words": len(read_lexicon(out / "lexicon.txt")),
        "first_seeds": {split: _first_seed(settings, split) for split in SPLITS},
        "content_hashes": {folder: _joint_hash(hashes[folder]) for folder in sorted(hashes)},
        "lexicon_hash": hashlib.sha256((out / "lexicon.txt").read_bytes()).hexdigest(),
    }
    manifest["content_hash"] = _joint_hash([*manifest["content_hashes"].values(), manifest["lexicon_hash"]])
    _write_manifest(out, manifest)
    return manifest


def make_utterance_sample(key: str, seed: int, split: str, index: int) -> Sample:
    """Speech without a picture. Voices and kinds of sentences take turns with `index`; all else depends on `seed`."""
    rng = np.random.default_rng((seed, _STREAM))
    kinds = SENTENCE_KINDS[split]
    speaker, kind = SPEAKERS[index % len(SPEAKERS)], kinds[index // len(SPEAKERS) % len(kinds)]
    utterance = synthesize_utterance(rng, speaker, sample_sentence(rng, split, kind), LONGEST_UTTERANCE_IN_S)
    metadata = {
        "split": split,
        "seed": seed,
        "duration_in_s": len(utterance.waveform) / SAMPLING_RATE,
        "prompt": None,
        "classes": ["talk"],
        "visible": [],
        "events": [],
        "choices": {},
        "transcript": utterance.text,
        "sentence_kind": kind,
        "speaker": speaker,
        "phones": shifted(utterance.phones, 0.0),
        "words": shifted(utterance.words, 0.0),
    }
    return speech_sample(key, utterance.waveform, metadata)


def _begin(out: Path, description: dict[str, Any]) -> None:
    """Make the folder, or make sure that what is there is the same world."""
    path = out / "manifest.json"
    if not path.exists():
        out.mkdir(parents=True, exist_ok=True)
        _write_manifest(out, description | {"complete": False})
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    if any(found.get(name) != value for name, value in description.items()):
        raise InputError(
            f"`out` is {out}, which has a world with other settings: {found.get('settings')}; pass another folder, or "
            "the same settings to go on with it."
        )


def _write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    partial = out / "manifest.json.partial"
    partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    partial.replace(out / "manifest.json")


def _first_seed(settings: WorldSettings, folder: str) -> int:
    return SEED_RANGES["train" if folder == CHOICES else folder][0] + settings.seed * SEEDS_PER_WORLD


def _plan(out: Path, settings: WorldSettings) -> list[_Shard]:
    shards = []
    for kind, numbers in (("clips", settings.num_clips), ("speech", settings.num_utterances)):
        for folder, number in numbers.items():
            for first in range(0, number, SAMPLES_PER_SHARD):
                path = out / kind / folder / f"{folder}-{first // SAMPLES_PER_SHARD:06d}.tar"
                end = min(number, first + SAMPLES_PER_SHARD)
                shards.append(_Shard(path, kind, folder, _first_seed(settings, folder), first, end))
    return shards


def _make_shards(shards: list[_Shard], num_processes: int) -> dict[str, list[str]]:
    """Make the shards that are missing; the content hashes of all samples, by folder and in order."""
    for shard in shards:
        shard.path.parent.mkdir(parents=True, exist_ok=True)
    hashes = {}
    # A new interpreter for each process: a fork of one with threads may hang.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(num_processes, context) as pool,
        tqdm(total=sum(shard.end - shard.first for shard in shards), unit="sample", desc="Making the world") as bar,
    ):
        pending = {pool.submit(_make_shard, shard): shard for shard in shards}
        try:
            for future in as_completed(pending):
                hashes[pending[future]] = future.result()
                bar.update(len(hashes[pending[future]]))
        finally:
            # After an error or an interrupt, what has not begun is not begun any more.
            pool.shutdown(cancel_futures=True)
    folders = {}
    for shard in shards:
        folders.setdefault(f"{shard.kind}/{shard.folder}", []).extend(hashes[shard])
    return folders


def _make_shard(shard: _Shard) -> list[str]:
    if not shard.path.exists():
        write_shard(shard.path, shard.samples())
    return [sample.metadata["content_hash"] for sample in read_shard(shard.path)]


def _joint_hash(hashes: list[str]) -> str:
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _data_card(settings: WorldSettings) -> str:
    rows = "\n".join(f"| `clips/{folder}` | {number:,} |" for folder, number in settings.num_clips.items())
    rows += "".join(f"\n| `speech/{folder}` | {number:,} |" for folder, number in settings.num_utterances.items())
    return DATA_CARD.format(
        seed=settings.seed,
        rows=rows,
        version=WORLD_VERSION,
        foley_classes=", ".join(f"`{label}`" for label in FOLEY_CLASSES),
    )
