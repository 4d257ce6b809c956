# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Speak a text in the voice of a recording.

    python examples/clone_a_voice.py --pipeline checkpoints/deepaudio-tiny --voice examples/assets/voice.wav \\
        --voice-text "throw white with paper five later" --transcript "take brown over hammer one now" \\
        --output build/speech.wav

Any folder for TextToSpeechPipeline or DeepAudioPipeline serves. Take recordings of people who agreed to it.
"""

import argparse
from pathlib import Path

import torch
from diffusers import DiffusionPipeline

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import write_audio


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a pipeline")
parser.add_argument("--voice", type=Path, required=True, help="5 to 10 s of speech, an audio or video file")
parser.add_argument("--voice-text", required=True, help="what is said in it, word for word")
parser.add_argument("--transcript", required=True, help="what is to be said")
parser.add_argument("--speed", type=float, default=1.0, help="above 1 is faster than the recording (default: 1)")
parser.add_argument("--steps", type=int, default=32, help="16 and 7 take less time (default: 32)")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output", type=Path, default=Path("speech.wav"), help="default: speech.wav")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = DiffusionPipeline.from_pretrained(args.pipeline).to(device)
if isinstance(pipe, DeepAudioPipeline):
    pipe = pipe.text_to_speech
voice = pipe.encode_voice(args.voice, args.voice_text)
result = pipe(
    args.transcript,
    voice=voice,
    speed=args.speed,
    num_inference_steps=args.steps,
    generator=torch.Generator().manual_seed(args.seed),
)

args.output.parent.mkdir(parents=True, exist_ok=True)
write_audio(args.output, result.audios[0], result.sampling_rate)
print(f"Wrote {args.output.resolve()}")
