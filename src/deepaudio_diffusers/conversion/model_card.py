# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The README.md of a converted MMAudio pipeline: what is inside, whose it is, and how to use it.

MMAudio: arXiv 2412.15322, hkchengrex/MMAudio. The licences are those of `recipes.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from huggingface_hub import ModelCard, ModelCardData

from .recipes import MMAUDIO_REPO, MMAudioRecipe, Part


@dataclass(frozen=True)
class SourceFile:
    """A checkpoint file that was converted: its base name and checksums."""

    name: str
    md5: str
    sha256: str


def build_model_card(
    recipe: MMAudioRecipe,
    files: Mapping[str, SourceFile],
    dtype: str,
    name: str,
    package_version: str,
) -> ModelCard:
    """Write the model card of a converted pipeline.

    Args:
        recipe (`MMAudioRecipe`): What was converted.
        files (`Mapping[str, SourceFile]`): The converted file of each part, by `part.kind`.
        dtype (`str`): Name of the dtype of the saved weights, such as `"float32"`.
        name (`str`): Folder or Hub repository that the usage example loads.
        package_version (`str`): Version of this package.

    Returns:
        `huggingface_hub.ModelCard`
    """
    data = ModelCardData(
        license="cc-by-nc-4.0",
        library_name="diffusers",
        pipeline_tag="video-to-audio",
        base_model=MMAUDIO_REPO,
        tags=["video-to-audio", "text-to-audio", "foley", "mmaudio", "deepaudio-diffusers"],
    )
    weights = "\n".join(_weights_row(part) for part in recipe.parts)
    checksums = "\n".join(_checksum_row(part, files[part.kind]) for part in recipe.parts)
    options = "" if dtype == "float32" else f", dtype=torch.{dtype}"
    return ModelCard(f"""---
{data.to_yaml()}
---

# MMAudio `{recipe.original_name}` for diffusers

Sound for silent video, at {recipe.sampling_rate} Hz: the published MMAudio weights `{recipe.original_name}` as a
[diffusers](https://github.com/huggingface/diffusers) pipeline, saved in {dtype}.

## Use

With the package deepaudio-diffusers installed:

```python
import torch
from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.media import write_audio_into_video

pipe = VideoToAudioPipeline.from_pretrained("{name}"{options}).to("cuda" if torch.cuda.is_available() else "cpu")
result = pipe("clip.mp4", prompt="waves on a beach")
write_audio_into_video("clip.mp4", result.audios[0], result.sampling_rate, "clip-with-sound.mp4")
```

## What is inside, and its licences

| component | weights | published as | licence |
| --- | --- | --- | --- |
{weights}

The folder as a whole is for non-commercial use: the most restrictive licence in the table decides what may be done
with all of it together.

## How it was made

Converted by deepaudio-diffusers {package_version} (`deepaudio convert {recipe.variant}`) without training and without
changing a weight beyond renaming, rearranging, fusing weight norms and casting to {dtype}.

| file | published checksum | MD5 | SHA-256 |
| --- | --- | --- | --- |
{checksums}

## Limits

MMAudio was trained on clips of 8 seconds; other lengths work and sound worse the farther they are from that.
According to its authors it sometimes makes speech-like sounds without words or unasked background music, and does not
know rare sounds.

## Citation

```bibtex
@inproceedings{{cheng2025mmaudio,
  title = {{{{MMAudio}}: Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis}},
  author = {{Cheng, Ho Kei and Ishii, Masato and Hayakawa, Akio and Shibuya, Takashi and Schwing, Alexander
            and Mitsufuji, Yuki}},
  booktitle = {{CVPR}},
  year = {{2025}},
  note = {{arXiv:2412.15322}}
}}

@article{{zhang2025deepaudio,
  title = {{{{DeepAudio-V1}}: Towards Multi-Modal Multi-Stage End-to-End Video to Speech and Audio Generation}},
  author = {{Zhang, Haomin and Liu, Chang and Zheng, Junjie and Chen, Zihao and Ding, Chaofan and Di, Xinhan}},
  journal = {{arXiv preprint arXiv:2503.22265}},
  year = {{2025}}
}}
```
""")


def _weights_row(part: Part) -> str:
    components = ", ".join(f"`{component}`" for component in part.components)
    published = part.published
    return f"| {components} | {part.title} | [{published.repo_id}]({published.url}) | {published.licence} |"


def _checksum_row(part: Part, file: SourceFile) -> str:
    if part.published.md5 is None:
        verdict = "none published"
    else:
        verdict = "equal" if file.md5 == part.published.md5 else "differs"
    return f"| {file.name} | {verdict} | `{file.md5}` | `{file.sha256}` |"
