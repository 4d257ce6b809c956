# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every example runs as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from deepaudio_diffusers.media import probe
from tests.tiny import tiny_pipeline


EXAMPLES = Path(__file__).parents[1] / "examples"
CLIP = EXAMPLES / "assets" / "bouncing-ball.mp4"


@pytest.fixture(scope="module")
def pipeline_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pipeline")
    tiny_pipeline().save_pretrained(folder)
    return folder


def test_score_a_clip(pipeline_folder, tmp_path):
    output = tmp_path / "new-folder" / "with-sound.mp4"
    arguments = ["--pipeline", pipeline_folder, "--video", CLIP, "--prompt", "a rubber ball", "--output", output]
    run = subprocess.run(
        [sys.executable, EXAMPLES / "score_a_clip.py", *arguments], capture_output=True, text=True, check=True
    )
    assert run.stdout == f"Wrote {output}\n"
    silent, sounding = probe(CLIP), probe(output)
    assert not silent.has_audio
    assert sounding.has_audio
    assert sounding.duration_in_s == silent.duration_in_s
    assert list(output.parent.iterdir()) == [output]
