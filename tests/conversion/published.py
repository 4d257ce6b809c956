# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder as somebody has it who downloaded `small_16k`, with networks of the original layout and tiny sizes.

The weights are those of the golden fixtures; where these do not fit each other (they are tests of single networks), a
seeded random tensor of the fitting shape takes their place. `python -m tests.conversion.published FOLDER` writes it.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from transformers.convert_slow_tokenizer import bytes_to_unicode

from deepaudio_diffusers.conversion.recipes import MMAUDIO_RECIPES, MMAudioRecipe
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


def tiny_recipe() -> MMAudioRecipe:
    """The recipe of `small_16k` with the sizes of the tiny networks."""
    recipe = MMAUDIO_RECIPES["mm-s16k"]
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


if __name__ == "__main__":
    write_published_files(Path(sys.argv[1]))
