# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/train_stage2_tts.py` trains speech networks that load where the pipeline looks for them."""

import json
import math

import numpy as np
import pytest
import torch

from deepaudio_diffusers import (
    F5TTSTokenizer,
    F5TTSTransformer1DModel,
    FlowMatchGridEulerScheduler,
    TextToSpeechPipeline,
    VocosVocoder,
)
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.processing.tokenization_phones import PhoneTokenizer
from tests.golden import FIXTURES
from tests.training.sounding_clips import wav_of, write_damaged_shard, write_shard
from tests.training.timed_speech import speech_sample, write_lexicon, write_speech
from tests.training_scripts.speech_folders import load_script, losses_in, small_network, write_network


@pytest.fixture(scope="module")
def script():
    return load_script("train_stage2_tts")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Eight utterances, and what cannot be used."""
    folder = write_speech(tmp_path_factory.mktemp("data"), num_utterances=8)
    good = speech_sample(0)
    bad = [
        speech_sample(0, transcript=" "),
        {"json": good["json"]},
        good | {"wav": b"no sound"},
        good | {"wav": wav_of(np.zeros(8000))},
        good | {"wav": wav_of(np.full(2000, 0.5))},
    ]
    write_shard(folder / "x-bad.tar", bad)
    write_damaged_shard(folder / "y-damaged.tar")
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    return write_network(tmp_path_factory.mktemp("network"))


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
                *arguments,
            ]
        )
    )
    return output_dir


TIMINGS = ("--text_placement=timings", "--join_utterances=0.5", "--add_silence=0.5")
FOUR_STEPS = ("--max_train_steps=4", "--checkpointing_steps=2")


@pytest.fixture(scope="module")
def undisturbed(script, data, network, tmp_path_factory):
    return run(
        script,
        data,
        tmp_path_factory.mktemp("undisturbed"),
        f"--pretrained={network}",
        "--validation_data",
        str(data),
        "--num_validation_utterances=2",
        *TIMINGS,
        *FOUR_STEPS,
    )


def test_weights_change_and_load(undisturbed):
    before = small_network().state_dict()
    after = F5TTSTransformer1DModel.from_pretrained(undisturbed / "transformer").state_dict()
    assert after.keys() == before.keys()
    # Without a contour the weight of the energy gets no gradient and stays at zero.
    unchanged = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert unchanged == {"energy_proj.weight"}
    assert PhoneTokenizer.from_pretrained(undisturbed / "tokenizer").vocab_size == 5


def test_losses_are_numbers_and_validation_leaves_a_picture(undisturbed):
    losses = losses_in(undisturbed)
    assert len(losses) == 4
    assert all(math.isfinite(loss) for loss in losses)
    assert (undisturbed / "validation" / "step-000004" / "spectrograms.png").is_file()


def test_bad_data_are_counted(undisturbed):
    report = json.loads((undisturbed / "data_report.json").read_text(encoding="utf-8"))
    assert report["train"]["used"] == 8
    assert report["train"]["reasons"] == {
        "it has no transcript": 1,
        "it has no sound": 1,
        "its sound cannot be read": 1,
        "it is silent": 1,
        "it is too short": 1,
        "the shard is damaged; what comes after the damage is lost": 1,
    }
    assert report["validation"] == report["train"]


def test_bad_data_end_the_work_if_asked_to(script, data, network, tmp_path):
    with pytest.raises(InputError, match=r"the shard is damaged.*--on_bad_data skip"):
        run(script, data, tmp_path, f"--pretrained={network}", *TIMINGS, "--on_bad_data=error")


def test_broken_off_and_resumed_gives_the_same_weights(script, data, network, undisturbed, tmp_path):
    resume = f"--resume_from_checkpoint={undisturbed / 'checkpoint-2'}"
    resumed = run(script, data, tmp_path, f"--pretrained={network}", *TIMINGS, *FOUR_STEPS, resume)
    expected, found = (
        F5TTSTransformer1DModel.from_pretrained(folder / "transformer").state_dict()
        for folder in (undisturbed, resumed)
    )
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name


def test_small_preset_makes_a_whole_pipeline_from_data_and_lexicon(script, data, tmp_path):
    vocoder = VocosVocoder(
        num_mels=80, hidden_size=16, intermediate_size=32, num_layers=1, padding="same", sampling_rate=16_000
    )
    vocoder.save_pretrained(tmp_path / "vocoder")
    output_dir = run(
        script,
        data,
        tmp_path / "out",
        "--preset=tiny",
        "--max_train_steps=1",
        f"--vocoder={tmp_path / 'vocoder'}",
        f"--lexicon={write_lexicon(tmp_path / 'lexicon.txt')}",
    )
    pipeline = TextToSpeechPipeline.from_pretrained(output_dir)
    assert isinstance(pipeline.tokenizer, PhoneTokenizer)
    assert pipeline.transformer.config.vocab_size == pipeline.tokenizer.vocab_size == 5
    assert pipeline.transformer.config.energy_conditioning


@pytest.mark.parametrize("placement", ["filler", "average"])
def test_texts_of_letters(script, data, placement, tmp_path):
    tokenizer = F5TTSTokenizer(str(FIXTURES / "f5tts" / "vocab.txt"), mode="char")
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    small_network(vocab_size=tokenizer.vocab_size, energy_conditioning=False).save_pretrained(tmp_path / "network")
    output_dir = run(
        script,
        data,
        tmp_path / "out",
        f"--pretrained={tmp_path / 'network'}",
        f"--tokenizer={tmp_path / 'tokenizer'}",
        f"--text_placement={placement}",
        "--join_utterances=1",
        "--max_train_steps=1",
    )
    config = F5TTSTransformer1DModel.load_config(output_dir / "transformer")
    assert config["text_average_upsampling"] == (placement == "average")
    assert math.isfinite(losses_in(output_dir)[0])


def test_adapters_load_into_a_pipeline(script, data, undisturbed, tmp_path):
    # A network that was never trained begins with closed gates, behind which adapters learn nothing.
    output_dir = run(
        script,
        data,
        tmp_path,
        f"--pretrained={undisturbed}",
        *TIMINGS,
        "--max_train_steps=2",
        "--use_lora",
        "--lora_rank=2",
    )
    pipeline = TextToSpeechPipeline(
        PhoneTokenizer.from_pretrained(undisturbed / "tokenizer"),
        F5TTSTransformer1DModel.from_pretrained(undisturbed / "transformer"),
        FlowMatchGridEulerScheduler(),
        VocosVocoder(num_mels=20, hidden_size=16, intermediate_size=32, num_layers=1),
    )
    pipeline.load_lora_weights(output_dir)
    adapters = [value for name, value in pipeline.transformer.state_dict().items() if "lora_B" in name]
    assert len(adapters) == 4
    assert all(adapter.any() for adapter in adapters)


def test_another_vocabulary_is_refused(script, data, network, tmp_path):
    small_network(vocab_size=7).save_pretrained(tmp_path / "network")
    arguments = (f"--pretrained={tmp_path / 'network'}", f"--tokenizer={network / 'tokenizer'}", *TIMINGS)
    with pytest.raises(InputError, match="tokenizer"):
        run(script, data, tmp_path / "out", *arguments)


@pytest.mark.parametrize("arguments", [["--use_lora"], ["--lexicon=lexicon.txt"]])
def test_arguments_that_do_not_go_together(script, arguments):
    with pytest.raises(SystemExit):
        script.parse_args(["--data=x", "--output_dir=y", *arguments])
