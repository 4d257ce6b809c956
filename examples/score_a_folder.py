# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Give every clip of a folder its sound, shared out over processes by accelerate.

    accelerate launch examples/score_a_folder.py --pipeline checkpoints/deepaudio-tiny --videos examples/assets \\
        --output-dir build/folder

`accelerate launch --num_processes 4` is for four GPUs. On a CPU `ACCELERATE_USE_CPU=true torchrun --nproc_per_node 2`
starts two processes, where `accelerate launch --cpu` starts one. Each clip has a seed of its own, so that its sound
does not depend on who makes it, and what is done is passed over, so that the same command goes on after a kill.
"""

import argparse
from pathlib import Path

import torch
from accelerate import Accelerator

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--videos", type=Path, required=True, help="folder with *.mp4 files")
parser.add_argument("--prompt", help="what is to be heard, in all of them")
parser.add_argument("--steps", type=int, default=25, help="default: 25")
parser.add_argument("--seed", type=int, default=0, help="of the first clip; the next ones count on (default: 0)")
parser.add_argument("--output-dir", type=Path, required=True, help="the results have the names of the clips")
args = parser.parse_args()

accelerator = Accelerator()
pipe = VideoToAudioPipeline.from_pretrained(args.pipeline).to(accelerator.device)
pipe.set_progress_bar_config(disable=not accelerator.is_main_process)
args.output_dir.mkdir(parents=True, exist_ok=True)
clips = list(enumerate(sorted(args.videos.glob("*.mp4"))))
with accelerator.split_between_processes(clips) as own_clips:
    for number, video in own_clips:
        output = args.output_dir / video.name
        if output.exists():
            continue
        generator = torch.Generator().manual_seed(args.seed + number)
        result = pipe(video, prompt=args.prompt, num_inference_steps=args.steps, generator=generator)
        write_audio_into_video(video, result.audios[0], result.sampling_rate, output)
        print(f"Process {accelerator.process_index} wrote {output.resolve()}", flush=True)
accelerator.end_training()
