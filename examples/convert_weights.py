# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Convert published weights to a pipeline folder, load it, and make a sound.

    python examples/convert_weights.py mm-s16k --source hkchengrex/MMAudio --output mmaudio-s16k

`deepaudio convert` does the same in a shell. docs/checkpoints.md has the variants, files, sizes and licences; most
licences forbid commercial use.
"""

import argparse
import logging
from pathlib import Path

import torch

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.conversion import convert_pipeline
from deepaudio_diffusers.media import write_audio


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("variant", choices=("mm-s16k", "mm-s44k", "mm-m44k", "mm-l44k", "mm-l44k-v2"))
parser.add_argument("--source", required=True, help="folder with the published files, or hkchengrex/MMAudio")
parser.add_argument("--prompt", default="a train passing by", help="what is to be heard")
parser.add_argument("--output", type=Path, required=True, help="folder to write; new or empty")
args = parser.parse_args()

# One line for each file that is converted.
logging.basicConfig(format="%(message)s")
logging.getLogger("deepaudio_diffusers").setLevel(logging.INFO)
convert_pipeline(args.variant, args.source, args.output)

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = VideoToAudioPipeline.from_pretrained(args.output).to(device)
result = pipe(prompt=args.prompt, generator=torch.Generator().manual_seed(0))
sound = args.output.with_name(f"{args.output.name}-sound.wav")
write_audio(sound, result.audios[0], result.sampling_rate)
print(f"Wrote {args.output.resolve()} and {sound.resolve()}")
