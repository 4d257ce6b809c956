# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The checkpoint that ships with the project does what its card says."""

from pathlib import Path

import pytest
import torch

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.evaluation.pitch import octaves_above
from deepaudio_diffusers.evaluation.speech import WordLoopRecognizer
from deepaudio_diffusers.evaluation.words import count_word_errors
from deepaudio_diffusers.synthetic.clips import SEED_RANGES, make_clip
from deepaudio_diffusers.synthetic.sentences import GRID_WORDS


ROOT = Path(__file__).parents[1]
CHECKPOINT = ROOT / "checkpoints" / "deepaudio-tiny"
ASSETS = ROOT / "examples" / "assets"
TRANSCRIPT = "throw brown over hammer one later"
# By the task that each asks for.
INSTRUCTIONS = {
    "video_to_audio": [
        "Add sound effects to this video.",
        "Only background sounds please, no speech.",
        "给这个视频加上音效",
        "只要环境声,不要人声",
    ],
    "video_to_speech": [
        "Dub the actor in this video.",
        "Lip-sync these lines to the woman on screen.",
        "给视频里的人配音",
        "让画面里的女孩说话,口型要同步",
    ],
    "text_to_speech": [
        "Read this article aloud.",
        "Turn my text into speech, there is no video.",
        "朗读这篇文章",
        "把这段文字转成语音",
    ],
    "soundtrack": [
        "Make the complete soundtrack, with speech and sound effects.",
        "Dub the actor and add background noise.",
        "给演员配音,再加上环境声",
        "人声和音效都要",
    ],
}


@pytest.fixture(scope="module")
def pipe():
    pipeline = DeepAudioPipeline.from_pretrained(CHECKPOINT)
    for part in (pipeline, pipeline.video_to_audio, pipeline.text_to_speech):
        part.set_progress_bar_config(disable=True)
    return pipeline


@pytest.fixture(scope="module")
def voice(pipe):
    return pipe.text_to_speech.encode_voice(ASSETS / "voice.wav", "throw white with paper five later")


def errors_heard(speech: torch.Tensor) -> int:
    heard = WordLoopRecognizer(GRID_WORDS).transcribe(speech.flatten(), 16_000)
    return count_word_errors(TRANSCRIPT.split(), heard)


def test_it_is_small():
    assert sum(path.stat().st_size for path in CHECKPOINT.rglob("*")) < 50e6


@pytest.mark.parametrize(
    ("task", "instruction"), [(task, text) for task, texts in INSTRUCTIONS.items() for text in texts]
)
def test_plain_instructions_are_understood(pipe, task, instruction):
    assert pipe.choose_task(instruction, None)[0] == task


def test_an_instruction_makes_what_it_asks_for(pipe, voice):
    spoken = pipe(
        instruction=INSTRUCTIONS["text_to_speech"][0],
        transcript=TRANSCRIPT,
        voice=voice,
        speech_num_inference_steps=2,
        output_type="pt",
    )
    assert spoken.task == "text_to_speech"
    assert spoken.task_probabilities[0]["text_to_speech"] > 0.5
    assert spoken.audios.std() > 0


def test_plain_speech_is_understood(pipe, voice):
    spoken = pipe(
        task="text_to_speech",
        transcript=TRANSCRIPT,
        voice=voice,
        speech_num_inference_steps=16,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    )
    # Of six words; garbled speech has more errors than words.
    assert errors_heard(spoken.audios[0]) <= 1


def test_a_soundtrack_has_speech_and_drums(pipe, voice):
    made = pipe(
        ASSETS / "puppet-and-drums.mp4",
        task="soundtrack",
        prompt="drums being played with sticks",
        contour_prompt="a puppet talking",
        transcript=TRANSCRIPT,
        voice=voice,
        speech_num_inference_steps=16,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    )
    assert made.audios.shape == (1, 1, 61_440)
    assert torch.allclose(made.audios, made.ambience + made.speech, atol=1e-6)
    assert errors_heard(made.speech[0]) <= 2
    assert made.ambience.abs().max() > 0.01


def test_the_prompt_decides_what_cannot_be_seen(pipe):
    clip = make_clip(SEED_RANGES["validation"][0], "validation", visible=["siren"])
    low, high = (
        pipe(
            clip.video,
            fps=25,
            task="video_to_audio",
            prompt=f"a {register} siren tone",
            num_inference_steps=12,
            generator=torch.Generator().manual_seed(0),
            output_type="pt",
        ).audios[0, 0]
        for register in ("low", "high")
    )
    assert octaves_above(low, high, 16_000) == pytest.approx(2, abs=0.5)
