# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The app through `gradio_client`, as other programs and Spaces use it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio_client
import numpy as np
import pytest

from deepaudio_diffusers.media import probe, read_audio
from tests.space.server import CLIP, VOICE, VOICE_TEXT


FEW = {"steps": 2, "seed": 1}
FEW_SPOKEN = {"speech_steps": 2, "seed": 1}
SPOKEN = {"transcript": "Look at that.", "voice_text": VOICE_TEXT}
NUM_USERS = 20


@pytest.fixture
def client(tiny, tmp_path):
    client = gradio_client.Client(tiny.address, download_files=tmp_path, verbose=False)
    yield client
    client.close()


@pytest.fixture(scope="module")
def clip():
    return gradio_client.handle_file(str(CLIP))


@pytest.fixture(scope="module")
def voice():
    return gradio_client.handle_file(str(VOICE))


def test_endpoints_have_names(client):
    names = {"/soundtrack", "/foley", "/dubbing", "/voice", "/instruct", "/read_instruction"}
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == names
    assert client.view_api(return_format="dict")["unnamed_endpoints"] == {}


def assert_has_sound(path: str) -> None:
    silent, sounding = probe(CLIP), probe(path)
    assert sounding.has_audio
    assert sounding.duration_in_s == pytest.approx(silent.duration_in_s, abs=1e-3)


def test_soundtrack_comes_with_stems_that_add_up(client, clip, voice):
    video, mix, ambience, speech, details = client.predict(
        video=clip, voice=voice, prompt="drums", **SPOKEN, **FEW, speech_steps=2, api_name="/soundtrack"
    )
    assert_has_sound(video)
    mix, ambience, speech = (read_audio(path).samples for path in (mix, ambience, speech))
    # Each of them is rounded to 16 bits.
    assert np.abs(mix - ambience - speech).max() <= 2 / 2**15
    assert details["task"] == "soundtrack"
    assert details["seed"] == 1
    assert details["task_probabilities"] is None


def test_foley(client, clip):
    video, _, ambience, speech, _ = client.predict(video=clip, prompt="drums", **FEW, api_name="/foley")
    assert_has_sound(video)
    assert ambience is None
    assert speech is None


def test_foley_without_a_clip_is_the_same_for_the_same_seed(client):
    arguments = {"video": None, "prompt": "rain", "length_in_s": 1.5, "steps": 2, "api_name": "/foley"}
    first, again, other = (client.predict(**arguments, seed=seed) for seed in (1, 1, -1))
    assert first[0] is None
    assert read_audio(first[1]).samples.shape[1] == 1.5 * 16_000
    assert Path(first[1]).read_bytes() == Path(again[1]).read_bytes() != Path(other[1]).read_bytes()
    assert other[4]["seed"] >= 0


def test_dubbing(client, clip, voice):
    video, _, _, _, details = client.predict(
        video=clip, voice=voice, **SPOKEN, **FEW, speech_steps=2, api_name="/dubbing"
    )
    assert_has_sound(video)
    assert details["length_in_s"] == pytest.approx(3.84)


def test_voice(client, voice):
    video, speech, *_ = client.predict(voice=voice, **SPOKEN, **FEW_SPOKEN, api_name="/voice")
    assert video is None
    assert read_audio(speech).samples.std() > 0


def test_instruction_does_what_the_gate_chooses(client, clip, voice):
    instruction = "Give it the sound of rain"
    probabilities = client.predict(instruction, api_name="/read_instruction")
    assert sum(probabilities.values()) == pytest.approx(1)
    *_, details = client.predict(
        instruction, video=clip, voice=voice, prompt="rain", **SPOKEN, **FEW, speech_steps=2, api_name="/instruct"
    )
    assert details["task"] == max(probabilities, key=probabilities.get)
    assert details["task_probabilities"] == pytest.approx(probabilities)


def test_what_is_missing_is_said(client, clip):
    with pytest.raises(gradio_client.exceptions.AppError) as error:
        client.predict(video=clip, transcript="", voice=None, voice_text="", **FEW, api_name="/dubbing")
    missing = "what is to be said, a recording of the voice, the words that are said in it"
    assert str(error.value) == f"Still missing: {missing}."


@pytest.mark.parametrize(
    "arguments",
    [
        {"steps": 100_000},
        {"steps": 0},
        {"guidance": -3},
        {"seed": 2**40},
        {"length_in_s": 1e9},
        {"prompt": "rain " * 1000},
        {"steps": "many"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_values_out_of_range_are_refused(client, arguments):
    with pytest.raises(gradio_client.exceptions.AppError):
        client.predict(**{"video": None, "prompt": "rain"} | FEW | arguments, api_name="/foley")
    # And nothing came to harm.
    client.predict(video=None, prompt="rain", length_in_s=1, **FEW, api_name="/foley")


def test_many_users_at_once(tiny, tmp_path):
    """Twenty at the same moment: all wait in the queue, and each gets what the own seed makes."""

    def use(seed: int) -> bytes:
        user = gradio_client.Client(
            tiny.address, download_files=tmp_path / str(seed), verbose=False, httpx_kwargs={"timeout": 600}
        )
        sound = user.predict(video=None, prompt="rain", length_in_s=1, steps=2, seed=seed, api_name="/foley")[1]
        user.close()
        return Path(sound).read_bytes()

    num_lines = len(tiny.log)
    with ThreadPoolExecutor(NUM_USERS) as users:
        sounds = list(users.map(use, range(NUM_USERS)))
    assert len(set(sounds)) == NUM_USERS
    assert tiny.process.poll() is None
    assert tiny.log[num_lines:] == []
