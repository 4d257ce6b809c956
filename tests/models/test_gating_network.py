# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The gating network: the paper's formula, indifference to padding, and loading by transformers and diffusers."""

import pytest
import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file, save_file
from transformers import T5Config, T5EncoderModel, T5ForConditionalGeneration

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.gating_network import MoFGatingConfig, MoFGatingNetwork
from deepaudio_diffusers.tasks import TASKS
from tests.golden import relative_error


# Sums in another order, in float32 (1e-7 seen).
TOLERANCE = 1e-5

TEXT_CONFIG = {
    "vocab_size": 60,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 24,
    "num_layers": 2,
    "num_heads": 2,
    "feed_forward_proj": "gated-gelu",
}
NUM_TOKENS = (7, 3)


def tiny_gate(dropout_rate: float = 0.1, **kwargs) -> MoFGatingNetwork:
    torch.manual_seed(0)
    text_config = T5Config(**TEXT_CONFIG, dropout_rate=dropout_rate)
    return MoFGatingNetwork(MoFGatingConfig(text_config, mlp_hidden_size=12, **kwargs)).eval()


@pytest.fixture
def gate():
    return tiny_gate()


@pytest.fixture
def inputs():
    """Two instructions of different lengths, padded with a token that is not T5's."""
    generator = torch.Generator().manual_seed(1)
    input_ids = torch.randint(3, 60, (2, max(NUM_TOKENS)), generator=generator)
    attention_mask = torch.tensor([[i < length for i in range(max(NUM_TOKENS))] for length in NUM_TOKENS]).long()
    return {"input_ids": input_ids, "attention_mask": attention_mask}


@torch.no_grad()
def test_is_the_softmax_of_an_mlp_of_the_mean_of_the_encoder(gate, inputs):
    output = gate(**inputs)
    for i, length in enumerate(NUM_TOKENS):
        hidden_states = gate.text_encoder(inputs["input_ids"][i : i + 1, :length]).last_hidden_state
        hidden = torch.nn.functional.gelu(gate.mlp.proj_in(hidden_states.mean(dim=1)))
        logits = gate.mlp.proj_out(hidden)
        assert relative_error(output.logits[i : i + 1], logits) < TOLERANCE
        assert relative_error(output.probabilities[i : i + 1], logits.softmax(dim=-1)) < TOLERANCE


@torch.no_grad()
def test_padding_does_not_count(gate, inputs):
    expected = gate(**inputs).logits
    inputs["input_ids"][1, NUM_TOKENS[1] :] = 59
    assert torch.equal(gate(**inputs).logits, expected)
    without_mask = gate(inputs["input_ids"][1:, : NUM_TOKENS[1]]).logits
    assert relative_error(without_mask, expected[1:]) < TOLERANCE


def test_loss_is_the_cross_entropy(gate, inputs):
    labels = torch.tensor([2, 0])
    output = gate(**inputs, labels=labels)
    expected = -output.probabilities[torch.arange(2), labels].log().mean()
    assert relative_error(output.loss, expected) < TOLERANCE
    output.loss.backward()
    assert all(parameter.grad is not None for parameter in gate.parameters())
    assert gate(**inputs).loss is None


def test_tuple_output(gate, inputs):
    logits, probabilities = gate(**inputs, return_dict=False)
    assert torch.equal(logits, gate(**inputs).logits)
    assert torch.equal(probabilities, gate(**inputs).probabilities)
    assert len(gate(**inputs, labels=torch.tensor([0, 1]), return_dict=False)) == 3


def test_an_instruction_without_a_token_is_an_error(gate, inputs):
    inputs["attention_mask"][1] = 0
    with pytest.raises(InputError, match=r"attention_mask.*row without any token"):
        gate(**inputs)


def test_classes_are_the_tasks_or_those_of_the_configuration(gate):
    assert gate.config.id2label == dict(enumerate(TASKS))
    assert gate.config.label2id["soundtrack"] == 3
    assert gate.mlp.proj_out.out_features == gate.config.num_labels == 4

    other = tiny_gate(id2label={0: "video_to_speech", 1: "text_to_speech"})
    assert other.config.label2id == {"video_to_speech": 0, "text_to_speech": 1}
    assert other.mlp.proj_out.out_features == 2


def test_dropout_of_the_mlp_acts_in_training_alone(inputs):
    gate = tiny_gate(mlp_dropout=0.9)
    gate.text_encoder.eval()
    assert torch.equal(gate(**inputs).logits, gate(**inputs).logits)
    gate.mlp.train()
    assert not torch.equal(gate(**inputs).logits, gate(**inputs).logits)


@torch.no_grad()
def test_round_trip_is_exact(gate, inputs, tmp_path):
    gate.save_pretrained(tmp_path)
    loaded, report = MoFGatingNetwork.from_pretrained(tmp_path, output_loading_info=True)
    assert not report["missing_keys"] and not report["unexpected_keys"]
    assert torch.equal(loaded(**inputs).probabilities, gate(**inputs).probabilities)
    assert loaded.config.id2label == gate.config.id2label
    assert loaded.config.text_config.d_ff == TEXT_CONFIG["d_ff"]
    # The embedding is one tensor under two names, in memory and in the file.
    assert loaded.text_encoder.shared.weight is loaded.text_encoder.encoder.embed_tokens.weight
    assert sum("shared" in key or "embed_tokens" in key for key in load_file(tmp_path / "model.safetensors")) == 1


@torch.no_grad()
def test_weights_missing_in_a_checkpoint_are_new_ones(gate, tmp_path):
    """transformers builds models on the meta device: what no file fills must still be initialised."""
    gate.save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    kept = {key: weight for key, weight in weights.items() if "mlp" not in key}
    save_file(kept, tmp_path / "model.safetensors", {"format": "pt"})
    torch.manual_seed(2)
    loaded = MoFGatingNetwork.from_pretrained(tmp_path)
    assert not any(parameter.is_meta for parameter in loaded.parameters())
    assert not loaded.mlp.proj_in.bias.any()
    assert 0.5 < loaded.mlp.proj_in.weight.std() / 16**-0.5 < 2
    assert 0.5 < loaded.mlp.proj_out.weight.std() / 12**-0.5 < 2
    for key, weight in kept.items():
        assert torch.equal(loaded.state_dict()[key], weight)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(gate, inputs, tmp_path, dtype):
    gate.save_pretrained(tmp_path)
    loaded = MoFGatingNetwork.from_pretrained(tmp_path, dtype=dtype)
    assert loaded.dtype == loaded.mlp.proj_out.weight.dtype == dtype
    # T5's output projection of the feed-forward overflows in float16 and is kept out of it.
    wo = loaded.text_encoder.encoder.block[0].layer[1].DenseReluDense.wo
    assert wo.weight.dtype == (torch.float32 if dtype == torch.float16 else dtype)
    output = loaded(**inputs)
    assert output.probabilities.dtype == torch.float32
    # A few roundings of bfloat16, of 2^-9 each (0.002 seen).
    assert (output.probabilities - gate(**inputs).probabilities).abs().max() < 0.02


@pytest.mark.parametrize("with_decoder", [False, True], ids=["encoder", "encoder-decoder"])
@torch.no_grad()
def test_begins_from_a_t5_folder(inputs, tmp_path, with_decoder):
    torch.manual_seed(3)
    config = T5Config(**TEXT_CONFIG, num_decoder_layers=1)
    t5 = (T5ForConditionalGeneration if with_decoder else T5EncoderModel)(config).eval()
    t5.save_pretrained(tmp_path)
    gate = MoFGatingNetwork.from_t5_encoder(tmp_path, mlp_hidden_size=20, mlp_dropout=0.3)
    assert not gate.training
    assert (gate.config.mlp_hidden_size, gate.config.mlp_dropout) == (20, 0.3)
    assert gate.config.text_config.d_model == 16
    assert isinstance(gate.text_encoder, T5EncoderModel)
    assert gate.text_encoder.config._attn_implementation == "sdpa"
    expected = t5.get_encoder()(**inputs).last_hidden_state
    assert relative_error(gate.text_encoder(**inputs).last_hidden_state, expected) < TOLERANCE

    gate.save_pretrained(tmp_path / "gate")
    loaded = MoFGatingNetwork.from_pretrained(tmp_path / "gate")
    assert torch.equal(loaded(**inputs).logits, gate(**inputs).logits)


def test_begins_from_a_t5_folder_in_another_dtype(tmp_path):
    T5EncoderModel(T5Config(**TEXT_CONFIG)).save_pretrained(tmp_path)
    gate = MoFGatingNetwork.from_t5_encoder(tmp_path, dtype=torch.bfloat16)
    assert {parameter.dtype for parameter in gate.parameters()} == {torch.bfloat16}


def test_gradient_checkpointing_changes_no_gradient(inputs):
    # Without dropout, whose masks differ from call to call.
    gate = tiny_gate(dropout_rate=0.0, mlp_dropout=0.0).train()

    def gradients():
        gate.zero_grad()
        gate(**inputs, labels=torch.tensor([1, 3])).loss.backward()
        return {name: parameter.grad.clone() for name, parameter in gate.named_parameters()}

    expected = gradients()
    gate.gradient_checkpointing_enable()
    calls = []
    gate.text_encoder.encoder.block[0].layer[0].register_forward_pre_hook(lambda *_: calls.append(1))
    for name, gradient in gradients().items():
        assert relative_error(gradient, expected[name]) < TOLERANCE, name
    # Once forward, once more for the gradients.
    assert len(calls) == 2


def test_input_embeddings_are_those_of_the_text_encoder(gate):
    assert gate.get_input_embeddings() is gate.text_encoder.shared
    gate.resize_token_embeddings(64)
    assert gate.text_encoder.encoder.embed_tokens.weight.shape == (64, 16)
    assert gate(torch.tensor([[63, 1]])).logits.shape == (1, 4)


class GatedPipeline(DiffusionPipeline):
    def __init__(self, gating_network: MoFGatingNetwork):
        super().__init__()
        self.register_modules(gating_network=gating_network)


@torch.no_grad()
def test_is_a_component_of_a_pipeline(gate, inputs, tmp_path):
    pipeline = GatedPipeline(gate)
    assert pipeline.config["gating_network"] == ("deepaudio_diffusers", "MoFGatingNetwork")
    pipeline.save_pretrained(tmp_path)
    loaded = GatedPipeline.from_pretrained(tmp_path)
    assert torch.equal(loaded.gating_network(**inputs).logits, gate(**inputs).logits)
    assert GatedPipeline.from_pretrained(tmp_path, dtype=torch.bfloat16).gating_network.dtype == torch.bfloat16
