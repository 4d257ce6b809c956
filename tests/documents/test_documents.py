# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Every code block and every command of the documents runs, with small weights in the place of large ones.

What cannot be run here, because it needs the network, hours, or another machine, is parsed, and listed with its reason
in `commands.NOT_RUN` and [`COMPILED_ONLY`].
"""

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from PIL import Image

from deepaudio_diffusers.media import probe
from tests.documents.blocks import DOCUMENTS, ROOT, Block, anchors, fenced_blocks, inline_commands, links
from tests.documents.commands import (
    NOT_RUN,
    check_name,
    commands_of,
    is_name,
    parse_command,
    reason_not_to_run,
    run_command,
    without_launcher_options,
)


PYTHON, SHELL, DATA, TEXT = ("python", "py"), ("bash", "sh"), ("json",), ("", "text", "mermaid", "bibtex")
BLOCKS = [block for path in DOCUMENTS for block in fenced_blocks(path)]
SHELL_BLOCKS = [block for block in BLOCKS if block.language in SHELL]
WITH_PYTHON = list(dict.fromkeys(block.path for block in BLOCKS if block.language in PYTHON))
# Python that is compiled only, by a line of it, with the reason.
COMPILED_ONLY = {
    "evaluate.load(module_path(": "needs recordings and the extra `evaluation`; tests/evaluation load the modules",
    "Synchformer.from_single_file(": "needs 907 MB of weights; tests/conversion read a small file of that format",
    "from gradio_client import": "needs gradio and an app that is served; tests/space asks it by the same client",
}
# What a block that is run needs besides: arguments that make it short.
MORE_ARGUMENTS = {
    "deepaudio generate": ["--steps", "2", "--speech-steps", "2"],
    "python examples/train_a_lora.py": ["--steps", "1"],
    "python examples/swap_the_scheduler.py": ["--fine-steps", "8"],
}


def names_of(blocks: list[Block]) -> list[str]:
    return [block.name for block in blocks]


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_block_has_a_known_language():
    assert [block.name for block in BLOCKS if block.language not in (*PYTHON, *SHELL, *DATA, *TEXT)] == []


@pytest.mark.parametrize("path", WITH_PYTHON, ids=relative)
def test_python_runs(path, workshop, monkeypatch):
    """The blocks of a document one after the other, since later ones go on from earlier ones."""
    monkeypatch.chdir(workshop)
    namespace = {"__name__": path.stem, "frames": [Image.new("RGB", (64, 64), (8 * i, 0, 0)) for i in range(30)]}
    for block in fenced_blocks(path):
        if block.language not in PYTHON:
            continue
        code = compile(block.text, block.name, "exec")
        if not any(line in block.text for line in COMPILED_ONLY):
            exec(code, namespace)


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=names_of(SHELL_BLOCKS))
def test_commands_run(block, workshop, monkeypatch):
    commands = commands_of(block.text)
    assert commands
    monkeypatch.chdir(workshop)
    for command in commands:
        parse_command(command)
        if reason_not_to_run(command) is None:
            start = " ".join(command[:2])
            run_command(command, MORE_ARGUMENTS.get(start, []))


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if inline_commands(path)], ids=relative)
def test_commands_in_the_text_are_parsed(path):
    for command in map(shlex.split, inline_commands(path)):
        if is_name(command):
            check_name(command)
        else:
            parse_command(command)


@pytest.mark.parametrize("path", DOCUMENTS, ids=relative)
def test_links_lead_somewhere(path):
    """Files of the repository, and headings in them; addresses are not asked."""
    for target in links(path):
        file, _, anchor = target.partition("#")
        linked = (path.parent / file).resolve() if file else path
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_the_card_of_the_small_checkpoint():
    """It has what the cards of converted folders have too."""
    card = ModelCard.load(ROOT / "checkpoints" / "deepaudio-tiny" / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag in card.data.tags
    assert [name for name in ("Training", "Figures", "Limits") if f"\n## {name}\n" not in card.text] == []


def test_json_is_json():
    for block in BLOCKS:
        if block.language in DATA:
            json.loads(block.text)


def test_nothing_is_left_out_that_is_not_there():
    """A reason for what no document says any more would hide what is written later."""
    everything = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    said = [" ".join(without_launcher_options(c)) for block in SHELL_BLOCKS for c in commands_of(block.text)]
    assert [start for start in NOT_RUN if not any(command.startswith(start) for command in said)] == []
    assert [line for line in COMPILED_ONLY if line not in everything] == []


def test_the_demo_of_the_makefile(workshop, monkeypatch):
    """`make demo` ends with a video with sound and a picture of it, where it says."""
    recipe = (ROOT / "Makefile").read_text().split("demo: .venv/installed\n")[1].split("\n\n")[0]
    command, *rest = recipe.replace("\\\n", " ").splitlines()
    monkeypatch.chdir(workshop)
    run_command(shlex.split(command.replace("$(BIN)/", "")), ["--steps", "4", "--speech-steps", "4"])
    video, picture = re.findall(r"build/demo/[\w.-]+", "\n".join(rest))
    assert probe(video).has_audio
    assert Path(picture).read_bytes().startswith(b"\x89PNG")


def test_the_citation_names_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert f'version="{citation["version"]}"' in (ROOT / "setup.py").read_text(encoding="utf-8")
    assert f"## {citation['version']} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
