# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/train_stage4_v2s.py` teaches speech networks to follow a contour."""

import json

import numpy as np
import pytest
import torch

from deepaudio_diffusers import F5TTSTransformer1DModel
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.media.encode import encode_video
from tests.tiny import tiny_pipeline
from tests.training.sounding_clips import FRAMES_PER_SECOND, tone_clip, write_shard
from tests.training.timed_speech import speech_sample, write_speech
from tests.training_scripts.speech_folders import load_script, losses_in, small_network, write_network


@pytest.fixture(scope="module")
def script():
    return load_script("train_stage4_v2s")


def run(script, data, output_dir, *arguments):
    script.main(
        script.parse_args(
            [
                "--data",
                str(data),
                f"--output_dir={output_dir}",
                "--train_batch_size=2",
                "--lr_warmup_steps=1",
                "--learning_rate=1e-3",
                "--text_placement=timings",
                *arguments,
            ]
        )
    )
    return output_dir


def test_true_contours_for_a_network_that_took_none(script, tmp_path):
    network = write_network(tmp_path / "network", energy_conditioning=False)
    data = write_speech(tmp_path / "data", num_utterances=4)
    drops = ("--drop_probabilities", "0", "0", "0")
    output_dir = run(
        script,
        data,
        tmp_path / "out",
        f"--pretrained={network}",
        "--contour=true",
        "--max_train_steps=3",
        "--ema_decay=0",
        "--join_utterances=1",
        *drops,
    )
    before = small_network(energy_conditioning=False).state_dict()
    tuned = F5TTSTransformer1DModel.from_pretrained(output_dir / "transformer")
    assert tuned.config.energy_conditioning
    assert tuned.energy_proj.weight.any()
    assert not torch.equal(tuned.proj_in.weight, before["proj_in.weight"])
    assert np.isfinite(losses_in(output_dir)).all()
    with pytest.raises(InputError, match="use_lora"):
        run(script, data, tmp_path / "lora", f"--pretrained={network}", "--contour=true", "--use_lora")


def test_contours_that_stage_1_predicts(script, tmp_path):
    network = write_network(tmp_path / "network")
    tiny_pipeline().save_pretrained(tmp_path / "v2a")
    clips = []
    for seed in range(2):
        frames, _, _ = tone_clip(seed, "low")
        clips.append({"mp4": encode_video(frames, FRAMES_PER_SECOND), **speech_sample(seed)})
    clips.append(clips[0] | {"json": speech_sample(0, transcript=None)["json"]})
    write_shard(tmp_path / "data" / "clips-000000.tar", clips)
    output_dir = run(
        script,
        tmp_path / "data",
        tmp_path / "out",
        f"--pretrained={network}",
        f"--v2a={tmp_path / 'v2a'}",
        "--v2a_num_inference_steps=1",
        "--contour=both",
        "--energy_never_dropped",
        "--max_train_steps=1",
        "--validation_data",
        str(tmp_path / "data"),
        "--num_validation_utterances=1",
        f"--cache_dir={tmp_path / 'cache'}",
    )
    (contours,) = (tmp_path / "cache" / "train").glob("predicted_energy-*.npy")
    energies = np.load(contours)
    assert energies.min() >= 0
    assert energies.max() == 1
    report = json.loads((output_dir / "data_report.json").read_text(encoding="utf-8"))
    assert report["train"]["used"] == 2
    assert report["train"]["reasons"] == {"it has no transcript": 1}
    assert (output_dir / "validation" / "step-000001" / "spectrograms.png").is_file()


@pytest.mark.parametrize("arguments", [["--contour=predicted"], ["--contour=both"], ["--contour=true", "--v2a=x"]])
def test_predicted_contours_need_stage_1(script, arguments):
    with pytest.raises(SystemExit):
        script.parse_args(["--data=x", "--output_dir=y", "--pretrained=z", *arguments])


def test_released_drops_are_those_of_f5_tts(script):
    arguments = ["--data=x", "--output_dir=y", "--pretrained=z", "--contour=true", "--energy_never_dropped"]
    options = script.make_options(script.parse_args(arguments))
    assert (options.drop_audio, options.drop_audio_and_text) == (0.3, 0.2)
    assert (options.drop_text, options.drop_energy) == (0, 0)
