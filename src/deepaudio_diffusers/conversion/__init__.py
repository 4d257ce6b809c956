# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Original checkpoints -> models and pipeline folders of this package.

Names are imported when they are first used, so that the command line can list the variants without loading torch.
"""

from importlib import import_module


_MODULES = {
    "compose_deepaudio_recipe": "recipes",
    "convert_bigvgan": "vocoders",
    "convert_clip": "clip",
    "convert_f5tts": "f5tts",
    "convert_mmaudio_transformer": "mmaudio",
    "convert_mmaudio_vae": "vae",
    "convert_pipeline": "pipeline_folder",
    "convert_synchformer": "synchformer",
    "convert_vocos": "vocoders",
    "convert_whole_synchformer": "synchformer_whole",
    "identify": "checkpoints",
    "load_checkpoint": "checkpoints",
    "read_shapes": "checkpoints",
    "RECIPES": "recipes",
    "Recipe": "recipes",
}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
