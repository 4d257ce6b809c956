# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A folder in which what the documents say can be done: the repository, small weights under the names of large ones,
and the files that examples are about.
"""

import json
import shutil
from pathlib import Path

import torch
from PIL import Image

from deepaudio_diffusers.media import read_audio, write_audio, write_audio_into_video
from tests.documents.blocks import ROOT
from tests.tiny import tiny_deepaudio_pipeline, tiny_pipeline, tiny_speech_pipeline


ASSETS = ROOT / "examples" / "assets"
# The kinds of folders that `deepaudio convert` writes, by the names that the documents give them. The networks in them
# are of the same classes and tiny, with random weights.
STAND_INS = {
    tiny_pipeline: ("mmaudio-large-v2", "mmaudio-s16k", "mmaudio-s44k"),
    tiny_speech_pipeline: ("f5-tts", "deepaudio-speech"),
    tiny_deepaudio_pipeline: ("deepaudio-s44", "deepaudio-s16"),
}


def make_workshop(folder: Path) -> Path:
    """Fill `folder`, so that it can be worked in as in a clone of the repository."""
    for name in ("benchmarks", "checkpoints", "docs", "examples", "training_scripts"):
        (folder / name).symlink_to(ROOT / name)
    for make_pipeline, names in STAND_INS.items():
        make_pipeline().save_pretrained(folder / names[0])
        for name in names[1:]:
            (folder / name).symlink_to(folder / names[0])

    for name in ("clip.mp4", "a.mp4", "b.mp4", "upload.mp4"):
        shutil.copy(ASSETS / "bouncing-ball.mp4", folder / name)
    (folder / "clips").mkdir()
    for name in ("ball.mp4", "ball-again.mp4"):
        shutil.copy(ASSETS / "bouncing-ball.mp4", folder / "clips" / name)
    (folder / "my-clips").mkdir()
    shutil.copy(ASSETS / "bouncing-ball.mp4", folder / "my-clips")
    line = {"file_name": "bouncing-ball.mp4", "prompt": "a rubber ball bouncing"}
    (folder / "my-clips" / "metadata.jsonl").write_text(json.dumps(line) + "\n")

    for name in ("voice.wav", "anna.wav"):
        shutil.copy(ASSETS / "voice.wav", folder / name)
    voice = read_audio(ASSETS / "voice.wav")
    write_audio_into_video(ASSETS / "bouncing-ball.mp4", voice.samples, voice.sampling_rate, folder / "ben.mp4")
    swell = torch.sin(torch.linspace(0, 9, 64_000)) ** 2
    noise = torch.randn(64_000, generator=torch.Generator().manual_seed(0))
    write_audio(folder / "sound-of-the-video.wav", 0.1 * swell * noise, 16_000)
    (folder / "chapter.txt").write_text("It was late. Nobody came. Then there was a knock at the door, and another.")
    Image.linear_gradient("L").convert("RGB").save(folder / "harbour.jpg")
    return folder
