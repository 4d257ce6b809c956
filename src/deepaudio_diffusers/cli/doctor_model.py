# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What `deepaudio doctor --model` looks at: each part of a pipeline, and whether they make a sound together."""

import importlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DeepAudioError
from .doctor_environment import Finding


if TYPE_CHECKING:
    import torch

    from ..pipelines.pipeline_deepaudio import DeepAudioPipeline

LIBRARIES = ("diffusers", "transformers", "deepaudio_diffusers")
OTHER_COPY = "convert or download the model again"
# So that a list of a thousand keys does not hide the rest.
LISTED_KEYS = 3
NUM_STEPS = 2


def check_model(model: str, device: str) -> Iterator[Finding]:
    """All checks of a model.

    Args:
        model (`str`): A folder, or the name of a Hub repository.
        device (`str`): Where to try it, or `"auto"`.
    """
    from .loading import choose_device, find_model, hide_loading_bars, load_pipeline

    hide_loading_bars()
    try:
        folder = find_model(model)
        yield Finding("pass", "model", f"{folder.resolve()}, {_size_of(folder) / 2**20:,.0f} MiB")
        is_whole = True
        for finding in _check_parts(folder):
            is_whole &= finding.status != "fail"
            yield finding
        if not is_whole:
            return
        device = choose_device(device)
        pipeline = load_pipeline(folder, device)
    except DeepAudioError as error:
        yield Finding("fail", "model", str(error), OTHER_COPY)
        return
    yield Finding("pass", "pipeline", f"loads on {device}")
    yield from _check_sounds(pipeline)


def _size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check_parts(folder: Path) -> Iterator[Finding]:
    """One finding for each part that is a network."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
        parts = {name: entry for name, entry in index.items() if isinstance(entry, list) and entry[0] is not None}
    except (OSError, ValueError, AttributeError, IndexError) as error:
        yield Finding("fail", "model_index.json", f"cannot be read: {error}", OTHER_COPY)
        return
    for name, (library, class_name) in parts.items():
        part_class = getattr(importlib.import_module(library), class_name, None) if library in LIBRARIES else None
        if part_class is None:
            yield Finding("fail", name, f"is a {library}.{class_name}, which is not known", OTHER_COPY)
        elif hasattr(part_class, "load_state_dict"):
            yield _check_network(name, part_class, folder)


def _check_network(name: str, network_class: type, folder: Path) -> Finding:
    """Whether a network loads, with all its weights, no others, and none that is NaN or infinite."""
    import torch
    from safetensors import SafetensorError

    try:
        network, info = network_class.from_pretrained(
            folder, subfolder=name, use_safetensors=True, output_loading_info=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        return Finding("fail", name, f"does not load: {' '.join(str(error).split())[:200]}", OTHER_COPY)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(map(str, info[problem])):
            more = ", ..." if len(keys) > LISTED_KEYS else ""
            found = f"{len(keys)} {problem.replace('_', ' ')}: {', '.join(keys[:LISTED_KEYS])}{more}"
            return Finding("fail", name, found, OTHER_COPY)
    broken = [key for key, weight in network.state_dict().items() if not _is_finite(weight)]
    if broken:
        return Finding("fail", name, f"has NaN or infinite weights: {', '.join(broken[:LISTED_KEYS])}", OTHER_COPY)
    size = sum(weight.numel() for weight in network.parameters())
    return Finding("pass", name, f"{network_class.__name__}, {size / 1e6:.1f} M parameters, all there and finite")


def _is_finite(weight: "torch.Tensor") -> bool:
    return not weight.is_floating_point() or bool(weight.isfinite().all())


def _check_sounds(pipeline: "DeepAudioPipeline") -> Iterator[Finding]:
    """A second of sound and one of speech, and what the gate makes of an instruction."""
    import torch

    pipeline.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 48_000, generator=torch.Generator().manual_seed(0))
    swell = 0.2 * (0.6 + 0.4 * torch.sin(torch.arange(48_000) / 24_000 * 8 * torch.pi))
    frames = torch.zeros(25, 64, 64, 3, dtype=torch.uint8)
    frames[torch.arange(25), :, torch.arange(25)] = 255
    wishes = {}
    if pipeline.transformer is not None:
        wishes["video_to_audio"] = {"video": frames, "fps": 25, "num_inference_steps": NUM_STEPS}
    if pipeline.speech_transformer is not None:
        wishes["text_to_speech"] = {
            "transcript": "one two three",
            "reference_audio": noise * swell,
            "reference_sampling_rate": 24_000,
            "reference_text": "one two three",
            "speech_num_inference_steps": NUM_STEPS,
        }
    for task, arguments in wishes.items():
        start = time.monotonic()
        try:
            result = pipeline(task=task, generator=torch.Generator().manual_seed(0), output_type="pt", **arguments)
        except (DeepAudioError, RuntimeError) as error:
            yield Finding("fail", task, " ".join(str(error).split())[:300], OTHER_COPY)
            continue
        length_in_s = result.audios.shape[-1] / result.sampling_rate
        found = f"{length_in_s:.2f} s in {NUM_STEPS} steps took {time.monotonic() - start:.1f} s"
        if result.audios.abs().max() > 0:
            yield Finding("pass", task, found)
        else:
            yield Finding("fail", task, f"{found} and is silent", OTHER_COPY)
    if pipeline.gate is None:
        yield Finding(
            "warn", "gate", "none: --instruction is not understood", "say --task; or train a gate (stage3_mof)"
        )
    else:
        probabilities = pipeline.read_instruction("Dub this clip.")
        task = max(probabilities, key=probabilities.get)
        yield Finding("pass", "gate", f"'Dub this clip.' is {task}, p = {probabilities[task]:.2f}")
