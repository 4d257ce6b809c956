# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Gates are taken as they were saved, and everything else is refused with its reason."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel

from deepaudio_diffusers.conversion.gate import load_gate
from deepaudio_diffusers.errors import CheckpointError, InputError


@pytest.fixture
def spoilt(gate, tmp_path):
    """A copy of a gate for a test that spoils it."""
    return shutil.copytree(gate, tmp_path / "my-gate")


def refused(folder, error=CheckpointError):
    with pytest.raises(error) as info:
        load_gate(folder)
    assert "MoFGatingNetwork and its tokenizer" in str(info.value)
    return str(info.value)


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder, edit):
    weights = load_file(folder / "model.safetensors")
    edit(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_gate_is_loaded_as_it_was_saved(gate):
    loaded = load_gate(gate)

    saved = load_file(gate / "model.safetensors")
    weights = loaded.network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in saved.items())
    assert loaded.tokenizer("ab").input_ids == [100, 101, 1]
    assert loaded.weights == gate / "model.safetensors"
    assert loaded.licence == "apache-2.0"


def test_a_gate_is_found_in_a_pipeline(gate, tmp_path):
    shutil.copytree(gate, tmp_path / "gate", ignore=shutil.ignore_patterns("tokenizer*"))
    shutil.copytree(gate, tmp_path / "gate_tokenizer", ignore=shutil.ignore_patterns("model*", "config.json"))
    alone, inside = load_gate(gate), load_gate(tmp_path)

    weights = inside.network.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in alone.network.state_dict().items())
    assert inside.tokenizer("ab").input_ids == alone.tokenizer("ab").input_ids
    assert inside.weights == tmp_path / "gate" / "model.safetensors"

    shutil.rmtree(tmp_path / "gate_tokenizer")
    assert "it lacks gate_tokenizer/tokenizer_config.json" in refused(tmp_path)


@pytest.mark.parametrize("card", [None, "# Gate\n", "---\ntags: [a]\n---\nlicense: mit\n", "---\nlicense: [a\n---\n"])
def test_a_licence_that_is_not_stated_is_unknown(spoilt, card):
    (spoilt / "README.md").unlink()
    if card is not None:
        (spoilt / "README.md").write_text(card)

    assert load_gate(spoilt).licence is None


def test_half_precision_is_kept(spoilt):
    edit_weights(spoilt, lambda weights: weights.update({name: t.bfloat16() for name, t in weights.items()}))
    edit_config(spoilt, dtype="bfloat16")

    assert {tensor.dtype for tensor in load_gate(spoilt).network.state_dict().values()} == {torch.bfloat16}


def test_what_is_no_folder():
    assert "`gate` is 'no/such-gate', which is not a folder here" in refused("no/such-gate", InputError)


def test_what_is_missing_is_named_at_once(tmp_path):
    assert "it lacks config.json, model.safetensors, tokenizer_config.json" in refused(tmp_path)


def test_weights_in_a_pickle_are_missing(spoilt):
    torch.save(load_file(spoilt / "model.safetensors"), spoilt / "pytorch_model.bin")
    (spoilt / "model.safetensors").unlink()

    assert "it lacks model.safetensors." in refused(spoilt)


def test_another_model_is_told_by_its_type(spoilt):
    config = T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(spoilt)

    assert refused(spoilt).startswith(
        "`gate` ('my-gate') is not a folder with a gate for DeepAudioPipeline: config.json is that of a model of type "
        "'t5'. Give"
    )


@pytest.mark.parametrize("content", ["{", "[]"])
def test_a_damaged_configuration(spoilt, content):
    (spoilt / "config.json").write_text(content)

    assert "config.json cannot be read" in refused(spoilt)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"mlp_hidden_size": 7}, "RuntimeError"),
        ({"mlp_hidden_size": "8"}, "TypeError"),
        ({"text_config": {"d_model": "16"}}, "StrictDataclassFieldValidationError"),
        ({"id2label": {"first": "soundtrack"}}, "ValueError"),
    ],
)
def test_a_configuration_that_does_not_fit(spoilt, changes, error):
    edit_config(spoilt, **changes)

    assert f"model.safetensors and config.json do not make a network ({error})" in refused(spoilt)


def test_damaged_weights(spoilt):
    path = spoilt / "model.safetensors"
    path.write_bytes(path.read_bytes()[:500])

    assert "do not make a network (SafetensorError)" in refused(spoilt)


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (lambda weights: weights.pop("mlp.proj_in.bias"), "mlp.proj_in.bias"),
        (lambda weights: weights.update({"mlp.more.weight": torch.ones(2)}), "mlp.more.weight"),
    ],
)
def test_weights_too_few_or_too_many(spoilt, edit, name):
    edit_weights(spoilt, edit)

    assert f"model.safetensors lacks weights or has too many ({name})" in refused(spoilt)


def test_a_gate_for_other_tasks(spoilt):
    edit_config(spoilt, id2label=dict(enumerate("abcd")), label2id=None)

    assert "its tasks are a, b, c, d instead of video_to_audio, video_to_speech, " in refused(spoilt)


def test_a_tokenizer_with_more_tokens_than_the_network_knows(spoilt):
    name = "text_encoder.shared.weight"
    edit_weights(spoilt, lambda weights: weights.update({name: weights[name][:300].clone()}))
    config = json.loads((spoilt / "config.json").read_text())
    edit_config(spoilt, text_config=config["text_config"] | {"vocab_size": 300})

    assert "its tokenizer has 384 tokens, where the network knows 300" in refused(spoilt)


@pytest.mark.parametrize(
    "content",
    ["{", '{"tokenizer_class": "Mine", "auto_map": {"AutoTokenizer": ["mine.Mine", null]}}'],
    ids=["cut off", "code"],
)
def test_a_tokenizer_that_cannot_be_read_or_brings_code(spoilt, content):
    (spoilt / "mine.py").write_text("raise SystemExit('this ran')")
    (spoilt / "tokenizer_config.json").write_text(content)

    assert "its tokenizer cannot be read (" in refused(spoilt)
