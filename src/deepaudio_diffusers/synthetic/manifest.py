# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Clips of a world as files with a manifest, for `deepaudio evaluate`."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError
from .shards import Sample, read_shard


MANIFEST_FILE = "manifest.jsonl"


def write_manifest(
    world: str | os.PathLike,
    split: str,
    output: str | os.PathLike,
    *,
    talking_only: bool = False,
    num_clips: int | None = None,
) -> int:
    """Write clips of a split as files, and beside them a manifest that says what belongs together.

    Clips with speech get an utterance of the same voice in the split, which says something else, as `voice`.

    Args:
        world: Folder of a world, from `deepaudio make-world`.
        split: `"test"`, `"test_unseen_looks"` or `"validation"`.
        output: Folder to write.
        talking_only: Only clips in which somebody talks and nothing else sounds.
        num_clips: The first so many of them; all by default.

    Returns:
        `int`: How many clips were written.

    Raises:
        InputError: The folder is no world, or has no such clips.
    """
    world, output = Path(world), Path(output)
    shards = sorted((world / "clips" / split).glob("*.tar"))
    manifest = world / "manifest.json"
    if not manifest.is_file() or not json.loads(manifest.read_text(encoding="utf-8"))["complete"]:
        raise InputError(f"`world` ({world.name}) is no finished world; make or finish it with make-world.")
    if not shards:
        raise InputError(f"`world` ({world.name}) has no clips of the split {split!r}; make it with make-world.")
    voices = _voices(world, split)
    output.mkdir(parents=True, exist_ok=True)
    lines: list[str] = []
    for clip in _clips(shards, talking_only):
        if num_clips is not None and len(lines) == num_clips:
            break
        lines.append(json.dumps(_write_clip(clip, voices, len(lines), output)))
    if not lines:
        raise InputError(f"The split {split!r} of `world` ({world.name}) has no such clips.")
    partial = output / f"{MANIFEST_FILE}.partial"
    partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
    partial.replace(output / MANIFEST_FILE)
    return len(lines)


def _clips(shards: list[Path], talking_only: bool) -> Iterator[Sample]:
    for shard in shards:
        for clip in read_shard(shard):
            if not talking_only or clip.metadata["classes"] == ["talk"]:
                yield clip


def _voices(world: Path, split: str) -> dict[str, list[Sample]]:
    """Utterances of plain sentences by speaker."""
    voices: dict[str, list[Sample]] = {}
    # The split of unseen looks has no speech of its own.
    for shard in sorted((world / "speech" / split.removesuffix("_unseen_looks")).glob("*.tar")):
        for utterance in read_shard(shard):
            if utterance.metadata["sentence_kind"] == "grid":
                voices.setdefault(utterance.metadata["speaker"], []).append(utterance)
    return voices


def _write_clip(clip: Sample, voices: dict[str, list[Sample]], index: int, output: Path) -> dict[str, Any]:
    metadata = clip.metadata
    entry = {
        "key": clip.key,
        "reference": f"reference/{clip.key}.wav",
        "video": f"video/{clip.key}.mp4",
        "prompt": metadata["prompt"],
    }
    _write(output / entry["reference"], clip.members["wav"])
    _write(output / entry["video"], clip.members["mp4"])
    own = voices.get(metadata["speaker"], [])
    if metadata["transcript"] is not None:
        entry["transcript"] = metadata["transcript"]
    if own:
        voice = own[index % len(own)]
        if voice.metadata["transcript"] == metadata["transcript"]:
            voice = own[(index + 1) % len(own)]
        entry |= {"voice": f"voice/{voice.key}.wav", "voice_text": voice.metadata["transcript"]}
        _write(output / entry["voice"], voice.members["wav"])
    return entry


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
