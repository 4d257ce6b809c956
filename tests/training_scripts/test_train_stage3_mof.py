# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`training_scripts/train_stage3_mof.py` trains a gate that loads where the pipeline looks for it."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.instructions.generate import Span
from deepaudio_diffusers.models.gating_network import MoFGatingNetwork
from deepaudio_diffusers.tasks import TASKS


SCRIPT = Path(__file__).parents[2] / "training_scripts" / "train_stage3_mof.py"
INSTRUCTIONS = {
    "video_to_audio": ["add foley to the clip", "wind and waves, please", "给视频加上脚步声"],
    "video_to_speech": ["dub the actor", "lip-sync her lines", "给演员配音"],
    "text_to_speech": ["read this page aloud", "narrate my poem", "朗读这篇文章"],
    "soundtrack": ["dub him and add rain", "voices and effects", "配音和音效都要"],
}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location(SCRIPT.stem, SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "instructions.jsonl"
    rows = [{"text": text, "label": label} for label, texts in INSTRUCTIONS.items() for text in texts]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(script, output_dir, data, *arguments):
    script.main(
        script.parse_args(
            [
                "--preset=tiny",
                f"--output_dir={output_dir}",
                f"--data={data}",
                f"--validation_data={data}",
                "--train_batch_size=4",
                "--lr_warmup_steps=1",
                *arguments,
            ]
        )
    )
    return MoFGatingNetwork.from_pretrained(output_dir / "gate")


@pytest.fixture(scope="module")
def undisturbed(script, data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    return folder, run(script, folder, data, "--max_train_steps=6", "--checkpointing_steps=3")


def test_gate_and_tokenizer_load_and_read(undisturbed):
    folder, gate = undisturbed
    tokenizer = AutoTokenizer.from_pretrained(folder / "gate_tokenizer")
    tokens = tokenizer(["Dub the actor", "", "龘 😀"], padding=True, return_tensors="pt")
    probabilities = gate(tokens.input_ids, tokens.attention_mask).probabilities
    assert probabilities.shape == (3, len(TASKS))
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(3))
    assert [gate.config.id2label[i] for i in range(len(TASKS))] == list(TASKS)


def test_weights_change_and_losses_are_finite(undisturbed, script, data, tmp_path):
    folder, gate = undisturbed
    start = run(script, tmp_path, data, "--max_train_steps=1", "--learning_rate=0")
    after, before = gate.state_dict(), start.state_dict()
    assert after.keys() == before.keys()
    assert any(not torch.equal(after[name], before[name]) for name in after)
    log = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    losses = [entry["loss"] for entry in log if "loss" in entry]
    assert len(losses) == 6
    assert all(0 < loss < 10 for loss in losses)


def test_a_killed_training_goes_on_to_the_same_weights(undisturbed, script, data, tmp_path):
    (tmp_path / "checkpoint-3").symlink_to(undisturbed[0] / "checkpoint-3")
    resumed = run(script, tmp_path, data, "--max_train_steps=6", "--resume_from_checkpoint=latest")
    expected = undisturbed[1].state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in resumed.state_dict().items())


def test_report_counts_every_validation_instruction(undisturbed):
    figures = json.loads((undisturbed[0] / "report.json").read_text())
    assert figures["all"]["num"] == 12
    (matrix,) = figures["confusion"].values()
    assert [sum(row) for row in matrix] == [3] * len(TASKS)
    assert sum(matrix[i][i] for i in range(len(TASKS))) == figures["all"]["num_right"]
    assert "Gating network" in (undisturbed[0] / "README.md").read_text()


def test_a_trained_gate_can_be_trained_further(undisturbed, script, data, tmp_path):
    folder, gate = undisturbed
    arguments = [f"--pretrained={folder}", "--max_train_steps=2", "--freeze_text_encoder"]
    further = run(script, tmp_path, data, *arguments)
    before, after = gate.state_dict(), further.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name.startswith("text_encoder"))
    assert not torch.equal(after["mlp.proj_in.weight"], before["mlp.proj_in.weight"])


def test_the_text_encoder_of_a_t5_is_kept(script, undisturbed, data, tmp_path):
    # The gate's encoder, saved as a T5 of its own, stands in for FLAN-T5.
    folder, gate = undisturbed
    gate.text_encoder.save_pretrained(tmp_path / "t5")
    AutoTokenizer.from_pretrained(folder / "gate_tokenizer").save_pretrained(tmp_path / "t5")
    arguments = ["--preset=full", f"--text_encoder={tmp_path / 't5'}", "--max_train_steps=2", "--freeze_text_encoder"]
    trained = run(script, tmp_path / "gate", data, *arguments)
    before = gate.text_encoder.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in trained.text_encoder.state_dict().items())
    assert trained.config.mlp_hidden_size == 256


def test_defaults_are_those_of_the_paper(script, tmp_path):
    args = script.parse_args([f"--output_dir={tmp_path}"])
    assert (args.train_batch_size, args.max_train_steps) == (32, 5000)
    assert (args.learning_rate, args.final_learning_rate) == (1e-4, 1e-6)
    assert args.text_encoder == "google/flan-t5-base"


def test_tokens_are_labelled_by_the_phrase_they_stand_in(script):
    text = "no rain, just dub him"
    spans = [Span(3, 7, "video_to_audio", False), Span(14, 21, "video_to_speech", True)]
    tokenizer = script.train_tokenizer([text] * 10)
    tokens = tokenizer(text, return_offsets_mapping=True)
    classes = script.label_tokens(tokens.offset_mapping, spans)
    unwanted, wanted = (script.span_class(span) for span in spans)
    assert len({0, unwanted, wanted}) == 3
    by_class = {}
    for each, (start, end) in zip(classes, tokens.offset_mapping, strict=True):
        by_class[each] = by_class.get(each, "") + text[start:end]
    assert by_class[unwanted].strip() == "rain"
    assert by_class[wanted].strip() == "dub him"
    assert classes[-1] == 0  # The end


def test_phrases_of_made_instructions_are_learnt_and_leave_no_trace_in_the_gate(script, undisturbed, data, tmp_path):
    args = script.parse_args(
        [
            *("--preset=tiny", f"--output_dir={tmp_path}", f"--validation_data={data}", "--train_batch_size=16"),
            *("--num_train_instructions=160", "--max_train_steps=20", "--lr_warmup_steps=1", "--span_loss_weight=1"),
        ]
    )
    script.main(args)
    log = [json.loads(line) for line in (tmp_path / "train_log.jsonl").read_text().splitlines()]
    losses = [entry["span_loss"] for entry in log if "span_loss" in entry]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    gate = MoFGatingNetwork.from_pretrained(tmp_path / "gate")
    assert gate.state_dict().keys() == undisturbed[1].state_dict().keys()


def test_the_tokenizer_makes_no_difference_of_case_and_joins_no_chinese_characters(script):
    tokenizer = script.train_tokenizer([text for texts in INSTRUCTIONS.values() for text in texts] * 3)
    assert tokenizer("ADD Foley").input_ids == tokenizer("add foley").input_ids
    assert tokenizer("").input_ids == [tokenizer.eos_token_id]
    alone = [tokenizer(character).input_ids[:-1] for character in "给演员配音"]
    assert tokenizer("给演员配音").input_ids == [*(token for ids in alone for token in ids), tokenizer.eos_token_id]


def test_rows_that_cannot_be_used(script, tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text,label\ndub her,video_to_speech\nhello,greeting\n", encoding="utf-8")
    with pytest.raises(InputError, match="row 2"):
        script.read_instructions(path, script.DataReport("error"))
    report = script.DataReport("skip")
    assert [each.text for each in script.read_instructions(path, report)] == ["dub her"]
    assert sum(report.reasons.values()) == 1
    with pytest.raises(InputError, match=r"\.jsonl or \.csv"):
        script.read_instructions(tmp_path / "rows.txt", report)
