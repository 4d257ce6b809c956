# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The loss of infilling is that of F5-TTS, and validation speaks as the pipeline does."""

import json
from dataclasses import replace

import pytest
import torch

from deepaudio_diffusers import F5TTSTransformer1DModel
from deepaudio_diffusers.conversion.f5tts import convert_f5tts
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.pipelines.pipeline_output import VoicePrompt
from deepaudio_diffusers.processing.speech_text import complete_reference_text, join_reference
from deepaudio_diffusers.training.data import DataReport
from deepaudio_diffusers.training.infilling import (
    InfillingBatch,
    InfillingLoss,
    InfillingOptions,
    InfillingValidation,
    complete_mels,
    draw_gaps,
    infilling_loss,
    pad_infillings,
)
from deepaudio_diffusers.training.speech import SpeechDataset, build_speech_cache, mel_settings
from tests.golden import FIXTURES, load_golden, relative_error
from tests.tiny import tiny_speech_pipeline
from tests.training.test_speech import timings  # noqa: F401
from tests.training.timed_speech import write_speech


NO_DROPS = InfillingOptions(drop_audio=0.0, drop_audio_and_text=0.0)


@pytest.fixture(scope="module")
def transformer():
    torch.manual_seed(0)
    network = F5TTSTransformer1DModel(
        mel_channels=20,
        vocab_size=5,
        hidden_size=32,
        num_layers=1,
        num_attention_heads=2,
        attention_head_dim=16,
        text_dim=16,
        num_text_layers=1,
        energy_conditioning=True,
        attn_mask_enabled=True,
        dropout=0.0,
        mel_type="bigvgan",
        sampling_rate=16_000,
        mel_mean=-6.0,
        mel_std=2.0,
    )
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return network.eval()


@pytest.fixture(scope="module")
def dataset(transformer, timings, tmp_path_factory):  # noqa: F811
    report = DataReport()
    source = write_speech(tmp_path_factory.mktemp("speech"))
    cache = build_speech_cache(
        tmp_path_factory.mktemp("cache"), [source], mel_settings(transformer.config), 0.1, 10.0, report
    )
    return SpeechDataset(cache, timings, report)


def drawn(dataset, transformer, options, seed=0, indices=(0, 1, 2, 3)):
    """The batch that a loss would make."""
    torch.manual_seed(seed)
    items = InfillingLoss(dataset, options)._draw_infillings([dataset[index] for index in indices])
    return pad_infillings(items, transformer.config)


def test_loss_is_that_of_the_original():
    entry = json.loads((FIXTURES / "f5tts" / "dit_index.json").read_text())["v1"]
    network = convert_f5tts(load_golden(f"f5tts/dit_{entry['weights']}_weights"), **entry["config"])
    golden = load_golden("f5tts/cfm_v1_train")
    lengths = golden["lens"]
    batch = InfillingBatch(golden["mel"], golden["text"], None, lengths, torch.zeros_like(lengths))
    torch.manual_seed(31)
    gap = draw_gaps(batch)
    assert torch.equal(gap, golden["span"])
    loss = infilling_loss(network, batch, gap)
    assert relative_error(loss[None].detach(), golden["keep.loss"]) < 1e-5


class TestLoss:
    def test_follows_from_the_seed_alone(self, dataset, transformer):
        loss = InfillingLoss(dataset, InfillingOptions(join_utterances=0.5, add_silence=0.5))
        items = [dataset[index] for index in range(4)]
        values = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            values.append(loss({"transformer": transformer}, items)[0].item())
        assert values[0] == values[1] != values[2]

    def test_what_comes_after_a_prompt_is_the_utterance_without_padding(self, dataset, transformer):
        batch = drawn(dataset, transformer, replace(NO_DROPS, join_utterances=1.0))
        assert batch.lengths.unique().numel() > 1
        gap = batch.is_after_prompt
        for length, prompt_length, frames in zip(batch.lengths, batch.prompt_lengths, gap, strict=True):
            assert frames.nonzero().flatten().tolist() == list(range(prompt_length, length))

    def test_silence_makes_utterances_equally_long(self, dataset, transformer):
        batch = drawn(dataset, transformer, replace(NO_DROPS, add_silence=1.0))
        assert batch.lengths.unique().numel() == 1
        assert batch.lengths[0] >= max(dataset.lengths[:4])

    @pytest.mark.parametrize(("contours", "drop_energy", "is_given"), [("true", 0, 1), ("true", 1, 0), ("none", 0, 0)])
    def test_contours(self, dataset, transformer, contours, drop_energy, is_given):
        batch = drawn(dataset, transformer, replace(NO_DROPS, contours=contours, drop_energy=drop_energy))
        assert batch.energy.any() == is_given

    def test_dropped_conditions_do_not_matter(self, dataset, transformer):
        losses = []
        for shift in (0.0, 1.0):
            torch.manual_seed(0)
            options = InfillingOptions(drop_audio=0.0, drop_audio_and_text=1.0)
            items = [dict(dataset[index]) for index in range(4)]
            for item in items:
                item["text_ids"] = (item["text_ids"] + int(shift)) % 5
            losses.append(InfillingLoss(dataset, options)({"transformer": transformer}, items)[0].item())
        assert losses[0] == losses[1]

    def test_energy_contours_reach_the_network(self, dataset, transformer):
        losses = []
        for contours in ("none", "true"):
            batch = drawn(dataset, transformer, replace(NO_DROPS, contours=contours))
            torch.manual_seed(0)
            losses.append(infilling_loss(transformer, batch, draw_gaps(batch)).item())
        assert losses[0] != losses[1]

    def test_speakers_are_needed_to_join(self, transformer, timings, tmp_path):  # noqa: F811
        report = DataReport()
        source = write_speech(tmp_path / "speech", num_utterances=2)
        cache = build_speech_cache(tmp_path / "cache", [source], mel_settings(transformer.config), 0.1, 10.0, report)
        with pytest.raises(InputError, match="speaker"):
            InfillingLoss(SpeechDataset(cache, timings, report), InfillingOptions(join_utterances=0.5))


class TestValidation:
    def test_speaks_as_the_pipeline(self):
        pipeline = tiny_speech_pipeline(sampling_rate=16_000, mel_type="bigvgan", mel_mean=-6.0, mel_std=2.0)
        torch.manual_seed(0)
        prompt = torch.randn(70, 20)
        voice = VoicePrompt(prompt, complete_reference_text("Some voice"), torch.zeros(70), 70 * 256 / 16_000, 1.0)
        torch.manual_seed(1)
        expected = pipeline(
            "Hello",
            voice=voice,
            audio_length_in_s=0.8,
            num_inference_steps=3,
            guidance_scale=2.0,
            output_type="latent",
        ).audios[0]
        ids = pipeline.tokenizer(join_reference(voice.text, "Hello")).input_ids
        mel = torch.cat([prompt, torch.zeros(50, 20)])[None]
        batch = InfillingBatch(mel, torch.tensor([ids]), None, torch.tensor([120]), torch.tensor([70]))
        torch.manual_seed(1)
        completed = complete_mels(pipeline.transformer, batch, num_steps=3, guidance_scale=2.0)
        assert torch.equal(completed[0, :70], prompt)
        assert relative_error(completed[0, 70:], torch.as_tensor(expected)) < 1e-5

    def test_writes_figures_and_a_picture(self, dataset, transformer, tmp_path):
        validation = InfillingValidation(dataset, 2, "energy", vocoder=None)
        torch.manual_seed(0)
        figures = validation({"transformer": transformer}, 0, tmp_path)
        assert set(figures) == {"loss", "mel_l1", "energy_correlation"}
        assert figures["loss"] > 0
        assert abs(figures["energy_correlation"]) <= 1
        assert (tmp_path / "spectrograms.png").read_bytes().startswith(b"\x89PNG")
