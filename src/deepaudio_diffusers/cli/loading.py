# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""From the name of a model to a pipeline that is ready to work."""

import os
from pathlib import Path

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from ..errors import CheckpointError, InputError
from ..pipelines.pipeline_deepaudio import TEXT_TO_SPEECH_COMPONENTS, DeepAudioPipeline
from ..pipelines.pipeline_text_to_speech import TextToSpeechPipeline
from ..pipelines.pipeline_video_to_audio import VideoToAudioPipeline


def find_model(model: str) -> Path:
    """The folder of a model, downloaded if it is the name of a Hub repository.

    Args:
        model (`str`): A folder, or a name such as `me/my-model`.

    Raises:
        CheckpointError: It is neither, or the download fails.
    """
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "model_index.json").is_file():
            raise CheckpointError(
                f"`model` ({model!r}) is a folder without model_index.json; pass the folder of a whole pipeline, such "
                "as `deepaudio convert` writes it."
            )
        return folder
    try:
        # Weights that are not in safetensors could run code.
        return Path(DiffusionPipeline.download(model, use_safetensors=True))
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"`model` ({model!r}) is no folder here, and cannot be had from the Hub: {_first_line(error)}"
        ) from error


def choose_device(device: str) -> str:
    """`device`, or the best there is for `"auto"`.

    Raises:
        InputError: PyTorch does not know it, or it is not in this machine.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"`device` is {device!r}, which cannot be used: {_first_line(error)}") from error
    return device


def hide_loading_bars() -> None:
    """No bars for loading weights: those for seconds of work tear those for minutes."""
    diffusers_logging.disable_progress_bar()
    transformers_logging.disable_progress_bar()


def load_pipeline(folder: Path, device: str, dtype: str = "float32", offload: str = "none") -> DeepAudioPipeline:
    """Load a pipeline of any of the three kinds, as a `DeepAudioPipeline` that may lack a half.

    Args:
        folder (`Path`): From [`find_model`].
        device (`str`): From [`choose_device`].
        dtype (`str`, defaults to `"float32"`): `"float32"`, `"bfloat16"` or `"float16"`.
        offload (`str`, defaults to `"none"`): With `"model"` each network is on the GPU only while it works, with
            `"sequential"` each of its layers.

    Raises:
        CheckpointError: It cannot be loaded, or is another pipeline.
        InputError: Offloading was asked for without a GPU to work on.
    """
    if offload != "none" and device == "cpu":
        raise InputError(f"`offload` is {offload!r}, which serves a GPU, but the device is 'cpu'; leave it out.")
    if device.startswith("cuda"):
        # What cuBLAS needs to give the same numbers each time; it reads this when it is first used.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True, warn_only=True)
    hide_loading_bars()
    try:
        pipeline = DiffusionPipeline.from_pretrained(folder, dtype=getattr(torch, dtype), use_safetensors=True)
    except (OSError, ValueError, RuntimeError, AttributeError, KeyError, SafetensorError) as error:
        # Attribute and key errors are what diffusers makes of an index with unknown or missing entries.
        raise CheckpointError(
            f"`model` ({folder.name!r}) cannot be loaded: {_first_line(error)} `deepaudio doctor --model` says more."
        ) from error
    pipeline = _as_deepaudio(pipeline, folder)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    elif offload == "sequential":
        pipeline.enable_sequential_cpu_offload(device=device)
    else:
        pipeline.to(device)
    return pipeline


def _as_deepaudio(pipeline: DiffusionPipeline, folder: Path) -> DeepAudioPipeline:
    if isinstance(pipeline, DeepAudioPipeline):
        return pipeline
    if isinstance(pipeline, VideoToAudioPipeline):
        return DeepAudioPipeline(**pipeline.components)
    if isinstance(pipeline, TextToSpeechPipeline):
        parts = {name: pipeline.components[theirs] for name, theirs in TEXT_TO_SPEECH_COMPONENTS.items()}
        return DeepAudioPipeline(**parts)
    raise CheckpointError(
        f"`model` ({folder.name!r}) is a {type(pipeline).__name__}; expected DeepAudioPipeline, VideoToAudioPipeline "
        "or TextToSpeechPipeline."
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
