# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Sample with other solvers, and see how far from a fine solution few steps of each end.

    python examples/swap_the_scheduler.py --pipeline checkpoints/deepaudio-tiny --steps 6 12 \\
        --video examples/assets/puppet-and-drums.mp4 --prompt "drums being played with sticks"

Every solver begins from the same noise, and the clip is looked at once. The midpoint solver asks the network twice a
step. The flow-matching schedulers of diffusers can be put in the same way.
"""

import argparse
from pathlib import Path

import torch

from deepaudio_diffusers import (
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    FlowMatchGridMultistepScheduler,
    VideoToAudioPipeline,
)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip")
parser.add_argument("--prompt", help="what is to be heard")
parser.add_argument("--steps", type=int, nargs="+", default=[6, 12, 25], help="numbers to try (default: 6 12 25)")
parser.add_argument("--fine-steps", type=int, default=100, help="of the solution to compare with (default: 100)")
parser.add_argument("--seed", type=int, default=0, help="of the noise (default: 0)")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = VideoToAudioPipeline.from_pretrained(args.pipeline).to(device)
pipe.set_progress_bar_config(disable=True)
features = pipe.encode_video(args.video)


def make_latents(scheduler_class, steps):
    pipe.scheduler = scheduler_class.from_config(pipe.scheduler.config)
    generator = torch.Generator().manual_seed(args.seed)
    clip = {"video_features": features, "prompt": args.prompt}
    return pipe(**clip, num_inference_steps=steps, generator=generator, output_type="latent").audios


fine = make_latents(FlowMatchGridMidpointScheduler, args.fine_steps)
for solver in (FlowMatchGridEulerScheduler, FlowMatchGridMultistepScheduler, FlowMatchGridMidpointScheduler):
    for steps in args.steps:
        error = (make_latents(solver, steps) - fine).norm() / fine.norm()
        print(f"{solver.__name__}: {steps} steps, {len(pipe.scheduler.timesteps)} evaluations, {error:.4f} off")
