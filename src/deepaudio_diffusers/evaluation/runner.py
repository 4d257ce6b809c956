# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Scoring all clips of a system, by one process or several.

Under `accelerate launch` or `torchrun` each process takes a part of the clips. Clips are scored one by one, so the
figures do not depend on who scored what.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import gather_object
from huggingface_hub.utils import tqdm

from ..errors import DeepAudioError, InputError
from .files import write_whole
from .intervals import Estimate, bootstrap
from .items import FILE_FIELDS, TEXT_FIELDS, Item, LoadedItem, load_item
from .scorers import SET_RESAMPLES, Figure, Record, Scorer


@dataclass(frozen=True)
class SystemScores:
    """
    What was measured of the results of one system.

    Args:
        name (`str`): Of the system.
        records (`list[Record]`): One for each clip, with its `key` and, if its result failed, `failure`.
        unexpected (`list[str]`): Files among the results that belong to no clip.
    """

    name: str
    records: list[Record]
    unexpected: list[str]

    @property
    def failures(self) -> dict[str, str]:
        """Why results failed, by key."""
        return {record["key"]: record["failure"] for record in self.records if record["failure"] is not None}

    def estimate(self, figure: Figure, seed: int = 0, with_failures: bool = True) -> Estimate | None:
        """A figure with its interval; `None` with less clips than it needs.

        Args:
            figure (`Figure`): Of one of the scorers.
            seed (`int`, defaults to 0): Of the bootstrap.
            with_failures (`bool`, defaults to `True`): Whether clips whose result failed count. They should; without
                them the figure says how good the rest is.
        """
        records = [record for record in self.records if with_failures or record["failure"] is None]
        if len(records) < (2 if figure.is_of_sets else 1):
            return None
        rows = rows_of(records, figure)
        if figure.is_of_sets:
            return bootstrap(rows, figure.statistic, num_resamples=SET_RESAMPLES, seed=seed, centred=True)
        return bootstrap(rows, figure.statistic, seed=seed)


def rows_of(records: Sequence[Record], figure: Figure) -> np.ndarray:
    """What a figure sums up: a row for each clip, with its columns side by side. Where clips have arrays of different
    lengths, zeros continue the shorter ones."""
    return np.concatenate([_column(records, name) for name in figure.columns], axis=1)


def _column(records: Sequence[Record], name: str) -> np.ndarray:
    values = [np.ravel(record[name]).astype(np.float64) for record in records]
    width = max(map(len, values))
    return np.stack([np.pad(value, (0, width - len(value))) for value in values])


def score_system(
    name: str,
    items: Sequence[Item],
    scorers: Sequence[Scorer],
    *,
    cache_folder: Path | None = None,
    unexpected: Sequence[str] = (),
) -> SystemScores:
    """Score all clips of a system. Every process returns the same.

    Args:
        name (`str`): Of the system.
        items (sequence of `Item`): The clips with their results.
        scorers (sequence of `Scorer`): What to measure.
        cache_folder (`Path`, *optional*): Keeps what was measured, by content, so that a call that was broken off goes
            on, and one that is made again measures nothing.
        unexpected (sequence of `str`): Files among the results that belong to no clip.

    Raises:
        InputError: When a clip lacks a field that a scorer needs, or what belongs to it cannot be read.
    """
    for scorer in scorers:
        for need in scorer.needs:
            lacking = [item.key for item in items if getattr(item, need) is None]
            if lacking:
                raise InputError(
                    f"`{scorer.name}` needs `{need}` of every clip; {len(lacking)} of {len(items)} have none, such as "
                    f"{lacking[0]!r}. Add it to the manifest, or leave this score out."
                )
    state = PartialState()
    own = range(state.process_index, len(items), state.num_processes)
    scored = []
    for index in tqdm(own, desc=f"Scoring {name}", unit="clip", disable=not state.is_main_process):
        clip = load_item(items[index])
        record: Record = {"key": clip.item.key, "failure": clip.failure}
        for scorer in scorers:
            record |= _score(scorer, clip, cache_folder)
        scored.append((index, record))
    # Under one process it returns what it was given.
    everything = sorted(gather_object(scored), key=lambda pair: pair[0])
    return SystemScores(name, [record for _, record in everything], list(unexpected))


def _score(scorer: Scorer, clip: LoadedItem, cache_folder: Path | None) -> Record:
    path = None if cache_folder is None else cache_folder / "records" / f"{_content_hash(scorer, clip)}.json"
    if path is not None and path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    try:
        record = scorer.score(clip) if clip.failure is None else scorer.worst(clip)
    except DeepAudioError as error:
        raise InputError(f"`{scorer.name}` cannot score {clip.item.key!r}: {error}") from error
    # Vectors are kept as embeddings already.
    if path is not None and not any(isinstance(value, np.ndarray) for value in record.values()):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record))
    return record


def _content_hash(scorer: Scorer, clip: LoadedItem) -> str:
    """Of all that a record depends on."""
    texts: dict[str, Any] = {name: getattr(clip.item, name) for name in TEXT_FIELDS if name in scorer.needs}
    settings = {
        "scorer": scorer.name,
        "protocol": scorer.protocol,
        "failed": clip.failure is not None,
        "sampling_rate": clip.sampling_rate,
        "reference_sampling_rate": clip.reference_sampling_rate,
        **texts,
    }
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(clip.waveform.numpy())
    if clip.reference is not None:
        digest.update(b"reference")
        digest.update(clip.reference.contiguous().numpy())
    for name in FILE_FIELDS:
        if name in scorer.needs and name != "reference":
            file = getattr(clip.item, name)
            digest.update(name.encode())
            digest.update(file if isinstance(file, bytes) else file.read_bytes())
    return digest.hexdigest()
