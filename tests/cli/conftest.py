# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the tests of `deepaudio generate` and `deepaudio doctor` work with."""

import hashlib
import json
from pathlib import Path

import pytest

from deepaudio_diffusers.cli import main


ROOT = Path(__file__).parents[2]
CHECKPOINT = ROOT / "checkpoints" / "deepaudio-tiny"
ASSETS = ROOT / "examples" / "assets"
BALL, PUPPET, VOICE = ASSETS / "bouncing-ball.mp4", ASSETS / "puppet-and-drums.mp4", ASSETS / "voice.wav"
VOICE_TEXT = "throw white with paper five later"
TRANSCRIPT = "throw brown over hammer one later"
SPEECH = ["--transcript", TRANSCRIPT, "--voice", VOICE, "--voice-text", VOICE_TEXT]
FEW_STEPS = ["--steps", 1, "--speech-steps", 1]


def generate(*arguments, model=CHECKPOINT) -> int:
    """`deepaudio generate` with as few steps as there can be; returns its exit code."""
    return main(["generate", "--model", str(model), *map(str, FEW_STEPS), *map(str, arguments)])


def records_of(manifest: Path) -> dict[str, dict]:
    return {record["name"]: record for record in map(json.loads, manifest.read_text().splitlines())}


def hashes_of(folder: Path) -> dict[str, str]:
    """All files in a folder, hidden ones too, with their hashes."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def clips(tmp_path) -> Path:
    """A folder with a clip, and another one below it."""
    (tmp_path / "clips" / "more").mkdir(parents=True)
    (tmp_path / "clips" / "puppet.mp4").write_bytes(PUPPET.read_bytes())
    (tmp_path / "clips" / "more" / "ball.mp4").write_bytes(BALL.read_bytes())
    return tmp_path / "clips"
