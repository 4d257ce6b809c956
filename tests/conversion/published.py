# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders as somebody has them who downloaded MMAudio's `small_16k`, or all speech networks, or trained a gate, in the
original layouts and tiny sizes.

The weights of MMAudio are those of the golden fixtures; where these do not fit each other (they are tests of single
networks), a seeded random tensor of the fitting shape takes their place. Those of speech networks are all random, and
differ from file to file. `python -m tests.conversion.published FOLDER` writes `small_16k`.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import ByT5Tokenizer, T5Config
from transformers.convert_slow_tokenizer import bytes_to_unicode

from deepaudio_diffusers import MoFGatingConfig, MoFGatingNetwork
from deepaudio_diffusers.conversion.recipes import RECIPES, Recipe, compose_deepaudio_recipe
from tests.golden import load_golden, weights_of


# Kind -> (fixture, prefix of its weights, shapes that differ from the fixture's).
_NETWORKS = {
    "mmaudio_transformer": (
        "mmdit_tiny_v1",
        "w.",
        {
            "audio_input_proj.0.weight": (64, 4, 7),
            "final_layer.conv.weight": (4, 64, 7),
            "final_layer.conv.bias": (4,),
            "latent_mean": (1, 1, 4),
            "latent_std": (1, 1, 4),
            "sync_pos_emb": (1, 1, 8, 32),
            "empty_sync_feat": (1, 32),
            "sync_input_proj.0.weight": (64, 32, 7),
            "empty_string_feat": (77, 24),
            "text_input_proj.0.weight": (64, 24),
        },
    ),
    "mmaudio_vae": ("vae_tiny_16k", "raw.", {}),
    "bigvgan": (
        "bigvgan_tiny_v1",
        "w.",
        {"conv_pre.weight_v": (32, 80, 7), "ups.0.0.weight_v": (32, 16, 32), "ups.1.0.weight_v": (16, 8, 32)},
    ),
    "synchformer": ("synchformer_tiny", "w.", {}),
    "clip": (
        "clip_tiny",
        "w.",
        {
            "positional_embedding": (77, 24),
            "visual.positional_embedding": (730, 40),
            "token_embedding.weight": (514, 24),
        },
    ),
}

_FACTS = {
    "mmaudio_transformer": {
        "latent_channels": 4,
        "hidden_size": 64,
        "num_layers": 2,
        "num_single_layers": 2,
        "v2": False,
    },
    "mmaudio_vae": {"mel_bins": 80, "latent_channels": 4},
    "bigvgan": {"mel_bins": 80, "num_upsamplers": 2, "output_bias": True},
    "synchformer": {"hidden_size": 32, "num_layers": 2},
    "clip": {"num_positions": 730, "image_layers": 2, "text_size": 24, "text_length": 77, "vocab_size": 514},
}

# What shapes do not say, and full-size networks take from the defaults of the converters.
_CONVERT_OPTIONS = {
    "mmaudio_transformer": {"latents_per_second": 31.25},
    "synchformer": {"num_attention_heads": 4},
    "clip": {"vision_head_width": 20, "text_head_width": 12},
}


def tiny_recipe() -> Recipe:
    """The recipe of `small_16k` with the sizes of the tiny networks."""
    recipe = RECIPES["mm-s16k"]
    parts = tuple(
        replace(part, facts=_FACTS[part.kind], convert_options=_CONVERT_OPTIONS.get(part.kind, {}))
        for part in recipe.parts
    )
    return replace(recipe, parts=parts)


def original_state_dict(kind: str) -> dict[str, torch.Tensor]:
    """The tiny network of a kind, in the original's names and layout."""
    fixture, prefix, shapes = _NETWORKS[kind]
    state_dict = weights_of(load_golden(f"mmaudio/{fixture}"), prefix)
    generator = torch.Generator().manual_seed(0)
    for name, shape in shapes.items():
        assert name in state_dict, name
        state_dict[name] = 0.1 * torch.randn(shape, generator=generator)
    if kind == "mmaudio_transformer":
        state_dict["latent_std"] = torch.ones(1, 1, 4)
    return state_dict


def write_published_files(folder: Path) -> Path:
    """Write the published files of `small_16k` in tiny, under their published names and in their published layouts."""
    for name in ("weights", "ext_weights", "clip"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    torch.save(original_state_dict("mmaudio_transformer"), folder / "weights" / "mmaudio_small_16k.pth")
    ext_weights = folder / "ext_weights"
    torch.save(original_state_dict("mmaudio_vae"), ext_weights / "v1-16.pth", _use_new_zipfile_serialization=False)
    torch.save({"generator": original_state_dict("bigvgan")}, ext_weights / "best_netG.pt")
    audio_branch = {"afeat_extractor.norm.weight": torch.ones(3)}
    torch.save(original_state_dict("synchformer") | audio_branch, ext_weights / "synchformer_state_dict.pth")
    torch.save(original_state_dict("clip"), folder / "clip" / "open_clip_pytorch_model.bin")

    # CLIP's tokenizer without merges: the bytes, the bytes that end a word, and the two special tokens.
    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(f"{character}</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    (folder / "clip" / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "clip" / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


# Space first, as in the published vocabulary.
TINY_VOCABULARY = (*" !',-.?", *"abcdefghijklmnopqrstuvwxyz", "ni3", "hao3")

_BASE, _SMALL = {"hidden_size": 32, "num_layers": 2}, {"hidden_size": 16, "num_layers": 1}
_VOCOS = {"num_mels": 100, "hidden_size": 24, "num_layers": 2, "n_fft": 1024}


def tiny_speech_recipe(variant: str) -> Recipe:
    """The recipe of a speech network with the sizes of the tiny networks."""
    recipe = RECIPES[variant]
    network, vocoder = recipe.parts
    sizes = _SMALL if variant == "f5-small" else _BASE
    network = replace(network, facts={**network.facts, **sizes, "num_text_layers": 2})
    return replace(recipe, parts=(network, replace(vocoder, facts=_VOCOS)))


def original_f5tts_network(seed: int, **sizes: int | bool) -> dict[str, torch.Tensor]:
    """A network of F5-TTS under the original's names, with random weights; for `sizes` see `f5tts_shapes`."""
    tensors = _random(f5tts_shapes(**sizes), seed)
    num_frequencies = tensors["rotary_embed.inv_freq"].numel()
    tensors["rotary_embed.inv_freq"] = 10000 ** (-torch.arange(num_frequencies) / num_frequencies)
    return tensors


def f5tts_shapes(
    hidden_size: int = 32,
    num_layers: int = 2,
    num_text_layers: int = 2,
    energy: bool = False,
    vocab_size: int = len(TINY_VOCABULARY),
) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of a network of F5-TTS with two heads."""
    text_dim = 16
    modules = {
        "time_embed.time_mlp.0": (hidden_size, 256),
        "time_embed.time_mlp.2": (hidden_size, hidden_size),
        "input_embed.proj": (hidden_size, 200 + text_dim),
        "input_embed.conv_pos_embed.conv1d.0": (hidden_size, hidden_size // 16, 31),
        "input_embed.conv_pos_embed.conv1d.2": (hidden_size, hidden_size // 16, 31),
        "norm_out.linear": (2 * hidden_size, hidden_size),
        "proj_out": (100, hidden_size),
    }
    if energy:
        modules["input_embed.proj_energy"] = (hidden_size, 1)
    shapes = {
        "text_embed.text_embed.weight": (vocab_size + 1, text_dim),
        "rotary_embed.inv_freq": (hidden_size // 4,),
    }
    for i in range(num_text_layers):
        block = f"text_embed.text_blocks.{i}"
        modules |= {
            f"{block}.dwconv": (text_dim, 1, 7),
            f"{block}.norm": (text_dim,),
            f"{block}.pwconv1": (2 * text_dim, text_dim),
            f"{block}.pwconv2": (text_dim, 2 * text_dim),
        }
        shapes |= {f"{block}.grn.gamma": (1, 1, 2 * text_dim), f"{block}.grn.beta": (1, 1, 2 * text_dim)}
    for i in range(num_layers):
        block = f"transformer_blocks.{i}"
        modules |= {
            f"{block}.attn.{name}": (hidden_size, hidden_size) for name in ("to_q", "to_k", "to_v", "to_out.0")
        }
        modules |= {
            f"{block}.attn_norm.linear": (6 * hidden_size, hidden_size),
            f"{block}.ff.ff.0.0": (2 * hidden_size, hidden_size),
            f"{block}.ff.ff.2": (hidden_size, 2 * hidden_size),
        }
    return shapes | _with_biases(modules)


def original_vocos() -> dict[str, torch.Tensor]:
    """A Vocos under the original's names, with random weights."""
    hidden_size = _VOCOS["hidden_size"]
    modules = {
        "backbone.embed": (hidden_size, _VOCOS["num_mels"], 7),
        "backbone.norm": (hidden_size,),
        "backbone.final_layer_norm": (hidden_size,),
        "head.out": (_VOCOS["n_fft"] + 2, hidden_size),
    }
    shapes = {"feature_extractor.mel_spec.mel_scale.fb": (513, 100)}
    for i in range(_VOCOS["num_layers"]):
        block = f"backbone.convnext.{i}"
        modules |= {
            f"{block}.dwconv": (hidden_size, 1, 7),
            f"{block}.norm": (hidden_size,),
            f"{block}.pwconv1": (3 * hidden_size, hidden_size),
            f"{block}.pwconv2": (hidden_size, 3 * hidden_size),
        }
        shapes[f"{block}.gamma"] = (hidden_size,)
    window = torch.hann_window(_VOCOS["n_fft"])
    windows = {"head.istft.window": window, "feature_extractor.mel_spec.spectrogram.window": window}
    return _random(shapes | _with_biases(modules), seed=0) | windows


def _with_biases(modules: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Shapes of weights and biases from those of the weights."""
    weights = {f"{name}.weight": shape for name, shape in modules.items()}
    return weights | {f"{name}.bias": shape[:1] for name, shape in modules.items()}


def _random(shapes: dict[str, tuple[int, ...]], seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def averaged(network: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The state dict of the average of a network's weights, as the training code of F5-TTS stores it."""
    counters = {"initted": torch.tensor(True), "step": torch.tensor(1200000)}
    return counters | {f"ema_model.transformer.{name}": tensor for name, tensor in network.items()}


# File -> seed of its weights, and whether it is conditioned on energy.
SPEECH_NETWORKS = {
    "F5-TTS/F5TTS_Base/model_1200000.safetensors": (1, False),
    "F5-TTS/F5TTS_Base/model_1200000.pt": (1, False),
    "F5-TTS/F5TTS_Base_bigvgan/model_1250000.pt": (2, False),
    "F5-TTS/F5TTS_v1_Base/model_1250000.safetensors": (3, False),
    "F5-TTS/F5TTS_v1_Base_no_zero_init/model_1250000.safetensors": (4, False),
    "DeepAudio-V1/v2c_s16.pt": (5, True),
    "DeepAudio-V1/v2c_s44.pt": (6, True),
    "DeepAudio-V1/v2c_m44.pt": (7, True),
    "DeepAudio-V1/v2c_l44.pt": (8, True),
}


def write_published_speech_files(folder: Path) -> Path:
    """Write copies of the repositories of F5-TTS, DeepAudio-V1 and Vocos, in tiny."""
    for name, (seed, energy) in SPEECH_NETWORKS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        state_dict = averaged(original_f5tts_network(seed, energy=energy))
        if path.suffix == ".pt":
            torch.save({"ema_model_state_dict": state_dict}, path)
        else:
            save_file(state_dict, path)
    for name in ("F5TTS_Base", "F5TTS_v1_Base"):
        write_vocabulary(folder / "F5-TTS" / name / "vocab.txt")
    vocos = folder / "vocos-mel-24khz"
    vocos.mkdir()
    torch.save(original_vocos(), vocos / "pytorch_model.bin")
    (vocos / "config.yaml").write_text("head:\n  class_path: vocos.heads.ISTFTHead\n", encoding="utf-8")
    return folder


def tiny_deepaudio_recipe() -> Recipe:
    """The recipe of `deepaudio-s16` with the sizes of the tiny networks."""
    return compose_deepaudio_recipe("deepaudio-s16", tiny_recipe(), tiny_speech_recipe("v2s-s16"))


def write_gate(folder: Path) -> Path:
    """Write a gate that reads bytes, with random weights, as the training script does. It means a soundtrack."""
    text_config = T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    torch.manual_seed(0)
    gate = MoFGatingNetwork(MoFGatingConfig(text_config, mlp_hidden_size=8))
    with torch.no_grad():
        gate.mlp.proj_out.bias[gate.config.label2id["soundtrack"]] += 5
    gate.save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\ntags:\n- gating-network\n---\n\n# Gate\n")
    return folder


def write_vocabulary(path: Path, tokens: tuple[str, ...] = TINY_VOCABULARY, newline: str = "\n") -> None:
    path.write_bytes("".join(token + newline for token in tokens).encode())


if __name__ == "__main__":
    write_published_files(Path(sys.argv[1]))
