# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Train a LoRA on ten clips, load it, and make sound for another clip without it and with it.

    python examples/train_a_lora.py --pipeline checkpoints/deepaudio-tiny --output-dir build/lora

The clips are of the procedural world, all of bells. For clips of your own write a folder with `metadata.jsonl` and
pass it to `training_scripts/train_stage1_v2a.py` as this script does: docs/training.md has forms and arguments.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import torch

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.synthetic.clips import LENGTH_IN_S, make_clip
from deepaudio_diffusers.synthetic.shards import clip_sample, write_shard


TRAINING_SCRIPT = Path(__file__).parents[1] / "training_scripts" / "train_stage1_v2a.py"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--steps", type=int, default=100, help="of training (default: 100)")
parser.add_argument("--rank", type=int, default=8, help="of the LoRA (default: 8)")
parser.add_argument("--seed", type=int, default=0, help="of training and of the sound (default: 0)")
parser.add_argument("--output-dir", type=Path, required=True, help="for clips, weights, logs and sounds")
args = parser.parse_args()

clips, lora = args.output_dir / "clips", args.output_dir / "weights"
clips.mkdir(parents=True, exist_ok=True)
bells = [make_clip(seed, "train", visible=["bell"]) for seed in range(10)]
write_shard(clips / "bells.tar", [clip_sample(f"bell-{number}", clip) for number, clip in enumerate(bells)])

command = [sys.executable, str(TRAINING_SCRIPT), "--use_lora", "--pretrained", args.pipeline, "--data", str(clips)]
command += ["--output_dir", str(lora), "--clip_length_in_s", str(LENGTH_IN_S), "--peak_level", "0"]
command += ["--lora_rank", str(args.rank), "--lora_alpha", str(args.rank), "--max_train_steps", str(args.steps)]
command += ["--train_batch_size", "10", "--learning_rate", "1e-3", "--lr_scheduler", "constant"]
command += ["--lr_warmup_steps", "0", "--ema_decay", "0", "--seed", str(args.seed)]
subprocess.run(command, check=True)

pipe = VideoToAudioPipeline.from_pretrained(args.pipeline)
held_out = make_clip(100_000_000, "validation", visible=["bell"])
for name in ("without-lora", "with-lora"):
    if name == "with-lora":
        pipe.load_lora_weights(lora)
    generator = torch.Generator().manual_seed(args.seed)
    result = pipe(held_out.video, fps=25, prompt=held_out.metadata["prompt"], generator=generator)
    write_audio(args.output_dir / f"{name}.wav", result.audios[0], result.sampling_rate)
    print(f"Wrote {args.output_dir.resolve() / name}.wav")
