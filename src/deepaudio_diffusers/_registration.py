# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Makes the classes of this library loadable by diffusers. The only file that touches diffusers' registries.

A pipeline folder names each component as `["deepaudio_diffusers", "ClassName"]`. With what is registered here,
`DiffusionPipeline`, `AutoModel`, `AutoPipelineForText2Audio` and `from_single_file` find these classes, from a local
folder and from the Hub alike, and the caches, guiders and layer-skip tools know the transformer blocks.

diffusers and the modules that hold its registries take seconds to import, so `import deepaudio_diffusers` does not
import them: an import hook fills each registry right after its module has been imported, by whomever. Nothing here
imports a network before it is asked for.

Tested with the range of diffusers versions in setup.py. A registry that is not where it is expected raises an
ImportError.
"""

import importlib
import importlib.abc
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


PACKAGE = "deepaudio_diffusers"


def register():
    """Registers the library with diffusers; called once, by the package's `__init__`.

    Raises:
        ImportError: If the installed diffusers lacks one of the places where the library is registered. Raised here if
            diffusers has been imported already, else by its import.
    """
    sys.meta_path.insert(0, _AfterImportFinder())
    for module_name, action in _AFTER_IMPORT.items():
        if module_name in sys.modules:
            action(sys.modules[module_name])


def _register_names(diffusers: ModuleType):
    """`diffusers.ClassName`, where diffusers looks up the classes that configurations name, gives ours, lazily."""
    package = sys.modules[PACKAGE]
    # A module-level `__getattr__` (PEP 562). diffusers has none itself: its own laziness is a method of the module's
    # class, which Python asks next. Another library may have put one there in the same way as this one.
    earlier_getattr = vars(diffusers).get("__getattr__")

    def get_loadable_class(name: str) -> Any:
        if name in package.LOADABLE_NAMES:
            return getattr(package, name)
        if earlier_getattr is not None:
            return earlier_getattr(name)
        raise AttributeError(f"module 'diffusers' has no attribute {name!r}")

    diffusers.__getattr__ = get_loadable_class

    # A module that has moved would never be imported and its registry never filled.
    for module_name in _AFTER_IMPORT:
        if module_name.startswith("diffusers.") and importlib.util.find_spec(module_name) is None:
            raise _incompatible(module_name)


def _register_library(pipeline_loading_utils: ModuleType):
    methods = ["save_pretrained", "from_pretrained"]
    _required(pipeline_loading_utils, "LOADABLE_CLASSES")[PACKAGE] = {
        "ModelMixin": methods,
        "SchedulerMixin": methods,
        "PreTrainedModel": methods,
        "PreTrainedTokenizer": methods,
    }


def _register_pipelines(auto_pipeline: ModuleType):
    from .pipelines.pipeline_text_to_speech import TextToSpeechPipeline
    from .pipelines.pipeline_video_to_audio import VideoToAudioPipeline

    mapping = _required(auto_pipeline, "AUTO_TEXT2AUDIO_PIPELINES_MAPPING")
    mapping["mmaudio"] = VideoToAudioPipeline
    mapping["f5tts"] = TextToSpeechPipeline


def _register_original_checkpoints(single_file_model: ModuleType):
    classes = _required(single_file_model, "SINGLE_FILE_LOADABLE_CLASSES")
    for class_name, module_name, name in (
        ("MMAudioTransformer1DModel", "mmaudio", "mmaudio_transformer"),
        ("F5TTSTransformer1DModel", "f5tts", "f5tts"),
        ("Synchformer", "synchformer_whole", "whole_synchformer"),
    ):
        classes[class_name] = _single_file_functions(module_name, f"infer_{name}_config", f"convert_{name}")


def _single_file_functions(module_name: str, infer_name: str, convert_name: str) -> dict[str, Callable]:
    # The configuration is that of `config=`, or with `original_config={}` it is read off the shapes in the file;
    # entries of that dict then override what the shapes tell.
    def configure(original_config: dict[str, Any], checkpoint: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(f".conversion.{module_name}", PACKAGE)
        return getattr(module, infer_name)(checkpoint) | original_config

    # Converted as a whole and not only renamed, so that a key too many or too few is an error that names it.
    def convert(checkpoint: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
        module = importlib.import_module(f".conversion.{module_name}", PACKAGE)
        arguments = {name: value for name, value in config.items() if not name.startswith("_")}
        return getattr(module, convert_name)(checkpoint, **arguments).state_dict()

    return {"checkpoint_mapping_fn": convert, "config_mapping_fn": configure}


def _register_mmaudio_blocks(transformer_mmaudio: ModuleType):
    from diffusers.hooks import _helpers

    block_registry = _required(_helpers, "TransformerBlockRegistry")
    for block in (transformer_mmaudio.MMAudioTransformerBlock, transformer_mmaudio.MMAudioSingleTransformerBlock):
        metadata = _helpers.TransformerBlockMetadata(
            return_hidden_states_index=0, return_encoder_hidden_states_index=1
        )
        block_registry.register(block, metadata)

    # What an attention layer returns when a guider skips it: its own inputs.
    def skip_attention(attn: Any, hidden_states: Any, *_: Any, **__: Any) -> Any:
        return hidden_states

    def skip_joint_attention(attn: Any, hidden_states: Any, encoder_hidden_states: Any, *_: Any, **__: Any) -> Any:
        return hidden_states, encoder_hidden_states

    processor_registry = _required(_helpers, "AttentionProcessorRegistry")
    for processor, skip in (
        (transformer_mmaudio.MMAudioAttnProcessor, skip_attention),
        (transformer_mmaudio.MMAudioJointAttnProcessor, skip_joint_attention),
    ):
        metadata = _helpers.AttentionProcessorMetadata(skip_processor_output_fn=skip)
        processor_registry.register(processor, metadata)


def _register_f5tts_blocks(transformer_f5tts: ModuleType):
    from diffusers.hooks import _helpers

    metadata = _helpers.TransformerBlockMetadata(return_hidden_states_index=0, return_encoder_hidden_states_index=None)
    block_registry = _required(_helpers, "TransformerBlockRegistry")
    block_registry.register(transformer_f5tts.F5TTSTransformerBlock, metadata)

    def skip_attention(attn: Any, hidden_states: Any, *_: Any, **__: Any) -> Any:
        return hidden_states

    metadata = _helpers.AttentionProcessorMetadata(skip_processor_output_fn=skip_attention)
    processor_registry = _required(_helpers, "AttentionProcessorRegistry")
    processor_registry.register(transformer_f5tts.F5TTSAttnProcessor, metadata)


# What to do with a module right after its import.
_AFTER_IMPORT: dict[str, Callable[[ModuleType], None]] = {
    "diffusers": _register_names,
    "diffusers.pipelines.pipeline_loading_utils": _register_library,
    "diffusers.pipelines.auto_pipeline": _register_pipelines,
    "diffusers.loaders.single_file_model": _register_original_checkpoints,
    f"{PACKAGE}.models.transformer_f5tts": _register_f5tts_blocks,
    f"{PACKAGE}.models.transformer_mmaudio": _register_mmaudio_blocks,
}


class _AfterImportFinder(importlib.abc.MetaPathFinder):
    """Leaves finding modules to the other finders and adds the functions of `_AFTER_IMPORT` to what they load."""

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None):
        if name not in _AFTER_IMPORT:
            return None
        specs = (finder.find_spec(name, path, target) for finder in sys.meta_path if finder is not self)
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is not None:
            exec_module = spec.loader.exec_module

            def exec_module_and_register(module: ModuleType):
                exec_module(module)
                # diffusers replaces itself in `sys.modules` while it is executed.
                _AFTER_IMPORT[name](sys.modules[name])

            spec.loader.exec_module = exec_module_and_register
        return spec


def _required(module: ModuleType, name: str) -> Any:
    if not hasattr(module, name):
        raise _incompatible(f"{module.__name__}.{name}")
    return getattr(module, name)


def _incompatible(missing: str) -> ImportError:
    return ImportError(
        f"diffusers {importlib.metadata.version('diffusers')} does not have {missing}, where {PACKAGE} makes its "
        f'classes known. Install a version that {PACKAGE} was tested with: pip install "diffusers>=0.42.1,<0.43".'
    )
