# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Tunes a speech network to follow the loudness that a picture suggests: video-to-speech (stage 4 of 4).

    accelerate launch training_scripts/train_stage4_v2s.py \\
        --pretrained my-tts --v2a my-v2a --data my-talking-clips --mixed_precision bf16 --output_dir my-v2s

begins from the network of stage 2 and gives it the energy contour of what the network of stage 1 makes for each clip.
The defaults are the values of the paper (https://arxiv.org/abs/2503.22265): 15000 steps of which 1000 warm up, a
learning rate of 1e-5, and voice prompt, transcript and contour each left out for a quarter of the batches.
`--energy_never_dropped` leaves out what the published weights were trained without. `--contour true` takes the
contours of the recordings, for which no network of stage 1 is needed.

`--preset tiny` is for the small network of stage 2 on a CPU:

    python training_scripts/train_stage4_v2s.py --preset tiny --pretrained tiny-tts --v2a tiny-v2a \\
        --data world/clips/train --validation_data world/clips/validation --output_dir tiny-v2s
"""

import argparse
import zlib
from collections.abc import Sequence

import torch
from transformers import PreTrainedTokenizerBase

from deepaudio_diffusers.pipelines.pipeline_video_to_audio import VideoToAudioPipeline
from deepaudio_diffusers.processing.audio import energy_contour
from deepaudio_diffusers.training.arguments import add_training_arguments, parse_with_preset
from deepaudio_diffusers.training.data import DataReport, Sample, write_data_report
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.infilling import InfillingLoss, InfillingOptions, InfillingValidation
from deepaudio_diffusers.training.loop import TrainingLoop, make_accelerator
from deepaudio_diffusers.training.speech import ContourPredictor, SpeechDataset
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


# Measured on the procedural world.
TINY_DEFAULTS = {
    "text_placement": "timings",
    "join_utterances": 0.8,
    "prompt_gap": 0.8,
    "train_batch_size": 16,
    "max_train_steps": 1500,
    "learning_rate": 3e-4,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 60,
    "adam_beta2": 0.98,
    "ema_decay": 0.998,
}
# What the released code drops: F5-TTS's share of voice prompts, and of voice prompts and transcripts together.
RELEASED_DROPS = {"drop_audio": 0.3, "drop_audio_and_text": 0.2, "drop_text": 0.0, "drop_energy": 0.0}


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--preset",
        choices=("full", "tiny"),
        default="full",
        help="'tiny' changes the defaults of "
        f"{', '.join(f'--{name}' for name in TINY_DEFAULTS)} (default: %(default)s).",
    )
    parser.add_argument(
        "--pretrained",
        metavar="NAME_OR_FOLDER",
        required=True,
        help="Begin from this network: a TextToSpeechPipeline, or an F5TTSTransformer1DModel. If it takes no contour "
        "yet, the weights for it begin at zero.",
    )

    group = parser.add_argument_group("contours")
    group.add_argument(
        "--contour",
        choices=("predicted", "true", "both"),
        default="predicted",
        help="Whose loudness is given: that of the sound that `--v2a` makes for the picture, that of the recording, "
        "or of each batch either (default: %(default)s).",
    )
    group.add_argument("--v2a", metavar="FOLDER", help="The VideoToAudioPipeline of stage 1.")
    group.add_argument(
        "--contour_prompt",
        help="What it is told to make; nothing by default, as the published weights were trained.",
    )
    group.add_argument("--v2a_num_inference_steps", type=int, default=25)
    group.add_argument("--v2a_guidance_scale", type=float, default=4.5)
    drops = group.add_mutually_exclusive_group()
    drops.add_argument(
        "--drop_probabilities",
        type=float,
        nargs=3,
        metavar=("PROMPT", "TRANSCRIPT", "CONTOUR"),
        default=(0.25, 0.25, 0.25),
        help="How often each is left out, independently (default: 0.25 each).",
    )
    drops.add_argument(
        "--energy_never_dropped",
        action="store_true",
        help="Leave out the voice prompt of 30 %% of the batches, and prompt and transcript of 20 %%, but never the "
        "contour.",
    )

    add_speech_arguments(parser, text_placement="filler", max_batch_frames=38_400)
    add_training_arguments(
        parser,
        train_batch_size=64,
        max_train_steps=15_000,
        learning_rate=1e-5,
        lr_scheduler="linear",
        lr_warmup_steps=1000,
    )
    args = parse_with_preset(parser, input_args, TINY_DEFAULTS)
    if (args.contour == "true") != (args.v2a is None):
        parser.error("--contour predicted and both need --v2a, and --contour true has no use for it")
    return args


def make_contour_predictor(args: argparse.Namespace, device: torch.device, config) -> ContourPredictor:
    """The contour of what stage 1 makes for a clip; the noise of a clip follows from its name."""
    pipeline = VideoToAudioPipeline.from_pretrained(args.v2a).to(device)
    pipeline.set_progress_bar_config(disable=True)

    def predict_contour(sample: Sample) -> torch.Tensor:
        audio = pipeline(
            sample.video,
            prompt=args.contour_prompt,
            num_inference_steps=args.v2a_num_inference_steps,
            guidance_scale=args.v2a_guidance_scale,
            generator=torch.Generator().manual_seed(zlib.crc32(sample.key.encode())),
            output_type="pt",
        ).audios[0]
        rates = {"mel_sampling_rate": config.sampling_rate, "hop_length": config.hop_length}
        return energy_contour(audio.reshape(-1, audio.shape[-1]), pipeline.sampling_rate, **rates).cpu()

    return predict_contour


def make_options(args: argparse.Namespace) -> InfillingOptions:
    if args.energy_never_dropped:
        drops = RELEASED_DROPS
    else:
        drop_audio, drop_text, drop_energy = args.drop_probabilities
        drops = {
            "drop_audio": drop_audio,
            "drop_audio_and_text": 0.0,
            "drop_text": drop_text,
            "drop_energy": drop_energy,
        }
    return InfillingOptions(
        **drops,
        contours=args.contour,
        join_utterances=args.join_utterances,
        prompt_gap=args.prompt_gap,
        add_silence=args.add_silence,
        max_silence_in_s=args.max_silence_in_s,
    )


def make_model_card(args: argparse.Namespace, num_clips: int) -> str:
    contour = "of the recordings" if args.v2a is None else f"predicted by {args.v2a}"
    return f"""---
library_name: deepaudio-diffusers
tags: [video-to-speech, flow-matching, deepaudio-v1]
---

# {args.output_dir.resolve().name}

Speech network of DeepAudio-V1 ([arXiv 2503.22265](https://arxiv.org/abs/2503.22265)), tuned by
`training_scripts/train_stage4_v2s.py` from {args.pretrained} on {num_clips} clips of
{", ".join(map(str, args.data))}: {args.max_train_steps} steps with seed {args.seed}, energy contours
{contour} (`--contour {args.contour}`), text placement `{args.text_placement}`.
"""


def main(args: argparse.Namespace) -> None:
    accelerator = make_accelerator(args)
    torch.manual_seed(args.seed)

    # 1. The network and its tokenizer.
    transformer = load_transformer(
        args.pretrained,
        adds_energy=not args.use_lora,
        energy_conditioning=True,
        text_average_upsampling=args.text_placement == "average",
    )
    config = transformer.config
    tokenizer: PreTrainedTokenizerBase = load_tokenizer(args)
    text = place_text(args.text_placement, tokenizer, config)
    check_vocabulary(text, config)
    vocoder = load_vocoder(args, config, accelerator.device)

    # 2. Data.
    has_predictions = args.v2a is not None
    predictor = {}
    if has_predictions:
        settings = [args.contour_prompt, args.v2a_num_inference_steps, args.v2a_guidance_scale]
        predictor = {
            "predict_contour": make_contour_predictor(args, accelerator.device, config),
            "predictor": (args.v2a, settings),
        }
    reports = {"train": DataReport(args.on_bad_data)}
    cache = open_data(args, accelerator, args.data, "train", config, reports["train"], **predictor)
    dataset = SpeechDataset(cache, text, reports["train"], has_predictions)
    validate = None
    if args.validation_data is not None:
        report = reports["validation"] = DataReport(args.on_bad_data)
        validation_cache = open_data(
            args, accelerator, args.validation_data, "validation", config, report, **predictor
        )
        held_out = SpeechDataset(validation_cache, text, report, has_predictions)
        contour = "predicted_energy" if has_predictions else "energy"
        validate = InfillingValidation(held_out, args.num_validation_utterances, contour, vocoder)
    write_data_report(args, accelerator, **reports)
    # The clips are encoded once; what made them takes no memory while training.
    predictor.clear()

    # 3. Train and save.
    if args.use_lora:
        add_lora(transformer, args.lora_rank, args.lora_alpha)
    loop = TrainingLoop(
        args,
        accelerator,
        {"transformer": transformer},
        InfillingLoss(dataset, make_options(args)),
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
