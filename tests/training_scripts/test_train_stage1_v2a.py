# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/train_stage1_v2a.py` trains a network that makes sound in a pipeline."""

import importlib.util
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from deepaudio_diffusers import MMAudioTransformer1DModel, VideoToAudioPipeline
from deepaudio_diffusers.errors import InputError
from tests.tiny import TEXT_LENGTH
from tests.training.feature_components import (
    CLIP_DIM,
    CLIP_LENGTH_IN_S,
    LATENT_CHANNELS,
    NUM_CLIP_FRAMES,
    NUM_LATENTS,
    NUM_SYNC_TOKENS,
    SYNC_DIM,
    TEXT_DIM,
    TRANSFORMER_CONFIG,
    write_components,
)
from tests.training.sounding_clips import tone_sample, wav_of, write_damaged_shard, write_shard, write_tone_clips


SCRIPT = Path(__file__).parents[2] / "training_scripts" / "train_stage1_v2a.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With components, clips, the sizes of the network, and features once they were computed."""
    folder = tmp_path_factory.mktemp("stage1")
    write_components(folder / "components")
    write_tone_clips(folder / "clips", 6)
    (folder / "transformer.json").write_text(json.dumps(TRANSFORMER_CONFIG))
    return folder


def make_arguments(folder, output_dir, *arguments, scratch=True):
    """Arguments of a training from scratch, or with the network that `arguments` name."""
    start = [f"--components={folder / 'components'}", f"--transformer_config={folder / 'transformer.json'}"]
    return [
        "--preset=tiny",
        f"--data={folder / 'clips'}",
        f"--cache_dir={folder / 'features'}",
        f"--output_dir={output_dir}",
        f"--clip_length_in_s={CLIP_LENGTH_IN_S}",
        "--mixed_precision=no",
        "--train_batch_size=2",
        "--lr_warmup_steps=1",
        *(start if scratch else []),
        *arguments,
    ]


def run(script, folder, output_dir, *arguments, scratch=True):
    script.main(script.parse_args(make_arguments(folder, output_dir, *arguments, scratch=scratch)))


def transformer_of(folder):
    return MMAudioTransformer1DModel.from_pretrained(folder / "transformer")


def make_sound(pipeline):
    pipeline.set_progress_bar_config(disable=True)
    video = tone_sample(0)["mp4"]
    generator = torch.Generator().manual_seed(0)
    return pipeline(video, prompt="a high tone", num_inference_steps=2, generator=generator).audios


@pytest.fixture(scope="module")
def undisturbed(script, folder):
    validation = [f"--validation_data={folder / 'clips'}", "--max_validation_samples=2", "--num_validation_clips=1"]
    steps = ["--max_train_steps=4", "--checkpointing_steps=2", "--validation_steps=4"]
    run(script, folder, folder / "undisturbed", *validation, *steps)
    return folder / "undisturbed"


class TestFromScratch:
    def test_the_result_is_a_pipeline_that_makes_sound(self, undisturbed):
        sound = make_sound(VideoToAudioPipeline.from_pretrained(undisturbed))
        assert sound.shape == (1, 1, 20_480)
        assert sound.any()
        assert "max_train_steps | 4" in (undisturbed / "README.md").read_text()

    def test_weights_change_and_losses_are_finite(self, undisturbed, script, folder, tmp_path):
        run(script, folder, tmp_path, "--max_train_steps=1", "--learning_rate=0", "--no-save_pipeline")
        assert not (tmp_path / "model_index.json").exists()
        before, after = transformer_of(tmp_path).state_dict(), transformer_of(undisturbed).state_dict()
        assert not torch.equal(after["proj_out.weight"], before["proj_out.weight"])
        # What the network was told about the data is not learned.
        for name in ("latent_statistics.mean", "latent_statistics.std", "null_features.text"):
            assert torch.equal(after[name], before[name])
            assert after[name].any()
        log = [json.loads(line) for line in (undisturbed / "train_log.jsonl").read_text().splitlines()]
        assert np.isfinite([entry["loss"] for entry in log if "loss" in entry]).all()
        assert sum("loss" in entry for entry in log) == 4

    def test_validation_leaves_figures_sounds_and_pictures(self, undisturbed):
        log = [json.loads(line) for line in (undisturbed / "train_log.jsonl").read_text().splitlines()]
        figures = [entry for entry in log if "validation/flow_loss" in entry]
        assert [entry["step"] for entry in figures] == [0, 4]
        assert all(-1 <= entry["validation/energy_correlation"] <= 1 for entry in figures)
        assert all(entry["validation/mel_l1"] > 0 for entry in figures)
        files = {path.name for path in (undisturbed / "validation" / "step-000004").iterdir()}
        assert files == {"000-generated.wav", "000-true.wav", "000.png"}

    def test_data_is_reported(self, undisturbed):
        report = json.loads((undisturbed / "data_report.json").read_text())
        assert (report["train"]["used"], report["validation"]["used"]) == (6, 2)
        assert report["train"]["remarks"] == {"without a prompt": 0, "without pictures": 0}

    def test_a_killed_training_goes_on_to_the_same_weights(self, undisturbed, script, folder, tmp_path):
        (tmp_path / "checkpoint-2").symlink_to(undisturbed / "checkpoint-2")
        run(script, folder, tmp_path, "--max_train_steps=4", "--resume_from_checkpoint=latest")
        expected = transformer_of(undisturbed).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in transformer_of(tmp_path).state_dict().items())

    def test_killed_at_a_random_step_it_goes_on_to_the_same_weights(self, script, folder, tmp_path):
        steps = ["--max_train_steps=100", "--checkpointing_steps=7", "--no-save_pipeline"]
        run(script, folder, tmp_path / "undisturbed", *steps)
        killed = tmp_path / "killed"
        num_steps = random.randrange(8, 60)
        process = subprocess.Popen([sys.executable, SCRIPT, *make_arguments(folder, killed, *steps)])
        log = killed / "train_log.jsonl"
        while process.poll() is None and not (log.is_file() and log.read_bytes().count(b"\n") >= num_steps):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        run(script, folder, killed, *steps, "--resume_from_checkpoint=latest")
        expected = transformer_of(tmp_path / "undisturbed").state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in transformer_of(killed).state_dict().items())
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert [entry["step"] for entry in entries] == list(range(1, 101))

    def test_precompute_stops_before_training(self, undisturbed, script, folder, tmp_path):
        run(script, folder, tmp_path, "--precompute")
        assert [path.name for path in tmp_path.iterdir()] == ["data_report.json"]


class TestBadData:
    @pytest.fixture
    def bad(self, tmp_path):
        good = tone_sample(0)
        samples = [
            good,
            good | {"json": b"{}"},
            {"mp4": good["mp4"], "json": good["json"]},
            good | {"wav": wav_of(np.zeros(20_480))},
            good | {"wav": wav_of(np.full(8000, 0.5))},
            good | {"mp4": b"no pictures"},
        ]
        write_shard(tmp_path / "bad" / "a.tar", samples)
        write_damaged_shard(tmp_path / "bad" / "b.tar")
        return [f"--data={tmp_path / 'bad'}", f"--cache_dir={tmp_path / 'features'}", "--precompute"]

    def test_it_is_counted_and_reported(self, script, folder, bad, tmp_path, capsys):
        run(script, folder, tmp_path / "out", *bad)
        report = json.loads((tmp_path / "out" / "data_report.json").read_text())["train"]
        assert report["used"] == 2
        assert report["remarks"] == {"without a prompt": 1, "without pictures": 0}
        assert report["reasons"] == {
            "it has no sound": 1,
            "its sound is silent": 1,
            "its sound is shorter than the clip length": 1,
            "its pictures cannot be read": 1,
            "the shard is damaged; what comes after the damage is lost": 1,
        }
        assert "2 samples used, 5 left out" in capsys.readouterr().out

    def test_it_ends_the_work_if_asked_to(self, script, folder, bad, tmp_path):
        # Samples are read before any is encoded, so that the damaged shard would come first.
        (tmp_path / "bad" / "b.tar").unlink()
        with pytest.raises(InputError, match="'clip-002' cannot be used: it has no sound"):
            run(script, folder, tmp_path / "out", *bad, "--on_bad_data=error")


class TestFineTuning:
    def test_lora_weights_load_into_the_pipeline(self, undisturbed, script, folder, tmp_path):
        arguments = [f"--pretrained={undisturbed}", "--use_lora", "--lora_rank=2", "--max_train_steps=2"]
        run(script, folder, tmp_path, *arguments, scratch=False)
        pipeline = VideoToAudioPipeline.from_pretrained(undisturbed)
        before = make_sound(pipeline)
        pipeline.load_lora_weights(tmp_path)
        assert not np.array_equal(make_sound(pipeline), before)
        assert pipeline.transformer.peft_config["default_0"].r == 2
        pipeline.unload_lora_weights()
        assert np.array_equal(make_sound(pipeline), before)

    def test_training_goes_on_from_a_pipeline(self, undisturbed, script, folder, tmp_path):
        arguments = [f"--pretrained={undisturbed}", "--max_train_steps=1", "--learning_rate=0"]
        run(script, folder, tmp_path, *arguments, scratch=False)
        expected = transformer_of(undisturbed).state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in transformer_of(tmp_path).state_dict().items())

    def test_a_transformer_for_other_encoders_is_refused(self, undisturbed, script, folder, tmp_path):
        config = dict(transformer_of(undisturbed).config) | {"clip_dim": CLIP_DIM + 2}
        MMAudioTransformer1DModel.from_config(config).save_pretrained(tmp_path / "other" / "transformer")
        arguments = [f"--components={folder / 'components'}", f"--pretrained={tmp_path / 'other'}"]
        with pytest.raises(InputError, match=f"clip_dim={CLIP_DIM + 2}"):
            run(script, folder, tmp_path / "output", *arguments, scratch=False)


class TestLoss:
    @pytest.fixture(scope="class")
    def transformer(self):
        torch.manual_seed(0)
        transformer = MMAudioTransformer1DModel(
            **TRANSFORMER_CONFIG,
            latent_channels=LATENT_CHANNELS,
            clip_dim=CLIP_DIM,
            sync_dim=SYNC_DIM,
            text_dim=TEXT_DIM,
            text_length=TEXT_LENGTH,
            latents_per_second=31.25,
        )
        with torch.no_grad():
            for parameter in (*transformer.parameters(), transformer.null_features.text):
                parameter.add_(0.1 * torch.randn_like(parameter))
        return transformer

    @pytest.fixture
    def batch(self):
        torch.manual_seed(1)
        return {
            "clip_features": torch.randn(3, NUM_CLIP_FRAMES, CLIP_DIM),
            "sync_features": torch.randn(3, NUM_SYNC_TOKENS, SYNC_DIM),
            "text_features": torch.randn(3, TEXT_LENGTH, TEXT_DIM),
            "latent_mean": torch.randn(3, NUM_LATENTS, LATENT_CHANNELS),
            "latent_std": torch.full((3, NUM_LATENTS, LATENT_CHANNELS), 0.1),
            "has_video": torch.ones(3, dtype=torch.bool),
        }

    def test_what_is_dropped_of_an_item_is_what_none_stands_for(self, script, transformer, batch):
        latents, times = batch["latent_mean"], torch.tensor([0.2, 0.5, 0.8])
        without_video, without_text = torch.tensor([True, False, True]), torch.tensor([False, True, True])
        with torch.no_grad():
            velocity = script.conditional_velocity(transformer, latents, times, batch, without_video, without_text)
            for i in range(3):
                features = {name: batch[name][i : i + 1] for name in ("clip_features", "sync_features")}
                expected = transformer(
                    latents[i : i + 1],
                    times[i : i + 1],
                    **({} if without_video[i] else features),
                    text_features=None if without_text[i] else batch["text_features"][i : i + 1],
                ).sample
                torch.testing.assert_close(velocity[i : i + 1], expected, rtol=1e-4, atol=1e-5)

    def test_conditions_are_dropped_as_often_as_asked_for(self, script, transformer, batch):
        def loss(batch, drop_probability):
            torch.manual_seed(0)
            with torch.no_grad():
                return float(script.video_to_audio_loss({"transformer": transformer}, batch, drop_probability)[0])

        other = batch | {name: torch.randn_like(batch[name]) for name in ("clip_features", "text_features")}
        assert loss(batch, 1.0) == loss(other, 1.0)
        assert loss(batch, 0.0) != loss(other, 0.0)
        # A sound without pictures is never seen.
        unseen = {"has_video": torch.zeros(3, dtype=torch.bool)}
        clip = {"clip_features": other["clip_features"]}
        assert loss(batch | unseen, 0.0) == loss(batch | clip | unseen, 0.0)

    def test_null_features_learn_from_dropped_items(self, script, transformer, batch):
        transformer.zero_grad()
        script.video_to_audio_loss({"transformer": transformer}, batch, 1.0)[0].backward()
        assert transformer.null_features.clip.grad.any()
        assert transformer.null_features.sync.grad.any()


class TestArguments:
    def test_defaults_are_those_of_the_paper(self, script):
        args = script.parse_args(["--components=c", "--data=d", "--output_dir=folder/o"])
        assert (args.train_batch_size, args.max_train_steps, args.learning_rate) == (512, 300_000, 1e-4)
        assert (args.lr_scheduler, args.lr_decay_steps) == ("multistep", [240_000, 270_000])
        assert (args.clip_length_in_s, args.peak_level, args.mixed_precision) == (8.0, 0.95, None)
        assert args.cache_dir == Path("folder/o-features")

    def test_the_preset_changes_defaults_but_not_what_is_given(self, script):
        args = script.parse_args(["--components=c", "--data=d", "--output_dir=o", "--preset=tiny", "--peak_level=0.5"])
        assert (args.train_batch_size, args.learning_rate, args.clip_length_in_s) == (16, 1.2e-3, 3.84)
        assert (args.peak_level, args.mixed_precision) == (0.5, "bf16")

    @pytest.mark.parametrize(
        "arguments, message",
        [
            ([], "--components or --pretrained"),
            (["--components=c", "--use_lora"], "--use_lora"),
            (["--pretrained=p", "--transformer_config=t"], "--transformer_config"),
        ],
    )
    def test_arguments_that_do_not_fit_are_refused(self, script, arguments, message, capsys):
        with pytest.raises(SystemExit):
            script.parse_args(["--data=d", "--output_dir=o", *arguments])
        assert message in capsys.readouterr().err
