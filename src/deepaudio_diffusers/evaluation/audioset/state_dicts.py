# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Original state dicts -> [`Cnn14`], [`VGGish`] and [`PaSST`]."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import ASTConfig

from ...conversion.state_dict import add_once, add_renamed, build_model, count_layers, shape_of
from ...errors import CheckpointError
from .cnn14 import Cnn14
from .passt import NUM_MELS, PaSST
from .vggish import VGGish


StateDict = dict[str, torch.Tensor]
# Beginnings of names there, and here; `{}` where queries, keys and values are one tensor there.
Renames = Sequence[tuple[str, str]]

# What the length of the Fourier transform says of a published Cnn14: sampling rate, hop, and where its bands end.
_CNN14_SOUNDS = {512: (16_000, 160, 8_000.0), 1024: (32_000, 320, 14_000.0)}
# Tensors that are computed: the Fourier transform and the mel bands.
_CNN14_COMPUTED = ("spectrogram_extractor.", "logmel_extractor.")
_CNN14_RENAMES = (
    ("bn0.", "norm_in."),
    *((f"conv_block{number}.conv", f"blocks.{number - 1}.conv") for number in range(1, 7)),
    *((f"conv_block{number}.bn", f"blocks.{number - 1}.norm") for number in range(1, 7)),
    ("fc1.", "embed."),
    ("fc_audioset.", "classify."),
)
# Mel bands of a file and of its configuration differ by rounding at most.
_BAND_TOLERANCE = 1e-3

_VGGISH_RENAMES = (("embeddings.0.", "hidden1."), ("embeddings.2.", "hidden2."), ("embeddings.4.", "embed."))

_AST = "audio_spectrogram_transformer."
_PASST_RENAMES = (
    ("cls_token", f"{_AST}embeddings.cls_token"),
    ("dist_token", f"{_AST}embeddings.distillation_token"),
    ("patch_embed.proj.", f"{_AST}embeddings.patch_embeddings.projection."),
    ("norm.", f"{_AST}layernorm."),
    ("head.0.", "classifier.layernorm."),
    ("head.1.", "classifier.dense."),
)
_PASST_BLOCK_RENAMES = (
    ("norm1.", "layernorm_before."),
    ("norm2.", "layernorm_after."),
    ("attn.qkv.", "attention.{}_proj."),
    ("attn.proj.", "attention.o_proj."),
)
_PASST_POSITIONS = ("new_pos_embed", "freq_new_pos_embed", "time_new_pos_embed")
_PASST_HEAD_SIZE, _PASST_STRIDE, _PASST_FRAMES = 64, 10, 1000


def convert_cnn14(original_state_dict: StateDict, **config: Any) -> Cnn14:
    """Build [`Cnn14`] from an original state dict.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): Of `Cnn14` or `Cnn14_16k`.
        **config: Arguments of [`Cnn14`] that override what the shapes tell.

    Returns:
        [`Cnn14`] in evaluation mode.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape, or mel bands are not those of the
            configuration.
    """

    def shape(key: str, num_axes: int) -> torch.Size:
        return shape_of(original_state_dict, key, num_axes, "Cnn14")

    n_fft = shape("spectrogram_extractor.stft.conv_real.weight", 3)[2]
    if n_fft not in _CNN14_SOUNDS:
        raise CheckpointError(f"Not a Cnn14 for 16 or 32 kHz: its Fourier transform has {n_fft} samples.")
    sampling_rate, hop_length, max_frequency = _CNN14_SOUNDS[n_fft]
    inferred = {
        "sampling_rate": sampling_rate,
        "n_fft": n_fft,
        "hop_length": hop_length,
        "num_mels": shape("bn0.weight", 1)[0],
        "max_frequency": max_frequency,
        "channels": tuple(shape(f"conv_block{number}.conv2.weight", 4)[0] for number in range(1, 7)),
        "embedding_size": shape("fc1.weight", 2)[0],
        "num_labels": shape("fc_audioset.weight", 2)[0],
    }
    learned = _without(original_state_dict, *_CNN14_COMPUTED)
    model = build_model(lambda: Cnn14.from_config(inferred | config), _renamed(learned, _CNN14_RENAMES))
    own, theirs = model.mel_bands(), original_state_dict.get("logmel_extractor.melW")
    if theirs is None or theirs.shape != own.shape or (theirs - own).abs().max() > _BAND_TOLERANCE * own.max():
        raise CheckpointError(
            f"Not a published Cnn14: its mel bands are not {own.shape[1]} from {model.config.min_frequency:g} to "
            f"{model.config.max_frequency:g} Hz at {model.config.sampling_rate} Hz."
        )
    return model


def convert_vggish(original_state_dict: StateDict, **config: Any) -> VGGish:
    """Build [`VGGish`] from a state dict of torchvggish; principal components in it are left aside.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): Its tensors.
        **config: Arguments of [`VGGish`] that override what the shapes tell.

    Returns:
        [`VGGish`] in evaluation mode.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape.
    """
    places = sorted(int(key.split(".")[1]) for key in original_state_dict if re.match(r"features\.\d+\.weight", key))
    stages: list[list[int]] = []
    for index, place in enumerate(places):
        # An activation lies between two convolutions, and where a stage ends a pooling besides.
        if index == 0 or place - places[index - 1] > 2:
            stages.append([])
        stages[-1].append(shape_of(original_state_dict, f"features.{place}.weight", 4, "VGGish")[0])
    embedding_size, hidden_size = shape_of(original_state_dict, "embeddings.4.weight", 2, "VGGish")
    inferred = {
        "channels": tuple(tuple(stage) for stage in stages),
        "hidden_size": hidden_size,
        "embedding_size": embedding_size,
    }
    renames = [(f"features.{place}.", f"convolutions.{index}.") for index, place in enumerate(places)]
    learned = _renamed(_without(original_state_dict, "pproc."), (*renames, *_VGGISH_RENAMES))
    return build_model(lambda: VGGish.from_config(inferred | config), learned)


def convert_passt(original_state_dict: StateDict, **config: Any) -> PaSST:
    """Build [`PaSST`] from an original state dict. Its second head, which is for distillation, is left aside.

    Args:
        original_state_dict (`dict[str, torch.Tensor]`): Of a PaSST whose patches lie 10 apart, for 10 s.
        **config: Arguments of [`~transformers.ASTConfig`] that override what the shapes tell; heads are taken to be 64
            wide, as in every published network.

    Returns:
        [`PaSST`] in evaluation mode.

    Raises:
        CheckpointError: When a key is missing, unknown, or has another shape.
    """

    def shape(key: str, num_axes: int) -> torch.Size:
        return shape_of(original_state_dict, key, num_axes, "PaSST")

    hidden_size, _, patch_size, _ = shape("patch_embed.proj.weight", 4)
    inferred = {
        "hidden_size": hidden_size,
        "num_hidden_layers": count_layers(original_state_dict, "blocks."),
        "num_attention_heads": max(1, hidden_size // _PASST_HEAD_SIZE),
        "intermediate_size": shape("blocks.0.mlp.fc1.weight", 2)[0],
        "layer_norm_eps": 1e-6,
        "patch_size": patch_size,
        "frequency_stride": _PASST_STRIDE,
        "time_stride": _PASST_STRIDE,
        "max_length": _PASST_FRAMES,
        "num_mel_bins": NUM_MELS,
        "num_labels": shape("head.1.weight", 2)[0],
    }
    for key, num_axes in zip(_PASST_POSITIONS, (3, 4, 4), strict=True):
        shape(key, num_axes)
    tokens, frequencies, times = (original_state_dict[key] for key in _PASST_POSITIONS)
    patches = (frequencies + times).flatten(2).transpose(1, 2)
    learned = _without(original_state_dict, "head_dist.", *_PASST_POSITIONS)
    num_blocks = inferred["num_hidden_layers"]
    block_renames = [
        (f"blocks.{index}.{old}", f"{_AST}layers.{index}.{new}")
        for index in range(num_blocks)
        for old, new in (*_PASST_BLOCK_RENAMES, ("mlp.", "mlp."))
    ]
    state_dict = _renamed(learned, (*_PASST_RENAMES, *block_renames))
    add_once(state_dict, f"{_AST}embeddings.position_embeddings", torch.cat([tokens, patches], dim=1))
    return build_model(lambda: PaSST(ASTConfig(**inferred | config)), state_dict)


def _without(state_dict: StateDict, *beginnings: str) -> StateDict:
    return {key: tensor for key, tensor in state_dict.items() if not key.startswith(beginnings)}


def _renamed(state_dict: StateDict, renames: Renames) -> StateDict:
    """A state dict with our names; what none of them fits keeps its own."""
    renamed: StateDict = {}
    for key, tensor in state_dict.items():
        new_key = next((new + key.removeprefix(old) for old, new in renames if key.startswith(old)), key)
        add_renamed(renamed, new_key, tensor)
    return renamed
