# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the speech network of F5-TTS to fill in mel spectrograms for a text (stage 2 of 4).

    accelerate launch training_scripts/train_stage2_tts.py \\
        --data my-speech --tokenizer my-tokenizer --mixed_precision bf16 --output_dir my-tts

trains F5TTS_v1_Base from scratch with the values of the paper (https://arxiv.org/abs/2410.06885): AdamW, 38400 mel
frames a process, 1.25 million steps, and a learning rate of 7.5e-5 that rises for 20000 steps and then falls linearly.
`--pretrained` begins from a network, `--use_lora` trains adapters for it.

`--preset tiny` trains a small network, for which a CPU is enough. It is told in which frame each phone is spoken, and
learns to speak in the voice of another utterance of the same speaker:

    python training_scripts/train_stage2_tts.py --preset tiny \\
        --data world/speech/train --validation_data world/speech/validation --lexicon world/lexicon.txt \\
        --output_dir tiny-tts
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import PreTrainedTokenizerBase

from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.transformer_f5tts import F5TTSTransformer1DModel
from deepaudio_diffusers.processing.lexicon import read_lexicon, write_lexicon
from deepaudio_diffusers.processing.phone_timing import measure_phone_statistics
from deepaudio_diffusers.processing.tokenization_phones import PhoneTokenizer, write_phone_statistics
from deepaudio_diffusers.training.arguments import add_training_arguments, parse_with_preset
from deepaudio_diffusers.training.data import DataReport, write_data_report
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.infilling import InfillingLoss, InfillingOptions, InfillingValidation
from deepaudio_diffusers.training.loop import TrainingLoop, make_accelerator
from deepaudio_diffusers.training.part_cache import PartCache
from deepaudio_diffusers.training.presets import TINY
from deepaudio_diffusers.training.speech import SpeechDataset
from deepaudio_diffusers.training.speech_setup import (
    add_lora,
    add_speech_arguments,
    check_vocabulary,
    load_tokenizer,
    load_transformer,
    load_vocoder,
    open_data,
    place_text,
    save_speech,
)


# What networks from scratch are like. The defaults of the class are F5TTS_v1_Base.
NETWORKS = {"full": {}, "tiny": TINY["speech_transformer"]}
# Measured on the procedural world.
TINY_DEFAULTS = {
    "text_placement": "timings",
    "join_utterances": 0.6,
    "add_silence": 0.4,
    "train_batch_size": 16,
    "max_train_steps": 6000,
    "learning_rate": 1.2e-3,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 60,
    "adam_beta2": 0.98,
    "ema_decay": 0.998,
}


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset",
        choices=tuple(NETWORKS),
        default="full",
        help="Which network is built without `--pretrained`; 'tiny' also changes the defaults of "
        f"{', '.join(f'--{name}' for name in TINY_DEFAULTS)} (default: %(default)s).",
    )
    parser.add_argument(
        "--pretrained",
        metavar="NAME_OR_FOLDER",
        help="Begin from this network: a TextToSpeechPipeline, or an F5TTSTransformer1DModel.",
    )
    parser.add_argument(
        "--lexicon",
        type=Path,
        help="Instead of `--tokenizer`, for 'timings': a lexicon. A PhoneTokenizer is made of it and of what the data "
        "tells about durations and loudness of phones, and saved to `--output_dir`/tokenizer.",
    )
    parser.add_argument("--drop_audio", type=float, default=0.3, help="How often the known frames are left out.")
    parser.add_argument(
        "--drop_audio_and_text", type=float, default=0.2, help="How often known frames and text are left out."
    )
    add_speech_arguments(parser, text_placement="filler", max_batch_frames=38_400)
    add_training_arguments(
        parser,
        train_batch_size=64,
        max_train_steps=1_250_000,
        learning_rate=7.5e-5,
        lr_scheduler="linear",
        lr_warmup_steps=20_000,
    )
    args = parse_with_preset(parser, input_args, TINY_DEFAULTS)
    if args.use_lora and args.pretrained is None:
        parser.error("--use_lora needs the network that it adapts: pass --pretrained")
    if args.lexicon is not None and (args.tokenizer is not None or args.text_placement != "timings"):
        parser.error("--lexicon is for --text_placement timings without --tokenizer")
    return args


def build_phone_tokenizer(lexicon_file: Path, cache: PartCache, frame_length_in_s: float, folder: Path) -> None:
    """Write a [`PhoneTokenizer`] to a folder, from a lexicon and the utterances that tell when a phone sounds."""
    timed = [index for index, facts in enumerate(cache.metadata) if facts["phones"]]
    if not timed:
        raise InputError("No utterance has `phones`; `--text_placement timings` needs them in the metadata.")
    statistics = measure_phone_statistics(
        [cache.metadata[index]["phones"] for index in timed],
        [cache.array("energy", index).astype(np.float32) for index in timed],
        frame_length_in_s,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_lexicon(folder / "lexicon.txt", read_lexicon(lexicon_file))
    write_phone_statistics(folder / "phones.json", statistics)
    tokenizer = PhoneTokenizer(folder / "lexicon.txt", folder / "phones.json")
    tokenizer.save_pretrained(folder)


def make_model_card(args: argparse.Namespace, num_utterances: int) -> str:
    return f"""---
library_name: deepaudio-diffusers
tags: [text-to-speech, flow-matching, f5-tts]
---

# {args.output_dir.resolve().name}

Speech network of F5-TTS ([arXiv 2410.06885](https://arxiv.org/abs/2410.06885)), trained by
`training_scripts/train_stage2_tts.py` on {num_utterances} utterances of {", ".join(map(str, args.data))}:
{args.max_train_steps} steps with seed {args.seed}, text placement `{args.text_placement}`, from
{args.pretrained or f"scratch (preset `{args.preset}`)"}.
"""


def main(args: argparse.Namespace) -> None:
    accelerator = make_accelerator(args)
    torch.manual_seed(args.seed)

    # 1. The network, or for now its configuration: how large its vocabulary is follows from the data.
    transformer = None
    if args.pretrained is not None:
        transformer = load_transformer(args.pretrained, text_average_upsampling=args.text_placement == "average")
        config = transformer.config
    else:
        with torch.device("meta"):
            config = F5TTSTransformer1DModel(**NETWORKS[args.preset]).config

    # 2. Data.
    reports = {"train": DataReport(args.on_bad_data)}
    cache = open_data(args, accelerator, args.data, "train", config, reports["train"])
    if args.lexicon is not None:
        args.tokenizer = args.output_dir / "tokenizer"
        with accelerator.main_process_first():
            build_phone_tokenizer(args.lexicon, cache, config.hop_length / config.sampling_rate, args.tokenizer)
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(args)
    text = place_text(args.text_placement, tokenizer, config)
    dataset = SpeechDataset(cache, text, reports["train"])
    vocoder = load_vocoder(args, config, accelerator.device)
    validate = None
    if args.validation_data is not None:
        report = reports["validation"] = DataReport(args.on_bad_data)
        validation_cache = open_data(args, accelerator, args.validation_data, "validation", config, report)
        held_out = SpeechDataset(validation_cache, text, report)
        validate = InfillingValidation(held_out, args.num_validation_utterances, None, vocoder)
    write_data_report(args, accelerator, **reports)

    # 3. What is trained.
    if transformer is None:
        transformer = F5TTSTransformer1DModel.from_config(
            config, vocab_size=text.vocab_size, text_average_upsampling=args.text_placement == "average"
        )
    check_vocabulary(text, transformer.config)
    if args.use_lora:
        add_lora(transformer, args.lora_rank, args.lora_alpha)
    options = InfillingOptions(
        drop_audio=args.drop_audio,
        drop_audio_and_text=args.drop_audio_and_text,
        join_utterances=args.join_utterances,
        prompt_gap=args.prompt_gap,
        add_silence=args.add_silence,
        max_silence_in_s=args.max_silence_in_s,
    )

    # 4. Train and save.
    loop = TrainingLoop(
        args,
        accelerator,
        {"transformer": transformer},
        InfillingLoss(dataset, options),
        dataset,
        dataset.lengths,
        collate=list,
        validate=validate,
        max_batch_length=args.max_batch_frames,
    )
    loop.run()
    if accelerator.is_main_process:
        save_speech(args, transformer, tokenizer, vocoder)
    save_and_push(args, accelerator, args.output_dir, make_model_card(args, len(dataset)))


if __name__ == "__main__":
    main(parse_args())
