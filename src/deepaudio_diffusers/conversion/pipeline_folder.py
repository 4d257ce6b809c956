# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Published weights -> a complete pipeline folder for `from_pretrained`.

Those of MMAudio (arXiv 2412.15322, hkchengrex/MMAudio), F5-TTS (arXiv 2410.06885, SWivid/F5-TTS) and DeepAudio-V1
(arXiv 2503.22265, lshzhm/DeepAudio-V1). One checkpoint after the other is read, converted, cast and saved, so memory
holds one at a time, and the folder gets its name when it is complete.
"""

import filecmp
import hashlib
import logging
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from ..errors import CheckpointError, DeepAudioError, InputError
from ..pipelines.pipeline_deepaudio import DeepAudioPipeline
from ..pipelines.pipeline_text_to_speech import TextToSpeechPipeline
from ..pipelines.pipeline_video_to_audio import VideoToAudioPipeline
from ..schedulers.scheduling_flow_match_euler import FlowMatchGridEulerScheduler
from .checkpoints import CHECKPOINT_SUFFIXES, Identity, identify, load_checkpoint, read_shapes
from .clip import convert_clip
from .f5tts import convert_f5tts
from .gate import Gate, load_gate
from .mmaudio import convert_mmaudio_transformer
from .model_card import GateSource, SourceFile, build_model_card
from .recipes import RECIPES, Part, PublishedFile, Recipe, TokenizerFiles, get_recipe
from .synchformer import convert_synchformer
from .tokenizers import TOKENIZERS, Facts
from .vae import convert_mmaudio_vae
from .vocoders import convert_bigvgan, convert_vocos


logger = logging.getLogger(__name__)

_CONVERTERS = {
    "mmaudio_transformer": convert_mmaudio_transformer,
    "mmaudio_vae": convert_mmaudio_vae,
    "bigvgan": convert_bigvgan,
    "synchformer": convert_synchformer,
    "clip": convert_clip,
    "f5tts_transformer": convert_f5tts,
    "vocos": convert_vocos,
}

_PIPELINES = {
    "VideoToAudioPipeline": VideoToAudioPipeline,
    "TextToSpeechPipeline": TextToSpeechPipeline,
    "DeepAudioPipeline": DeepAudioPipeline,
}

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

PIPELINE_INDEX = "model_index.json"

# The Hub's client has changed its HTTP library before; the first base of its own error is that library's.
_HUB_ERRORS = (OSError, HfHubHTTPError.__bases__[0])


@dataclass(frozen=True)
class SourceFiles:
    """The files that a conversion reads.

    Attributes:
        checkpoints (`Mapping[str, Path]`): The checkpoint of each part of the recipe, by `part.kind`.
        tokenizers (`Mapping[str, tuple[tuple[Path, ...], Facts]]`): Component -> the files of the tokenizer, and the
            sizes of the network that reads the tokens; see `Identity`.
    """

    checkpoints: Mapping[str, Path]
    tokenizers: Mapping[str, tuple[tuple[Path, ...], Facts]]


def convert_pipeline(
    variant: str | Recipe,
    source: str | Path,
    output: str | Path,
    *,
    gate: str | Path | None = None,
    dtype: str = "float32",
    overwrite: bool = False,
    push_to_hub: str | None = None,
    token: str | None = None,
) -> Path:
    """Convert published weights to a pipeline folder.

    Progress is logged at level INFO, one line a checkpoint; at level WARNING what only the ear could find wrong, and
    what the folder cannot do.

    Args:
        variant (`str` or `Recipe`): One of `RECIPES`, or a recipe for a network of another size.
        source (`str` or `Path`): A folder, searched with its subfolders for checkpoints that are recognised by their
            keys, or the Hub repository to download the networks from: `"hkchengrex/MMAudio"`, `"SWivid/F5-TTS"` or
            `"lshzhm/DeepAudio-V1"`. What others have published (CLIP, vocoders; for a DeepAudio folder MMAudio and the
            vocabulary) then comes from their repositories.
        output (`str` or `Path`): Folder to write. It is created when everything in it is complete; a conversion that
            fails leaves nothing behind.
        gate (`str` or `Path`, *optional*): For a DeepAudio folder, the folder of a trained gate and its tokenizer, as
            `save_pretrained` of both writes it. Without it the pipeline reads no instructions; it then
            has to be told the task.
        dtype (`str`, defaults to `"float32"`): Of the saved weights: `"float32"` (as published), `"bfloat16"` or
            `"float16"`.
        overwrite (`bool`, defaults to `False`): Replace a pipeline that is in `output` already.
        push_to_hub (`str`, *optional*): Hub repository to upload the folder to; a private one is created when it is
            not there.
        token (`str`, *optional*): Hub token, for `push_to_hub` and for private sources. By default the one that
            `hf auth login` stored.

    Returns:
        `Path`: The absolute path of the folder.

    Raises:
        InputError: When an argument cannot be.
        CheckpointError: When a checkpoint is missing, of another variant, found twice, damaged or unsafe, its
            tokenizer is missing or does not fit, or `gate` holds no gate.
        DeepAudioError: When the upload fails; the local folder is complete then.
    """
    recipe = variant if isinstance(variant, Recipe) else get_recipe(variant)
    if dtype not in DTYPES:
        raise InputError(f"`dtype` is {dtype!r}; accepted are {', '.join(DTYPES)}.")
    source_folder = Path(source).expanduser()
    output = Path(output).expanduser().absolute()
    if gate is not None and not recipe.family.has_gate:
        raise InputError(
            f"`gate` is {str(gate)!r}, but the pipeline of {recipe.variant} reads no instructions; leave it out, or "
            "choose a deepaudio-* variant."
        )
    _check_output(output, {"source": source, "gate": gate}, overwrite)
    if push_to_hub is not None:
        _check_hub_login(token)
    trained_gate = None if gate is None else load_gate(gate)

    if source_folder.is_dir():
        files = _find_in_folder(recipe, source_folder)
    elif not recipe.is_published:
        raise InputError(
            f"`source` is {str(source)!r}, which is not a folder here; the authors of {recipe.family.name} publish no "
            f"{recipe.variant}, so accepted is a folder with the files that you have."
        )
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        files = _download(recipe, str(source), token)
    else:
        raise InputError(
            f"`source` is {str(source)!r}, which is neither a folder here nor the name of a Hub repository; accepted "
            f"are a folder with the published files, or {recipe.family.repo_id!r}."
        )

    with _complete_or_nothing(output) as folder:
        converted, gate_source = _write_components(recipe, files, trained_gate, folder, dtype)
        card = build_model_card(
            recipe,
            converted,
            gate=gate_source,
            dtype=dtype,
            name=push_to_hub or output.name,
            package_version=version("deepaudio-diffusers"),
        )
        card.save(folder / "README.md")
    logger.info("Wrote the pipeline folder %s", output.name)
    if recipe.family.has_gate and gate is None:
        logger.warning(
            "%s has no gate: `task=` works, and `instruction=` will need one. Convert again with that of a folder "
            "(`gate=`, `--gate`) to have it read instructions.",
            output.name,
        )

    if push_to_hub is not None:
        _upload(recipe, output, push_to_hub, token)
    return output


def _check_output(output: Path, inputs: Mapping[str, str | Path | None], overwrite: bool) -> None:
    if not output.exists():
        return
    if not output.is_dir():
        raise InputError(f"`output` ({output.name!r}) is a file; give the name of a folder.")
    if not any(output.iterdir()):
        return
    if not (output / PIPELINE_INDEX).is_file():
        raise InputError(
            f"`output` ({output.name!r}) holds files that are not a pipeline; give a new or empty folder. They are "
            "not overwritten in any case."
        )
    if not overwrite:
        raise InputError(
            f"`output` ({output.name!r}) holds a pipeline already; give another folder, or allow replacing it "
            "(`overwrite=True`, `--overwrite`)."
        )
    for name, path in inputs.items():
        if path is not None and Path(path).expanduser().resolve().is_relative_to(output.resolve()):
            raise InputError(
                f"`{name}` lies inside `output` ({output.name!r}), which is to be replaced; move one of them."
            )


def _find_in_folder(recipe: Recipe, folder: Path) -> SourceFiles:
    files = _files_below(folder)
    identities, unreadable = {}, {}
    for path in _candidates(files):
        try:
            identity = identify(read_shapes(path))
        except CheckpointError as error:
            unreadable[path] = error
            continue
        if identity is not None:
            identities[path] = identity

    def display(path: Path) -> str:
        return f"`{path.relative_to(folder)}`"

    checkpoints, problems = {}, []
    for part in recipe.parts:
        fitting, others = _sort_out(part, identities)
        fitting = _without_copies(part, fitting)
        possible, misnamed = _sort_out_by_name(part, fitting)
        if len(possible) == 1:
            checkpoints[part.kind] = possible[0]
            _report_choice(part, possible[0], fitting)
        elif possible:
            names = " and ".join(display(path) for path in possible)
            problems.append(f"{part.title}: found in {names}; keep one of them in the folder.")
        else:
            found = "".join(f" {display(path)} is {_describe(identities[path], part)}." for path in others)
            found += "".join(
                f" {display(path)} fits but is named for {part.variant_by_name(path)}; rename it if that is wrong."
                for path in misnamed
            )
            problems.append(f"{part.title}: missing.{found} {_whereabouts(part)}")

    tokenizers = {}
    for tokenizer in recipe.tokenizers:
        reader = recipe.part(tokenizer.reader)
        network = checkpoints.get(reader.kind)
        facts = reader.facts if network is None else identities[network].facts
        try:
            paths = TOKENIZERS[tokenizer.kind].find(folder, files, facts, network)
        except CheckpointError as error:
            problems.append(str(error))
            continue
        if paths is None:
            problems.append(f"{tokenizer.title}: missing. {_whereabouts_of_tokenizer(tokenizer)}")
        tokenizers[tokenizer.component] = paths, facts
    if problems:
        problems += [str(error) for error in unreadable.values()]
        download = f", or give {recipe.family.repo_id} as the source to download it all" if recipe.is_published else ""
        raise CheckpointError(
            f"{recipe.variant} cannot be made from the files in `source` ({folder.name!r}). Add what is missing"
            f"{download}.\n- " + "\n- ".join(problems)
        )
    for error in unreadable.values():
        logger.warning("Not needed and skipped: %s", error)
    return SourceFiles(checkpoints, tokenizers)


def _candidates(files: list[Path]) -> list[Path]:
    """The checkpoints among `files`, each file once."""
    by_file = {path.resolve(): path for path in reversed(files) if path.suffix in CHECKPOINT_SUFFIXES}
    return sorted(by_file.values())


def _files_below(folder: Path) -> list[Path]:
    """The files below `folder` in the order of their names, without hidden ones and those of converted pipelines."""
    pipelines = [index.parent for index in folder.rglob(PIPELINE_INDEX)]
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(name.startswith(".") for name in path.relative_to(folder).parts)
        and not any(path.is_relative_to(pipeline) for pipeline in pipelines)
    ]


def _sort_out(part: Part, identities: Mapping[Path, Identity]) -> tuple[list[Path], list[Path]]:
    """The files that are this part, and those that are the same kind of network in another variant."""
    of_kind = [path for path, identity in identities.items() if identity.kind == part.kind]
    fitting = [path for path in of_kind if not _differences(identities[path], part)]
    return fitting, [path for path in of_kind if path not in fitting]


def _without_copies(part: Part, paths: list[Path]) -> list[Path]:
    """`paths` without files of equal content: DeepAudio-V1 publishes files of MMAudio again."""
    kept = []
    for path in sorted(paths, key=lambda path: not _is_named_as_published(part, path)):
        if not any(filecmp.cmp(path, other, shallow=False) for other in kept):
            kept.append(path)
    return sorted(kept)


def _is_named_as_published(part: Part, path: Path) -> bool:
    return part.published is not None and path.as_posix().endswith(f"/{part.published.path}")


def _sort_out_by_name(part: Part, fitting: list[Path]) -> tuple[list[Path], list[Path]]:
    """The files of fitting sizes that may be this part by their names, and those that are named for something else."""
    if not part.names:
        return fitting, []
    misnamed = [path for path in fitting if part.variant_by_name(path) not in (part.variant, None)]
    possible = [path for path in fitting if path not in misnamed]
    as_published = [path for path in possible if _is_named_as_published(part, path)]
    return as_published if len(as_published) == 1 else possible, misnamed


def _report_choice(part: Part, path: Path, fitting: list[Path]) -> None:
    """Say what nothing but a name tells: the wrong network of the same sizes gives wrong sound and no error."""
    others = [name for name in part.names if name != part.variant]
    if others and part.variant_by_name(path) is None:
        logger.warning(
            "`%s` is taken for %s as asked: its name does not say what it is, and networks for %s have the same "
            "sizes. If it is one of those, its output will be wrong and no error will say so.",
            path.name,
            part.variant,
            ", ".join(others),
        )
    left_out = [f"{other.parent.name}/{other.name}" for other in fitting if other != path]
    if left_out:
        logger.info("%s: %s/%s by its name, not %s", part.title, path.parent.name, path.name, ", ".join(left_out))


def _differences(identity: Identity, part: Part) -> list[str]:
    return [name for name, value in part.facts.items() if identity.facts[name] != value]


def _describe(identity: Identity, part: Part) -> str:
    """What a checkpoint is that is of the right kind and not of the right variant."""
    variants = [
        recipe.variant
        for recipe in RECIPES.values()
        if not recipe.composed_of
        and any(other.kind == identity.kind and not _differences(identity, other) for other in recipe.parts)
    ]
    differences = ", ".join(
        f"`{name}` {identity.facts[name]} instead of {part.facts[name]}" for name in _differences(identity, part)
    )
    return f"that of {', '.join(variants)} ({differences})" if variants else f"another one ({differences})"


def _whereabouts(part: Part) -> str:
    file = part.published
    if file is None:
        return "Its authors do not publish it; add the file that you have."
    return f"It is published as {file.path} in {file.repo_id} ({file.size}, {file.url})."


def _whereabouts_of_tokenizer(tokenizer: TokenizerFiles) -> str:
    if not tokenizer.published:
        return f"Add the one that the network was trained with; {tokenizer.hint}."
    names = " and ".join(file.path for file in tokenizer.published)
    return f"It is published as {names} in {tokenizer.published[0].repo_id}; {tokenizer.hint}."


def _download(recipe: Recipe, repo_id: str, token: str | None) -> SourceFiles:
    def repository_of(file: PublishedFile) -> str:
        # `repo_id` may be somebody's copy.
        return repo_id if file.repo_id == recipe.family.repo_id else file.repo_id

    def from_hub(file: PublishedFile) -> Path:
        return _download_file(repository_of(file), file.path, token)

    checkpoints, identities = {}, {}
    # What `repo_id` has to hold comes first, so that a wrong one is found before gigabytes of the rest are there.
    for part in sorted(recipe.parts, key=lambda part: part.published.repo_id != recipe.family.repo_id):
        file = part.published
        path = from_hub(file)
        identity = identify(read_shapes(path))
        found = f"`{file.name}` from {repository_of(file)}"
        if identity is None or identity.kind != part.kind:
            raise CheckpointError(f"{found} is not the {part.title} that {recipe.variant} needs.")
        if _differences(identity, part):
            raise CheckpointError(
                f"{found} is not the {part.title} of {recipe.variant} but {_describe(identity, part)}."
            )
        checkpoints[part.kind], identities[part.kind] = path, identity
    tokenizers = {
        tokenizer.component: (
            tuple(map(from_hub, tokenizer.published)),
            identities[recipe.part(tokenizer.reader).kind].facts,
        )
        for tokenizer in recipe.tokenizers
    }
    return SourceFiles(checkpoints, tokenizers)


def _download_file(repo_id: str, path: str, token: str | None) -> Path:
    logger.info("Downloading %s from %s (unless it is in the local cache)", path, repo_id)
    try:
        return Path(hf_hub_download(repo_id, path, token=token))
    except _HUB_ERRORS as error:
        raise CheckpointError(
            f"{path} cannot be had from the Hub repository {repo_id!r} ({type(error).__name__}), and there is no "
            "folder of that name here. Check the name, the connection and, for a private repository, `hf auth login`; "
            "or download the files by hand and give their folder as `source`."
        ) from error


@contextmanager
def _complete_or_nothing(output: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of `output` at the end, and disappears when anything fails."""
    output.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:8]
    partial = output.with_name(f".{output.name}.{mark}.partial")
    replaced = output.with_name(f".{output.name}.{mark}.replaced")
    partial.mkdir()
    try:
        yield partial
        if output.exists():
            output.rename(replaced)
        partial.rename(output)
    finally:
        if replaced.exists() and not output.exists():
            replaced.rename(output)
        for leftover in (partial, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _write_components(
    recipe: Recipe, files: SourceFiles, gate: Gate | None, folder: Path, dtype: str
) -> tuple[dict[str, SourceFile], GateSource | None]:
    components: dict[str, Any] = {
        tokenizer.component: TOKENIZERS[tokenizer.kind].build(*files.tokenizers[tokenizer.component])
        for tokenizer in recipe.tokenizers
    }
    for name, arguments in recipe.schedulers.items():
        components[name] = FlowMatchGridEulerScheduler(**arguments)
    if gate is not None:
        components["gate_tokenizer"] = gate.tokenizer
    for name, component in components.items():
        component.save_pretrained(folder / name)

    def write_model(name: str, model: torch.nn.Module, file_name: str) -> None:
        _cast(model, DTYPES[dtype], file_name)
        model.save_pretrained(folder / name)
        # The pipeline's own file needs the classes only.
        components[name] = model.to("meta")

    gate_source = None
    if gate is not None:
        gate_source = GateSource(gate.weights.absolute().parent.name, gate.licence, _checksums(gate.weights))
        logger.info("Gating network: %s/%s -> gate, gate_tokenizer", gate_source.folder, gate.weights.name)
        write_model("gate", gate.network, gate.weights.name)
    converted = {}
    for number, part in enumerate(recipe.parts, start=1):
        path = files.checkpoints[part.kind]
        logger.info(
            "[%d/%d] %s: %s -> %s", number, len(recipe.parts), part.title, path.name, ", ".join(part.components)
        )
        converted[part.kind] = _checksums(path)
        if part.published is not None and part.published.md5 not in (None, converted[part.kind].md5):
            logger.info("      its MD5 sum is not the published one: saved again, or other weights of the same sizes")
        try:
            models = _CONVERTERS[part.kind](load_checkpoint(path), **part.convert_options)
        except CheckpointError as error:
            raise CheckpointError(f"`{path.name}` cannot be converted. {error}") from error
        models = models if isinstance(models, tuple) else (models,)
        for name, model in zip(part.components, models, strict=True):
            write_model(name, model, path.name)

    _PIPELINES[recipe.family.pipeline](**components).save_config(folder)
    return converted, gate_source


def _cast(model: torch.nn.Module, dtype: torch.dtype, file_name: str) -> None:
    """Cast in place the weights that the model does not ask to keep in float32, and refuse what is not a number."""
    keep = set(getattr(model, "_keep_in_fp32_modules", None) or ())
    for name, tensor in model.state_dict(keep_vars=True).items():
        if not tensor.isfinite().all():
            raise CheckpointError(
                f"`{file_name}` has NaN or infinite values (`{name}` of {type(model).__name__}): it is damaged, or "
                "was saved before it was trained. Download it again."
            )
        # Tables, which are buffers, stay as they are.
        if not isinstance(tensor, torch.nn.Parameter):
            continue
        cast = tensor.data.to(torch.float32 if keep.intersection(name.split(".")) else dtype)
        if not cast.isfinite().all():
            raise InputError(
                f"`dtype` is {str(dtype).removeprefix('torch.')!r}, which cannot hold the values of `{name}` of "
                f"{type(model).__name__}; accepted for this checkpoint are 'float32' and 'bfloat16'."
            )
        tensor.data = cast


def _checksums(path: Path) -> SourceFile:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            md5.update(block)
            sha256.update(block)
    return SourceFile(path.name, md5.hexdigest(), sha256.hexdigest())


def _check_hub_login(token: str | None) -> None:
    """Find out before the work, not after it."""
    try:
        HfApi(token=token).whoami()
    except _HUB_ERRORS as error:
        raise DeepAudioError(
            f"The Hub does not know who you are ({type(error).__name__}), so nothing can be uploaded. Run "
            "`hf auth login` with a token that may write, or convert without `push_to_hub`."
        ) from error


def _upload(recipe: Recipe, folder: Path, repo_id: str, token: str | None) -> None:
    logger.info("Uploading to %s", repo_id)
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=True, exist_ok=True)
        message = f"Convert {recipe.family.name} weights for diffusers"
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=message)
    except _HUB_ERRORS as error:
        raise DeepAudioError(
            f"The folder {folder.name!r} is complete, but uploading it to {repo_id!r} failed "
            f"({type(error).__name__}). Check the name and your rights there, then run "
            f"`hf upload {repo_id} {folder.name}`."
        ) from error
