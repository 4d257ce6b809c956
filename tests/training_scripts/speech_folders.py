# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A minute speech network with its tokenizer, and the scripts as modules."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from deepaudio_diffusers import F5TTSTransformer1DModel
from deepaudio_diffusers.processing.phone_timing import PhoneStatistics
from deepaudio_diffusers.processing.tokenization_phones import PhoneTokenizer, write_phone_statistics
from tests.training.timed_speech import PITCHES_IN_HZ, write_lexicon


SCRIPTS = Path(__file__).parents[2] / "training_scripts"
PHONES = ("pau", *sorted(PITCHES_IN_HZ))


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small_network(**changes) -> F5TTSTransformer1DModel:
    """A network for the phones of `timed_speech`, the same at each call."""
    torch.manual_seed(0)
    return F5TTSTransformer1DModel(
        **{
            "mel_channels": 20,
            "vocab_size": len(PHONES),
            "hidden_size": 32,
            "num_layers": 1,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "text_dim": 16,
            "num_text_layers": 1,
            "energy_conditioning": True,
            "attn_mask_enabled": True,
            "mel_type": "bigvgan",
            "sampling_rate": 16_000,
            "mel_mean": -6.0,
            "mel_std": 2.0,
        }
        | changes
    )


def write_network(folder: Path, **changes) -> Path:
    """What stage 2 writes: folders `transformer` and `tokenizer`."""
    small_network(**changes).save_pretrained(folder / "transformer")
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir()
    ones = np.ones(len(PHONES))
    write_phone_statistics(tokenizer / "phones.json", PhoneStatistics(PHONES, 0.1 * ones, 0.3 * ones, -ones, ones))
    write_lexicon(tokenizer / "lexicon.txt")
    PhoneTokenizer(tokenizer / "lexicon.txt", tokenizer / "phones.json").save_pretrained(tokenizer)
    return folder


def losses_in(folder: Path) -> list[float]:
    lines = [json.loads(line) for line in (folder / "train_log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["loss"] for line in lines if "loss" in line]
