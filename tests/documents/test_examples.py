# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every example runs as its own first lines say, with the checkpoint that ships."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.conversion.recipes import RECIPES
from deepaudio_diffusers.media import probe, read_audio
from tests.conversion.published import tiny_recipe, write_published_files
from tests.documents.blocks import ROOT
from tests.documents.commands import commands_of, run_command
from tests.documents.workshop import ASSETS


EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
CLIP = ASSETS / "puppet-and-drums.mp4"
FEW_STEPS = ("--steps", "4")


def name_of(path: Path) -> str:
    return path.stem


def command_in(example: str) -> list[str]:
    """The command in the docstring of an example."""
    module = ast.parse((ROOT / "examples" / f"{example}.py").read_text(encoding="utf-8"))
    docstring = ast.get_docstring(module, clean=False)
    block = next(part for part in docstring.split("\n\n") if part.startswith("    "))
    (command,) = commands_of(block)
    return command


@pytest.fixture
def run(workshop, monkeypatch, capsys):
    """Runs the command of an example, with further arguments, in the workshop; returns what it said."""
    monkeypatch.chdir(workshop)

    def run(example: str, *more) -> list[str]:
        run_command(command_in(example), [str(argument) for argument in more])
        return capsys.readouterr().out.splitlines()

    return run


def sound_of(path: Path) -> np.ndarray:
    return read_audio(path).samples


def assert_only_sound_was_added(output: Path, clip: Path = CLIP) -> None:
    silent, sounding = probe(clip), probe(output)
    assert not silent.has_audio
    assert sounding.has_audio
    assert sounding.duration_in_s == silent.duration_in_s


@pytest.mark.parametrize("path", EXAMPLES, ids=name_of)
def test_it_is_short_and_says_how_to_run_it(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 60
    assert f"examples/{path.name}" in command_in(path.stem)


def test_the_readme_lists_all_of_them():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES if f"(examples/{path.name})" not in readme] == []


@pytest.mark.parametrize(("example", "output"), [("score_a_clip", "scored.mp4"), ("dub_a_clip", "dubbed.mp4")])
def test_a_clip_gets_its_sound(run, workshop, example, output):
    assert run(example, *FEW_STEPS) == [f"Wrote {workshop / 'build' / output}"]
    assert_only_sound_was_added(workshop / "build" / output)


def test_make_a_soundtrack(run, workshop):
    folder = workshop / "build" / "soundtrack"
    assert run("make_a_soundtrack", *FEW_STEPS, "--speech-steps", 4) == [
        f"Wrote {folder / 'puppet-and-drums-with-sound.mp4'}"
    ]
    assert_only_sound_was_added(folder / "puppet-and-drums-with-sound.mp4")
    ambience, speech = (sound_of(folder / f"puppet-and-drums-{stem}.wav") for stem in ("ambience", "speech"))
    assert ambience.shape == speech.shape == (1, 61_440)
    assert ambience.std() > 0 and speech.std() > 0


def test_clone_a_voice(run, workshop):
    assert run("clone_a_voice", *FEW_STEPS) == [f"Wrote {workshop / 'build' / 'speech.wav'}"]
    assert sound_of(workshop / "build" / "speech.wav").std() > 0


def test_clone_a_voice_with_a_folder_for_speech_alone(run, tmp_path):
    run("clone_a_voice", *FEW_STEPS, "--pipeline", "f5-tts", "--output", tmp_path / "speech.wav")
    assert sound_of(tmp_path / "speech.wav").std() > 0


def test_two_processes_score_a_folder_as_one_does(run, workshop, tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "examples/score_a_folder.py"]
    command += ["--pipeline", "checkpoints/deepaudio-tiny", "--videos", "examples/assets", "--steps", "4"]
    command += ["--output-dir", str(tmp_path / "two")]
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PATH": ""}
    environment["PYTHONPATH"] = str(ROOT / "src")
    result = subprocess.run(command, env=environment, cwd=workshop, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    clips = ["bouncing-ball.mp4", "puppet-and-drums.mp4"]
    assert sorted(result.stdout.splitlines()) == [
        f"Process {process} wrote {tmp_path / 'two' / clip}" for process, clip in enumerate(clips)
    ]

    said = run("score_a_folder", *FEW_STEPS, "--output-dir", tmp_path / "one")
    assert said == [f"Process 0 wrote {tmp_path / 'one' / clip}" for clip in clips]
    for clip in clips:
        assert_only_sound_was_added(tmp_path / "one" / clip, ASSETS / clip)
        # Sounds that differ in rounding, by the batch that they were in, differ by more once AAC has coded them.
        np.testing.assert_allclose(sound_of(tmp_path / "one" / clip), sound_of(tmp_path / "two" / clip), atol=1e-2)
    assert run("score_a_folder", *FEW_STEPS, "--output-dir", tmp_path / "one") == []


def test_swap_the_scheduler(run):
    lines = run("swap_the_scheduler", "--steps", 2, 8, "--fine-steps", 32)
    errors = {}
    for line in lines:
        solver, _, rest = line.partition(": ")
        steps, evaluations, error = rest.split(", ")
        errors[solver, int(steps.split()[0])] = float(error.split()[0])
        assert int(evaluations.split()[0]) == int(steps.split()[0]) * (2 if "Midpoint" in solver else 1)
    solvers = [f"FlowMatchGrid{name}Scheduler" for name in ("Euler", "Multistep", "Midpoint")]
    assert list(errors) == [(solver, steps) for solver in solvers for steps in (2, 8)]
    assert all(errors[solver, 8] < errors[solver, 2] for solver in solvers)


def test_save_memory(run, workshop, tmp_path):
    """Offloading changes no sample; 8 bits change the sound a little, and take less than half."""
    run("score_a_clip", *FEW_STEPS, "--output", tmp_path / "plain.mp4")
    plain = sound_of(tmp_path / "plain.mp4")
    command = ["save_memory", *FEW_STEPS, "--offload-dir", tmp_path / "offload"]

    sizes = [float(line.split()[-4 if "has" in line else -2]) for line in run(*command)[:2]]
    assert sizes[1] < 0.5 * sizes[0]
    quantized = sound_of(workshop / "build" / "with-less-memory.mp4")
    assert 0 < np.linalg.norm(quantized - plain) < 0.2 * np.linalg.norm(plain)
    assert {path.name for path in (tmp_path / "offload").iterdir()} >= {"transformer", "vocoder"}


def test_train_a_lora(run, workshop):
    folder = workshop / "build" / "lora"
    said = run("train_a_lora", "--steps", 1)
    assert said[-2:] == [f"Wrote {folder / name}.wav" for name in ("without-lora", "with-lora")]
    report = json.loads((folder / "weights" / "data_report.json").read_text())
    assert report["train"]["used"] == 10
    assert (folder / "weights" / "pytorch_lora_weights.safetensors").is_file()
    assert not np.array_equal(sound_of(folder / "without-lora.wav"), sound_of(folder / "with-lora.wav"))


def test_precompute_features(run, workshop):
    folder = workshop / "build" / "features"
    assert run("precompute_features") == [f"Wrote {folder}"]
    row = Dataset.load_from_disk(folder / "dataset")[1]
    assert row["video"].endswith("puppet-and-drums.mp4")

    pipe = VideoToAudioPipeline.from_pretrained(ROOT / "checkpoints" / "deepaudio-tiny")
    expected = pipe(CLIP, prompt=row["prompt"], generator=torch.Generator().manual_seed(0)).audios[0]
    np.testing.assert_allclose(sound_of(folder / "puppet-and-drums.wav"), expected, atol=1e-4)


def test_convert_weights(run, workshop, monkeypatch, tmp_path):
    monkeypatch.setitem(RECIPES, "mm-s16k", tiny_recipe())
    write_published_files(tmp_path / "source")
    output = tmp_path / "converted"
    said = run("convert_weights", "--source", tmp_path / "source", "--output", output)
    assert said == [f"Wrote {output} and {tmp_path / 'converted-sound.wav'}"]
    assert (output / "model_index.json").is_file()
    assert sound_of(tmp_path / "converted-sound.wav").shape == (1, 8 * 16_000)
