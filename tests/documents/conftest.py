# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder that documents and examples are tried in, and sampling without progress bars."""

import pytest
from accelerate.state import AcceleratorState, PartialState

from deepaudio_diffusers import DeepAudioPipeline, TextToSpeechPipeline, VideoToAudioPipeline
from tests.documents.workshop import make_workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    return make_workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(autouse=True)
def no_progress_bars(monkeypatch):
    for pipeline in (DeepAudioPipeline, TextToSpeechPipeline, VideoToAudioPipeline):
        monkeypatch.setattr(pipeline, "_progress_bar_config", {"disable": True}, raising=False)


@pytest.fixture(autouse=True)
def forget_accelerator():
    """accelerate remembers how a process was set up; a script that runs here is a process of its own."""
    yield
    PartialState._reset_state()
    AcceleratorState._reset_state(True)
