# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the encoders of video, frames and text that stage 1 sees and reads through, where none are pretrained.

    accelerate launch training_scripts/train_encoders.py --preset tiny --mixed_precision bf16 \\
        --data my-clips/train --validation_data my-clips/validation --output_dir my-encoders

Data are clips with pictures, sound and, in their metadata, a `prompt`; `classes`, the things that sound, makes the
training on prompts a little better. The output folder gets `tokenizer`, `text_encoder`, `image_encoder` and
`video_encoder`, which are components of VideoToAudioPipeline, and `heads.safetensors`
(deepaudio_diffusers.training.encoders.EncoderHeads): with the video encoder it regresses a mel spectrogram from
pictures alone, which says how much of the timing a generator gets from its features.

How well the video encoder does decides about all that is trained on its features: `energy_r` of the validation should
be 0.92 or more before stage 1 begins. With `--preset tiny` it is a convolutional network, which learns from hours of
video what a transformer does not. `--preset full` has the sizes of the published networks, which were trained on far
more data than one has; `--pretrained` trains published or own ones further.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import default_collate
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from deepaudio_diffusers import CLIPFrameEncoder, ConvVideoEncoder, SynchformerVideoEncoder
from deepaudio_diffusers.processing.sequence import SYNC_FRAMES_PER_SECOND
from deepaudio_diffusers.training.arguments import add_data_arguments, add_training_arguments, read_preset
from deepaudio_diffusers.training.codec import evenly_spaced
from deepaudio_diffusers.training.data import DataReport, write_data_report
from deepaudio_diffusers.training.encoder_losses import encoder_loss, text_encoder_loss
from deepaudio_diffusers.training.encoders import (
    HEADS_FILE,
    MELS_PER_FRAME,
    EncoderHeads,
    SegmentDataset,
    cache_clips,
    learn_clip_tokenizer,
    set_mel_statistics,
    validate_encoders,
)
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.loop import TrainingLoop, attention_for_short_sequences, make_accelerator
from deepaudio_diffusers.training.part_cache import PartCache
from deepaudio_diffusers.training.pictures import save_spectrograms
from deepaudio_diffusers.training.presets import TINY


VIDEO_ENCODERS = {"tiny": ConvVideoEncoder, "full": SynchformerVideoEncoder}
# Configurations of the networks. Those of CLIP are DFN5B-CLIP-ViT-H-14-384's, as MMAudio uses it.
SIZES = {
    "tiny": TINY,
    "full": {
        "video_encoder": {},
        "image_encoder": {
            "hidden_size": 1280,
            "intermediate_size": 5120,
            "num_hidden_layers": 32,
            "num_attention_heads": 16,
            "image_size": 384,
            "patch_size": 14,
            "projection_dim": 1024,
        },
        "text_encoder": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "max_position_embeddings": 77,
            "projection_dim": 1024,
        },
    },
}
FULL_DEFAULTS = {
    "train_batch_size": 64,
    "max_train_steps": 100_000,
    "learning_rate": 1e-4,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 2000,
    "adam_betas": (0.9, 0.98),
    "adam_weight_decay": 0.05,
    "max_grad_norm": 1.0,
    "ema_decay": 0.999,
}
TINY_DEFAULTS = FULL_DEFAULTS | {
    "max_train_steps": 5000,
    "learning_rate": 1.5e-3,
    "lr_warmup_steps": 60,
    "adam_weight_decay": 0.02,
    "ema_decay": 0.998,
}
VALIDATION_CLIPS = 96
VALIDATION_PICTURES = 8
# The statistics of mels settle long before all clips were seen.
STATISTICS_CLIPS = 1000

MODEL_CARD = """---
library_name: deepaudio-diffusers
tags: [audio, video]
---
# Encoders of video, frames and text

Trained by `training_scripts/train_encoders.py` of deepaudio-diffusers for {steps} steps of {batch_size} segments, from
{start}. The video encoder was trained to regress the mel spectrograms of its clips, not to tell whether pictures and
sound are in time, as Synchformer is.
"""


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("networks")
    group.add_argument(
        "--preset",
        choices=list(SIZES),
        default="full",
        help="Sizes of the networks and defaults of the training; the help shows those of the chosen one.",
    )
    group.add_argument(
        "--pretrained",
        metavar="NAME_OR_FOLDER",
        help="Begin from the encoders and the tokenizer of a pipeline, a folder or a name on the Hub. Heads are taken "
        "from an output folder of this script, and else begin at random.",
    )
    group.add_argument(
        "--only_text",
        action="store_true",
        help="Leave the encoders of video and frames of `--pretrained` as they are, an output folder of this script.",
    )
    add_data_arguments(
        parser,
        data="Clips: folders with metadata.jsonl, folders with *.tar shards, or names of data sets on the Hub.",
        cache_dir="Where decoded frames are kept, which take 0.9 MB for a clip of 4 s with the tiny preset and 60 MB "
        "for one of 8 s with the full one; 'cache' in the output folder by default.",
    )
    add_training_arguments(parser, **(TINY_DEFAULTS if read_preset(input_args) == "tiny" else FULL_DEFAULTS))
    args = parser.parse_args(input_args)
    if args.only_text and not has_heads(args.pretrained):
        parser.error(f"--only_text needs an output folder of this script, with {HEADS_FILE}: pass --pretrained")
    return args


def has_heads(pretrained: str | None) -> bool:
    """Whether `--pretrained` is an output folder of this script."""
    return pretrained is not None and Path(pretrained, HEADS_FILE).is_file()


def frame_sizes(args: argparse.Namespace) -> tuple[int, int]:
    """Sizes of the frames of the image and of the video encoder, without loading them."""
    if args.pretrained is None:
        sizes = SIZES[args.preset]
        return CLIPVisionConfig(**sizes["image_encoder"]).image_size, sizes["video_encoder"].get("image_size", 224)
    config = ConvVideoEncoder.load_config(args.pretrained, subfolder="video_encoder")
    image_config = CLIPVisionConfig.from_pretrained(args.pretrained, subfolder="image_encoder")
    return image_config.image_size, config["image_size"]


def make_networks(args: argparse.Namespace, cache: PartCache) -> tuple[dict[str, nn.Module], CLIPTokenizer]:
    """The encoders, pretrained or random, with their heads, and the tokenizer."""
    torch.manual_seed(args.seed)
    if args.pretrained is not None:
        tokenizer = CLIPTokenizer.from_pretrained(args.pretrained, subfolder="tokenizer")
        config = ConvVideoEncoder.load_config(args.pretrained, subfolder="video_encoder")
        video_encoder_class = {cls.__name__: cls for cls in VIDEO_ENCODERS.values()}[config["_class_name"]]
        video_encoder = video_encoder_class.from_pretrained(args.pretrained, subfolder="video_encoder")
        image_encoder = CLIPFrameEncoder.from_pretrained(args.pretrained, subfolder="image_encoder")
        text_encoder = CLIPTextModel.from_pretrained(args.pretrained, subfolder="text_encoder")
    else:
        sizes = SIZES[args.preset]
        tokenizer = learn_clip_tokenizer(
            [metadata["prompt"] for metadata in cache.metadata], sizes["text_encoder"]["max_position_embeddings"]
        )
        video_encoder = VIDEO_ENCODERS[args.preset](**sizes["video_encoder"])
        image_encoder = CLIPFrameEncoder(CLIPVisionConfig(**sizes["image_encoder"]))
        text_config = CLIPTextConfig(
            vocab_size=len(tokenizer),
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            **sizes["text_encoder"],
        )
        text_encoder = CLIPTextModel(text_config)
    if has_heads(args.pretrained):
        heads = EncoderHeads.load(Path(args.pretrained))
    else:
        heads = EncoderHeads(
            video_encoder.config.hidden_size, text_encoder.config.hidden_size, image_encoder.config.projection_dim
        )
        indices = evenly_spaced(len(cache), STATISTICS_CLIPS)
        set_mel_statistics(heads, [cache.array("mel", index) for index in indices])
    if args.only_text:
        video_encoder.requires_grad_(False)
        image_encoder.requires_grad_(False)
    networks = {
        "video_encoder": video_encoder,
        "image_encoder": image_encoder,
        "text_encoder": text_encoder,
        "heads": heads,
    }
    return networks, tokenizer


def main(args: argparse.Namespace) -> None:
    # The heads of an encoder that is left as it is take no part.
    accelerator = make_accelerator(args, find_unused_parameters=args.only_text)
    reports = {"train": DataReport(args.on_bad_data)}
    cache_dir = args.cache_dir or args.output_dir / "cache"
    sizes = frame_sizes(args)
    with accelerator.main_process_first():
        cache = cache_clips(cache_dir / "train-clips", args.data, *sizes, reports["train"])
        validation_cache = None
        if args.validation_data:
            reports["validation"] = DataReport(args.on_bad_data)
            validation_cache = cache_clips(
                cache_dir / "validation-clips", args.validation_data, *sizes, reports["validation"]
            )
    write_data_report(args, accelerator, **reports)

    networks, tokenizer = make_networks(args, cache)

    def validate(networks: dict[str, nn.Module], step: int, folder: Path) -> dict[str, float]:
        indices = evenly_spaced(len(validation_cache), VALIDATION_CLIPS)
        figures, pictures = validate_encoders(networks, validation_cache, indices, tokenizer)
        for index, spectrograms in enumerate(pictures[:VALIDATION_PICTURES]):
            path = folder / f"spectrogram-{index}.png"
            save_spectrograms(path, spectrograms, MELS_PER_FRAME * SYNC_FRAMES_PER_SECOND)
        return figures

    dataset = SegmentDataset(cache, tokenizer)
    loop = TrainingLoop(
        args,
        accelerator,
        networks,
        text_encoder_loss if args.only_text else encoder_loss,
        dataset,
        [1] * len(dataset),
        default_collate,
        validate if validation_cache is not None else None,
        bucket_batches=1,
    )
    with attention_for_short_sequences(accelerator.device):
        loop.run()
    if accelerator.is_main_process:
        tokenizer.save_pretrained(args.output_dir / "tokenizer")
        for name in ("text_encoder", "image_encoder", "video_encoder"):
            networks[name].save_pretrained(args.output_dir / name)
        networks["heads"].save(args.output_dir)
        card = MODEL_CARD.format(
            steps=args.max_train_steps,
            batch_size=args.train_batch_size * accelerator.num_processes * args.gradient_accumulation_steps,
            start=args.pretrained or "random weights",
        )
        save_and_push(args, accelerator, args.output_dir, card)


if __name__ == "__main__":
    main(parse_args())
