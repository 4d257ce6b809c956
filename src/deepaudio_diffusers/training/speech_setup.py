# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the scripts of stages 2 and 4 do alike: arguments, network, tokenizer, data, and what is saved."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from transformers import PreTrainedTokenizerBase

from ..errors import InputError
from ..models.transformer_f5tts import F5TTSTransformer1DModel
from ..models.vocoder_vocos import VocosVocoder
from ..pipelines.pipeline_text_to_speech import TextToSpeechPipeline
from ..processing.tokenization_f5tts import F5TTSTokenizer
from ..processing.tokenization_phones import PhoneTokenizer
from ..schedulers.scheduling_flow_match_euler import FlowMatchGridEulerScheduler
from .arguments import add_data_arguments
from .data import DataReport
from .part_cache import PartCache
from .speech import (
    TEXT_PLACEMENTS,
    ContourPredictor,
    TextTimings,
    TextTokens,
    build_speech_cache,
    mel_settings,
)


# What low-rank adapters are put beside: the projections of the attention.
LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


def add_speech_arguments(
    parser: argparse.ArgumentParser, *, text_placement: str | None, max_batch_frames: int, add_silence: float = 0.0
) -> None:
    """Add the arguments that stages 2 and 4 share; the keyword arguments are defaults."""
    group = add_data_arguments(
        parser,
        data="Folders with metadata.jsonl, folders with *.tar shards, or names of data sets on the Hub; the metadata "
        "has the `transcript`, and where used `speaker` and `phones`.",
        cache_dir="Folder for mel spectrograms and contours; `--output_dir`/cache by default.",
    )
    group.add_argument("--min_length_in_s", type=float, default=0.3, help="Shorter sounds are left out.")
    group.add_argument("--max_length_in_s", type=float, default=30.0, help="Longer sounds are left out.")
    group.add_argument(
        "--max_batch_frames",
        type=int,
        default=max_batch_frames,
        help="Most mel frames of a batch of one process, padding included and voice prompts not: what is beyond is "
        "taken from the `--train_batch_size` items (default: %(default)s).",
    )

    group = parser.add_argument_group("text and voice prompts")
    group.add_argument(
        "--text_placement",
        choices=TEXT_PLACEMENTS,
        default=text_placement,
        help="'filler': the tokens first, then filler (F5-TTS). 'average': the tokens spread over all frames. "
        "'timings': each frame has the phone that is spoken in it, from the `phones` of the metadata "
        "(default: %(default)s; None is that of the pretrained network).",
    )
    group.add_argument(
        "--tokenizer",
        metavar="FOLDER",
        help="An F5TTSTokenizer, or with 'timings' a PhoneTokenizer; that of `--pretrained` by default.",
    )
    group.add_argument(
        "--join_utterances",
        type=float,
        default=0.0,
        help="How often an utterance comes after another one of its speaker, as a voice prompt (default: "
        "%(default)s).",
    )
    group.add_argument(
        "--prompt_gap",
        type=float,
        default=0.5,
        help="How often, of those, the gap is the whole utterance after the prompt (default: %(default)s).",
    )
    group.add_argument(
        "--add_silence",
        type=float,
        default=add_silence,
        help="How often there is silence around the utterances; only with 'timings' (default: %(default)s).",
    )
    group.add_argument(
        "--max_silence_in_s", type=float, default=1.2, help="The most of it on each side (default: %(default)s)."
    )

    group = parser.add_argument_group("fine-tuning")
    group.add_argument("--use_lora", action="store_true", help="Train low-rank adapters and not the network itself.")
    group.add_argument("--lora_rank", type=int, default=16)
    group.add_argument("--lora_alpha", type=int, default=16)

    group = parser.add_argument_group("validation")
    group.add_argument(
        "--num_validation_utterances", type=int, default=8, help="How many are spoken (default: %(default)s)."
    )
    group.add_argument(
        "--vocoder",
        metavar="FOLDER",
        help="A VocosVocoder, for sounds; with it `--output_dir` becomes a whole TextToSpeechPipeline.",
    )


def load_transformer(name: str, adds_energy: bool = True, **changes: bool) -> F5TTSTransformer1DModel:
    """A network to begin from, in float32.

    Args:
        name (`str`): A folder or Hub repository of the network, or of a pipeline with a subfolder `transformer`.
        adds_energy (`bool`, defaults to `True`): Whether a network without weights for a contour gets them.
        **changes (`bool`): Entries of the configuration that become others: `energy_conditioning`, whose weights begin
            at zero, and `text_average_upsampling`, which has no weights.

    Raises:
        InputError: The network takes no contour and must not get weights for it.
    """
    is_network = (Path(name) / "config.json").is_file()
    loaded = F5TTSTransformer1DModel.from_pretrained(name, subfolder=None if is_network else "transformer")
    if all(loaded.config[key] == value for key, value in changes.items()):
        return loaded
    transformer = F5TTSTransformer1DModel.from_config(loaded.config, **changes)
    missing, _ = transformer.load_state_dict(loaded.state_dict(), strict=False)
    if missing and not adds_energy:
        raise InputError(
            f"{name} takes no energy contour, and adapters cannot teach it to; train the whole network, without "
            "`--use_lora`."
        )
    return transformer


def add_lora(transformer: F5TTSTransformer1DModel, rank: int, alpha: int) -> None:
    """Freeze a network and put low-rank adapters beside its attention, which are then all that is trained."""
    from peft import LoraConfig

    transformer.requires_grad_(False)
    transformer.add_adapter(LoraConfig(r=rank, lora_alpha=alpha, target_modules=LORA_TARGETS))


def load_tokenizer(args: argparse.Namespace) -> PreTrainedTokenizerBase:
    """The tokenizer for `--text_placement`, from `--tokenizer` or the subfolder `tokenizer` of `--pretrained`.

    Raises:
        InputError: Neither is given.
    """
    tokenizer_class = PhoneTokenizer if args.text_placement == "timings" else F5TTSTokenizer
    if args.tokenizer is not None:
        return tokenizer_class.from_pretrained(args.tokenizer)
    if args.pretrained is None:
        raise InputError("`--tokenizer` is missing; pass the folder of one, or a pipeline to `--pretrained`.")
    return tokenizer_class.from_pretrained(args.pretrained, subfolder="tokenizer")


def place_text(placement: str, tokenizer: PreTrainedTokenizerBase, config: Any) -> TextTokens | TextTimings:
    """How texts become ids for a network of this configuration."""
    if placement == "timings":
        return TextTimings(tokenizer, config.sampling_rate / config.hop_length)
    return TextTokens(tokenizer)


def check_vocabulary(text: TextTokens | TextTimings, config: Any) -> None:
    """Refuse a tokenizer that a pretrained network does not know.

    Raises:
        InputError: It has another number of tokens.
    """
    if text.vocab_size != config.vocab_size:
        raise InputError(
            f"The tokenizer has {text.vocab_size} tokens and the pretrained network knows {config.vocab_size}; pass "
            "the `--tokenizer` and the `--text_placement` that it was trained with."
        )


def open_data(
    args: argparse.Namespace,
    accelerator: Accelerator,
    sources: Sequence[str],
    name: str,
    config: Any,
    report: DataReport,
    predict_contour: ContourPredictor | None = None,
    predictor: tuple[str, list[Any]] | None = None,
) -> PartCache:
    """The cache `name` of data sets, made by the main process if needed; see [`build_speech_cache`]."""
    folder = (args.cache_dir or args.output_dir / "cache") / name
    lengths_in_s = args.min_length_in_s, args.max_length_in_s
    with accelerator.main_process_first():
        return build_speech_cache(
            folder, sources, mel_settings(config), *lengths_in_s, report, predict_contour, predictor
        )


def load_vocoder(args: argparse.Namespace, config: Any, device: torch.device) -> VocosVocoder | None:
    """`--vocoder`, if it is given.

    Raises:
        InputError: It is for other mel spectrograms than those of the network.
    """
    if args.vocoder is None:
        return None
    vocoder = VocosVocoder.from_pretrained(args.vocoder).to(device).eval().requires_grad_(False)
    mel = mel_settings(config)
    expected = {name: mel[name] for name in ("num_mels", "hop_length", "sampling_rate")}
    differing = {key: vocoder.config[key] for key, value in expected.items() if vocoder.config[key] != value}
    if differing:
        raise InputError(f"`--vocoder` has {differing}; the network needs {expected}.")
    return vocoder


def save_speech(
    args: argparse.Namespace,
    transformer: F5TTSTransformer1DModel,
    tokenizer: PreTrainedTokenizerBase,
    vocoder: VocosVocoder | None,
) -> None:
    """Write what was trained to `--output_dir`: adapters, or the network with its tokenizer, or a whole pipeline."""
    if args.use_lora:
        from peft import get_peft_model_state_dict

        TextToSpeechPipeline.save_lora_weights(args.output_dir, get_peft_model_state_dict(transformer))
    elif vocoder is not None:
        pipeline = TextToSpeechPipeline(tokenizer, transformer, FlowMatchGridEulerScheduler(grid="epss"), vocoder)
        pipeline.save_pretrained(args.output_dir)
    else:
        transformer.save_pretrained(args.output_dir / "transformer")
        tokenizer.save_pretrained(args.output_dir / "tokenizer")
