# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Take less memory: weights in 8 bits, and layers that wait on disk until they are needed.

    python examples/save_memory.py --pipeline checkpoints/deepaudio-tiny --quantize float8 \\
        --offload-dir build/offload --video examples/assets/puppet-and-drums.mp4 \\
        --prompt "drums being played with sticks" --output build/with-less-memory.mp4

Both work on CPUs too. On a GPU, `pipe.enable_model_cpu_offload()` and `pipe.enable_group_offload(onload_device="cuda",
offload_type="leaf_level", exclude_modules=["vae"])` keep weights in the memory of the CPU instead.
"""

import argparse
from pathlib import Path

import torch
from diffusers.hooks import apply_group_offloading

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video


# The VAE normalises its weights itself in each call, past the hooks that would fetch them.
OFFLOADED = ("text_encoder", "image_encoder", "video_encoder", "transformer", "vocoder")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip; it is read, never written to")
parser.add_argument("--prompt", help="what is to be heard")
parser.add_argument("--quantize", choices=("float8",), help="8 bits for most weights of the transformer")
parser.add_argument("--offload-dir", type=Path, help="keep weights in files here while they are not needed")
parser.add_argument("--steps", type=int, default=25, help="default: 25")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output", type=Path, default=Path("with-sound.mp4"), help="default: with-sound.mp4")
args = parser.parse_args()

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
pipe = VideoToAudioPipeline.from_pretrained(args.pipeline)
print(f"The transformer has {pipe.transformer.get_memory_footprint() / 1e6:.1f} MB of weights")
if args.quantize == "float8":
    pipe.transformer.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    print(f"and in 8 bits {pipe.transformer.get_memory_footprint() / 1e6:.1f} MB")
if args.offload_dir is None:
    pipe.to(device)
else:
    pipe.vae.to(device)
    for name in OFFLOADED:
        where = {"onload_device": device, "offload_to_disk_path": str(args.offload_dir / name)}
        apply_group_offloading(getattr(pipe, name), offload_type="leaf_level", **where)

generator = torch.Generator().manual_seed(args.seed)
result = pipe(args.video, prompt=args.prompt, num_inference_steps=args.steps, generator=generator)
args.output.parent.mkdir(parents=True, exist_ok=True)
write_audio_into_video(args.video, result.audios[0], result.sampling_rate, args.output)
print(f"Wrote {args.output.resolve()}")
