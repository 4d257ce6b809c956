# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""DeepAudio-V1 and MMAudio for diffusers: sound and speech that fit a silent video.

Every public name can be imported from here. Nothing is imported before it is used, diffusers included, but whenever
diffusers is imported, before or after, it knows these classes (`_registration.py`).
"""

import importlib
from typing import TYPE_CHECKING, Any

from ._registration import register


if TYPE_CHECKING:
    from .errors import (
        CheckpointError,
        DeepAudioError,
        EmptyMediaError,
        GenerationError,
        InputError,
        MediaError,
        NoVideoStreamError,
    )
    from .models.autoencoder_mmaudio import MMAudioMelVAE
    from .models.encoder_clip import CLIPFrameEncoder
    from .models.encoder_synchformer import SynchformerVideoEncoder
    from .models.transformer_mmaudio import MMAudioTransformer1DModel
    from .models.vocoder_bigvgan import BigVGANVocoder
    from .pipelines.pipeline_output import VideoFeatures, VideoToAudioPipelineOutput
    from .pipelines.pipeline_video_to_audio import VideoToAudioPipeline
    from .schedulers import (
        FlowMatchGridEulerScheduler,
        FlowMatchGridMidpointScheduler,
        FlowMatchGridMultistepScheduler,
    )

# Where each public name lives. The first table holds what diffusers can load: models, schedulers, pipelines.
LOADABLE_NAMES = {
    "BigVGANVocoder": ".models.vocoder_bigvgan",
    "CLIPFrameEncoder": ".models.encoder_clip",
    "FlowMatchGridEulerScheduler": ".schedulers",
    "FlowMatchGridMidpointScheduler": ".schedulers",
    "FlowMatchGridMultistepScheduler": ".schedulers",
    "MMAudioMelVAE": ".models.autoencoder_mmaudio",
    "MMAudioTransformer1DModel": ".models.transformer_mmaudio",
    "SynchformerVideoEncoder": ".models.encoder_synchformer",
    "VideoToAudioPipeline": ".pipelines.pipeline_video_to_audio",
}
_OTHER_NAMES = {
    "CheckpointError": ".errors",
    "DeepAudioError": ".errors",
    "EmptyMediaError": ".errors",
    "GenerationError": ".errors",
    "InputError": ".errors",
    "MediaError": ".errors",
    "NoVideoStreamError": ".errors",
    "VideoFeatures": ".pipelines.pipeline_output",
    "VideoToAudioPipelineOutput": ".pipelines.pipeline_output",
}
# diffusers expects a library to carry the base classes by which it recognises how a component is loaded.
_BASE_CLASSES = {"ModelMixin": "diffusers", "PreTrainedModel": "transformers", "SchedulerMixin": "diffusers"}
_SUBPACKAGES = ("conversion", "errors", "media", "models", "pipelines", "processing", "schedulers")

_MODULE_OF = LOADABLE_NAMES | _OTHER_NAMES | _BASE_CLASSES

__all__ = [
    "BigVGANVocoder",
    "CLIPFrameEncoder",
    "CheckpointError",
    "DeepAudioError",
    "EmptyMediaError",
    "FlowMatchGridEulerScheduler",
    "FlowMatchGridMidpointScheduler",
    "FlowMatchGridMultistepScheduler",
    "GenerationError",
    "InputError",
    "MMAudioMelVAE",
    "MMAudioTransformer1DModel",
    "MediaError",
    "NoVideoStreamError",
    "SynchformerVideoEncoder",
    "VideoFeatures",
    "VideoToAudioPipeline",
    "VideoToAudioPipelineOutput",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        value = getattr(importlib.import_module(_MODULE_OF[name], __name__), name)
    elif name in _SUBPACKAGES:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBPACKAGES})


register()
