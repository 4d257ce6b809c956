# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Let somebody in a clip speak: a given text, in the voice of a recording, timed by the picture.

    python examples/dub_a_clip.py --pipeline checkpoints/deepaudio-tiny \\
        --video examples/assets/puppet-and-drums.mp4 --contour-prompt "a puppet talking" \\
        --transcript "throw brown over hammer one later" --voice examples/assets/voice.wav \\
        --voice-text "throw white with paper five later" --output build/dubbed.mp4
"""

import argparse
from pathlib import Path

import torch

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a DeepAudioPipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip; it is read, never written to")
parser.add_argument("--transcript", required=True, help="what is to be said")
parser.add_argument("--voice", type=Path, required=True, help="5 to 10 s of speech, an audio or video file")
parser.add_argument("--voice-text", required=True, help="what is said in it, word for word")
parser.add_argument("--contour-prompt", help="what times the speech, where more than one thing is to be heard")
parser.add_argument("--steps", type=int, default=25, help="of the sound that times the speech (default: 25)")
parser.add_argument("--speech-steps", type=int, default=32, help="of the speech (default: 32)")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output", type=Path, help="default: <video>-dubbed.<its extension> in this folder")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = DeepAudioPipeline.from_pretrained(args.pipeline).to(device)
result = pipe(
    args.video,
    task="video_to_speech",
    transcript=args.transcript,
    reference_audio=args.voice,
    reference_text=args.voice_text,
    contour_prompt=args.contour_prompt,
    num_inference_steps=args.steps,
    speech_num_inference_steps=args.speech_steps,
    generator=torch.Generator().manual_seed(args.seed),
)

output = args.output or Path(f"{args.video.stem}-dubbed{args.video.suffix}")
output.parent.mkdir(parents=True, exist_ok=True)
write_audio_into_video(args.video, result.audios[0], result.sampling_rate, output)
print(f"Wrote {output.resolve()}")
