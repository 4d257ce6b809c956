# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The library as diffusers sees it: lazy names, and every way of loading from a folder and from the Hub."""

import ast
import json
import multiprocessing
import subprocess
import sys
import types
from pathlib import Path

import diffusers
import pytest
import torch
from diffusers.hooks._helpers import AttentionProcessorRegistry, TransformerBlockRegistry
from safetensors.torch import save_file

import deepaudio_diffusers
from deepaudio_diffusers import _registration
from deepaudio_diffusers.conversion import convert_mmaudio_transformer
from deepaudio_diffusers.models import transformer_f5tts, transformer_mmaudio
from tests import loading_routes
from tests.golden import load_golden, weights_of
from tests.loading_routes import describe
from tests.loopback_hub import REPO_ID, LoopbackHub
from tests.tiny import tiny_pipeline


@pytest.fixture(scope="module")
def pipeline():
    return tiny_pipeline()


@pytest.fixture(scope="module")
def pipeline_folder(pipeline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hub(pipeline_folder):
    with LoopbackHub(pipeline_folder) as hub:
        yield hub


@pytest.fixture(scope="module")
def fresh_processes(hub, tmp_path_factory):
    """Forks processes that have imported what all routes need and nothing that the library registers itself with."""
    environment = {
        "HF_ENDPOINT": hub.endpoint,
        "HF_HOME": str(tmp_path_factory.mktemp("hf_home")),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "transformers.models.clip.modeling_clip", "accelerate", "peft"])
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield context


@pytest.fixture
def load(fresh_processes):
    def load(route, *arguments, **kwargs):
        receiver, sender = fresh_processes.Pipe(duplex=False)
        process = fresh_processes.Process(target=loading_routes.run, args=(sender, route.__name__, arguments, kwargs))
        process.start()
        sender.close()
        outcome = receiver.recv()
        process.join()
        return outcome

    return load


@pytest.mark.parametrize("place", ["folder", "hub"])
@pytest.mark.parametrize(
    "route",
    [
        loading_routes.own_class,
        loading_routes.diffusion_pipeline,
        loading_routes.diffusion_pipeline_imported_before_the_library,
        loading_routes.auto_pipeline,
    ],
    ids=lambda route: route.__name__,
)
def test_pipelines_load(load, pipeline, pipeline_folder, route, place):
    source = str(pipeline_folder) if place == "folder" else REPO_ID
    assert load(route, source) == describe(pipeline)


@pytest.mark.parametrize("route", [loading_routes.own_class, loading_routes.diffusion_pipeline])
def test_a_downloaded_pipeline_loads_without_the_hub(load, hub, pipeline, route):
    load(route, REPO_ID)
    requests = hub.requests
    assert requests > 0
    assert load(route, REPO_ID, local_files_only=True) == describe(pipeline)
    assert hub.requests == requests


@pytest.mark.parametrize("place", ["folder", "hub"])
@pytest.mark.parametrize("component", ["transformer", "video_encoder", "image_encoder", "vocoder"])
def test_auto_model_loads_each_network(load, pipeline, pipeline_folder, component, place):
    source = str(pipeline_folder) if place == "folder" else REPO_ID
    expected = describe(getattr(pipeline, component))
    assert load(loading_routes.auto_model, source, subfolder=component) == expected


def test_own_model_loads_from_the_hub(load, pipeline):
    assert load(loading_routes.own_model, REPO_ID) == describe(pipeline.transformer)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_from_single_file_loads_an_original_checkpoint(load, version, tmp_path):
    original = weights_of(load_golden(f"mmaudio/mmdit_tiny_{version}"))
    expected_model = convert_mmaudio_transformer(original)
    expected = describe(expected_model)

    safetensors_file = tmp_path / "mmaudio.safetensors"
    save_file({key: tensor.contiguous() for key, tensor in original.items()}, safetensors_file)
    assert load(loading_routes.from_single_file, str(safetensors_file)) == expected

    pickle_file, config_folder = tmp_path / "mmaudio.pth", tmp_path / "config"
    torch.save(original, pickle_file)
    expected_model.save_config(config_folder)
    assert load(loading_routes.from_single_file, str(pickle_file), config=str(config_folder)) == expected


def test_from_single_file_names_a_key_that_is_missing(load, tmp_path):
    original = weights_of(load_golden("mmaudio/mmdit_tiny_v2"))
    del original["final_layer.conv.bias"]
    torch.save(original, tmp_path / "mmaudio.pth")
    outcome = load(loading_routes.from_single_file, str(tmp_path / "mmaudio.pth"))
    assert outcome.startswith("CheckpointError")
    assert "proj_out.bias" in outcome


def test_diffusers_alone_names_the_missing_library(load):
    assert "deepaudio_diffusers" in load(loading_routes.without_the_library, REPO_ID)


def test_a_pipeline_folder_names_the_library_and_not_its_layout(pipeline_folder):
    index = json.loads((pipeline_folder / "model_index.json").read_text())
    assert index["_class_name"] == "VideoToAudioPipeline"
    own = {name: index[name] for name in ("transformer", "video_encoder", "image_encoder", "vocoder", "scheduler")}
    assert own == {
        "transformer": ["deepaudio_diffusers", "MMAudioTransformer1DModel"],
        "video_encoder": ["deepaudio_diffusers", "SynchformerVideoEncoder"],
        "image_encoder": ["deepaudio_diffusers", "CLIPFrameEncoder"],
        "vocoder": ["deepaudio_diffusers", "BigVGANVocoder"],
        "scheduler": ["deepaudio_diffusers", "FlowMatchGridEulerScheduler"],
    }


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import deepaudio_diffusers", {"torch", "diffusers", "transformers", "av"}),
        ("import diffusers, deepaudio_diffusers", {"transformers", "av", "diffusers.pipelines.pipeline_utils"}),
    ],
)
def test_importing_the_library_imports_nothing_heavy(statement, absent):
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    imported = set(output.split())
    assert not imported & absent
    assert {name for name in imported if name.startswith("deepaudio_diffusers")} == {
        "deepaudio_diffusers",
        "deepaudio_diffusers._registration",
    }


def test_every_public_name_is_there():
    for name in deepaudio_diffusers.__all__:
        assert getattr(deepaudio_diffusers, name).__name__ == name
    for name in deepaudio_diffusers.LOADABLE_NAMES:
        assert getattr(diffusers, name) is getattr(deepaudio_diffusers, name)
    assert set(deepaudio_diffusers.__all__) <= set(dir(deepaudio_diffusers))
    assert deepaudio_diffusers.conversion.convert_mmaudio_transformer is convert_mmaudio_transformer
    with pytest.raises(AttributeError, match="'Nonsense'"):
        deepaudio_diffusers.Nonsense  # noqa: B018


def test_type_checkers_see_the_same_names():
    tree = ast.parse(Path(deepaudio_diffusers.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    declared = {alias.name: "." + node.module for node in block.body for alias in node.names}
    assert declared == {name: deepaudio_diffusers._MODULE_OF[name] for name in deepaudio_diffusers.__all__}


def test_our_names_hide_none_of_diffusers():
    assert not set(deepaudio_diffusers.LOADABLE_NAMES) & set(diffusers.__all__)
    with pytest.raises(AttributeError, match="Nonsense"):
        diffusers.Nonsense  # noqa: B018


def test_configurations_of_our_schedulers_are_known_to_diffusers(pipeline_folder, caplog):
    """No warning about unexpected entries when one of diffusers' schedulers takes the place of a loaded one."""
    scheduler_class = deepaudio_diffusers.FlowMatchGridEulerScheduler
    config = scheduler_class.from_pretrained(pipeline_folder, subfolder="scheduler", grid="sway").config
    diffusers.utils.logging.enable_propagation()
    try:
        diffusers.FlowMatchEulerDiscreteScheduler.from_config(config)
        assert caplog.messages == []
        diffusers.FlowMatchEulerDiscreteScheduler.from_config({**config, "nonsense": 1})
        assert "nonsense" in caplog.text
    finally:
        diffusers.utils.logging.disable_propagation()


def test_caches_and_guiders_know_the_blocks_and_processors():
    for block in (transformer_mmaudio.MMAudioTransformerBlock, transformer_mmaudio.MMAudioSingleTransformerBlock):
        metadata = TransformerBlockRegistry.get(block)
        assert metadata.return_hidden_states_index == 0
        assert metadata.return_encoder_hidden_states_index == 1
    metadata = TransformerBlockRegistry.get(transformer_f5tts.F5TTSTransformerBlock)
    assert metadata.return_hidden_states_index == 0
    assert metadata.return_encoder_hidden_states_index is None
    for processor in (
        transformer_mmaudio.MMAudioAttnProcessor,
        transformer_mmaudio.MMAudioJointAttnProcessor,
        transformer_f5tts.F5TTSAttnProcessor,
    ):
        assert AttentionProcessorRegistry.get(processor)


def test_skipped_attention_returns_its_inputs():
    hidden_states, encoder_hidden_states = torch.ones(1), torch.zeros(1)
    skip = AttentionProcessorRegistry.get(transformer_mmaudio.MMAudioJointAttnProcessor).skip_processor_output_fn
    assert skip(None, hidden_states, encoder_hidden_states, 3, None) == (hidden_states, encoder_hidden_states)
    for processor in (transformer_mmaudio.MMAudioAttnProcessor, transformer_f5tts.F5TTSAttnProcessor):
        skip = AttentionProcessorRegistry.get(processor).skip_processor_output_fn
        assert skip(None, hidden_states, None) is hidden_states


def test_a_diffusers_without_the_registries_is_refused(monkeypatch):
    with pytest.raises(ImportError, match=r"diffusers\.renamed\.LOADABLE_CLASSES.*pip install"):
        _registration._register_library(types.ModuleType("diffusers.renamed"))
    monkeypatch.setitem(_registration._AFTER_IMPORT, "diffusers.moved", _registration._register_library)
    monkeypatch.setattr(diffusers, "__getattr__", diffusers.__getattr__)
    with pytest.raises(ImportError, match=r"diffusers\.moved.*pip install"):
        _registration._register_names(diffusers)
