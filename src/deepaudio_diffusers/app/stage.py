# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Where a take is watched and heard: the clip, its time line with a moving line across, and its stems."""

from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from .studio import NAMES, Take


STATIC = Path(__file__).parent / "static"
STEM_LABELS = {"mix": "Mix", "ambience": "Ambience", "speech": "Speech"}
# What the one sound of a take is called that has no stems.
SOLO_LABELS = {"video_to_audio": "Sound", "video_to_speech": "Speech", "text_to_speech": "Speech"}
TASK_LABELS = {
    "soundtrack": "Whole soundtrack",
    "video_to_audio": "Foley",
    "video_to_speech": "Dubbing",
    "text_to_speech": "Voice",
}
CONTOUR_LABELS = {
    "soundtrack": "Energy the picture asks for",
    "video_to_speech": "Energy the picture asks for",
    "video_to_audio": "Energy of the sound",
    "text_to_speech": "Energy of the speech",
}


def make_stage() -> gr.HTML:
    """A player for takes. Its value is what [`scene_of`] returns; `None` is the empty stage."""
    return gr.HTML(
        value=None,
        html_template=(STATIC / "stage.html").read_text(encoding="utf-8"),
        css_template=(STATIC / "stage.css").read_text(encoding="utf-8"),
        js_on_load=(STATIC / "stage.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="stage",
        min_height=440,
    )


def scene_of(take: Take) -> dict[str, Any]:
    """What the stage shows of a take. Nothing in it was typed by anybody, so it can be put into a page as it is."""
    stems = [
        {
            "name": stem,
            "label": STEM_LABELS[stem] if len(take.pictures["stems"]) > 1 else SOLO_LABELS[take.task],
            "address": _address_of(take.files[stem]),
            "file": take.files[stem].name,
        }
        | pictures
        for stem, pictures in take.pictures["stems"].items()
    ]
    video = take.files.get("video")
    return {
        "title": TASK_LABELS[take.task],
        "name": NAMES[take.task],
        "facts": f"{take.length_in_s:.2f} s · seed {take.seed}",
        "length_in_s": take.length_in_s,
        "video": None if video is None else {"address": _address_of(video), "file": video.name},
        "film": take.pictures["film"],
        "ticks": take.pictures["ticks"],
        "contour": take.pictures["contour"],
        "contour_label": CONTOUR_LABELS[take.task],
        "stems": stems,
        "has_stems": len(stems) > 1,
    }


def gate_panel(probabilities: dict[str, float] | None, has_gate: bool) -> str:
    """What the gate made of the instruction, as bars; `None` before there is one."""
    if not has_gate:
        return (
            '<div class="gate gate-absent"><b>This checkpoint has no gate.</b> It cannot read instructions yet, so '
            "choose a tab and press its button.</div>"
        )
    if probabilities is None:
        return '<div class="gate gate-idle">Say it in your own words, and the gate picks the task.</div>'
    rows = "".join(
        f'<div class="gate-row{" gate-chosen" if task == max(probabilities, key=probabilities.get) else ""}">'
        f"<span>{TASK_LABELS[task]}</span><i><u style='width:{100 * share:.1f}%'></u></i><b>{share:.0%}</b></div>"
        for task, share in sorted(probabilities.items(), key=lambda item: -item[1])
    )
    return f'<div class="gate">{rows}</div>'


def _address_of(file: Path) -> str:
    # Relative to the page, which may lie behind a proxy with a path of its own.
    return f"gradio_api/file={quote(str(file))}"
