# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio train`: a script starts with its arguments, and says itself what is wrong with them."""

import json
import subprocess
import sys

import pytest

from deepaudio_diffusers.cli.train import STAGES, find_script
from tests.cli.conftest import ROOT


def train(*arguments):
    command = [sys.executable, "-m", "deepaudio_diffusers.cli", "train", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_training_script_is_a_stage():
    scripts = (ROOT / "training_scripts").glob("train_*.py")
    assert {path.stem.removeprefix("train_") for path in scripts} == STAGES.keys()
    assert all(find_script(stage).is_file() for stage in STAGES)


def test_a_stage_is_trained_with_the_options_of_the_launch_and_of_the_script(tmp_path):
    texts = {
        "video_to_audio": "rain",
        "video_to_speech": "dub",
        "text_to_speech": "read",
        "soundtrack": "dub and rain",
    }
    rows = [json.dumps({"text": text, "label": label}) for label, text in texts.items()]
    (tmp_path / "data.jsonl").write_text("\n".join(rows))
    data = ["--data", tmp_path / "data.jsonl", "--validation_data", tmp_path / "data.jsonl"]
    arguments = ["--preset", "tiny", "--output_dir", tmp_path / "my gate", *data, "--max_train_steps", 1]
    arguments += ["--train_batch_size", 4, "--lr_warmup_steps", 1]
    result = train("--launch", "--cpu --mixed_precision no", "stage3_mof", *arguments)
    assert result.returncode == 0, result.stderr
    shown = result.stderr.splitlines()[0]
    assert shown.startswith("accelerate launch --cpu --mixed_precision no /")
    assert f"train_stage3_mof.py --preset tiny --output_dir '{tmp_path}/my gate'" in shown
    assert (tmp_path / "my gate" / "gate" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"), [(["--help"], 0, "--text_encoder"), ([], 1, "--output_dir")]
)
def test_help_and_errors_are_those_of_the_script(arguments, code, message):
    result = train("stage3_mof", *arguments)
    assert result.returncode == code
    assert message in result.stdout + result.stderr
