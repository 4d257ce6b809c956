# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The page: what is asked, what is shown, and the endpoints that programs can call."""

import inspect
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from ..errors import DeepAudioError
from .door import secret_of
from .sessions import Sessions
from .stage import STATIC, TASK_LABELS, gate_panel, make_stage, scene_of
from .studio import MAX_SEED, MAX_TEXT_LENGTH, NAMES, STOP_FILE, Order, Studio, explain


MAX_WAITING = 100
# One clip is looked at in half a second, most of which is the start of a process.
MAX_LOOKS = 4
MASTHEAD = """
<div id="masthead">
  <svg viewBox="0 0 48 48" aria-hidden="true"><rect width="48" height="48" rx="13" fill="#14121f"/>
  <path d="M10 21v6M16 15v18M22 9v30M28 17v14" stroke="#8f7bff" stroke-width="3.4" stroke-linecap="round"/>
  <path d="M33 17l8 7-8 7z" fill="#ff7a59"/></svg>
  <div><h1>DeepAudio</h1><p>Drop a silent clip. Type a line. Get its sound: ambience, speech, every stem.</p></div>
</div>
"""
BUTTONS = {
    "soundtrack": "Make the soundtrack",
    "video_to_audio": "Make the sound",
    "video_to_speech": "Dub the clip",
    "text_to_speech": "Speak",
}
HINTS = {
    "soundtrack": "Ambience and speech for one clip: mixed, and each alone.",
    "video_to_audio": "Effects and ambience in time with the picture; a line of text steers them.",
    "video_to_speech": "Your words in the voice of a recording, timed by the picture.",
    "text_to_speech": "Your words in the voice of a recording.",
}
# Events that only change the page: not for programs, and not worth a place in the queue.
PAGE_ONLY = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
# Fonts that are there; those of Gradio's themes come from Google.
FONTS = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "sans-serif"]
THEME = gr.themes.Base(
    primary_hue=gr.themes.colors.orange,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_lg,
    font=FONTS,
    font_mono=["ui-monospace", "monospace"],
).set(
    button_primary_background_fill="#ff7a59",
    button_primary_background_fill_hover="#ff8d70",
    button_primary_background_fill_dark="#ff7a59",
    button_primary_background_fill_hover_dark="#ff8d70",
    button_primary_text_color="#241008",
    button_primary_text_color_dark="#241008",
    slider_color="#ff7a59",
)
CSS = (STATIC / "app.css").read_text(encoding="utf-8")


class Page:
    """The page of the app.

    Args:
        studio ([`Studio`]): Makes the takes.
        sessions ([`Sessions`]): Has the files of the visitors.
        examples (`dict[str, dict[str, dict[str, str]]]`):
            For each task the name of each example, and what it puts into which input.
    """

    def __init__(self, studio: Studio, sessions: Sessions, examples: dict[str, dict[str, dict[str, str]]]) -> None:
        self.studio = studio
        self.sessions = sessions
        # Session of Gradio -> folder of the take that is being made for it.
        self._at_work: dict[str, Path] = {}
        self._makers = {
            "soundtrack": self.soundtrack,
            "video_to_audio": self.foley,
            "video_to_speech": self.dubbing,
            "text_to_speech": self.voice,
        }
        self._inputs: dict[str, Component] = {}
        self._buttons: dict[str, gr.Button] = {}
        self.blocks = gr.Blocks(title="DeepAudio", analytics_enabled=False)
        with self.blocks:
            self._lay_out(examples)
        self.blocks.queue(max_size=MAX_WAITING, default_concurrency_limit=1)

    def soundtrack(
        self,
        video: str | None,
        prompt: str,
        transcript: str,
        voice: str | None,
        voice_text: str,
        negative_prompt: str,
        contour_prompt: str,
        seed: int,
        steps: int,
        guidance: float,
        speech_steps: int,
        speech_guidance: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Ambience and speech for a clip: the clip with the mix, the mix, and both stems."""
        order = Order(
            task="soundtrack",
            video=video,
            prompt=prompt,
            transcript=transcript,
            voice=voice,
            voice_text=voice_text,
            negative_prompt=negative_prompt,
            contour_prompt=contour_prompt,
            seed=seed,
            steps=steps,
            guidance=guidance,
            speech_steps=speech_steps,
            speech_guidance=speech_guidance,
        )
        return self._take(order, request, progress)

    def foley(
        self,
        video: str | None,
        prompt: str,
        negative_prompt: str,
        length_in_s: float,
        seed: int,
        steps: int,
        guidance: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Effects and ambience for a clip, or for a prompt alone."""
        order = Order(
            task="video_to_audio",
            video=video,
            prompt=prompt,
            negative_prompt=negative_prompt,
            length_in_s=length_in_s,
            seed=seed,
            steps=steps,
            guidance=guidance,
        )
        return self._take(order, request, progress)

    def dubbing(
        self,
        video: str | None,
        transcript: str,
        voice: str | None,
        voice_text: str,
        contour_prompt: str,
        seed: int,
        steps: int,
        guidance: float,
        speech_steps: int,
        speech_guidance: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Speech in the voice of a recording, timed by the picture."""
        order = Order(
            task="video_to_speech",
            video=video,
            transcript=transcript,
            voice=voice,
            voice_text=voice_text,
            contour_prompt=contour_prompt,
            seed=seed,
            steps=steps,
            guidance=guidance,
            speech_steps=speech_steps,
            speech_guidance=speech_guidance,
        )
        return self._take(order, request, progress)

    def voice(
        self,
        transcript: str,
        voice: str | None,
        voice_text: str,
        speed: float,
        seed: int,
        speech_steps: int,
        speech_guidance: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """Speech in the voice of a recording."""
        order = Order(
            task="text_to_speech",
            transcript=transcript,
            voice=voice,
            voice_text=voice_text,
            speed=speed,
            seed=seed,
            speech_steps=speech_steps,
            speech_guidance=speech_guidance,
        )
        return self._take(order, request, progress)

    def instruct(
        self,
        instruction: str,
        video: str | None,
        prompt: str,
        transcript: str,
        voice: str | None,
        voice_text: str,
        negative_prompt: str,
        contour_prompt: str,
        speed: float,
        length_in_s: float,
        seed: int,
        steps: int,
        guidance: float,
        speech_steps: int,
        speech_guidance: float,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple:
        """What the instruction asks for, as the gate understands it."""
        order = Order(
            task=None,
            instruction=instruction,
            video=video,
            prompt=prompt,
            transcript=transcript,
            voice=voice,
            voice_text=voice_text,
            negative_prompt=negative_prompt,
            contour_prompt=contour_prompt,
            speed=speed,
            length_in_s=length_in_s,
            seed=seed,
            steps=steps,
            guidance=guidance,
            speech_steps=speech_steps,
            speech_guidance=speech_guidance,
        )
        return self._take(order, request, progress)

    def read_instruction(self, instruction: str) -> dict[str, float]:
        """The probability of each task, as the gate sees it."""
        try:
            return self.studio.read_instruction(instruction)
        except DeepAudioError as error:
            raise self._told(error) from error

    def _take(self, order: Order, request: gr.Request, progress: gr.Progress) -> tuple:
        """A take for the stage and for programs; its folder does not outlast a take that comes to nothing."""
        secret = secret_of(request.request)
        if secret is None:
            raise gr.Error("Allow cookies for this page, or open it in a tab of its own.", print_exception=False)
        take = folder = None
        try:
            folder = self._at_work[request.session_hash] = self.sessions.new_folder(secret)
            take = self.studio.make(order, folder, progress)
        except DeepAudioError as error:
            raise self._told(error) from error
        finally:
            self._at_work.pop(request.session_hash, None)
            if take is None and folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
        details = {"task": take.task, "seed": take.seed, "length_in_s": take.length_in_s}
        files = [None if (file := take.files.get(name)) is None else str(file) for name in API_FILES]
        return scene_of(take), *files, details | {"task_probabilities": take.probabilities}

    def _stop(self, request: gr.Request) -> None:
        folder = self._at_work.get(request.session_hash)
        if folder is not None and folder.is_dir():
            (folder / STOP_FILE).touch()

    def _look_at(self, video: str | None) -> tuple[Any, str]:
        """What a clip is, as soon as it was uploaded; one that cannot be used is taken out again."""
        if video is None:
            return None, ""
        try:
            info = self.studio.look_at(video)
        except DeepAudioError as error:
            Path(video).unlink(missing_ok=True)
            gr.Warning(explain(error, self.studio.limits))
            return None, ""
        sound = "with sound, which is replaced" if info.has_audio else "silent"
        size = f"{info.width} x {info.height}"
        return gr.skip(), f"{info.duration_in_s:.2f} s · {size} · {info.fps:.4g} frames a second · {sound}"

    def _preview(self, instruction: str) -> str:
        if not instruction.strip():
            return gate_panel(None, self.studio.has_gate)
        return gate_panel(self.read_instruction(instruction), self.studio.has_gate)

    def _choose(self, instruction: str) -> list[Any]:
        """Show what the gate makes of the instruction, and the tab that has the inputs for it."""
        probabilities = self.read_instruction(instruction)
        task = max(probabilities, key=probabilities.get)
        return [gate_panel(probabilities, self.studio.has_gate), gr.Tabs(selected=task), *self._show(task)]

    def _show(self, task: str) -> list[Any]:
        needed = inspect.signature(self._makers[task]).parameters
        return [
            *(gr.update(visible=name in needed) for name in self._inputs),
            *(gr.update(visible=name == task) for name in self._buttons),
            gr.update(visible="video" in needed),
        ]

    def _told(self, error: DeepAudioError) -> gr.Error:
        return gr.Error(explain(error, self.studio.limits), title="Not yet", print_exception=False)

    def _lay_out(self, examples: dict[str, dict[str, dict[str, str]]]) -> None:
        has_gate = self.studio.has_gate
        self._inputs = _make_inputs()
        gr.HTML(MASTHEAD)
        with gr.Row(elem_id="instruct"):
            instruction = gr.Textbox(
                label="What shall happen with the clip?",
                placeholder="Dub her, and let the street be heard behind her",
                visible=has_gate,
                max_length=MAX_TEXT_LENGTH,
                scale=6,
            )
            with gr.Column(scale=5, min_width=280):
                panel = gr.HTML(gate_panel(None, has_gate), min_height=92 if has_gate else None)
            do_it = gr.Button("Do it", variant="primary", scale=1, min_width=110, visible=has_gate)
        with gr.Row(equal_height=False):
            with gr.Column(scale=5, min_width=340):
                tabs, tab_of = self._make_tabs(examples)
                facts = self._make_form()
            with gr.Column(scale=7, min_width=420):
                self._stage = make_stage()
        # Programs get files. What the stage shows of them goes there by way of a state, which is not for programs.
        self._scene = gr.State()
        self._outputs = [self._scene, *_make_api_outputs()]

        shown = [*self._inputs.values(), *self._buttons.values(), facts]
        for task, tab in tab_of.items():
            tab.select(lambda task=task: self._show(task), None, shown, **PAGE_ONLY)
        takes = [self._connect(self._buttons[task].click, maker, NAMES[task]) for task, maker in self._makers.items()]
        instruction.input(self._preview, instruction, panel, trigger_mode="always_last", **PAGE_ONLY)
        gr.api(self.read_instruction, api_name="read_instruction", queue=False)
        self._inputs = {"instruction": instruction, **self._inputs}
        chosen = gr.on(
            [do_it.click, instruction.submit], self._choose, instruction, [panel, tabs, *shown], **PAGE_ONLY
        )
        takes.append(self._connect(chosen.success, self.instruct, "instruct"))
        self._inputs.pop("instruction")
        self._stop_button.click(self._stop, None, None, cancels=takes, **PAGE_ONLY)
        video = self._inputs["video"]
        video.upload(
            self._look_at, video, [video, facts], concurrency_limit=MAX_LOOKS, **(PAGE_ONLY | {"queue": True})
        )
        video.clear(lambda: "", None, facts, **PAGE_ONLY)

    def _connect(self, event: Callable, maker: Callable, name: str) -> gr.events.Dependency:
        """Let an event make a take, from the inputs that are named like the arguments of `maker`."""
        inputs = [self._inputs[name] for name in inspect.signature(maker).parameters if name in self._inputs]
        # The networks work for one visitor at a time.
        take = event(maker, inputs, self._outputs, api_name=name, concurrency_id="take", show_progress_on=self._stage)
        take.success(lambda scene: scene, self._scene, self._stage, **PAGE_ONLY)
        return take

    def _make_tabs(self, examples: dict) -> tuple[gr.Tabs, dict[str, gr.Tab]]:
        tab_of = {}
        with gr.Tabs() as tabs:
            for task in self._makers:
                with gr.Tab(TASK_LABELS[task], id=task) as tab_of[task]:
                    gr.Markdown(HINTS[task], elem_classes="hint")
                    rows = examples[task]
                    names = list(next(iter(rows.values())))
                    gr.Examples(
                        [[row[name] for name in names] for row in rows.values()],
                        [self._inputs[name] for name in names],
                        example_labels=list(rows),
                        label="Try",
                        api_visibility="private",
                    )
        return tabs, tab_of

    def _make_form(self) -> gr.Markdown:
        """The inputs of all tasks, of which each tab shows its own."""
        first_task = next(iter(self._makers))
        needed = inspect.signature(self._makers[first_task]).parameters
        plain, advanced = list(self._inputs.items())[:5], list(self._inputs.items())[5:]
        for name, component in plain:
            component.render()
            if name == "video":
                facts = gr.Markdown(elem_classes="clip-facts")
        with gr.Accordion("Advanced: seed, steps, guidance", open=False):
            for name, component in advanced:
                component.visible = name in needed
                component.render()
        with gr.Row(elem_id="making"):
            for task in self._makers:
                self._buttons[task] = gr.Button(BUTTONS[task], variant="primary", scale=4, visible=task == first_task)
            self._stop_button = gr.Button("Cancel", scale=1, min_width=90)
        return facts


# What a program gets beside the details of a take; the last two of a soundtrack only.
API_FILES = ("video", "mix", "ambience", "speech")


def _make_api_outputs() -> list[Component]:
    """What programs get; the stage shows the same to people."""
    return [*(gr.File(label=name, visible=False) for name in API_FILES), gr.JSON(label="details", visible=False)]


def _make_inputs() -> dict[str, Component]:
    """All that a take can need: five plain inputs, then the advanced ones."""
    text = {"value": "", "max_length": MAX_TEXT_LENGTH, "render": False}
    return {
        "video": gr.Video(label="Clip", sources=["upload"], height=200, buttons=[], elem_id="clip", render=False),
        "prompt": gr.Textbox(label="What is to be heard", placeholder="rain on a tin roof, far thunder", **text),
        "transcript": gr.Textbox(
            label="What is to be said", placeholder="I told you we would be late.", lines=2, **text
        ),
        "voice": gr.Audio(
            label="The voice: 3 to 10 s of speech",
            sources=["upload", "microphone"],
            type="filepath",
            buttons=[],
            elem_id="voice",
            render=False,
        ),
        "voice_text": gr.Textbox(label="The words in that recording", placeholder="Word for word", **text),
        "seed": gr.Number(
            -1, label="Seed; -1 is another take each time", precision=0, minimum=-1, maximum=MAX_SEED, render=False
        ),
        "negative_prompt": gr.Textbox(label="What is not to be heard", placeholder="music", **text),
        "contour_prompt": gr.Textbox(
            label="What times the speech, where more than the speaker makes sound",
            placeholder="a person talking",
            **text,
        ),
        "length_in_s": gr.Slider(1, 10, 4, step=0.5, label="Seconds of sound without a clip", render=False),
        "steps": gr.Slider(1, 50, 25, step=1, label="Steps of the sound", render=False),
        "guidance": gr.Slider(1, 10, 4.5, step=0.1, label="Guidance of the sound", render=False),
        "speed": gr.Slider(0.5, 2, 1, step=0.05, label="Speed of the speech", render=False),
        "speech_steps": gr.Slider(1, 64, 32, step=1, label="Steps of the speech", render=False),
        "speech_guidance": gr.Slider(1, 6, 3, step=0.1, label="Guidance of the speech", render=False),
    }
