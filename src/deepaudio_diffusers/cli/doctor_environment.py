# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What `deepaudio doctor` looks at without a model. Nothing that might be missing is imported before it is checked."""

import importlib
import io
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Literal

from ..errors import DeepAudioError


DISTRIBUTION = "deepaudio-diffusers"
# Name of a distribution -> name to import it by, where an import says more than a version.
IMPORTED = ("torch", "torchaudio", "diffusers", "transformers", "av")
EXTRAS = {"training": "deepaudio train", "evaluation": "deepaudio evaluate"}
LITTLE_MEMORY, NO_MEMORY = 4 * 2**30, 2**30
# A converted model of the smallest size takes about 5 GiB.
LITTLE_SPACE, NO_SPACE = 6 * 2**30, 2**28


@dataclass(frozen=True)
class Finding:
    """What came of a check.

    Args:
        status (`"pass"`, `"warn"` or `"fail"`): `"warn"` where something is missing that not everybody needs.
        check (`str`): What was looked at.
        found (`str`): What was there.
        way_out (`str`, *optional*): What to do about it.
    """

    status: Literal["pass", "warn", "fail"]
    check: str
    found: str
    way_out: str | None = None


def check_environment() -> Iterator[Finding]:
    """All checks of the machine and of what is installed on it."""
    yield from _guarded("Python", _check_python)
    yield from _guarded("libraries", _check_libraries)
    yield from _guarded("extras", _check_extras)
    yield from _guarded("devices", _check_devices)
    yield from _guarded("memory", _check_memory)
    yield from _guarded("media", _check_codecs)
    yield from _guarded("media files", _check_media_files)
    yield from _guarded("disk space", _check_disks)


def _guarded(name: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of a check, with a library that it lacks as one more."""
    try:
        yield from check()
    except ImportError as error:
        yield Finding("fail", name, f"cannot be checked: {error}", f"pip install --force-reinstall {DISTRIBUTION}")


def _check_python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    allowed = metadata(DISTRIBUTION)["Requires-Python"]
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.prefix}"
    if SpecifierSet(allowed).contains(platform.python_version()):
        yield Finding("pass", "Python", found)
    else:
        yield Finding("fail", "Python", f"{found}; needs {allowed}", f"make an environment with Python {allowed}")


def _requirements(extra: str) -> list:
    """What setup.py asks for with an extra, or without any for `""`."""
    from packaging.requirements import Requirement

    listed = [Requirement(text) for text in requires(DISTRIBUTION)]
    if not extra:
        return [each for each in listed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [each for each in listed if each.marker is not None and each.marker.evaluate({"extra": extra})]


def _is_met(requirement) -> tuple[bool, str]:
    """Whether a requirement is met, and what there is."""
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return False, "not installed"
    return requirement.specifier.contains(found, prereleases=True), found


def _check_libraries() -> Iterator[Finding]:
    yield Finding("pass", DISTRIBUTION, version(DISTRIBUTION))
    for requirement in _requirements(""):
        is_met, found = _is_met(requirement)
        way_out = f'pip install "{requirement.name}{requirement.specifier}"'
        if not is_met:
            yield Finding("fail", requirement.name, f"{found}; needs {requirement.specifier}", way_out)
            continue
        if requirement.name in IMPORTED:
            try:
                importlib.import_module(requirement.name)
            except (ImportError, OSError) as error:
                # Compiled libraries that do not fit to each other fail like this.
                first_line = str(error).partition("\n")[0]
                yield Finding("fail", requirement.name, f"{found} cannot be imported: {first_line}", way_out)
                continue
        yield Finding("pass", requirement.name, found)


def _check_extras() -> Iterator[Finding]:
    for extra, command in EXTRAS.items():
        states = {requirement.name: _is_met(requirement) for requirement in _requirements(extra)}
        missing = ", ".join(f"{name} ({found})" for name, (is_met, found) in states.items() if not is_met)
        if missing:
            way_out = f"for {command}: pip install '{DISTRIBUTION}[{extra}]'"
            yield Finding("warn", f"extra {extra}", f"lacks {missing}", way_out)
        else:
            yield Finding("pass", f"extra {extra}", "installed")


def _check_devices() -> Iterator[Finding]:
    import torch

    threads = torch.get_num_threads()
    yield Finding("pass", "CPU", f"{os.cpu_count()} cores, {threads} threads of PyTorch")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        found = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
        try:
            torch.ones(8, 8, device=f"cuda:{index}").matmul(torch.ones(8, 8, device=f"cuda:{index}")).sum().item()
        except RuntimeError as error:
            first_line = str(error).partition("\n")[0]
            way_out = "install a PyTorch built for this GPU and driver (pytorch.org), or pass --device cpu"
            yield Finding("fail", f"cuda:{index}", f"{found}: {first_line}", way_out)
        else:
            yield Finding("pass", f"cuda:{index}", f"{found}, bfloat16: {torch.cuda.is_bf16_supported()}")
    if torch.backends.mps.is_available():
        yield Finding("pass", "mps", "available")


def _check_memory() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    found = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    status = "pass" if memory.available > LITTLE_MEMORY else "warn" if memory.available > NO_MEMORY else "fail"
    way_out = None if status == "pass" else "close other programs, or load with --dtype bfloat16"
    yield Finding(status, "memory", found, way_out)


def _check_codecs() -> Iterator[Finding]:
    from ..media.support import describe_ffmpeg, missing_codecs

    yield Finding("pass", "FFmpeg", f"{describe_ffmpeg()}; no other FFmpeg is needed")
    decoders, encoders = missing_codecs()
    way_out = "take PyAV from PyPI, whose wheels have them all: pip install --force-reinstall --only-binary av av"
    for name, missing, status in (("decoders", decoders, "warn"), ("encoders", encoders, "fail")):
        if missing:
            yield Finding(status, name, f"lacks {', '.join(missing)}", way_out)
        else:
            yield Finding("pass", name, "all that are usual" if name == "decoders" else "all that are needed")


def _check_media_files() -> Iterator[Finding]:
    """Write a small file of each kind, and read it again."""
    import numpy as np
    from PIL import Image

    from ..media import read_audio, write_audio, write_audio_into_video
    from ..media.encode import encode_video
    from ..media.mux import AUDIO_FORMATS, VIDEO_FORMATS

    sound = np.sin(np.arange(8000) / 8).astype(np.float32)[None] / 2
    pictures = np.zeros((25, 64, 64, 3), np.uint8)
    pictures[np.arange(25), :, np.arange(25)] = 255
    animation = io.BytesIO()
    first, *others = map(Image.fromarray, pictures)
    first.save(animation, format="GIF", save_all=True, append_images=others, duration=40)
    with tempfile.TemporaryDirectory() as folder:
        for extension in (*AUDIO_FORMATS, *VIDEO_FORMATS):
            path = Path(folder) / f"test{extension}"
            try:
                if extension in AUDIO_FORMATS:
                    write_audio(path, sound, 16000)
                else:
                    # H.264 does not fit into WebM; an animation is coded anew.
                    video = animation.getvalue() if extension == ".webm" else encode_video(pictures, 25)
                    write_audio_into_video(video, sound, 16000, path)
                read_audio(path)
            except DeepAudioError as error:
                yield Finding("fail", extension, str(error), "pip install --force-reinstall --only-binary av av")
            else:
                yield Finding("pass", extension, "written and read again")


def _check_disks() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HUB_CACHE

    places = {
        "disk, here": (Path.cwd(), "write elsewhere with --output"),
        "disk, temporary files": (Path(tempfile.gettempdir()), "set TMPDIR to a folder with more space"),
        "disk, downloads": (Path(HF_HUB_CACHE), "set HF_HOME to a folder with more space, or `hf cache delete`"),
    }
    for check, (folder, way_out) in places.items():
        there = next(path for path in (folder, *folder.parents) if path.exists())
        free = shutil.disk_usage(there).free
        found = f"{free / 2**30:.1f} GiB free at {folder}"
        if not os.access(there, os.W_OK):
            yield Finding("fail", check, f"{folder} may not be written to", way_out)
        elif free < LITTLE_SPACE:
            yield Finding("fail" if free < NO_SPACE else "warn", check, found, way_out)
        else:
            yield Finding("pass", check, found)
