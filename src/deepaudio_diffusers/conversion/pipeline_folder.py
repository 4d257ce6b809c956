# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Published MMAudio weights -> a complete pipeline folder for `VideoToAudioPipeline.from_pretrained`.

MMAudio: arXiv 2412.15322, hkchengrex/MMAudio (code MIT, networks CC BY-NC 4.0). One checkpoint after the other is
read, converted, cast and saved, so memory holds one at a time, and the folder gets its name when it is complete.
"""

import gzip
import hashlib
import json
import logging
import re
import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError
from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ..errors import CheckpointError, DeepAudioError, InputError
from ..pipelines.pipeline_video_to_audio import VideoToAudioPipeline
from ..schedulers.scheduling_flow_match_euler import FlowMatchGridEulerScheduler
from .checkpoints import CHECKPOINT_SUFFIXES, Identity, identify, load_checkpoint, read_shapes
from .clip import build_clip_tokenizer, convert_clip
from .mmaudio import convert_mmaudio_transformer
from .model_card import SourceFile, build_model_card
from .recipes import CLIP_FILE, MMAUDIO_RECIPES, MMAUDIO_REPO, TOKENIZER_FILES, MMAudioRecipe, Part, get_recipe
from .synchformer import convert_synchformer
from .vae import convert_mmaudio_vae
from .vocoders import convert_bigvgan


logger = logging.getLogger(__name__)

_CONVERTERS = {
    "mmaudio_transformer": convert_mmaudio_transformer,
    "mmaudio_vae": convert_mmaudio_vae,
    "bigvgan": convert_bigvgan,
    "synchformer": convert_synchformer,
    "clip": convert_clip,
}

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

PIPELINE_INDEX = "model_index.json"
# The vocabulary as open_clip ships it, for people who have that instead of `TOKENIZER_FILES`.
OPEN_CLIP_VOCABULARY = "bpe_simple_vocab_16e6.txt.gz"

# The Hub's client has changed its HTTP library before; the first base of its own error is that library's.
_HUB_ERRORS = (OSError, HfHubHTTPError.__bases__[0])


@dataclass(frozen=True)
class SourceFiles:
    """The files that a conversion reads.

    Attributes:
        checkpoints (`Mapping[str, Path]`): The checkpoint of each part of the recipe, by `part.kind`.
        tokenizer (`tuple[Path, ...]`): `vocab.json` and `merges.txt`, or open_clip's vocabulary alone.
    """

    checkpoints: Mapping[str, Path]
    tokenizer: tuple[Path, ...]


def convert_pipeline(
    variant: str | MMAudioRecipe,
    source: str | Path,
    output: str | Path,
    *,
    dtype: str = "float32",
    overwrite: bool = False,
    push_to_hub: str | None = None,
    token: str | None = None,
) -> Path:
    """Convert published MMAudio weights to a pipeline folder.

    Progress is logged at level INFO, one line a checkpoint.

    Args:
        variant (`str` or `MMAudioRecipe`): One of `MMAUDIO_RECIPES`, or a recipe for a network of another size.
        source (`str` or `Path`): A folder, searched with its subfolders for checkpoints that are recognised by their
            keys, or the Hub repository to download MMAudio's files from (`"hkchengrex/MMAudio"`); CLIP and the 44.1
            kHz vocoder then come from the repositories of their own publishers.
        output (`str` or `Path`): Folder to write. It is created when everything in it is complete; a conversion that
            fails leaves nothing behind.
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
        CheckpointError: When a checkpoint is missing, of another variant, found twice, damaged or unsafe.
        DeepAudioError: When the upload fails; the local folder is complete then.
    """
    recipe = variant if isinstance(variant, MMAudioRecipe) else get_recipe(variant)
    if dtype not in DTYPES:
        raise InputError(f"`dtype` is {dtype!r}; accepted are {', '.join(DTYPES)}.")
    source_folder = Path(source).expanduser()
    output = Path(output).expanduser().absolute()
    _check_output(output, source_folder, overwrite)
    if push_to_hub is not None:
        _check_hub_login(token)

    if source_folder.is_dir():
        files = _find_in_folder(recipe, source_folder)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+", str(source)):
        files = _download(recipe, str(source), token)
    else:
        raise InputError(
            f"`source` is {str(source)!r}, which is neither a folder here nor the name of a Hub repository; accepted "
            f"are a folder with the published files, or {MMAUDIO_REPO!r}."
        )

    with _complete_or_nothing(output) as folder:
        converted = _write_components(recipe, files, folder, dtype)
        card = build_model_card(
            recipe,
            converted,
            dtype=dtype,
            name=push_to_hub or output.name,
            package_version=version("deepaudio-diffusers"),
        )
        card.save(folder / "README.md")
    logger.info("Wrote the pipeline folder %s", output.name)

    if push_to_hub is not None:
        _upload(output, push_to_hub, token)
    return output


def _check_output(output: Path, source: Path, overwrite: bool) -> None:
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
    if source.resolve().is_relative_to(output.resolve()):
        raise InputError(
            f"`source` lies inside `output` ({output.name!r}), which is to be replaced; move one of them."
        )


def _find_in_folder(recipe: MMAudioRecipe, folder: Path) -> SourceFiles:
    identities, unreadable = {}, {}
    for path in _candidates(folder):
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
        if len(fitting) == 1:
            checkpoints[part.kind] = fitting[0]
        elif fitting:
            names = " and ".join(display(path) for path in fitting)
            problems.append(f"{part.title}: found in {names}; keep one of them in the folder.")
        else:
            found = "".join(f" {display(path)} is {_describe(identities[path], part)}." for path in others)
            problems.append(f"{part.title}: missing.{found} It is published as {_published(part)}.")

    tokenizer = _find_tokenizer(folder, recipe)
    if tokenizer is None:
        problems.append(
            f"CLIP tokenizer: missing. It is published as {' and '.join(TOKENIZER_FILES)} in {CLIP_FILE.repo_id}; "
            f"open_clip's {OPEN_CLIP_VOCABULARY} will do as well."
        )
    if problems:
        problems += [str(error) for error in unreadable.values()]
        raise CheckpointError(
            f"{recipe.variant} cannot be made from the files in `source` ({folder.name!r}). Add what is missing, or "
            f"give {MMAUDIO_REPO} as the source to download it all.\n- " + "\n- ".join(problems)
        )
    for error in unreadable.values():
        logger.warning("Not needed and skipped: %s", error)
    return SourceFiles(checkpoints, tokenizer)


def _candidates(folder: Path) -> list[Path]:
    """Checkpoint files below `folder`, each file once, without hidden ones and those of converted pipelines."""
    pipelines = [index.parent for index in folder.rglob(PIPELINE_INDEX)]
    by_file = {
        path.resolve(): path
        for path in sorted(folder.rglob("*"), reverse=True)
        if path.suffix in CHECKPOINT_SUFFIXES
        and path.is_file()
        and not any(name.startswith(".") for name in path.relative_to(folder).parts)
        and not any(path.is_relative_to(pipeline) for pipeline in pipelines)
    }
    return sorted(by_file.values())


def _sort_out(part: Part, identities: Mapping[Path, Identity]) -> tuple[list[Path], list[Path]]:
    """The files that are this part, and those that are the same kind of network in another variant."""
    of_kind = [path for path, identity in identities.items() if identity.kind == part.kind]
    fitting = [path for path in of_kind if not _differences(identities[path], part)]
    return fitting, [path for path in of_kind if path not in fitting]


def _differences(identity: Identity, part: Part) -> list[str]:
    return [name for name, value in part.facts.items() if identity.facts[name] != value]


def _describe(identity: Identity, part: Part) -> str:
    """What a checkpoint is that is of the right kind and not of the right variant."""
    variants = [
        recipe.variant
        for recipe in MMAUDIO_RECIPES.values()
        if any(other.kind == identity.kind and not _differences(identity, other) for other in recipe.parts)
    ]
    differences = ", ".join(
        f"`{name}` {identity.facts[name]} instead of {part.facts[name]}" for name in _differences(identity, part)
    )
    return f"that of {', '.join(variants)} ({differences})" if variants else f"another one ({differences})"


def _published(part: Part) -> str:
    file = part.published
    return f"{file.path} in {file.repo_id} ({file.size}, {file.url})"


def _find_tokenizer(folder: Path, recipe: MMAudioRecipe) -> tuple[Path, ...] | None:
    vocab_size = recipe.part("text_encoder").facts["vocab_size"]
    vocab_name, merges_name = TOKENIZER_FILES
    found = {}
    for vocab in sorted(folder.rglob(vocab_name)):
        merges = vocab.with_name(merges_name)
        if merges.is_file() and _is_clip_vocabulary(vocab, vocab_size):
            found.setdefault((vocab.read_bytes(), merges.read_bytes()), (vocab, merges))
    if len(found) > 1:
        names = " and ".join(f"`{vocab.relative_to(folder)}`" for vocab, _ in found.values())
        raise CheckpointError(
            f"Two different CLIP tokenizers are in `source`: {names}. Keep one of them in the folder."
        )
    if found:
        return next(iter(found.values()))
    open_clip = next(iter(sorted(folder.rglob(OPEN_CLIP_VOCABULARY))), None)
    return None if open_clip is None else (open_clip,)


def _is_clip_vocabulary(path: Path, vocab_size: int) -> bool:
    """Other models have files of the same name; CLIP's vocabulary ends with its two special tokens."""
    try:
        vocabulary = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return (
        isinstance(vocabulary, dict)
        and len(vocabulary) == vocab_size
        and vocabulary.get("<|startoftext|>") == vocab_size - 2
        and vocabulary.get("<|endoftext|>") == vocab_size - 1
    )


def _download(recipe: MMAudioRecipe, repo_id: str, token: str | None) -> SourceFiles:
    checkpoints = {}
    for part in recipe.parts:
        file = part.published
        path = _download_file(repo_id if file.repo_id == MMAUDIO_REPO else file.repo_id, file.path, token)
        identity = identify(read_shapes(path))
        if identity is None or identity.kind != part.kind:
            raise CheckpointError(f"`{file.name}` from {repo_id} is not the {part.title} that {recipe.variant} needs.")
        if _differences(identity, part):
            raise CheckpointError(
                f"`{file.name}` from {repo_id} is not the {part.title} of {recipe.variant} but "
                f"{_describe(identity, part)}."
            )
        checkpoints[part.kind] = path
    tokenizer = tuple(_download_file(CLIP_FILE.repo_id, name, token) for name in TOKENIZER_FILES)
    return SourceFiles(checkpoints, tokenizer)


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


def _write_components(recipe: MMAudioRecipe, files: SourceFiles, folder: Path, dtype: str) -> dict[str, SourceFile]:
    components: dict[str, Any] = {
        "tokenizer": _build_tokenizer(recipe, files.tokenizer),
        "scheduler": FlowMatchGridEulerScheduler(),
    }
    for name, component in components.items():
        component.save_pretrained(folder / name)

    converted = {}
    for number, part in enumerate(recipe.parts, start=1):
        path = files.checkpoints[part.kind]
        logger.info(
            "[%d/%d] %s: %s -> %s", number, len(recipe.parts), part.title, path.name, ", ".join(part.components)
        )
        converted[part.kind] = _checksums(path)
        if part.published.md5 not in (None, converted[part.kind].md5):
            logger.info("      its MD5 sum is not the published one: saved again, or other weights of the same sizes")
        try:
            models = _CONVERTERS[part.kind](load_checkpoint(path), **part.convert_options)
        except CheckpointError as error:
            raise CheckpointError(f"`{path.name}` cannot be converted. {error}") from error
        models = models if isinstance(models, tuple) else (models,)
        for name, model in zip(part.components, models, strict=True):
            _cast(model, DTYPES[dtype], path.name)
            model.save_pretrained(folder / name)
            # The pipeline's own file needs the classes only.
            components[name] = model.to("meta")

    VideoToAudioPipeline(**components).save_config(folder)
    return converted


def _build_tokenizer(recipe: MMAudioRecipe, paths: tuple[Path, ...]) -> CLIPTokenizer:
    facts = recipe.part("text_encoder").facts
    names = " and ".join(f"`{path.name}`" for path in paths)
    try:
        vocab, pairs = _read_tokens(*paths) if len(paths) == 2 else _read_open_clip_tokens(*paths, facts["vocab_size"])
    except (EOFError, OSError, ValueError, zlib.error) as error:
        raise CheckpointError(f"{names} cannot be read ({error}). Download the CLIP tokenizer again.") from error
    unknown = [pair for pair in pairs if len(pair.split()) != 2 or pair.replace(" ", "") not in vocab]
    if unknown or len(vocab) != facts["vocab_size"]:
        raise CheckpointError(
            f"{names} make a CLIP tokenizer of {len(vocab)} tokens, where the text encoder knows "
            f"{facts['vocab_size']}, with {len(unknown)} byte pairs that give no token. Download them again."
        )
    return build_clip_tokenizer(vocab, pairs, facts["text_length"])


def _read_tokens(vocab_path: Path, merges_path: Path) -> tuple[dict[str, int], list[str]]:
    # The first line of the merges is a comment on their format.
    pairs = merges_path.read_text(encoding="utf-8").splitlines()[1:]
    return json.loads(vocab_path.read_text(encoding="utf-8")), [pair for pair in pairs if pair]


def _read_open_clip_tokens(path: Path, vocab_size: int) -> tuple[dict[str, int], list[str]]:
    # open_clip ships the byte pairs alone, and more than it uses. The tokens are the bytes, the bytes that end a word,
    # what the pairs merge to, and the two special tokens.
    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(f"{character}</w>" for character in characters)]
    num_pairs = vocab_size - len(tokens) - 2
    with gzip.open(path, "rt", encoding="utf-8") as file:
        pairs = file.read().splitlines()[1 : 1 + num_pairs]
    tokens += [pair.replace(" ", "") for pair in pairs] + ["<|startoftext|>", "<|endoftext|>"]
    return {token: index for index, token in enumerate(tokens)}, pairs


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


def _upload(folder: Path, repo_id: str, token: str | None) -> None:
    logger.info("Uploading to %s", repo_id)
    api = HfApi(token=token)
    try:
        api.create_repo(repo_id, private=True, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message="Convert MMAudio weights for diffusers")
    except _HUB_ERRORS as error:
        raise DeepAudioError(
            f"The folder {folder.name!r} is complete, but uploading it to {repo_id!r} failed "
            f"({type(error).__name__}). Check the name and your rights there, then run "
            f"`hf upload {repo_id} {folder.name}`."
        ) from error
