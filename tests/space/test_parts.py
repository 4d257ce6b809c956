# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the app is made of, without a server: pictures, folders, the page of a checkpoint without a gate, the Space."""

import ast
import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.app import timeline
from deepaudio_diffusers.app.page import Page
from deepaudio_diffusers.app.sessions import Sessions
from deepaudio_diffusers.app.stage import gate_panel
from deepaudio_diffusers.app.studio import Studio
from deepaudio_diffusers.errors import LimitExceededError
from deepaudio_diffusers.media import Limits, MediaFile
from deepaudio_diffusers.media.encode import encode_video
from tests.space.server import ROOT
from tests.tiny import tiny_deepaudio_components


RATE = 16_000


def picture_of(address: str) -> np.ndarray:
    kind, _, data = address.partition(";base64,")
    assert kind.startswith("data:image/")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(float)


def test_film_strip_shows_the_clip_from_left_to_right():
    frames = np.zeros((20, 36, 64, 3), np.uint8)
    frames[:10, ..., 0] = 255
    frames[10:, ..., 2] = 255
    strip = picture_of(timeline.film_strip(MediaFile(encode_video(frames, 10)), 2.0))
    width = strip.shape[1] // 2
    assert strip[:, :width, 0].mean() > 200 > 50 > strip[:, :width, 2].mean()
    assert strip[:, width:, 2].mean() > 200 > 50 > strip[:, width:, 0].mean()


def test_film_strip_of_a_clip_that_ends_early_shows_its_last_picture():
    strip = picture_of(timeline.film_strip(MediaFile(encode_video(np.full((5, 36, 64, 3), 255, np.uint8), 10)), 2.0))
    assert strip[:, -100:].mean() > 200


def test_waveform_and_contour_are_where_the_sound_is():
    samples = np.zeros(RATE, np.float32)
    samples[RATE // 2 :] = 0.1
    heights = [float(height) for height in re.findall(r"v([\d.]+)", timeline.waveform_path(samples))]
    assert len(heights) == timeline.NUM_BARS
    assert max(heights[:120]) < 2
    assert min(heights[-120:]) > 90
    assert timeline.contour_path(np.array([0.0, 1.0])) == "M0 100L0.0 100.0 1000.0 6.0L1000 100z"


def test_silence_can_be_drawn():
    silence = np.zeros(100, np.float32)
    assert "nan" not in timeline.waveform_path(silence)
    assert np.isfinite(picture_of(timeline.spectrogram(silence, RATE))).all()


def test_spectrogram_has_time_to_the_right_and_pitch_upwards():
    time_in_s = np.arange(2 * RATE) / RATE
    pitch = np.where(time_in_s < 1, 200, 5000)
    brightness = picture_of(timeline.spectrogram(np.sin(2 * np.pi * pitch * time_in_s).astype(np.float32), RATE)).sum(
        -1
    )
    height, width = brightness.shape
    low, high = brightness[3 * height // 4 :], brightness[: height // 4]
    assert low[:, : width // 2 - 20].mean() > 2 * low[:, width // 2 + 20 :].mean()
    assert high[:, width // 2 + 20 :].mean() > 2 * high[:, : width // 2 - 20].mean()


def test_ticks_are_few_and_in_place():
    assert timeline.ticks(4.0)[1] == {"place": 12.5, "text": "0.5 s"}
    for length_in_s in (0.3, 3.84, 10, 30, 600):
        assert 3 <= len(timeline.ticks(length_in_s)) <= 11


@pytest.fixture
def sessions(tmp_path):
    return Sessions(tmp_path, keep_in_s=0, max_bytes=1000, min_free_bytes=0)


def test_oldest_files_make_room(sessions):
    folders = [sessions.new_folder("somebody")]
    for _ in range(3):
        (folders[-1] / "file").write_bytes(bytes(600))
        folders.append(sessions.new_folder("somebody"))
    assert [folder.exists() for folder in folders] == [False, False, True, True]


def test_nothing_is_taken_in_when_the_disk_is_full(tmp_path):
    with pytest.raises(LimitExceededError, match="no room"):
        Sessions(tmp_path, min_free_bytes=2**62).new_folder("somebody")


def test_folders_live_as_long_as_somebody_is_there(sessions):
    with sessions.present("somebody"):
        folder = sessions.new_folder("somebody")
        sessions.sweep()
        assert folder.exists()
    sessions.sweep()
    assert not folder.parent.exists()


def test_links_lead_nowhere(sessions, tmp_path):
    (sessions.new_folder("other") / "file").write_bytes(b"x")
    target = next(sessions.folder("other").rglob("file"))
    link = sessions.new_folder("somebody") / "link"
    link.symlink_to(target)
    assert not sessions.may_read("somebody", str(link))
    assert sessions.may_read("other", str(target))


def test_what_was_there_before_anybody_came_is_everybodys(sessions, tmp_path):
    (tmp_path / "example.mp4").write_bytes(b"x")
    sessions.publish()
    (tmp_path / "later.mp4").write_bytes(b"x")
    assert sessions.may_read("anybody", str(tmp_path / "example.mp4"))
    assert not sessions.may_read("anybody", str(tmp_path / "later.mp4"))


def test_page_of_a_checkpoint_without_a_gate(sessions):
    components = tiny_deepaudio_components() | {"gate": None, "gate_tokenizer": None}
    studio = Studio(DeepAudioPipeline(**components), "cpu", Limits.strict())
    examples = {
        task: {"An example": {"transcript": "One, two."}}
        for task in ("soundtrack", "video_to_audio", "video_to_speech", "text_to_speech")
    }
    config = Page(studio, sessions, examples).blocks.config
    texts = [str(component["props"].get("value")) for component in config["components"]]
    assert any("This checkpoint has no gate." in text for text in texts)
    visible = {
        component["props"].get("label") or component["props"].get("value"): component["props"].get("visible")
        for component in config["components"]
    }
    assert visible["What shall happen with the clip?"] is False
    assert visible["Do it"] is False
    assert visible["Make the soundtrack"] is True
    assert not config["analytics_enabled"]


def test_gate_panel_marks_the_choice():
    panel = gate_panel(
        {"soundtrack": 0.1, "video_to_audio": 0.7, "video_to_speech": 0.15, "text_to_speech": 0.05}, True
    )
    rows = re.findall(r'<div class="gate-row( gate-chosen)?"><span>([^<]+)</span>.*?<b>([^<]+)</b>', panel)
    assert rows == [
        (" gate-chosen", "Foley", "70%"),
        ("", "Dubbing", "15%"),
        ("", "Whole soundtrack", "10%"),
        ("", "Voice", "5%"),
    ]


def test_space_asks_for_what_setup_py_asks_for():
    wanted = set()
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        match node:
            case ast.keyword(arg="install_requires", value=ast.List() as value):
                wanted |= set(ast.literal_eval(value))
            case ast.Assign(targets=[ast.Name(id="SPACE")], value=ast.List() as value):
                wanted |= set(ast.literal_eval(value))
    assert set((ROOT / "docs" / "space" / "requirements.txt").read_text().split()) == wanted


def test_front_matter_names_the_app_and_the_tested_gradio():
    _, front_matter, _ = (ROOT / "docs" / "space" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    facts = dict(line.split(": ", 1) for line in front_matter.splitlines() if ": " in line)
    assert facts["sdk"] == "gradio"
    assert (ROOT / facts["app_file"]).is_file()
    assert f"gradio=={facts['sdk_version']}\n" in (ROOT / "constraints.txt").read_text()
    assert len(facts["short_description"]) <= 60
