# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains what lies between sound and latents: the mel VAE, and the vocoder that makes waveforms of mel spectrograms.

    accelerate launch training_scripts/train_codec.py --part vae --preset tiny --mixed_precision bf16 \\
        --data my-clips/train my-speech/train --validation_data my-clips/validation --output_dir my-codec

    accelerate launch training_scripts/train_codec.py --part vocoder --preset tiny --mixed_precision bf16 \\
        --data my-clips/train my-speech/train --validation_data my-clips/validation --output_dir my-codec-vocoder

The first trains the VAE, the second the vocoder; neither needs the other, so both can run at once. They end up in
`vae` and `vocoder` of the output folders. Data are sounds, or videos with sound; nothing has to be known about them.
`--preset full` has the sizes of the published networks, `full-16k` those of MMAudio at 16 kHz. The papers of both
(MMAudio, https://arxiv.org/abs/2412.15322; Vocos, https://arxiv.org/abs/2306.00814) also train against discriminators,
which this script does not; to change a published network a little, begin from it with `--pretrained`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from deepaudio_diffusers import MMAudioMelVAE, VocosVocoder
from deepaudio_diffusers.media.mux import write_audio
from deepaudio_diffusers.training.arguments import add_data_arguments, add_training_arguments, read_preset
from deepaudio_diffusers.training.codec import (
    WaveformCrops,
    cache_waveforms,
    evenly_spaced,
    initialize_vae,
    set_mel_statistics,
    vae_loss,
    validate_vae,
    validate_vocoder,
    vocoder_loss,
    waveform_of,
)
from deepaudio_diffusers.training.data import DataReport, write_data_report
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.loop import TrainingLoop, make_accelerator
from deepaudio_diffusers.training.part_cache import PartCache
from deepaudio_diffusers.training.pictures import save_spectrograms
from deepaudio_diffusers.training.presets import TINY


NETWORKS = {"vae": MMAudioMelVAE, "vocoder": VocosVocoder}
LOSSES = {"vae": vae_loss, "vocoder": vocoder_loss}

# Configurations of the networks; what is not named is the default of the class, which is the published network.
SIZES = {
    "tiny": TINY,
    "full": {"vae": {}, "vocoder": {}},
    "full-16k": {
        "vae": {
            "mel_bins": 80,
            "latent_channels": 20,
            "hidden_channels": 384,
            "sample_rate": 16_000,
            "n_fft": 1024,
            "hop_length": 256,
            "mel_log_base": 10,
        },
        "vocoder": {"num_mels": 80, "padding": "same", "sampling_rate": 16_000},
    },
}
# The vocoder's are those of its published configuration. MMAudio does not tell those of its VAE.
FULL_DEFAULTS = {
    "vae": {
        "train_batch_size": 32,
        "max_train_steps": 500_000,
        "learning_rate": 1e-4,
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 1000,
        "adam_betas": (0.9, 0.99),
        "adam_weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "ema_decay": 0.999,
    },
    "vocoder": {
        "train_batch_size": 16,
        "max_train_steps": 1_000_000,
        "learning_rate": 5e-4,
        "lr_scheduler": "cosine",
        "lr_warmup_steps": 0,
        "adam_betas": (0.8, 0.9),
        "adam_weight_decay": 0.01,
        "max_grad_norm": 1.0,
        "ema_decay": 0.0,
    },
}
TINY_DEFAULTS = {
    "vae": FULL_DEFAULTS["vae"]
    | {"max_train_steps": 3000, "learning_rate": 1.5e-3, "lr_warmup_steps": 100, "ema_decay": 0.998},
    "vocoder": FULL_DEFAULTS["vocoder"]
    | {
        "max_train_steps": 3500,
        "learning_rate": 1.5e-3,
        "lr_warmup_steps": 40,
        "adam_betas": (0.8, 0.99),
        "adam_weight_decay": 1e-3,
        "max_grad_norm": 5.0,
        "ema_decay": 0.998,
    },
}
# Mel frames that the VAE, and samples that the vocoder sees at once.
VAE_CROP_IN_FRAMES = 120
VOCODER_CROP_IN_SAMPLES = 16_384
# So many sounds, at most so long each, are validated on; the first of them are written as pictures and sounds.
VALIDATION_SOUNDS = 48
VALIDATION_LENGTH_IN_S = 4.0
VALIDATION_PICTURES = 4
# The statistics of mel bins settle long before all data were seen.
STATISTICS_SOUNDS = 1000

MODEL_CARD = """---
library_name: deepaudio-diffusers
tags: [audio, {part}]
---
# {title}

Trained by `training_scripts/train_codec.py` of deepaudio-diffusers for {steps} steps of {batch_size} sounds, from
{start}.

```python
from deepaudio_diffusers import {name}

{part} = {name}.from_pretrained("FOLDER", subfolder="{part}")
```
"""


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    group = parser.add_argument_group("network")
    group.add_argument("--part", choices=list(NETWORKS), required=True, help="Which network is trained.")
    group.add_argument(
        "--preset",
        choices=list(SIZES),
        default="full",
        help="Sizes of the network and defaults of the training; the help shows those of the chosen one.",
    )
    group.add_argument(
        "--pretrained",
        metavar="NAME_OR_FOLDER",
        help="Begin from these weights: the folder or Hub name of a pipeline, or the folder of the network itself.",
    )
    add_data_arguments(
        parser,
        data="Sounds or videos with sound: folders with metadata.jsonl, folders with *.tar shards, or names of data "
        "sets on the Hub.",
        cache_dir="Where decoded sounds are kept; 'cache' in the output folder by default.",
    )
    choice = argparse.ArgumentParser(add_help=False)
    choice.add_argument("--part", choices=list(NETWORKS), default="vae")
    part = choice.parse_known_args(input_args)[0].part
    defaults = TINY_DEFAULTS if read_preset(input_args) == "tiny" else FULL_DEFAULTS
    add_training_arguments(parser, **defaults[part])
    return parser.parse_args(input_args)


def make_network(args: argparse.Namespace) -> nn.Module:
    """The network that is trained, pretrained or random."""
    network_class = NETWORKS[args.part]
    if args.pretrained is None:
        torch.manual_seed(args.seed)
        network = network_class(**SIZES[args.preset][args.part])
        if args.part == "vae":
            initialize_vae(network)
        return network
    is_network_itself = (Path(args.pretrained) / "config.json").is_file()
    return network_class.from_pretrained(args.pretrained, subfolder=None if is_network_itself else args.part)


def write_validation(
    folder: Path,
    pictures: list[dict[str, torch.Tensor]],
    sounds: dict[str, torch.Tensor],
    sampling_rate: int,
    hop_length: int,
) -> None:
    for index, spectrograms in enumerate(pictures[:VALIDATION_PICTURES]):
        save_spectrograms(folder / f"spectrogram-{index}.png", spectrograms, sampling_rate / hop_length)
    for name, waveform in sounds.items():
        write_audio(folder / f"{name}.wav", waveform, sampling_rate, allow_silence=True)


def first_part(cache: PartCache, index: int, sampling_rate: int) -> torch.Tensor:
    """The beginning of a sound, as floats."""
    num_samples = round(VALIDATION_LENGTH_IN_S * sampling_rate)
    return waveform_of(torch.from_numpy(cache.array("waveform", index)[:num_samples].copy()))


def main(args: argparse.Namespace) -> None:
    accelerator = make_accelerator(args)
    network = make_network(args)
    if args.part == "vae":
        sampling_rate, hop_length = network.config.sample_rate, network.config.hop_length
        crop_length = VAE_CROP_IN_FRAMES * hop_length
    else:
        sampling_rate, hop_length = network.config.sampling_rate, network.config.hop_length
        crop_length = VOCODER_CROP_IN_SAMPLES

    reports = {"train": DataReport(args.on_bad_data)}
    cache_dir = args.cache_dir or args.output_dir / "cache"
    with accelerator.main_process_first():
        cache = cache_waveforms(cache_dir / "train-sounds", args.data, sampling_rate, crop_length, reports["train"])
        validation_cache = None
        if args.validation_data:
            reports["validation"] = DataReport(args.on_bad_data)
            validation_cache = cache_waveforms(
                cache_dir / "validation-sounds",
                args.validation_data,
                sampling_rate,
                crop_length,
                reports["validation"],
            )
    write_data_report(args, accelerator, **reports)

    if args.part == "vae" and args.pretrained is None:
        indices = evenly_spaced(len(cache), STATISTICS_SOUNDS)
        set_mel_statistics(network, [first_part(cache, index, sampling_rate) for index in indices])

    def validate(networks: dict[str, nn.Module], step: int, folder: Path) -> dict[str, float]:
        indices = evenly_spaced(len(validation_cache), VALIDATION_SOUNDS)
        waveforms = [first_part(validation_cache, index, sampling_rate).to(accelerator.device) for index in indices]
        sounds = {}
        if args.part == "vae":
            figures, pictures = validate_vae(networks["vae"], waveforms)
        else:
            figures, predictions, pictures = validate_vocoder(networks["vocoder"], waveforms)
            for index in range(min(VALIDATION_PICTURES, len(waveforms))):
                sounds |= {f"true-{index}": waveforms[index], f"vocoder-{index}": predictions[index]}
        write_validation(folder, pictures, sounds, sampling_rate, hop_length)
        return figures

    dataset = WaveformCrops(cache, crop_length, hop_length)
    loop = TrainingLoop(
        args,
        accelerator,
        {args.part: network},
        LOSSES[args.part],
        dataset,
        [1] * len(dataset),
        torch.stack,
        validate if validation_cache is not None else None,
        bucket_batches=1,
    )
    loop.run()
    if accelerator.is_main_process:
        network.save_pretrained(args.output_dir / args.part)
        card = MODEL_CARD.format(
            part=args.part,
            title="Mel VAE" if args.part == "vae" else "Vocoder",
            name=NETWORKS[args.part].__name__,
            steps=args.max_train_steps,
            batch_size=args.train_batch_size * accelerator.num_processes * args.gradient_accumulation_steps,
            start=args.pretrained or "random weights",
        )
        save_and_push(args, accelerator, args.output_dir / args.part, card)


if __name__ == "__main__":
    main(parse_args())
