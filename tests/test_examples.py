# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every example runs as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from deepaudio_diffusers.media import probe, read_audio, write_audio
from tests.tiny import tiny_deepaudio_pipeline, tiny_pipeline, tiny_speech_pipeline


EXAMPLES = Path(__file__).parents[1] / "examples"
CLIP = EXAMPLES / "assets" / "bouncing-ball.mp4"


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """Noise that swells four times a second."""
    path = tmp_path_factory.mktemp("voice") / "voice.wav"
    time_in_s = torch.arange(36000) / 24000
    loudness = 0.2 * (0.6 + 0.4 * torch.sin(2 * torch.pi * 4 * time_in_s))
    noise = torch.randn(1, 36000, generator=torch.Generator().manual_seed(0))
    write_audio(path, (loudness * noise).numpy(), 24000)
    return path


def run(example: str, *arguments) -> str:
    command = [sys.executable, EXAMPLES / example, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def assert_only_sound_was_added(output: Path) -> None:
    silent, sounding = probe(CLIP), probe(output)
    assert not silent.has_audio
    assert sounding.has_audio
    assert sounding.duration_in_s == silent.duration_in_s
    assert list(output.parent.iterdir()) == [output]


def test_score_a_clip(tmp_path):
    tiny_pipeline().save_pretrained(tmp_path / "pipeline")
    output = tmp_path / "new-folder" / "with-sound.mp4"
    arguments = ["--pipeline", tmp_path / "pipeline", "--video", CLIP, "--prompt", "a rubber ball", "--output", output]
    assert run("score_a_clip.py", *arguments) == f"Wrote {output}\n"
    assert_only_sound_was_added(output)


def test_clone_a_voice(voice, tmp_path):
    tiny_speech_pipeline().save_pretrained(tmp_path / "pipeline")
    output = tmp_path / "new-folder" / "speech.wav"
    arguments = ["--pipeline", tmp_path / "pipeline", "--voice", voice, "--voice-text", "What is said.", "--steps", 2]
    said = run("clone_a_voice.py", *arguments, "--transcript", "Something new.", "--output", output)
    assert said == f"Wrote {output}\n"
    assert read_audio(output).samples.std() > 0
    assert list(output.parent.iterdir()) == [output]


def test_dub_a_clip(voice, tmp_path):
    tiny_deepaudio_pipeline().save_pretrained(tmp_path / "pipeline")
    output = tmp_path / "new-folder" / "with-sound.mp4"
    arguments = ["--pipeline", tmp_path / "pipeline", "--video", CLIP, "--task", "soundtrack"]
    arguments += ["--transcript", "Look at that.", "--voice", voice, "--voice-text", "What is said."]
    said = run("dub_a_clip.py", *arguments, "--steps", 2, "--speech-steps", 2, "--output", output)
    assert said == f"Made soundtrack and wrote {output}\n"
    assert_only_sound_was_added(output)
