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
        LimitExceededError,
        MediaError,
        NoAudioStreamError,
        NoVideoStreamError,
        UnreadableMediaError,
        UnsafeArtifactError,
    )
    from .models.autoencoder_mmaudio import MMAudioMelVAE
    from .models.encoder_clip import CLIPFrameEncoder
    from .models.encoder_conv import ConvVideoEncoder
    from .models.encoder_synchformer import SynchformerVideoEncoder
    from .models.gating_network import MoFGatingConfig, MoFGatingNetwork
    from .models.synchformer import Synchformer
    from .models.transformer_f5tts import F5TTSTransformer1DModel
    from .models.transformer_mmaudio import MMAudioTransformer1DModel
    from .models.vocoder_bigvgan import BigVGANVocoder
    from .models.vocoder_vocos import VocosVocoder
    from .pipelines.pipeline_deepaudio import DeepAudioPipeline
    from .pipelines.pipeline_output import (
        DeepAudioPipelineOutput,
        TextToSpeechPipelineOutput,
        VideoFeatures,
        VideoToAudioPipelineOutput,
        VoicePrompt,
    )
    from .pipelines.pipeline_text_to_speech import TextToSpeechPipeline
    from .pipelines.pipeline_video_to_audio import VideoToAudioPipeline
    from .processing.tokenization_f5tts import F5TTSTokenizer
    from .processing.tokenization_phones import PhoneTokenizer
    from .schedulers import (
        FlowMatchGridEulerScheduler,
        FlowMatchGridMidpointScheduler,
        FlowMatchGridMultistepScheduler,
    )

# Where each public name lives. The first table holds what diffusers can load: models, schedulers, pipelines.
LOADABLE_NAMES = {
    "BigVGANVocoder": ".models.vocoder_bigvgan",
    "CLIPFrameEncoder": ".models.encoder_clip",
    "ConvVideoEncoder": ".models.encoder_conv",
    "DeepAudioPipeline": ".pipelines.pipeline_deepaudio",
    "F5TTSTokenizer": ".processing.tokenization_f5tts",
    "F5TTSTransformer1DModel": ".models.transformer_f5tts",
    "FlowMatchGridEulerScheduler": ".schedulers",
    "FlowMatchGridMidpointScheduler": ".schedulers",
    "FlowMatchGridMultistepScheduler": ".schedulers",
    "MMAudioMelVAE": ".models.autoencoder_mmaudio",
    "MMAudioTransformer1DModel": ".models.transformer_mmaudio",
    "MoFGatingNetwork": ".models.gating_network",
    "PhoneTokenizer": ".processing.tokenization_phones",
    "Synchformer": ".models.synchformer",
    "SynchformerVideoEncoder": ".models.encoder_synchformer",
    "TextToSpeechPipeline": ".pipelines.pipeline_text_to_speech",
    "VideoToAudioPipeline": ".pipelines.pipeline_video_to_audio",
    "VocosVocoder": ".models.vocoder_vocos",
}
_OTHER_NAMES = {
    "CheckpointError": ".errors",
    "DeepAudioError": ".errors",
    "DeepAudioPipelineOutput": ".pipelines.pipeline_output",
    "EmptyMediaError": ".errors",
    "GenerationError": ".errors",
    "InputError": ".errors",
    "LimitExceededError": ".errors",
    "MediaError": ".errors",
    "MoFGatingConfig": ".models.gating_network",
    "NoAudioStreamError": ".errors",
    "NoVideoStreamError": ".errors",
    "TextToSpeechPipelineOutput": ".pipelines.pipeline_output",
    "UnreadableMediaError": ".errors",
    "UnsafeArtifactError": ".errors",
    "VideoFeatures": ".pipelines.pipeline_output",
    "VideoToAudioPipelineOutput": ".pipelines.pipeline_output",
    "VoicePrompt": ".pipelines.pipeline_output",
}
# diffusers expects a library to carry the base classes by which it recognises how a component is loaded.
_BASE_CLASSES = {
    "ModelMixin": "diffusers",
    "PreTrainedModel": "transformers",
    "PreTrainedTokenizer": "transformers",
    "SchedulerMixin": "diffusers",
}
_SUBPACKAGES = (
    "conversion",
    "errors",
    "evaluation",
    "instructions",
    "media",
    "models",
    "pipelines",
    "processing",
    "schedulers",
    "synthetic",
    "training",
)

_MODULE_OF = LOADABLE_NAMES | _OTHER_NAMES | _BASE_CLASSES

__all__ = [
    "BigVGANVocoder",
    "CLIPFrameEncoder",
    "CheckpointError",
    "ConvVideoEncoder",
    "DeepAudioError",
    "DeepAudioPipeline",
    "DeepAudioPipelineOutput",
    "EmptyMediaError",
    "F5TTSTokenizer",
    "F5TTSTransformer1DModel",
    "FlowMatchGridEulerScheduler",
    "FlowMatchGridMidpointScheduler",
    "FlowMatchGridMultistepScheduler",
    "GenerationError",
    "InputError",
    "LimitExceededError",
    "MMAudioMelVAE",
    "MMAudioTransformer1DModel",
    "MediaError",
    "MoFGatingConfig",
    "MoFGatingNetwork",
    "NoAudioStreamError",
    "NoVideoStreamError",
    "PhoneTokenizer",
    "Synchformer",
    "SynchformerVideoEncoder",
    "TextToSpeechPipeline",
    "TextToSpeechPipelineOutput",
    "UnreadableMediaError",
    "UnsafeArtifactError",
    "VideoFeatures",
    "VideoToAudioPipeline",
    "VideoToAudioPipelineOutput",
    "VocosVocoder",
    "VoicePrompt",
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
