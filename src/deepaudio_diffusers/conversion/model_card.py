# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The README.md of a converted pipeline: what is inside, whose it is, and how to use it.

MMAudio: arXiv 2412.15322, hkchengrex/MMAudio. F5-TTS: arXiv 2410.06885, SWivid/F5-TTS. DeepAudio-V1: arXiv 2503.22265,
lshzhm/DeepAudio-V1. The licences are those of `recipes.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub import ModelCard, ModelCardData

from .recipes import DEEPAUDIO_REPO, F5TTS_REPO, MMAUDIO_REPO, Part, PublishedFile, Recipe


@dataclass(frozen=True)
class SourceFile:
    """A checkpoint file that was converted: its base name and checksums."""

    name: str
    md5: str
    sha256: str


@dataclass(frozen=True)
class GateSource:
    """The gate that was given with the checkpoints.

    Attributes:
        folder (`str`): Base name of its folder.
        licence (`str`, *optional*): What its model card states, such as `"apache-2.0"`.
        weights (`SourceFile`): The file of its weights.
    """

    folder: str
    licence: str | None
    weights: SourceFile


@dataclass(frozen=True)
class _FamilyText:
    """What the cards of a family say. `{...}` in `summary` and `usage` is filled in.

    Attributes:
        tags (`tuple[str, ...]`): For the Hub; the first is the task.
        base_model (`str` or `list[str]`): Hub repositories that the weights come from.
        summary (`str`): What it is.
        usage (`str`): Python code.
        training (`str`): What the authors trained it on.
        limits (`str`): What it cannot do.
        citations (`tuple[str, ...]`): BibTeX.
    """

    tags: tuple[str, ...]
    base_model: str | list[str]
    summary: str
    usage: str
    training: str
    limits: str
    citations: tuple[str, ...]


def build_model_card(
    recipe: Recipe,
    files: Mapping[str, SourceFile],
    dtype: str,
    name: str,
    package_version: str,
    gate: GateSource | None = None,
) -> ModelCard:
    """Write the model card of a converted pipeline.

    Args:
        recipe (`Recipe`): What was converted.
        files (`Mapping[str, SourceFile]`): The converted file of each part, by `part.kind`.
        dtype (`str`): Name of the dtype of the saved weights, such as `"float32"`.
        name (`str`): Folder or Hub repository that the usage example loads.
        package_version (`str`): Version of this package.
        gate (`GateSource`, *optional*): The gate of a DeepAudio folder; `None` when it has none.

    Returns:
        `huggingface_hub.ModelCard`
    """
    text = _FAMILIES[recipe.family.name]
    data = ModelCardData(
        # The strictest one; whoever converts weights of their own knows their licence.
        license="cc-by-nc-4.0" if recipe.is_published else "other",
        library_name="diffusers",
        pipeline_tag=text.tags[0],
        base_model=text.base_model if recipe.is_published else None,
        tags=[*text.tags, "deepaudio-diffusers"],
    )
    rows = [_weights_row(part.components, part.title, part.published) for part in recipe.parts]
    for tokenizer in recipe.tokenizers:
        vocabulary = next(iter(tokenizer.published), None)
        # The tokenizer of CLIP belongs to its weights.
        if vocabulary is None or vocabulary.licence not in {part.published.licence for part in recipe.parts}:
            rows.append(_weights_row((tokenizer.component,), tokenizer.title, vocabulary))
    checksums = [_checksum_row(part, files[part.kind]) for part in recipe.parts]
    command = f"deepaudio convert {recipe.variant}"
    choice = 'task="soundtrack"'
    if gate is not None:
        rows.append(_gate_row(gate))
        checksums.append(_verdict_row("none published", gate.weights))
        command += f" --gate {gate.folder}"
        choice = 'instruction="Dub this clip, with street noise."'
    weights = "\n".join(rows)
    checksums = "\n".join(checksums)
    options = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    load = f'from_pretrained("{name}"{options}).to("cuda" if torch.cuda.is_available() else "cpu")'
    citations = "\n\n".join(text.citations)
    return ModelCard(f"""---
{data.to_yaml()}
---

# {recipe.family.name} `{recipe.original_name}` for diffusers

{text.summary.format(original_name=recipe.original_name, sampling_rate=recipe.sampling_rate, dtype=dtype)}

## Use

With the package deepaudio-diffusers installed:

```python
{text.usage.format(load=load, choice=choice)}
```
{_NO_GATE if recipe.family.has_gate and gate is None else ""}
## What is inside, and its licences

| component | weights | published as | licence |
| --- | --- | --- | --- |
{weights}

{_TERMS[recipe.is_published]}

## How it was made

Converted by deepaudio-diffusers {package_version} (`{command}`) without training and without changing
a weight beyond renaming, rearranging, fusing weight norms and casting to {dtype}.

| file | published checksum | MD5 | SHA-256 |
| --- | --- | --- | --- |
{checksums}

## How it was trained and scored

{text.training if recipe.is_published else _UNKNOWN_TRAINING}

{_SCORES}

## Limits

{text.limits}

## Citation

```bibtex
{citations}
```
""")


def _weights_row(components: tuple[str, ...], title: str, published: PublishedFile | None) -> str:
    names = ", ".join(f"`{component}`" for component in components)
    if published is None:
        return f"| {names} | {title} | not published by the authors | that of the converted file |"
    return f"| {names} | {title} | [{published.repo_id}]({published.url}) | {published.licence} |"


def _checksum_row(part: Part, file: SourceFile) -> str:
    if part.published is None or part.published.md5 is None:
        verdict = "none published"
    else:
        verdict = "equal" if file.md5 == part.published.md5 else "differs"
    return _verdict_row(verdict, file)


def _gate_row(gate: GateSource) -> str:
    stated = "its folder states none" if gate.licence is None else f"`{gate.licence}` (stated in its folder)"
    return (
        f"| `gate`, `gate_tokenizer` | gating network | from the folder `{gate.folder}` | {stated}; FLAN-T5, if its "
        "text encoder began as that: Apache-2.0 |"
    )


def _verdict_row(verdict: str, file: SourceFile) -> str:
    return f"| {file.name} | {verdict} | `{file.md5}` | `{file.sha256}` |"


_NO_GATE = """
This folder has no gate, which reads instructions: it has to be told the `task`, `"video_to_audio"`,
`"video_to_speech"`, `"text_to_speech"` or `"soundtrack"`. Converting with `--gate` adds one.
"""

# By `recipe.is_published`.
_TERMS = {
    True: """\
The folder as a whole is for non-commercial use: the most restrictive licence in the table decides what may be done
with all of it together.""",
    False: """\
The authors publish no network of this size: its terms are those that came with the file that was converted, and this
card does not know them. Weights that were trained on from published ones of F5-TTS keep the terms of these, CC BY-NC
4.0.""",
}

_UNKNOWN_TRAINING = """\
The authors publish no network of this size: whoever gave the converted file knows what it was trained on."""
_SCORES = """\
Scores are in the papers below; none of them was measured again for this folder. What is tested is the conversion: on
random weights in the published formats each network gives what the original code gives within 1e-5, and a guided run
does within 1e-4."""

_MMAUDIO_TRAINING = """\
MMAudio was trained by its authors on windows of 8 seconds, of video with sound (VGGSound) and of sound with captions
(AudioCaps, Clotho, WavCaps)."""
_F5TTS_TRAINING = """\
F5-TTS was trained by its authors on about 95,000 hours of Chinese and English speech (Emilia)."""
_V2S_TRAINING = """\
The speech network was trained on by the authors of DeepAudio-V1 from `F5TTS_Base`, on dubbed clips of animated films
(V2C-Animation), with the energy of the sound that MMAudio made for each clip."""

_MMAUDIO_CITATION = """\
@inproceedings{cheng2025mmaudio,
  title = {{MMAudio}: Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis},
  author = {Cheng, Ho Kei and Ishii, Masato and Hayakawa, Akio and Shibuya, Takashi and Schwing, Alexander
            and Mitsufuji, Yuki},
  booktitle = {CVPR},
  year = {2025},
  note = {arXiv:2412.15322}
}"""
_DEEPAUDIO_CITATION = """\
@article{zhang2025deepaudio,
  title = {{DeepAudio-V1}: Towards Multi-Modal Multi-Stage End-to-End Video to Speech and Audio Generation},
  author = {Zhang, Haomin and Liu, Chang and Zheng, Junjie and Chen, Zihao and Ding, Chaofan and Di, Xinhan},
  journal = {arXiv preprint arXiv:2503.22265},
  year = {2025}
}"""
_F5TTS_CITATION = """\
@article{chen2024f5tts,
  title = {{F5-TTS}: A Fairytaler that Fakes Fluent and Faithful Speech with Flow Matching},
  author = {Chen, Yushen and Niu, Zhikang and Ma, Ziyang and Deng, Keqi and Wang, Chunhui and Zhao, Jian and Yu, Kai
            and Chen, Xie},
  journal = {arXiv preprint arXiv:2410.06885},
  year = {2024}
}"""
_VOCOS_CITATION = """\
@article{siuzdak2023vocos,
  title = {Vocos: Closing the gap between time-domain and Fourier-based neural vocoders for high-quality audio
           synthesis},
  author = {Siuzdak, Hubert},
  journal = {arXiv preprint arXiv:2306.00814},
  year = {2023}
}"""

_VOICE_LIMITS = """\
It speaks in the voice of any recording. Use recordings of people who agreed to it, and say that the speech was made by
a machine where somebody could take it for theirs."""

# By name of the family.
_FAMILIES = {
    "MMAudio": _FamilyText(
        tags=("video-to-audio", "text-to-audio", "foley", "mmaudio"),
        base_model=MMAUDIO_REPO,
        summary="""\
Sound for silent video, at {sampling_rate} Hz: the published MMAudio weights `{original_name}` as a
[diffusers](https://github.com/huggingface/diffusers) pipeline, saved in {dtype}.""",
        usage="""\
import torch
from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video

pipe = VideoToAudioPipeline.{load}
result = pipe("clip.mp4", prompt="waves on a beach")
write_audio_into_video("clip.mp4", result.audios[0], result.sampling_rate, "clip-with-sound.mp4")""",
        training=_MMAUDIO_TRAINING,
        limits="""\
MMAudio was trained on clips of 8 seconds; other lengths work and sound worse the farther they are from that.
According to its authors it sometimes makes speech-like sounds without words or unasked background music, and does not
know rare sounds.""",
        citations=(_MMAUDIO_CITATION, _DEEPAUDIO_CITATION),
    ),
    "F5-TTS": _FamilyText(
        tags=("text-to-speech", "voice-cloning", "f5-tts"),
        base_model=F5TTS_REPO,
        summary="""\
Speech in the voice of a few seconds of reference speech, at {sampling_rate} Hz: weights of F5-TTS, `{original_name}`,
as a [diffusers](https://github.com/huggingface/diffusers) pipeline, saved in {dtype}.""",
        usage="""\
import torch
from deepaudio_diffusers import TextToSpeechPipeline
from deepaudio_diffusers.media import write_audio

pipe = TextToSpeechPipeline.{load}
voice = pipe.encode_voice("voice.wav", "What is said in the recording.")
result = pipe("Any text, in that voice.", voice=voice)
write_audio("speech.wav", result.audios[0], result.sampling_rate)""",
        training=_F5TTS_TRAINING,
        limits=f"""\
The networks that the authors publish were trained on Chinese and English speech, in clips of up to 30 seconds.

{_VOICE_LIMITS}""",
        citations=(_F5TTS_CITATION, _VOCOS_CITATION, _DEEPAUDIO_CITATION),
    ),
    "DeepAudio-V1 speech": _FamilyText(
        tags=("text-to-speech", "video-to-speech", "dubbing", "voice-cloning", "deepaudio-v1"),
        base_model=[DEEPAUDIO_REPO, F5TTS_REPO],
        summary="""\
Speech that is timed to a video, in the voice of a few seconds of reference speech, at {sampling_rate} Hz: the speech
half of DeepAudio-V1, weights `{original_name}`, as a [diffusers](https://github.com/huggingface/diffusers) pipeline,
saved in {dtype}.""",
        usage="""\
import torch
from deepaudio_diffusers import TextToSpeechPipeline
from deepaudio_diffusers.media import write_audio
from deepaudio_diffusers.processing.audio import energy_contour, read_waveform

pipe = TextToSpeechPipeline.{load}
voice = pipe.encode_voice("voice.wav", "What is said in the recording.")
# Where the loud moments are in the sound that MMAudio made for the video: the speech follows them.
energy = energy_contour(*read_waveform("sound-of-the-video.wav"))
result = pipe("What is to be said.", voice=voice, energy=energy)
write_audio("speech.wav", result.audios[0], result.sampling_rate)""",
        training=f"{_F5TTS_TRAINING} {_V2S_TRAINING}",
        limits=f"""\
Each network was trained on the energy of sound that one variant of MMAudio makes for a video: `v2c_s16` goes with
`small_16k`, `v2c_s44` with `small_44k`, `v2c_m44` with `medium_44k`, `v2c_l44` with `large_44k`. The clips that it was
trained on are short and from English animated films.

{_VOICE_LIMITS}""",
        citations=(_DEEPAUDIO_CITATION, _F5TTS_CITATION, _VOCOS_CITATION),
    ),
    "DeepAudio-V1": _FamilyText(
        tags=("video-to-audio", "video-to-speech", "text-to-speech", "dubbing", "foley", "deepaudio-v1"),
        base_model=[DEEPAUDIO_REPO, MMAUDIO_REPO, F5TTS_REPO],
        summary="""\
Sound for a silent video, speech that is timed by it, plain speech, or the whole soundtrack at {sampling_rate} Hz: the
published weights of DeepAudio-V1, `{original_name}`, as one [diffusers](https://github.com/huggingface/diffusers)
pipeline, saved in {dtype}.""",
        usage="""\
import torch
from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video

pipe = DeepAudioPipeline.{load}
voice = pipe.text_to_speech.encode_voice("voice.wav", "What is said in the recording.")
result = pipe("clip.mp4", {choice}, transcript="We are late.", voice=voice)
write_audio_into_video("clip.mp4", result.audios[0], result.sampling_rate, "clip-with-sound.mp4")""",
        training="\n\n".join((_MMAUDIO_TRAINING, f"{_F5TTS_TRAINING} {_V2S_TRAINING}")),
        limits=f"""\
The network for sound was trained on clips of 8 seconds, the one for speech on short ones from English animated films;
other lengths work and sound worse the farther they are from that. The speech follows the loud moments of the sound
that is made for the picture; it does not read lips. A gate answers every instruction with one of the tasks, also one
that asks for none of them: look at `result.task_probabilities`.

{_VOICE_LIMITS}""",
        citations=(_DEEPAUDIO_CITATION, _MMAUDIO_CITATION, _F5TTS_CITATION, _VOCOS_CITATION),
    ),
}
