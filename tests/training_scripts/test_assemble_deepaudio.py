# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/assemble_deepaudio.py` makes one pipeline of what the other scripts wrote."""

import torch

from deepaudio_diffusers import DeepAudioPipeline, VocosVocoder
from deepaudio_diffusers.processing.tokenization_phones import PhoneTokenizer
from tests.tiny import tiny_pipeline
from tests.training_scripts.speech_folders import load_script, small_network, write_network


def test_the_parts_are_one_pipeline_that_says_nothing_of_this_machine(tmp_path):
    script = load_script("assemble_deepaudio")
    runs, output_dir = tmp_path / "runs", tmp_path / "out"
    tiny_pipeline().save_pretrained(runs / "stage1")
    write_network(runs / "stage4")
    VocosVocoder(num_mels=20, hidden_size=16, intermediate_size=32, num_layers=1).save_pretrained(runs / "vocoder")
    (tmp_path / "card.md").write_text("What it can do.")
    script.main(
        script.parse_args(
            [
                f"--v2a={runs / 'stage1'}",
                f"--speech={runs / 'stage4'}",
                f"--vocoder={runs / 'vocoder'}",
                f"--model_card={tmp_path / 'card.md'}",
                f"--output_dir={output_dir}",
            ]
        )
    )
    pipeline = DeepAudioPipeline.from_pretrained(output_dir)
    assert isinstance(pipeline.speech_tokenizer, PhoneTokenizer)
    assert pipeline.gate is None
    expected = small_network().state_dict()
    for name, value in pipeline.speech_transformer.state_dict().items():
        torch.testing.assert_close(value.float(), expected[name].half().float(), rtol=0, atol=0)
    assert (output_dir / "README.md").read_text() == "What it can do."
    configurations = list(output_dir.rglob("*.json"))
    assert len(configurations) > 8
    assert not any("runs" in path.read_text(encoding="utf-8") for path in configurations)
