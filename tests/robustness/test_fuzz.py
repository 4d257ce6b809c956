# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Three hundred of the damaged files of `benchmarks/media_fuzz.py`, and those that once did harm."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


SCRIPT = Path(__file__).parents[2] / "benchmarks" / "media_fuzz.py"
# Streams that turn up in the middle; packets without times; headers that cannot be written; frames of many minutes;
# reading that breaks off while the decoder has frames left.
HARMFUL = [377, 653, 754, 941, 1346, 7420, 9685]


def run(tmp_path, *arguments) -> dict:
    output = tmp_path / "report.json"
    command = [sys.executable, SCRIPT, "--output", output, *map(str, arguments)]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return json.loads(output.read_text())


@pytest.mark.skipif(sys.platform != "linux", reason="Reads what Linux tells about processes.")
def test_damaged_files_end_in_success_or_in_an_error_of_ours(tmp_path):
    report = run(tmp_path, "--cases", 300)
    assert report["failures"] == []
    assert report["cases"] == 300
    # The damage is neither too little nor too much to tell anything.
    results = [key.split(": ")[1] for key in report["results"] for _ in range(report["results"][key])]
    assert 0.05 < sum(result != "success" for result in results) / len(results) < 0.5


@pytest.mark.skipif(sys.platform != "linux", reason="Reads what Linux tells about processes.")
@pytest.mark.parametrize("case", HARMFUL)
def test_files_that_did_harm_do_none(tmp_path, case):
    report = run(tmp_path, "--seed", 1, "--first", case, "--cases", 1)
    assert report["failures"] == []
    assert report["cases"] == 1
