# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from deepaudio_diffusers import CLIPFrameEncoder, ConvVideoEncoder, InputError, SynchformerVideoEncoder
from deepaudio_diffusers.training.encoders import EncoderHeads
from tests.training.sounding_clips import tone_sample, wav_of, write_damaged_shard, write_shard


SCRIPT = Path(__file__).parents[2] / "training_scripts" / "train_encoders.py"


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with four clips, and what cannot be used."""
    folder = tmp_path_factory.mktemp("clips")
    samples = [tone_sample(seed) for seed in range(4)]
    good = samples[0]
    bad = [
        {"mp4": good["mp4"]},
        {"wav": good["wav"]},
        good | {"mp4": b"no pictures"},
        good | {"wav": wav_of(np.zeros(20_480))},
        good | {"wav": wav_of(np.full(8000, 0.5))},
    ]
    write_shard(folder / "a.tar", [*samples, *bad])
    write_damaged_shard(folder / "b.tar")
    return folder


def train(clips: Path, output_dir: Path, *arguments: str) -> None:
    script = runpy.run_path(str(SCRIPT))
    settings = "--preset tiny --train_batch_size 4 --max_train_steps 4 --checkpointing_steps 2 --lr_warmup_steps 2"
    paths = ["--data", str(clips), "--output_dir", str(output_dir)]
    script["main"](script["parse_args"]([*settings.split(), *paths, *arguments]))


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """All trained weights of an output folder."""
    networks = {
        "video_encoder": ConvVideoEncoder.from_pretrained(folder, subfolder="video_encoder"),
        "image_encoder": CLIPFrameEncoder.from_pretrained(folder, subfolder="image_encoder"),
        "text_encoder": CLIPTextModel.from_pretrained(folder, subfolder="text_encoder"),
        "heads": EncoderHeads.load(folder),
    }
    return {f"{name}.{key}": tensor for name, net in networks.items() for key, tensor in net.state_dict().items()}


@pytest.fixture(scope="module")
def trained(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    train(clips, folder, "--validation_data", str(clips), "--validation_steps", "4")
    return folder


def test_training_ends_with_components_of_a_pipeline(trained):
    log = [json.loads(line) for line in (trained / "train_log.jsonl").read_text().splitlines()]
    assert all(np.isfinite(value) for line in log for value in line.values())
    assert [line["step"] for line in log if "validation/energy_r" in line] == [0, 4]
    report = json.loads((trained / "data_report.json").read_text())
    assert report["train"]["used"] == 4
    assert report["train"]["reasons"] == {
        "its sound cannot be read": 1,
        "it has no pictures": 1,
        "its pictures cannot be used": 1,
        "its sound is digital silence": 1,
        "its sound is shorter than 0.64 s": 1,
        "the shard is damaged; what comes after the damage is lost": 1,
    }
    assert len(list((trained / "validation" / "step-000004").glob("*.png"))) == 4
    tokenizer = CLIPTokenizer.from_pretrained(trained, subfolder="tokenizer")
    assert tokenizer.model_max_length == 32
    text_encoder = CLIPTextModel.from_pretrained(trained, subfolder="text_encoder")
    inputs = tokenizer(["a low tone"], padding="max_length", return_tensors="pt")
    assert text_encoder(inputs.input_ids).last_hidden_state.shape == (1, 32, 128)
    assert (trained / "README.md").read_text().startswith("---\nlibrary_name")


def test_bad_data_end_the_work_if_asked_to(clips, tmp_path):
    with pytest.raises(InputError, match=r"the shard is damaged.*--on_bad_data skip"):
        train(clips, tmp_path, "--on_bad_data", "error")


def test_a_resumed_training_gives_the_same_weights(clips, trained, tmp_path):
    train(clips, tmp_path, "--resume_from_checkpoint", str(trained / "checkpoint-2"))
    whole, resumed = weights_of(trained), weights_of(tmp_path)
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in whole.items())
    state = torch.load(trained / "checkpoint-2" / "training_state.pt", weights_only=True)["networks"]
    assert not torch.equal(state["video_encoder"]["proj_out.weight"], whole["video_encoder.proj_out.weight"])


def test_pretrained_encoders_are_trained_further(clips, trained, tmp_path):
    train(clips, tmp_path, "--pretrained", str(trained), "--max_train_steps", "1", "--learning_rate", "1e-9")
    before, after = weights_of(trained), weights_of(tmp_path)
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=1e-6, rtol=0)
    tokenizers = [CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer") for folder in (trained, tmp_path)]
    assert tokenizers[0].get_vocab() == tokenizers[1].get_vocab()


def test_the_text_encoder_can_be_trained_alone(clips, trained, tmp_path):
    train(clips, tmp_path, "--pretrained", str(trained), "--only_text")
    before, after = weights_of(trained), weights_of(tmp_path)
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"text_encoder", "heads"}
    # What reads the features of the video encoder stays too.
    assert torch.equal(before["heads.mel_head.1.weight"], after["heads.mel_head.1.weight"])


@pytest.mark.parametrize("arguments", [[], ["--pretrained", "checkpoints/deepaudio-tiny"]])
def test_the_text_encoder_alone_needs_the_others_and_their_heads(clips, tmp_path, capsys, arguments):
    with pytest.raises(SystemExit):
        train(clips, tmp_path, "--only_text", *arguments)
    assert "heads.safetensors: pass --pretrained" in capsys.readouterr().err


def test_full_sizes_are_the_published_ones():
    sizes = runpy.run_path(str(SCRIPT))["SIZES"]["full"]
    with torch.device("meta"):
        video_encoder = SynchformerVideoEncoder(**sizes["video_encoder"])
    assert sum(parameter.numel() for parameter in video_encoder.parameters()) == pytest.approx(121.9e6, rel=1e-3)
    assert sizes["image_encoder"]["image_size"] == 384 and sizes["text_encoder"]["max_position_embeddings"] == 77
