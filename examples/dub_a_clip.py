# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Do with a clip what an instruction asks for: score it, dub it, or make its whole soundtrack.

python examples/dub_a_clip.py --pipeline path/to/deepaudio --video clip.mp4 --voice voice.wav \
    --voice-text "What is said in the recording." --transcript "I told you we would be late." \
    --instruction "Dub this clip and give it the sounds of the street."
"""

import argparse
from pathlib import Path

import torch

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--pipeline", required=True, help="folder or Hub repository of a DeepAudio pipeline")
parser.add_argument("--video", type=Path, required=True, help="the clip; it is read, never written to")
chosen = parser.add_mutually_exclusive_group(required=True)
chosen.add_argument("--instruction", help="what you want, in words; the gate chooses the task")
chosen.add_argument("--task", help="the task itself: video_to_audio, video_to_speech or soundtrack")
parser.add_argument("--prompt", help="what the ambience is to be")
parser.add_argument("--contour-prompt", help="what times the speech, if more than speech is to be heard")
parser.add_argument("--transcript", help="what is to be said")
parser.add_argument("--voice", type=Path, help="5 to 10 s of speech in the voice that is to say it")
parser.add_argument("--voice-text", help="what is said in that recording, word for word")
parser.add_argument("--steps", type=int, default=25, help="of the sound (default: 25)")
parser.add_argument("--speech-steps", type=int, default=32, help="of the speech (default: 32)")
parser.add_argument("--seed", type=int, default=0, help="another seed is another take (default: 0)")
parser.add_argument("--output", type=Path, help="default: <video>-with-sound.<its extension> in this folder")
args = parser.parse_args()

device = "cuda" if torch.cuda.is_available() else "cpu"
pipe = DeepAudioPipeline.from_pretrained(args.pipeline).to(device)
result = pipe(
    args.video,
    instruction=args.instruction,
    task=args.task,
    prompt=args.prompt,
    contour_prompt=args.contour_prompt,
    transcript=args.transcript,
    reference_audio=args.voice,
    reference_text=args.voice_text,
    num_inference_steps=args.steps,
    speech_num_inference_steps=args.speech_steps,
    generator=torch.Generator().manual_seed(args.seed),
)

output = args.output or Path(f"{args.video.stem}-with-sound{args.video.suffix}")
output.parent.mkdir(parents=True, exist_ok=True)
write_audio_into_video(args.video, result.audios[0], result.sampling_rate, output)
print(f"Made {result.task} and wrote {output.resolve()}")
