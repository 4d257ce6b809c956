# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Give a clip its whole soundtrack, ambience and speech, and keep each of them alone too.

    python examples/make_a_soundtrack.py --pipeline checkpoints/deepaudio-tiny \\
        --video examples/assets/puppet-and-drums.mp4 --prompt "drums being played with sticks" \\
        --negative-prompt "a puppet talking" --contour-prompt "a puppet talking" \\
        --transcript "throw brown over hammer one later" \\
        --voice examples/assets/voice.wav --voice-text "throw white with paper five later" \\
        --output-dir build/soundtrack
"""

import argparse
from pathlib import Path

import torch

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import write_audio, write_audio_into_video


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a DeepAudioPipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip; it is read, never written to")
parser.add_argument("--prompt", help="what the ambience is to be")
parser.add_argument("--negative-prompt", help="what it is not to be: the speech comes by itself")
parser.add_argument("--contour-prompt", help="what times the speech, where more than one thing is to be heard")
parser.add_argument("--transcript", required=True, help="what is to be said")
parser.add_argument("--voice", type=Path, required=True, help="5 to 10 s of speech, an audio or video file")
parser.add_argument("--voice-text", required=True, help="what is said in it, word for word")
parser.add_argument("--steps", type=int, default=25, help="of the sound (default: 25)")
parser.add_argument("--speech-steps", type=int, default=32, help="of the speech (default: 32)")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output-dir", type=Path, default=Path(), help="default: this folder")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = DeepAudioPipeline.from_pretrained(args.pipeline).to(device)
result = pipe(
    args.video,
    task="soundtrack",
    prompt=args.prompt,
    negative_prompt=args.negative_prompt,
    contour_prompt=args.contour_prompt,
    transcript=args.transcript,
    reference_audio=args.voice,
    reference_text=args.voice_text,
    num_inference_steps=args.steps,
    speech_num_inference_steps=args.speech_steps,
    generator=torch.Generator().manual_seed(args.seed),
)

args.output_dir.mkdir(parents=True, exist_ok=True)
for name, stem in (("ambience", result.ambience), ("speech", result.speech)):
    write_audio(args.output_dir / f"{args.video.stem}-{name}.wav", stem[0], result.sampling_rate)
output = args.output_dir / f"{args.video.stem}-with-sound{args.video.suffix}"
write_audio_into_video(args.video, result.audios[0], result.sampling_rate, output)
print(f"Wrote {output.resolve()}")
