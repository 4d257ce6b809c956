# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the network that makes sound for video, MMAudio's (stage 1 of 4), by flow matching over latents of a VAE.

From scratch, with encoders and VAE of an existing pipeline, and the sizes and values of the paper
(https://arxiv.org/abs/2412.15322):

    accelerate launch training_scripts/train_stage1_v2a.py --components mmaudio-large-44k-v2 \\
        --data clips/train --validation_data clips/validation --output_dir my-v2a --mixed_precision bf16

Fine-tuning of converted weights, all of them or by LoRA:

    accelerate launch training_scripts/train_stage1_v2a.py --pretrained mmaudio-small-16k --use_lora \\
        --data my-clips --output_dir my-lora --learning_rate 1e-4 --max_train_steps 2000 --train_batch_size 8

The small network that ships with the project, on a CPU:

    python training_scripts/train_stage1_v2a.py --preset tiny --components codec encoders \\
        --data world/clips/train --validation_data world/clips/validation --output_dir v2a

`--data` is a folder with `metadata.jsonl` (`file_name`, `prompt`), a folder of WebDataset shards, or the name of a
data set on the Hub. Features of the clips are computed first and kept in `--cache_dir`; clips that cannot be used are
counted in `data_report.json`. The result is a pipeline folder for `VideoToAudioPipeline.from_pretrained`, or with
`--use_lora` a file for `load_lora_weights`.
"""

import argparse
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from peft import LoraConfig, get_peft_model_state_dict
from torch import nn
from torch.utils.data import default_collate

from deepaudio_diffusers import (
    FlowMatchGridEulerScheduler,
    MMAudioMelVAE,
    MMAudioTransformer1DModel,
    VideoFeatures,
    VideoToAudioPipeline,
)
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import energy_contour, log_mel_spectrogram
from deepaudio_diffusers.processing.sequence import LATENT_DOWNSAMPLING
from deepaudio_diffusers.training.arguments import (
    add_data_arguments,
    add_training_arguments,
    parse_with_preset,
    read_preset,
)
from deepaudio_diffusers.training.data import DataReport, write_data_report
from deepaudio_diffusers.training.features import (
    FEATURE_COMPONENTS,
    FeatureDataset,
    FeatureExtractor,
    cache_features,
    encode_empty_prompt,
    find_components,
    load_component,
)
from deepaudio_diffusers.training.flow_matching import flow_matching_loss, flow_path, sample_times
from deepaudio_diffusers.training.hub import save_and_push
from deepaudio_diffusers.training.loop import TrainingLoop, attention_for_short_sequences, make_accelerator
from deepaudio_diffusers.training.pictures import save_spectrograms
from deepaudio_diffusers.training.presets import TINY


# Those of MMAudio; the weights decay hardly at all.
FULL_TRAINING = {
    "train_batch_size": 512,
    "max_train_steps": 300_000,
    "learning_rate": 1e-4,
    "lr_scheduler": "multistep",
    "lr_warmup_steps": 1000,
    "lr_decay_steps": (240_000, 270_000),
    "adam_betas": (0.9, 0.95),
    "adam_weight_decay": 1e-6,
    "max_grad_norm": 1.0,
    "ema_decay": 0.9999,
}
TINY_TRAINING = FULL_TRAINING | {
    "train_batch_size": 16,
    "max_train_steps": 10_000,
    "learning_rate": 1.2e-3,
    "lr_scheduler": "cosine",
    "lr_warmup_steps": 100,
    "ema_decay": 0.998,
}
# Defaults of the script's own arguments and of those that are the same in all scripts.
FULL_DEFAULTS = {"clip_length_in_s": 8.0, "peak_level": 0.95}
TINY_DEFAULTS = {"clip_length_in_s": 3.84, "peak_level": 0.0, "mixed_precision": "bf16"}

# Projections of all attentions: latents, CLIP frames and text.
LORA_TARGETS = [
    *("to_q", "to_k", "to_v", "to_out.0"),
    *("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out"),
    *("text_q_proj", "text_k_proj", "text_v_proj", "to_text_out"),
]

VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
VALIDATION_BATCH_SIZE = 16
VALIDATION_NUM_STEPS = 25
VALIDATION_GUIDANCE_SCALE = 3.0


def parse_args(input_args: Sequence[str] | None = None) -> argparse.Namespace:
    description, _, examples = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter
    )

    group = parser.add_argument_group("networks")
    group.add_argument(
        "--preset",
        choices=("full", "tiny"),
        default="full",
        help="Which sizes and values are the defaults: those of MMAudio's large network, or those of the small one "
        "that ships with the project (default: %(default)s).",
    )
    group.add_argument(
        "--components",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="Folders with subfolders tokenizer, text_encoder, image_encoder, video_encoder, vae and vocoder: a "
        "pipeline, or the outputs of train_codec.py and train_encoders.py. The first that has a subfolder counts. By "
        "default those of `--pretrained`.",
    )
    group.add_argument(
        "--pretrained",
        metavar="NAME_OR_FOLDER",
        help="Begin from the transformer of this pipeline, a folder or a repository on the Hub.",
    )
    group.add_argument(
        "--transformer_config",
        type=Path,
        metavar="FILE",
        help="JSON file with arguments of MMAudioTransformer1DModel for training from scratch; those that the "
        "components decide, such as `clip_dim`, are set by themselves.",
    )
    group.add_argument("--use_lora", action="store_true", help="Train low-rank updates of the attentions only.")
    group.add_argument("--lora_rank", type=int, default=16, help="Rank of the updates (default: %(default)s).")
    group.add_argument("--lora_alpha", type=float, default=16, help="Their strength (default: %(default)s).")
    group.add_argument(
        "--save_pipeline",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="Whether to save the whole pipeline, not just the transformer.",
    )

    group = add_data_arguments(
        parser,
        data="Clips to train on; see below.",
        cache_dir="Folder for the features (default: the name of `--output_dir` with '-features').",
    )
    group.add_argument("--num_validation_clips", type=int, default=8, help="Clips that sound is made for.")
    group.add_argument(
        "--max_validation_samples", type=int, default=64, help="Samples read from `--validation_data`, for the loss."
    )
    group.add_argument("--prompt_column", default="prompt", help="Name of the prompt in the metadata.")
    group.add_argument(
        "--clip_length_in_s",
        type=float,
        help="Longer clips are cut to their beginning, shorter ones left out (default: %(default)s).",
    )
    group.add_argument(
        "--peak_level",
        type=float,
        help="Scale each sound so that its loudest sample is this; 0 leaves levels as they are (default: "
        "%(default)s).",
    )
    group.add_argument(
        "--precompute",
        action="store_true",
        help="Compute the features that are missing and stop; without it they are computed before training.",
    )
    group.add_argument(
        "--drop_probability",
        type=float,
        default=0.1,
        help="How often a clip is trained on without its pictures, and how often without its text (default: "
        "%(default)s).",
    )

    add_training_arguments(parser, **(TINY_TRAINING if read_preset(input_args) == "tiny" else FULL_TRAINING))
    parser.set_defaults(**FULL_DEFAULTS)
    args = parse_with_preset(parser, input_args, TINY_DEFAULTS)
    if not args.components and args.pretrained is None:
        parser.error("the networks are missing: pass --components or --pretrained")
    if args.use_lora and args.pretrained is None:
        parser.error("--use_lora updates trained weights: pass --pretrained")
    if args.pretrained is not None and args.transformer_config is not None:
        parser.error("--pretrained has its own sizes: leave out --transformer_config")
    args.cache_dir = args.cache_dir or args.output_dir.with_name(f"{args.output_dir.name}-features")
    return args


# 1. Features of the clips


def prepare_features(
    args: argparse.Namespace, accelerator: Accelerator, folders: dict[str, Path]
) -> tuple[FeatureDataset, FeatureDataset | None]:
    """Features for training and validation; what became of the samples is printed and written to a file."""
    settings = (accelerator.device, args.clip_length_in_s, args.peak_level, args.prompt_column)
    datasets, reports = {}, {}
    # The others find what the main process has computed.
    with accelerator.main_process_first():
        report = DataReport(args.on_bad_data)
        cache = cache_features(args.cache_dir / "train", args.data, FeatureExtractor(folders, *settings), report)
        datasets["train"], reports["train"] = FeatureDataset(cache), report
        if args.validation_data is not None:
            report = DataReport(args.on_bad_data)
            extractor = FeatureExtractor(folders, *settings, with_waveforms=True)
            folder, max_samples = args.cache_dir / "validation", args.max_validation_samples
            cache = cache_features(folder, args.validation_data, extractor, report, max_samples)
            datasets["validation"], reports["validation"] = FeatureDataset(cache), report
    for name, dataset in datasets.items():
        reports[name].remarks = dataset.count_peculiarities()
    write_data_report(args, accelerator, **reports)
    return datasets["train"], datasets.get("validation")


# 2. The network


def make_transformer(
    args: argparse.Namespace, dataset: FeatureDataset, folders: dict[str, Path]
) -> MMAudioTransformer1DModel:
    """The network to train, from scratch or pretrained, with adapters if asked for."""
    clip_dim, sync_dim = dataset.shape("clip_features")[1], dataset.shape("sync_features")[1]
    text_length, text_dim = dataset.shape("text_features")
    needed = {
        "latent_channels": dataset.shape("latent_mean")[1],
        "clip_dim": clip_dim,
        "sync_dim": sync_dim,
        "text_dim": text_dim,
        "text_length": text_length,
    }
    if args.pretrained is not None:
        transformer = MMAudioTransformer1DModel.from_pretrained(args.pretrained, subfolder="transformer").float()
        for name, value in needed.items():
            if transformer.config[name] != value:
                raise InputError(
                    f"The transformer of `--pretrained` has {name}={transformer.config[name]}, but the components "
                    f"give {value}; pass those that it was trained with."
                )
    else:
        config = {} if args.preset == "full" else dict(TINY["transformer"])
        if args.transformer_config is not None:
            config = json.loads(args.transformer_config.read_text(encoding="utf-8"))
        vae_config = MMAudioMelVAE.load_config(folders["vae"])
        needed["latents_per_second"] = vae_config["sample_rate"] / vae_config["hop_length"] / LATENT_DOWNSAMPLING
        transformer = MMAudioTransformer1DModel(**config | needed)
        mean, std = dataset.latent_statistics()
        transformer.latent_statistics.mean.copy_(mean)
        transformer.latent_statistics.std.copy_(std)
        transformer.null_features.text.copy_(encode_empty_prompt(folders))
    if args.use_lora:
        transformer.requires_grad_(False)
        transformer.add_adapter(
            LoraConfig(
                r=args.lora_rank,
                lora_alpha=args.lora_alpha,
                init_lora_weights="gaussian",
                target_modules=LORA_TARGETS,
            )
        )
    return transformer


# 3. The loss


def conditional_velocity(
    transformer: MMAudioTransformer1DModel,
    noisy_latents: torch.Tensor,
    times: torch.Tensor,
    batch: dict[str, torch.Tensor],
    without_video: torch.Tensor,
    without_text: torch.Tensor,
) -> torch.Tensor:
    """The predicted velocity, where some items of the batch are without video or text.

    Those get the null features in the place of their own, which is what `None` stands for in a call of the network.
    """
    num_clip_frames, num_sync_tokens = batch["clip_features"].shape[1], batch["sync_features"].shape[1]
    null_clip, null_sync, null_text = transformer.null_features(num_clip_frames, num_sync_tokens)
    without_video, without_text = without_video[:, None, None], without_text[:, None, None]
    return transformer(
        noisy_latents,
        times,
        clip_features=torch.where(without_video, null_clip, batch["clip_features"]),
        sync_features=torch.where(without_video, null_sync, batch["sync_features"]),
        text_features=torch.where(without_text, null_text, batch["text_features"]),
        return_dict=False,
    )[0]


def video_to_audio_loss(
    networks: dict[str, nn.Module], batch: dict[str, torch.Tensor], drop_probability: float
) -> tuple[torch.Tensor, dict[str, float]]:
    """Flow matching with fresh latents of the posterior, logit-normal times and conditions left out at random.

    As in the original, the pictures go or stay as a whole: CLIP and Synchformer features together.
    """
    transformer, mean = networks["transformer"], batch["latent_mean"]
    batch_size, device = mean.shape[0], mean.device
    latents = transformer.normalize_latents(mean + batch["latent_std"] * torch.randn_like(mean))
    times = sample_times(batch_size, "logit_normal", device)
    noisy_latents, velocity = flow_path(latents, torch.randn_like(latents), times)
    without_video = (torch.rand(batch_size, device=device) < drop_probability) | ~batch["has_video"]
    without_text = torch.rand(batch_size, device=device) < drop_probability
    prediction = conditional_velocity(transformer, noisy_latents, times, batch, without_video, without_text)
    return flow_matching_loss(prediction, velocity), {}


# 4. Validation


class Validation:
    """Loss at fixed times and noise, and sounds for held-out clips beside the true ones."""

    def __init__(
        self, args: argparse.Namespace, accelerator: Accelerator, dataset: FeatureDataset, folders: dict[str, Path]
    ) -> None:
        self.args = args
        self.device = accelerator.device
        self.dataset = dataset
        self.vae, self.vocoder = (load_component(name, folders[name]).to(self.device) for name in ("vae", "vocoder"))

    def __call__(self, networks: dict[str, nn.Module], step: int, folder: Path) -> dict[str, float]:
        transformer = networks["transformer"]
        pipeline = VideoToAudioPipeline(
            None, None, None, None, transformer, FlowMatchGridEulerScheduler(), self.vae, self.vocoder
        )
        pipeline.set_progress_bar_config(disable=True)
        num_clips = min(self.args.num_validation_clips, len(self.dataset))
        figures = [self._listen(pipeline, index, folder) for index in range(num_clips)]
        means = {name: sum(clip[name] for clip in figures) / num_clips for name in figures[0]}
        return {"flow_loss": self._flow_loss(transformer)} | means

    def _flow_loss(self, transformer: MMAudioTransformer1DModel) -> float:
        """Mean over all clips and [`VALIDATION_TIMES`], with all conditions and the means of the posteriors."""
        generator = torch.Generator().manual_seed(self.args.seed)
        total = 0.0
        for start in range(0, len(self.dataset), VALIDATION_BATCH_SIZE):
            items = [self.dataset[i] for i in range(start, min(start + VALIDATION_BATCH_SIZE, len(self.dataset)))]
            batch = {name: value.to(self.device) for name, value in default_collate(items).items()}
            latents = transformer.normalize_latents(batch["latent_mean"])
            noise = torch.randn(latents.shape, generator=generator).to(self.device)
            with_text = torch.zeros(len(items), dtype=torch.bool, device=self.device)
            for time in VALIDATION_TIMES:
                times = torch.full((len(items),), time, device=self.device)
                noisy_latents, velocity = flow_path(latents, noise, times)
                prediction = conditional_velocity(
                    transformer, noisy_latents, times, batch, ~batch["has_video"], with_text
                )
                total += len(items) * float(flow_matching_loss(prediction, velocity))
        return total / (len(self.dataset) * len(VALIDATION_TIMES))

    def _listen(self, pipeline: VideoToAudioPipeline, index: int, folder: Path) -> dict[str, float]:
        """Make the sound of one clip; files with it, and figures that compare it with the true sound."""
        clip = self.dataset[index]
        clip_features, sync_features = (
            clip[name][None] if clip["has_video"] else None for name in ("clip_features", "sync_features")
        )
        generated = (
            pipeline(
                video_features=VideoFeatures(clip_features, sync_features, self.args.clip_length_in_s),
                prompt_embeds=clip["text_features"][None],
                num_inference_steps=VALIDATION_NUM_STEPS,
                guidance_scale=VALIDATION_GUIDANCE_SCALE,
                generator=torch.Generator().manual_seed(self.args.seed + index),
                output_type="pt",
            )
            .audios[0]
            .cpu()
        )
        sounds = {"generated": generated, "true": clip["waveform"][None]}
        rate, config = pipeline.sampling_rate, self.vae.config
        for name, sound in sounds.items():
            write_audio(folder / f"{index:03d}-{name}.wav", sound, rate, allow_silence=True)
        mels = {
            name: log_mel_spectrogram(
                sound,
                sampling_rate=rate,
                n_fft=config.n_fft,
                hop_length=config.hop_length,
                num_mels=config.mel_bins,
                mel_type="bigvgan",
            )[0]
            for name, sound in sounds.items()
        }
        prompt = self.dataset.clips[index]["prompt"]
        titles = {f"{name}: {prompt}": mel for name, mel in mels.items()}
        save_spectrograms(folder / f"{index:03d}.png", titles, rate / config.hop_length)
        contours = [
            energy_contour(sound, rate, mel_sampling_rate=rate, hop_length=config.hop_length)
            for sound in sounds.values()
        ]
        return {
            "mel_l1": float((mels["generated"] - mels["true"]).abs().mean()),
            "energy_correlation": correlation(*contours),
        }


def correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    """Pearson's, of vectors; 0 where one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    return float((a @ b) / (a.norm() * b.norm()).clamp(min=1e-12))


# 5. The result


def save(
    args: argparse.Namespace,
    accelerator: Accelerator,
    transformer: MMAudioTransformer1DModel,
    folders: dict[str, Path],
) -> None:
    """Write weights, or the whole pipeline, to `--output_dir`."""
    if not accelerator.is_main_process:
        return
    if args.use_lora:
        VideoToAudioPipeline.save_lora_weights(
            args.output_dir,
            transformer_lora_layers=get_peft_model_state_dict(transformer),
            transformer_lora_adapter_metadata=transformer.peft_config["default"].to_dict(),
        )
    elif args.save_pipeline:
        components = {name: load_component(name, folder) for name, folder in folders.items()}
        pipeline = VideoToAudioPipeline(**components, transformer=transformer, scheduler=FlowMatchGridEulerScheduler())
        pipeline.save_pretrained(args.output_dir)
    else:
        transformer.save_pretrained(args.output_dir / "transformer")


MODEL_CARD = """\
---
library_name: diffusers
pipeline_tag: video-to-audio
tags:
- deepaudio-diffusers
- mmaudio
- video-to-audio
- {kind}
---

# {name}

{what}, trained by `training_scripts/train_stage1_v2a.py` of deepaudio-diffusers on {num_clips} clips of
{clip_length_in_s} s ({data}).

```py
from deepaudio_diffusers import VideoToAudioPipeline

{loading}
audio = pipe("clip.mp4", prompt="a ball bouncing", audio_length_in_s={clip_length_in_s}).audios[0]
```

| argument | value |
|---|---|
{arguments}
"""


def model_card(args: argparse.Namespace, dataset: FeatureDataset) -> str:
    """What was trained, how to load it, and all arguments of the training."""
    loading = 'pipe = VideoToAudioPipeline.from_pretrained("path/to/this/folder")'
    if args.use_lora:
        loading = (
            f'pipe = VideoToAudioPipeline.from_pretrained("{args.pretrained}")\n'
            'pipe.load_lora_weights("path/to/this/folder")'
        )
    private = ("hub_token",)
    return MODEL_CARD.format(
        kind="lora" if args.use_lora else "diffusers-training",
        name=args.output_dir.resolve().name,
        what="LoRA weights for the video-to-audio network of MMAudio"
        if args.use_lora
        else "Sound for video by MMAudio",
        num_clips=len(dataset),
        clip_length_in_s=args.clip_length_in_s,
        data=", ".join(args.data),
        loading=loading,
        arguments="\n".join(f"| {name} | {value} |" for name, value in vars(args).items() if name not in private),
    )


def main(args: argparse.Namespace) -> None:
    accelerator = make_accelerator(args)
    if args.pretrained is not None and not Path(args.pretrained).is_dir():
        with accelerator.main_process_first():
            args.pretrained = VideoToAudioPipeline.download(args.pretrained)
    pretrained = [] if args.pretrained is None else [Path(args.pretrained)]
    folders = find_components([*args.components, *pretrained], [*FEATURE_COMPONENTS, "vocoder"])

    dataset, validation_dataset = prepare_features(args, accelerator, folders)
    if args.precompute:
        return

    torch.manual_seed(args.seed)
    transformer = make_transformer(args, dataset, folders)
    validation = None
    if validation_dataset is not None:
        validation = Validation(args, accelerator, validation_dataset, folders)
    loop = TrainingLoop(
        args,
        accelerator,
        {"transformer": transformer},
        partial(video_to_audio_loss, drop_probability=args.drop_probability),
        dataset,
        # All clips are equally long.
        lengths=[1] * len(dataset),
        collate=default_collate,
        validate=validation,
        bucket_batches=1,
    )
    with attention_for_short_sequences(accelerator.device):
        loop.run()

    save(args, accelerator, transformer, folders)
    save_and_push(args, accelerator, args.output_dir, model_card(args, dataset))


if __name__ == "__main__":
    main(parse_args())
