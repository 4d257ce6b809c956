# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The rules by which the library is laid out, read off the imports of its source files."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "deepaudio_diffusers"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Room -> the rooms it may import. A room is a subpackage or a module of the package.
MAY_IMPORT = {
    "errors": set(),
    "tasks": set(),
    "media": {"errors"},
    "processing": {"errors", "media"},
    "models": {"errors", "processing", "tasks"},
    "schedulers": {"errors"},
    "pipelines": {"errors", "media", "models", "processing", "schedulers", "tasks"},
    # Above the pipelines, because it writes whole pipeline folders.
    "conversion": {"errors", "media", "models", "pipelines", "processing", "schedulers", "tasks"},
    "instructions": {"errors", "models", "tasks"},
    "synthetic": {"errors", "media", "processing"},
    "training": {"conversion", "errors", "media", "models", "pipelines", "processing", "schedulers"},
    # Above the conversion, because published networks that judge are read in the same safe way.
    "evaluation": {"conversion", "errors", "media", "models", "pipelines", "processing"},
    "cli": {
        "conversion",
        "errors",
        "evaluation",
        "media",
        "models",
        "pipelines",
        "processing",
        "synthetic",
        "tasks",
        "training",
    },
    "app": {"errors", "media", "pipelines", "processing", "tasks"},
    # Knows everything, and only the package itself imports it.
    "_registration": {"conversion", "models", "pipelines", "schedulers"},
    "__init__": {"_registration", "errors", "models", "pipelines", "processing", "schedulers"},
}

# Import name -> name in setup.py, where they differ.
DISTRIBUTION_OF = {"PIL": "pillow"}

REGISTRIES = {
    "ALL_IMPORTABLE_CLASSES",
    "AUTO_TEXT2AUDIO_PIPELINES_MAPPING",
    "AttentionProcessorRegistry",
    "LOADABLE_CLASSES",
    "SINGLE_FILE_LOADABLE_CLASSES",
    "TransformerBlockRegistry",
}

LICENCE_HEADER = "# Copyright 2026 The deepaudio-diffusers authors.\n# SPDX-License-Identifier: Apache-2.0\n"


def modules_imported_by(path: Path, package: Path = PACKAGE) -> Iterator[str]:
    """Absolute dotted names of all that `path` imports, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = []
            if node.level:
                # The package that contains `path`, one level up for each further dot.
                containing = [package.name, *path.relative_to(package).parts[:-1]]
                base = containing[: len(containing) - node.level + 1]
            base += node.module.split(".") if node.module else []
            # `from a import b` may import the module a.b as well as a name of a; a.b covers both.
            yield from (".".join([*base, alias.name]) for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def rooms_imported_by(path: Path) -> set[str]:
    names = (module.split(".") for module in modules_imported_by(path))
    return {name[1] for name in names if name[0] == PACKAGE.name and len(name) > 1} - {room_of(path)}


def libraries_imported_by(path: Path) -> set[str]:
    return {module.split(".")[0] for module in modules_imported_by(path)} - {PACKAGE.name}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def files_of(*rooms: str) -> list[Path]:
    return [path for path in SOURCES if room_of(path) in rooms]


def test_imports_are_read_wherever_they_stand(tmp_path):
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "network.py"
    path.write_text(
        "import os.path\nfrom ..media.decode import open_video\ndef f():\n    from . import other\n    import av\n"
    )
    name = tmp_path.name
    expected = {"os.path", f"{name}.media.decode.open_video", f"{name}.models.other", "av"}
    assert set(modules_imported_by(path, tmp_path)) == expected


def test_arrows_between_the_rooms_form_no_circle():
    TopologicalSorter(MAY_IMPORT).prepare()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_rooms_import_only_what_lies_below_them(path):
    assert rooms_imported_by(path) <= MAY_IMPORT[room_of(path)]


# A network that contains another.
KNOWS = {"synchformer": {"encoder_synchformer"}}


def test_models_do_not_know_each_other():
    models = {path.stem for path in files_of("models")}
    for path in files_of("models"):
        known = {
            module.split(".")[2]
            for module in modules_imported_by(path)
            if module.startswith(f"{PACKAGE.name}.models.") and path.stem != "__init__"
        }
        assert known & models <= KNOWS.get(path.stem, set()), relative(path)


def test_models_do_not_know_files():
    file_libraries = {"glob", "huggingface_hub", "io", "json", "os", "pathlib", "safetensors", "shutil", "tempfile"}
    for path in files_of("models"):
        assert not libraries_imported_by(path) & file_libraries, relative(path)


def test_processing_and_media_do_not_know_networks():
    for path in files_of("processing", "media"):
        networks = [
            module
            for module in modules_imported_by(path)
            if module.startswith(("diffusers.", "transformers.", "torch.nn"))
            and not module.startswith(("diffusers.utils.", "torch.nn.functional", "torch.nn.utils.rnn"))
            # A tokenizer is no network.
            and module != "transformers.PreTrainedTokenizer"
        ]
        assert networks == [], relative(path)


def test_only_media_imports_av():
    assert {room_of(path) for path in SOURCES if "av" in libraries_imported_by(path)} == {"media"}


def test_only_processing_audio_imports_torchaudio():
    importers = {path for path in SOURCES if "torchaudio" in libraries_imported_by(path)}
    assert importers <= {PACKAGE / "processing" / "audio.py"}


def test_only_the_registration_touches_the_registries_of_diffusers():
    for path in SOURCES:
        words = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Name(id=word) | ast.Attribute(attr=word) | ast.alias(name=word):
                    words.add(word)
        assert path.name == "_registration.py" or not words & REGISTRIES, relative(path)


def requirements_in_setup_py() -> dict[str, set[str]]:
    """Names of the distributions in `install_requires`, `TRAINING`, `EVALUATION` and `SPACE` of setup.py."""
    lists = {}
    for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8"))):
        match node:
            case ast.keyword(arg="install_requires", value=ast.List() as value):
                lists["install_requires"] = value
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.List() as value):
                lists[name] = value
    return {
        name: {requirement.split(">")[0].split("<")[0] for requirement in ast.literal_eval(value)}
        for name, value in lists.items()
    }


def test_every_imported_library_is_declared_in_setup_py():
    declared = requirements_in_setup_py()
    # Rooms that pipelines do not need bring their own extras.
    extras = {"training": "TRAINING", "evaluation": "EVALUATION", "app": "SPACE"}
    for path in SOURCES:
        available = declared["install_requires"] | declared.get(extras.get(room_of(path)), set())
        libraries = libraries_imported_by(path) - sys.stdlib_module_names
        assert {DISTRIBUTION_OF.get(library, library) for library in libraries} <= available, relative(path)


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks", "examples", "training_scripts"])
def test_every_source_file_has_the_licence_header(folder):
    # Empty `__init__.py` files have nothing to license.
    texts = {relative(path): path.read_text(encoding="utf-8") for path in sorted((ROOT / folder).rglob("*.py"))}
    assert [name for name, text in texts.items() if text and not text.startswith(LICENCE_HEADER)] == []


def test_no_error_is_swallowed_and_no_text_is_run():
    """No bare or blanket `except`, no `eval` or `exec`, no pickle that may run code."""
    findings = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.ExceptHandler(type=None) | ast.ExceptHandler(type=ast.Name(id="Exception" | "BaseException")):
                    findings.append(f"{relative(path)}:{node.lineno}: catches everything")
                case ast.Call(func=ast.Name(id="eval" | "exec")):
                    findings.append(f"{relative(path)}:{node.lineno}: runs text")
                case ast.Attribute(value=ast.Name(id="pickle"), attr="load" | "loads" | "Unpickler"):
                    findings.append(f"{relative(path)}:{node.lineno}: unpickles")
                case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load"), keywords=keywords):
                    safe = {k.arg for k in keywords if isinstance(k.value, ast.Constant) and k.value.value is True}
                    if "weights_only" not in safe:
                        findings.append(f"{relative(path)}:{node.lineno}: torch.load without weights_only=True")
    assert findings == []
