# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The ways to load this library's classes. `run` calls one of them in a process of its own, which sees its imports.

`source` is a folder or the id of a repository on the Hub; `original_file` a checkpoint of the original MMAudio.
"""

from multiprocessing.connection import Connection


def own_class(source, **kwargs):
    from deepaudio_diffusers import VideoToAudioPipeline

    return VideoToAudioPipeline.from_pretrained(source, **kwargs)


def diffusion_pipeline(source, **kwargs):
    import diffusers

    import deepaudio_diffusers  # noqa: F401

    return diffusers.DiffusionPipeline.from_pretrained(source, **kwargs)


def diffusion_pipeline_imported_before_the_library(source):
    from diffusers import AutoPipelineForText2Audio, DiffusionPipeline  # noqa: F401

    import deepaudio_diffusers  # noqa: F401

    return DiffusionPipeline.from_pretrained(source)


def auto_pipeline(source):
    import diffusers

    import deepaudio_diffusers  # noqa: F401

    return diffusers.AutoPipelineForText2Audio.from_pretrained(source)


def auto_model(source, subfolder):
    import diffusers

    import deepaudio_diffusers  # noqa: F401

    return diffusers.AutoModel.from_pretrained(source, subfolder=subfolder)


def own_model(source):
    from deepaudio_diffusers import MMAudioTransformer1DModel

    return MMAudioTransformer1DModel.from_pretrained(source, subfolder="transformer")


def from_single_file(original_file, **kwargs):
    from deepaudio_diffusers import MMAudioTransformer1DModel

    return MMAudioTransformer1DModel.from_single_file(original_file, **kwargs)


def without_the_library(source):
    import diffusers

    return diffusers.DiffusionPipeline.from_pretrained(source)


def describe(loaded) -> tuple[str, int, float]:
    """Class name of a pipeline or model; number of tensors and sum of all weights of it or its transformer."""
    weights = getattr(loaded, "transformer", loaded).state_dict().values()
    return type(loaded).__name__, len(weights), sum(weight.double().sum().item() for weight in weights)


def run(connection: Connection, route: str, arguments: tuple, kwargs: dict):
    """Calls the function named `route` and sends what `describe` says of its result, or the error in words."""
    try:
        connection.send(describe(globals()[route](*arguments, **kwargs)))
    except Exception as error:
        connection.send(f"{type(error).__name__}: {error}")
