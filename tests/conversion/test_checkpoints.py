# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading checkpoints safely, and recognising them by their keys."""

import json
import os
import pickle
import random

import pytest
import torch
from safetensors.torch import save_file

from deepaudio_diffusers.conversion.checkpoints import identify, load_checkpoint, read_shapes
from deepaudio_diffusers.conversion.recipes import RECIPES
from deepaudio_diffusers.errors import CheckpointError
from tests.conversion.published import TINY_VOCABULARY, original_f5tts_network, original_vocos
from tests.golden import FIXTURES, load_golden, weights_of


TENSORS = {"a.weight": torch.arange(12.0).reshape(3, 4), "b": torch.ones(2)}

SAVERS = {
    "zip.pth": torch.save,
    "zip.bin": torch.save,
    "legacy.pt": lambda tensors, path: torch.save(tensors, path, _use_new_zipfile_serialization=False),
    "plain.safetensors": save_file,
}


class RunsCode:
    """Pickles to a call of `os.mkdir`, so that unpickling it leaves a trace."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("name", SAVERS)
def test_every_format_gives_the_tensors_and_their_shapes(tmp_path, name):
    SAVERS[name](TENSORS, tmp_path / name)

    loaded = load_checkpoint(tmp_path / name)
    assert loaded.keys() == TENSORS.keys()
    assert all(torch.equal(loaded[key], TENSORS[key]) for key in TENSORS)
    assert read_shapes(tmp_path / name) == {"a.weight": (3, 4), "b": (2,)}


@pytest.mark.parametrize(
    "checkpoint",
    [
        {"it": 7, "weights": TENSORS, "optimizer": {"state": {}}, "scheduler": {"last_epoch": 7}, "ema": None},
        {"generator": TENSORS},
        {"state_dict": TENSORS, "epoch": 3},
        {"model": TENSORS},
        {"ema_model_state_dict": TENSORS},
        {
            "model_state_dict": {"not averaged": torch.ones(1)},
            "optimizer_state_dict": {"state": {}},
            "ema_model_state_dict": TENSORS,
            "scheduler_state_dict": {"last_epoch": 7},
            "update": 7,
        },
        {"model_state_dict": TENSORS, "optimizer_state_dict": {"state": {}}, "update": 7},
    ],
    ids=["mmaudio training", "bigvgan", "state_dict", "model", "f5-tts", "f5-tts training", "f5-tts not averaged"],
)
def test_the_state_dict_is_taken_out_of_a_training_checkpoint(tmp_path, checkpoint):
    torch.save(checkpoint, tmp_path / "checkpoint.pth")

    assert load_checkpoint(tmp_path / "checkpoint.pth").keys() == TENSORS.keys()


@pytest.mark.parametrize("zip_format", [True, False])
@pytest.mark.parametrize("reader", [load_checkpoint, read_shapes])
def test_a_pickle_that_runs_code_is_refused_and_does_not_run_it(tmp_path, zip_format, reader):
    path = tmp_path / "weights" / "evil.pth"
    path.parent.mkdir()
    trace = tmp_path / "trace"
    torch.save({**TENSORS, "c": RunsCode(trace)}, path, _use_new_zipfile_serialization=zip_format)

    with pytest.raises(CheckpointError, match=r"`evil.pth` is refused.*`\w+.mkdir`.*\.safetensors") as error:
        reader(path)
    assert not trace.exists()
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("name", SAVERS)
@pytest.mark.parametrize("kept", [0.3, 0.95])
def test_a_truncated_file_is_named(tmp_path, name, kept):
    tensors = {"a.weight": torch.ones(40, 40)}
    path = tmp_path / name
    SAVERS[name](tensors, path)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])

    with pytest.raises(CheckpointError, match=f"`{name}` cannot be read.*Download it again") as error:
        load_checkpoint(path)
    assert "weights_only" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.pth", b"", "`empty.pth` is empty"),
        ("empty.safetensors", b"", "`empty.safetensors` is empty"),
        ("page.pth", b"<!DOCTYPE html><html>404</html>", "`page.pth` cannot be read"),
        ("pointer.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
        ("plain.bin", pickle.dumps({"a": 1}), "`plain.bin` cannot be read"),
        ("weights.ckpt", b"x", "`weights.ckpt` is not a weights file this package reads; accepted are"),
    ],
    ids=lambda value: value if isinstance(value, str) and "`" not in value else "",
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_what_is_not_a_checkpoint_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / name)


def test_a_missing_file_is_named_without_its_folder(tmp_path):
    with pytest.raises(CheckpointError, match=r"`absent\.pth` is not there") as error:
        load_checkpoint(tmp_path / "absent.pth")
    assert str(tmp_path) not in str(error.value)


@pytest.mark.parametrize("content", [{"it": 1, "weights": {"a": 1}}, {}, [torch.ones(1)], torch.ones(1)])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "other.pt")

    with pytest.raises(CheckpointError, match=r"`other\.pt` holds .* not a state dict; accepted are"):
        load_checkpoint(tmp_path / "other.pt")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("name", SAVERS)
def test_random_damage_gives_tensors_or_a_checkpoint_error(tmp_path, name):
    generator = random.Random(0)
    path = tmp_path / name
    SAVERS[name](TENSORS, path)
    original = path.read_bytes()
    refused = 0
    for _ in range(150):
        damaged = bytearray(original[: generator.choice([len(original), generator.randrange(1, len(original))])])
        for _ in range(generator.choice([1, 3, 20])):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            load_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > 50


GOLDEN = {
    "mmaudio/mmdit_tiny_v1": ("w.", "mmaudio_transformer", {"latent_channels": 8, "num_layers": 2, "v2": False}),
    "mmaudio/mmdit_tiny_v2": ("w.", "mmaudio_transformer", {"hidden_size": 64, "num_single_layers": 2, "v2": True}),
    "mmaudio/vae_tiny_16k": ("raw.", "mmaudio_vae", {"mel_bins": 80, "latent_channels": 4, "hidden_channels": 16}),
    "mmaudio/vae_tiny_44k": ("raw.", "mmaudio_vae", {"mel_bins": 128}),
    "mmaudio/bigvgan_tiny_v1": ("w.", "bigvgan", {"mel_bins": 8, "num_upsamplers": 2, "output_bias": True}),
    "mmaudio/bigvgan_tiny_v2": ("w.", "bigvgan", {"output_bias": False}),
    "mmaudio/synchformer_tiny": ("w.", "synchformer", {"hidden_size": 32, "num_layers": 2}),
    "mmaudio/clip_tiny": (
        "w.",
        "clip",
        {"num_positions": 10, "image_layers": 2, "text_length": 12, "vocab_size": 300},
    ),
    "f5tts/dit_v1_weights": ("", "f5tts_transformer", {"hidden_size": 64, "num_layers": 2, "vocab_size": 40}),
    "f5tts/dit_noconv_weights": ("", "f5tts_transformer", {"num_text_layers": 0, "energy_conditioning": False}),
    "f5tts/dit_v2s_weights": ("", "f5tts_transformer", {"num_text_layers": 2, "energy_conditioning": True}),
    "f5tts/vocos_mel100": ("w.", "vocos", {"num_mels": 100, "hidden_size": 48, "num_layers": 3, "n_fft": 1024}),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_networks_are_recognised_by_their_keys(tmp_path, name):
    prefix, kind, facts = GOLDEN[name]
    save_file(weights_of(load_golden(name), prefix), tmp_path / "renamed.safetensors")

    identity = identify(read_shapes(tmp_path / "renamed.safetensors"))
    assert identity.kind == kind
    assert {key: identity.facts[key] for key in facts} == facts


@pytest.mark.parametrize("variant", [name for name in RECIPES if name.startswith("mm-")])
def test_each_full_size_network_is_recognised_as_its_own_variant_only(variant):
    shapes = json.loads((FIXTURES / "mmaudio" / "reference_state_dicts.json").read_text())
    identity = identify({key: tuple(s) for key, s in shapes[RECIPES[variant].original_name].items()})

    fitting = [
        other
        for other, recipe in RECIPES.items()
        if not recipe.composed_of and recipe.part("transformer").facts.items() <= identity.facts.items()
    ]
    assert fitting == [variant]


@pytest.mark.parametrize(
    ("size", "energy", "variants"),
    [
        ("base", False, ["f5-base", "f5-v1-base"]),
        ("small", False, ["f5-small"]),
        ("base", True, ["v2s-s16", "v2s-s44", "v2s-m44", "v2s-l44"]),
    ],
)
def test_each_full_size_speech_network_is_recognised_as_those_of_its_sizes_only(size, energy, variants):
    shapes = json.loads((FIXTURES / "f5tts" / "dit_shapes.json").read_text())[size]
    shapes |= {"input_embed.proj_energy.weight": [1024, 1], "input_embed.proj_energy.bias": [1024]} if energy else {}
    identity = identify({f"ema_model.transformer.{name}": tuple(shape) for name, shape in shapes.items()})

    assert identity.kind == "f5tts_transformer"
    assert variants == [
        variant
        for variant, recipe in RECIPES.items()
        if recipe.part("transformer").facts.items() <= identity.facts.items()
    ]


@pytest.mark.parametrize("energy", [False, True])
@pytest.mark.parametrize("prefix", ["ema_model.transformer.", "transformer.", ""])
def test_a_speech_network_is_recognised_averaged_or_not(energy, prefix):
    network = original_f5tts_network(0, num_layers=3, energy=energy)
    shapes = {prefix + name: tuple(tensor.shape) for name, tensor in network.items()}

    identity = identify(shapes)
    assert identity.kind == "f5tts_transformer"
    assert identity.facts == {
        "hidden_size": 32,
        "num_layers": 3,
        "num_text_layers": 2,
        "vocab_size": len(TINY_VOCABULARY),
        "energy_conditioning": energy,
    }


def test_vocos_is_recognised():
    shapes = {name: tuple(tensor.shape) for name, tensor in original_vocos().items()}

    identity = identify(shapes)
    assert identity.kind == "vocos"
    assert identity.facts == {"num_mels": 100, "hidden_size": 24, "num_layers": 2, "n_fft": 1024}
    # One that is told the bandwidth of a codec has other norms.
    shapes["backbone.norm.scale.weight"] = shapes.pop("backbone.norm.weight")
    assert identify(shapes) is None


@pytest.mark.parametrize(("old", "new"), [("weight_v", "parametrizations.weight.original1"), ("weight_v", "weight")])
def test_a_vocoder_is_recognised_under_every_weight_norm(old, new):
    weights = weights_of(load_golden("mmaudio/bigvgan_tiny_v1"))
    shapes = {key.replace(old, new): tuple(tensor.shape) for key, tensor in weights.items()}

    assert identify(shapes).facts["mel_bins"] == 8


def test_other_state_dicts_are_not_recognised():
    assert identify({"a.weight": (3, 4)}) is None
    # E2-TTS stores its network in the same way.
    unet = {"transformer.text_embed.text_embed.weight": (9, 4), "transformer.layers.0.2.to_q.weight": (4, 4)}
    assert identify({f"ema_model.{name}": shape for name, shape in unet.items()}) is None


def test_a_known_key_of_an_impossible_shape_is_named():
    weights = weights_of(load_golden("mmaudio/synchformer_tiny"))
    shapes = {key: tuple(tensor.shape) for key, tensor in weights.items()}
    shapes["vfeat_extractor.patch_embed_3d.proj.weight"] = ()

    with pytest.raises(CheckpointError, match=r"`vfeat_extractor.patch_embed_3d.proj.weight` has shape \(\)"):
        identify(shapes)
