# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The clips and utterances that `tiny_report.py` measures on.

A random split has few clips of each kind, so sets with enough of one kind are made: with the seeds of the split,
beyond those of the clips that the world itself has. What is made is kept in shards.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.audio import read_waveform
from deepaudio_diffusers.synthetic import shards
from deepaudio_diffusers.synthetic.clips import CLASSES, SEED_RANGES, TALK, draw_pair, make_clip
from deepaudio_diffusers.synthetic.world import SEEDS_PER_WORLD
from deepaudio_diffusers.training.data import DataReport, Sample, read_samples


SAMPLING_RATE = 16_000
# Worlds have fewer clips than this in a split for tests; each set has the seeds of a part of the rest.
FIRST_SEED, SEEDS_PER_SET = 500_000, 40_000
# The classes that sound in sudden events. A test holds this list against the clips.
IMPACT_CLASSES = ("bell", "block", "bounce", "drum", "hammer", "metronome", "pluck", "typing")
# The voices that a recogniser understands well; the others are scored apart.
CLEAR_SPEAKERS = ("slt", "rms")
# An event that is softer is hardly heard, and one so soon after another is heard as one with it.
SOFTEST_STRENGTH, SHORTEST_GAP_IN_S = 0.12, 0.08


@dataclass(frozen=True, eq=False)
class ReportClip:
    """
    A clip or utterance.

    Args:
        key (`str`): Its name.
        video (`bytes` or `None`): The file with the picture.
        audio (`torch.Tensor` of shape `(num_samples,)`): Its sound, at 16 kHz.
        speech (`torch.Tensor` of shape `(num_samples,)` or `None`): The speech in it, where there is more.
        metadata: What is known about it; the data card of the world explains the fields.
    """

    key: str
    video: bytes | None
    audio: torch.Tensor
    speech: torch.Tensor | None
    metadata: dict[str, Any]

    @property
    def kind(self) -> str:
        """The class of what sounds, where that is one thing."""
        return self.metadata["classes"][0]

    @property
    def event_times(self) -> np.ndarray:
        """When something is heard to begin, in seconds."""
        times: list[float] = []
        for event in self.metadata["events"]:
            if event["strength"] >= SOFTEST_STRENGTH and (
                not times or event["time_in_s"] - times[-1] > SHORTEST_GAP_IN_S
            ):
                times.append(event["time_in_s"])
        return np.array(times)


def sound_labels(metadata: dict[str, Any]) -> list[str]:
    """What sounds in a clip, as the classifier knows it: classes, and blocks by what they are made of."""
    material = metadata["choices"].get("material")
    return [f"block {material}" if label == "block" else label for label in metadata["classes"]]


ALL_LABELS = tuple(
    name
    for label in CLASSES
    for name in ([f"block {m}" for m in ("wooden", "metal", "glass")] if label == "block" else [label])
)


def class_of(label: str) -> str:
    """The class that a label of the classifier belongs to."""
    return label.split()[0]


@dataclass(frozen=True)
class ClipSet:
    """A set of clips: what is to be seen in the i-th that is tried, and which are kept."""

    visible: Callable[[int, np.random.Generator], tuple[str, ...]]
    is_kept: Callable[[dict[str, Any]], bool]
    unseen_looks: bool = False


def _one_after_the_other(classes: tuple[str, ...]) -> Callable[[int, np.random.Generator], tuple[str, ...]]:
    return lambda i, rng: (classes[i % len(classes)],)


def _two_objects(i: int, rng: np.random.Generator) -> tuple[str, ...]:
    return draw_pair(rng)


def _speaker_and_impacts(i: int, rng: np.random.Generator) -> tuple[str, ...]:
    return tuple(rng.permutation([TALK, IMPACT_CLASSES[i % len(IMPACT_CLASSES)]]).tolist())


def _all(metadata: dict[str, Any]) -> bool:
    return True


CLIP_SETS = {
    "sounds": ClipSet(_one_after_the_other(CLASSES), _all),
    "unseen_looks": ClipSet(_one_after_the_other(CLASSES), _all, unseen_looks=True),
    "materials": ClipSet(_one_after_the_other(("block",)), _all),
    "registers": ClipSet(_one_after_the_other(("siren", "pluck")), lambda metadata: "register" in metadata["choices"]),
    "one_named": ClipSet(_two_objects, lambda metadata: len(metadata["classes"]) == 1),
    "both_named": ClipSet(_two_objects, lambda metadata: len(metadata["classes"]) == 2),
    "talk": ClipSet(_one_after_the_other((TALK,)), lambda metadata: metadata["speaker"] in CLEAR_SPEAKERS),
    "scenes": ClipSet(
        _speaker_and_impacts,
        lambda metadata: len(metadata["classes"]) == 2 and metadata["speaker"] in CLEAR_SPEAKERS,
    ),
}


def clip_set(
    world: Path, name: str, split: str, num_clips: int, folder: Path, num_processes: int = 1
) -> list[ReportClip]:
    """The clips of a set, which are made when there are none yet.

    Args:
        world (`Path`): Folder of a world; its seed decides which clips are made.
        name (`str`): One of [`CLIP_SETS`].
        split (`str`): `"test"`, or `"validation"` for choices that are still to be made.
        num_clips (`int`): How many.
        folder (`Path`): Where shards are kept.
        num_processes (`int`, defaults to 1): Processes that make clips at the same time.

    Raises:
        InputError: When the folder is no world.
    """
    world_seed = world_manifest(world)["settings"]["seed"]
    path = folder / f"{split}-{world_seed}" / f"{name}-{num_clips}" / "clips-000000.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shards.write_shard(path, _make_clips(name, split, world_seed, num_clips, num_processes))
    return list(_read(path.parent))


def _make_clips(name: str, split: str, world_seed: int, num_clips: int, num_processes: int) -> Iterator[shards.Sample]:
    drawn_split = "test_unseen_looks" if CLIP_SETS[name].unseen_looks and split == "test" else split
    first = SEED_RANGES[drawn_split][0] + world_seed * SEEDS_PER_WORLD + FIRST_SEED
    first += list(CLIP_SETS).index(name) * SEEDS_PER_SET
    kept = 0
    with ExitStack() as stack:
        run = map
        if num_processes > 1:
            run = stack.enter_context(ProcessPoolExecutor(num_processes, get_context("spawn"))).map
        for block in count():
            trials = range(block * num_clips, (block + 1) * num_clips)
            for sample in run(_try_clip, [(name, drawn_split, first + i, i) for i in trials]):
                if sample is not None:
                    yield sample
                    kept += 1
                    if kept == num_clips:
                        return


def _try_clip(trial: tuple[str, str, int, int]) -> shards.Sample | None:
    name, split, seed, i = trial
    visible = CLIP_SETS[name].visible(i, np.random.default_rng(seed))
    clip = make_clip(seed, split, visible=visible)
    return shards.clip_sample(f"{name}-{i:06d}", clip) if CLIP_SETS[name].is_kept(clip.metadata) else None


def world_manifest(world: Path) -> dict[str, Any]:
    """What the world says of itself.

    Raises:
        InputError: When the folder is no world, or one that is not finished.
    """
    path = world / "manifest.json"
    if not path.is_file():
        raise InputError(f"`world` is {world}, which has no manifest.json; make one with `deepaudio make-world`.")
    return json.loads(path.read_text(encoding="utf-8"))


def utterances(world: Path, split: str) -> list[ReportClip]:
    """All utterances of a split of a world.

    Raises:
        InputError: When there are none.
    """
    return list(_read(world / "speech" / split))


def training_clips(world: Path, num_clips: int) -> list[ReportClip]:
    """The first clips of the training split.

    Raises:
        InputError: When there are none.
    """
    clips = []
    for clip in _read(world / "clips" / "train"):
        clips.append(clip)
        if len(clips) == num_clips:
            break
    return clips


def _read(folder: Path) -> Iterator[ReportClip]:
    for sample in read_samples(folder, DataReport(on_bad_data="error")):
        sounds = {name: _read_sound(sample, name) for name in ("wav", "speech.wav") if name in sample.files}
        yield ReportClip(sample.key, sample.video, sounds["wav"], sounds.get("speech.wav"), sample.metadata)


def _read_sound(sample: Sample, name: str) -> torch.Tensor:
    waveform, sampling_rate = read_waveform(sample.files[name])
    if sampling_rate != SAMPLING_RATE:
        raise InputError(f"{sample.key} has {sampling_rate} samples a second; a world has {SAMPLING_RATE}.")
    return waveform[0]
