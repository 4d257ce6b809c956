# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A pipeline over a manifest: tiny random networks, real files."""

import json

import numpy as np
import pytest

from deepaudio_diffusers.cli import main
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.evaluation.generation import ABLATION, GenerationSettings, generate_results
from deepaudio_diffusers.evaluation.items import read_items
from deepaudio_diffusers.media import read_audio, write_audio
from deepaudio_diffusers.media.encode import encode_video
from tests.evaluation.generated import SAMPLING_RATE, vowel
from tests.tiny import tiny_deepaudio_pipeline


LENGTH_IN_S = 0.8
STEPS = GenerationSettings(num_inference_steps=1, speech_num_inference_steps=1)


@pytest.fixture(scope="module")
def pipeline():
    return tiny_deepaudio_pipeline()


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Two clips, the second with a video that cannot be read."""
    folder = tmp_path_factory.mktemp("manifest")
    frames = np.random.default_rng(0).integers(0, 256, (20, 36, 64, 3), dtype=np.uint8)
    (folder / "good.mp4").write_bytes(encode_video(frames, 25))
    (folder / "damaged.mp4").write_bytes(b"no video")
    write_audio(folder / "reference.wav", vowel(120, LENGTH_IN_S), SAMPLING_RATE)
    write_audio(folder / "voice.wav", vowel(100, 1.5), SAMPLING_RATE)
    shared = {"reference": "reference.wav", "transcript": "hello there", "voice": "voice.wav", "voice_text": "a voice"}
    lines = [{"key": name, "video": f"{name}.mp4"} | shared for name in ("good", "damaged")]
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder / "manifest.jsonl"


def test_the_ablation_of_the_paper_is_one_command(pipeline, manifest, tmp_path):
    pipeline.save_pretrained(tmp_path / "pipeline")
    arguments = ["evaluate", "generate", str(manifest), "--pipeline", str(tmp_path / "pipeline")]
    arguments += [
        "--num-inference-steps",
        "1",
        "--speech-num-inference-steps",
        "1",
        "--scores",
        "duration",
        "contours",
    ]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert tuple(report["systems"]) == ABLATION
    for name, system in report["systems"].items():
        # What needs the damaged video has no result, and what does not has one.
        assert list(system["failures"]) == (["damaged"] if name in ("v2a_alone", "predicted_contour") else [])
        assert system["clips"][0]["duration_error"] == pytest.approx(0, abs=1e-4)
    assert report["settings"]["num_inference_steps"] == 1
    assert report["settings"]["pipeline"].startswith("pipeline, ")


def test_a_call_that_was_broken_off_goes_on(pipeline, manifest, tmp_path):
    items = read_items(manifest)
    folder = generate_results(pipeline, items, "no_contour", tmp_path, settings=STEPS)
    before = {path.name: path.read_bytes() for path in folder.glob("*.wav")}
    written = (folder / "good.wav").stat().st_mtime_ns
    (folder / "damaged.wav").unlink()
    generate_results(pipeline, items, "no_contour", tmp_path, settings=STEPS)
    assert {path.name: path.read_bytes() for path in folder.glob("*.wav")} == before
    assert (folder / "good.wav").stat().st_mtime_ns == written


def test_the_true_contour_changes_what_is_said_and_not_how_long(pipeline, manifest, tmp_path):
    items = read_items(manifest)[:1]
    sounds = [
        read_audio(generate_results(pipeline, items, system, tmp_path, settings=STEPS) / "good.wav")
        for system in ("no_contour", "true_contour")
    ]
    assert sounds[0].samples.shape == sounds[1].samples.shape
    assert not np.array_equal(sounds[0].samples, sounds[1].samples)
    assert sounds[0].samples.shape[1] / sounds[0].sampling_rate == pytest.approx(LENGTH_IN_S)


def test_results_of_other_settings_are_not_taken_for_these(pipeline, manifest, tmp_path):
    items = read_items(manifest)[:1]
    generate_results(pipeline, items, "no_contour", tmp_path, settings=STEPS)
    with pytest.raises(InputError, match="seed"):
        generate_results(
            pipeline, items, "no_contour", tmp_path, settings=GenerationSettings(**STEPS.__dict__ | {"seed": 1})
        )


def test_what_clips_lack_is_said(pipeline, manifest, tmp_path):
    with pytest.raises(InputError, match="`prompt` of every clip"):
        generate_results(pipeline, read_items(manifest), "soundtrack", tmp_path)
    with pytest.raises(InputError, match="v2a_alone"):
        generate_results(pipeline, read_items(manifest), "music", tmp_path)
