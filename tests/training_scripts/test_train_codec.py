# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import init_empty_weights

from deepaudio_diffusers import InputError, MMAudioMelVAE, VocosVocoder
from deepaudio_diffusers.processing.audio import read_waveform
from tests.training.sounding_clips import tone_clip, wav_of, write_damaged_shard, write_shard


SCRIPT = Path(__file__).parents[2] / "training_scripts" / "train_codec.py"
NETWORKS = {"vae": MMAudioMelVAE, "vocoder": VocosVocoder}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder with four sounds of 2.56 s, and what cannot be used."""
    folder = tmp_path_factory.mktemp("sounds")
    waveforms = [np.tile(tone_clip(seed, ("low", "high")[seed % 2])[1], 2) for seed in range(4)]
    bad = [
        {"wav": wav_of(waveforms[0][:9000])},
        {"wav": wav_of(0 * waveforms[0])},
        {"wav": b"no sound"},
        {"json": b"{}"},
    ]
    write_shard(folder / "a.tar", [*({"wav": wav_of(waveform)} for waveform in waveforms), *bad])
    write_damaged_shard(folder / "b.tar")
    return folder


def train(part: str, sounds: Path, output_dir: Path, *arguments: str) -> None:
    script = runpy.run_path(str(SCRIPT))
    settings = f"--part {part} --preset tiny --train_batch_size 2 --max_train_steps 4 --checkpointing_steps 2"
    paths = ["--data", str(sounds), "--validation_data", str(sounds), "--output_dir", str(output_dir)]
    script["main"](script["parse_args"]([*settings.split(), *paths, *arguments]))


@pytest.mark.parametrize("part", list(NETWORKS))
def test_training_ends_with_a_network_that_has_learnt(part, sounds, tmp_path):
    train(part, sounds, tmp_path, "--validation_steps", "4")
    log = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for line in log for value in line.values())
    before, after = (line["validation/mel_l1_log10"] for line in log if "validation/mel_l1_log10" in line)
    assert after < before
    report = json.loads((tmp_path / "data_report.json").read_text())
    assert report["train"]["used"] == 4
    assert report["train"]["reasons"] == {
        f"shorter than {30_720 if part == 'vae' else 16_384} samples at 16000 Hz": 1,
        "its sound is digital silence": 1,
        "its sound cannot be read": 1,
        "it has no sound": 1,
        "the shard is damaged; what comes after the damage is lost": 1,
    }
    assert report["validation"] == report["train"]
    network = NETWORKS[part].from_pretrained(tmp_path, subfolder=part)
    assert network.config.sampling_rate == 16_000 if part == "vocoder" else network.config.sample_rate == 16_000
    assert f"{NETWORKS[part].__name__}.from_pretrained" in (tmp_path / part / "README.md").read_text()
    folder = tmp_path / "validation" / "step-000004"
    assert len(list(folder.glob("spectrogram-*.png"))) == 4
    if part == "vocoder":
        waveform, sampling_rate = read_waveform(folder / "vocoder-0.wav")
        assert sampling_rate == 16_000 and waveform.shape[1] == 2 * 20_480

    # Trained further from its own result, with the statistics of mels that it has.
    train(part, sounds, tmp_path / "further", "--pretrained", str(tmp_path), "--max_train_steps", "1")
    further = NETWORKS[part].from_pretrained(tmp_path / "further", subfolder=part)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(further.state_dict()[name], tensor, atol=0.01, rtol=0.05)


def test_bad_data_end_the_work_if_asked_to(sounds, tmp_path):
    with pytest.raises(InputError, match=r"the shard is damaged.*--on_bad_data skip"):
        train("vae", sounds, tmp_path, "--on_bad_data", "error")


def test_a_resumed_training_gives_the_same_weights(sounds, tmp_path):
    train("vae", sounds, tmp_path / "whole")
    train("vae", sounds, tmp_path / "resumed", "--resume_from_checkpoint", str(tmp_path / "whole" / "checkpoint-2"))
    whole = MMAudioMelVAE.from_pretrained(tmp_path / "whole", subfolder="vae").state_dict()
    resumed = MMAudioMelVAE.from_pretrained(tmp_path / "resumed", subfolder="vae").state_dict()
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    state = torch.load(tmp_path / "whole" / "checkpoint-2" / "training_state.pt", weights_only=True)["networks"]["vae"]
    assert not torch.equal(state["vae.decoder.conv_out.weight"], whole["vae.decoder.conv_out.weight"])


@pytest.mark.parametrize(("preset", "learning_rate"), [("tiny", 1.5e-3), ("full", 1e-4), ("full-16k", 1e-4)])
def test_presets_are_defaults_of_the_arguments(preset, learning_rate):
    parse_args = runpy.run_path(str(SCRIPT))["parse_args"]
    required = ["--part", "vae", "--preset", preset, "--data", "a", "b", "--output_dir", "c"]
    args = parse_args(required)
    assert args.learning_rate == learning_rate and args.data == ["a", "b"]
    assert parse_args([*required, "--learning_rate", "1"]).learning_rate == 1


@pytest.mark.parametrize(("preset", "num_parameters"), [("full", 305.5e6), ("full-16k", 171.7e6)])
def test_full_sizes_are_the_published_ones(preset, num_parameters):
    sizes = runpy.run_path(str(SCRIPT))["SIZES"]
    # Not on the meta device altogether: the filters of the mel spectrogram are computed.
    with init_empty_weights():
        vae = MMAudioMelVAE(**sizes[preset]["vae"])
    assert sum(parameter.numel() for parameter in vae.parameters()) == pytest.approx(num_parameters, rel=1e-3)
