# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Give a silent clip its sound.

    python examples/score_a_clip.py --pipeline checkpoints/deepaudio-tiny --prompt "drums being played with sticks" \\
        --video examples/assets/puppet-and-drums.mp4 --output build/scored.mp4

Any folder for VideoToAudioPipeline or DeepAudioPipeline serves; docs/checkpoints.md says where they come from.
"""

import argparse
from pathlib import Path

import torch

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip; it is read, never written to")
parser.add_argument("--prompt", help="what is to be heard")
parser.add_argument("--negative-prompt", help="what is not to be heard")
parser.add_argument("--steps", type=int, default=25, help="default: 25")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output", type=Path, help="default: <video>-with-sound.<its extension> in this folder")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = VideoToAudioPipeline.from_pretrained(args.pipeline).to(device)
result = pipe(
    args.video,
    prompt=args.prompt,
    negative_prompt=args.negative_prompt,
    num_inference_steps=args.steps,
    generator=torch.Generator().manual_seed(args.seed),
)

output = args.output or Path(f"{args.video.stem}-with-sound{args.video.suffix}")
output.parent.mkdir(parents=True, exist_ok=True)
write_audio_into_video(args.video, result.audios[0], result.sampling_rate, output)
print(f"Wrote {output.resolve()}")
