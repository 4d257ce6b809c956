# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the encoders see and hear of the training clips, computed once and kept on disk.

The encoders do not change while [`MMAudioTransformer1DModel`] is trained, so their features, and mean and standard
deviation of the VAE's posterior, are computed by the pipeline itself and stored in half precision.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import MMAudioVAE, MMAudioVocoder
from torch import nn
from torch.utils.data import Dataset
from transformers import AutoTokenizer, CLIPTextModel, PreTrainedTokenizerBase

from ..errors import InputError, MediaError, NoAudioStreamError
from ..media import read_audio
from ..models.autoencoder_mmaudio import MMAudioMelVAE
from ..models.encoder_clip import CLIPFrameEncoder
from ..models.encoder_conv import ConvVideoEncoder
from ..models.encoder_synchformer import SynchformerVideoEncoder
from ..models.vocoder_bigvgan import BigVGANVocoder
from ..models.vocoder_vocos import VocosVocoder
from ..pipelines.pipeline_output import VideoFeatures
from ..pipelines.pipeline_video_to_audio import VideoToAudioPipeline
from ..processing.audio import resample
from ..processing.sequence import LATENT_DOWNSAMPLING
from .data import DataReport, Sample
from .part_cache import CacheItem, PartCache, build_cache, fingerprint_of_sources


# What features depend on. A pipeline folder has them as subfolders, and so have the outputs of train_codec.py (vae)
# and train_encoders.py (the others).
FEATURE_COMPONENTS = ("tokenizer", "text_encoder", "image_encoder", "video_encoder", "vae")
# Of networks that are of one of several classes, which their configurations name.
MODEL_CLASSES = {
    "video_encoder": (SynchformerVideoEncoder, ConvVideoEncoder),
    "vae": (MMAudioMelVAE, MMAudioVAE),
    "vocoder": (BigVGANVocoder, VocosVocoder, MMAudioVocoder),
}
COMPONENT_CLASSES = {
    "tokenizer": AutoTokenizer,
    "text_encoder": CLIPTextModel,
    "image_encoder": CLIPFrameEncoder,
}

CONFIG_FILES = ("config.json", "tokenizer_config.json")
# What the libraries write into these besides the configuration.
NOTES_OF_SAVING = ("_name_or_path", "_diffusers_version", "transformers_version", "is_local", "local_files_only")
# A sound whose loudest sample is below -80 dB of full scale is silence with the noise of a coder.
SILENCE_PEAK = 1e-4


def find_components(folders: Iterable[Path], names: Iterable[str]) -> dict[str, Path]:
    """Where each component lies: in the first folder that has a subfolder of its name.

    Raises:
        InputError: None of the folders has a component.
    """
    folders = list(folders)
    found = {}
    for name in names:
        holders = [folder / name for folder in folders if (folder / name).is_dir()]
        if not holders:
            searched = ", ".join(str(folder) for folder in folders) or "no folder"
            raise InputError(
                f"`--components` has no {name!r} (searched: {searched}); add a folder that has one: a "
                "pipeline, or the output of train_codec.py or train_encoders.py."
            )
        found[name] = holders[0]
    return found


def load_component(name: str, folder: Path) -> nn.Module | PreTrainedTokenizerBase:
    """Load a component of [`VideoToAudioPipeline`] from its folder; networks in float32 and without gradients.

    Raises:
        InputError: The folder holds a network of another kind.
    """
    if name in COMPONENT_CLASSES:
        component_class = COMPONENT_CLASSES[name]
    else:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        possible = {model_class.__name__: model_class for model_class in MODEL_CLASSES[name]}
        component_class = possible.get(config["_class_name"])
        if component_class is None:
            raise InputError(
                f"{folder} holds a {config['_class_name']}, which cannot be the {name} of a pipeline; expected one "
                f"of {', '.join(possible)}."
            )
    component = component_class.from_pretrained(folder)
    return component.float().eval().requires_grad_(False) if isinstance(component, nn.Module) else component


def hash_of_components(folders: dict[str, Path]) -> str:
    """A hash of weights, configurations and vocabularies; where and by what they were saved makes no difference."""
    digest = hashlib.sha256()
    for name, folder in sorted(folders.items()):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(f"{name}/{path.relative_to(folder).as_posix()}\n".encode())
            if path.name in CONFIG_FILES:
                config = json.loads(path.read_text(encoding="utf-8"))
                config = {key: value for key, value in config.items() if key not in NOTES_OF_SAVING}
                digest.update(json.dumps(config, sort_keys=True).encode())
                continue
            with open(path, "rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


class FeatureExtractor:
    """
    Computes what is kept of a clip. The networks are loaded when the first clip needs them.

    Args:
        folders (`dict[str, Path]`): Folders of [`FEATURE_COMPONENTS`], from [`find_components`].
        device (`torch.device` or `str`): Where the networks run.
        clip_length_in_s (`float`): How much of each clip is used, from its beginning.
        peak_level (`float`, defaults to 0.0): Sounds are scaled so that their loudest sample is this; 0 leaves them as
            they are.
        prompt_column (`str`, defaults to `"prompt"`): Name of the prompt in the metadata of samples.
        with_waveforms (`bool`, defaults to `False`): Whether the sound itself is kept too, for validation.
    """

    def __init__(
        self,
        folders: dict[str, Path],
        device: torch.device | str,
        clip_length_in_s: float,
        peak_level: float = 0.0,
        prompt_column: str = "prompt",
        with_waveforms: bool = False,
    ) -> None:
        self.folders = {name: folders[name] for name in FEATURE_COMPONENTS}
        self.device = device
        self.clip_length_in_s = clip_length_in_s
        self.peak_level = peak_level
        self.prompt_column = prompt_column
        self.with_waveforms = with_waveforms

    @cached_property
    def pipeline(self) -> VideoToAudioPipeline:
        """The pipeline as far as features need it."""
        components = {name: load_component(name, folder) for name, folder in self.folders.items()}
        return VideoToAudioPipeline(**components, transformer=None, scheduler=None, vocoder=None).to(self.device)

    @cached_property
    def dtype(self) -> np.dtype:
        """Of the record of one clip."""
        pipeline, lengths = self.pipeline, self.pipeline.sequence_lengths(self.clip_length_in_s)
        latent_shape = (lengths.num_latents, pipeline.vae.config.latent_channels)
        text_shape = (pipeline.tokenizer.model_max_length, pipeline.text_encoder.config.hidden_size)
        fields = [
            ("clip_features", "<f2", (lengths.num_clip_frames, pipeline.image_encoder.config.projection_dim)),
            ("sync_features", "<f2", (lengths.num_sync_tokens, pipeline.video_encoder.config.hidden_size)),
            ("has_video", "?"),
            ("text_features", "<f2", text_shape),
            ("latent_mean", "<f2", latent_shape),
            ("latent_std", "<f2", latent_shape),
        ]
        if self.with_waveforms:
            fields.append(("waveform", "<f4", (lengths.num_samples,)))
        return np.dtype(fields)

    def fingerprint(self, sources: Sequence[str], max_samples: int | None) -> list:
        """What decides about the features of the first `max_samples` samples of `sources`, as JSON."""
        return [
            hash_of_components(self.folders),
            fingerprint_of_sources(sources),
            max_samples,
            self.clip_length_in_s,
            self.peak_level,
            self.prompt_column,
            self.with_waveforms,
        ]

    @torch.no_grad()
    def make_item(self, sample: Sample, report: DataReport) -> CacheItem | None:
        """The record of a sample; `None`, and a note in the report, if it cannot be used.

        A sample without pictures is a sound with a text; its visual features are zeros, and `has_video` is false. A
        sample without a prompt has that of the empty one.
        """
        prompt = sample.metadata.get(self.prompt_column) or ""
        if not isinstance(prompt, str):
            report.leave_out(sample.key, f"its {self.prompt_column} is no text", prompt)
            return None
        waveform = self._read_sound(sample, report)
        if waveform is None:
            return None
        record = np.zeros(1, self.dtype)
        if sample.video is not None:
            features = self._see(sample, report)
            if features is None:
                return None
            record["has_video"] = True
            record["clip_features"] = features.clip_features.cpu().numpy()
            record["sync_features"] = features.sync_features.cpu().numpy()
        num_latents = self.dtype["latent_mean"].shape[0]
        padding = num_latents * LATENT_DOWNSAMPLING * self.pipeline.mel_hop_length - len(waveform)
        posterior = self.pipeline.vae.encode(F.pad(waveform, (0, padding))[None].to(self.device)).latent_dist
        record["latent_mean"] = posterior.mean.transpose(1, 2).cpu().numpy()
        record["latent_std"] = posterior.std.transpose(1, 2).cpu().numpy()
        record["text_features"] = self.pipeline.encode_prompt(prompt).cpu().numpy()
        if self.with_waveforms:
            record["waveform"] = waveform.numpy()
        metadata = {"key": sample.key, "prompt": prompt, "has_video": sample.video is not None}
        return CacheItem({"features": record}, metadata)

    def _see(self, sample: Sample, report: DataReport) -> VideoFeatures | None:
        try:
            return self.pipeline.encode_video(sample.video, audio_length_in_s=self.clip_length_in_s)
        except InputError as error:
            report.leave_out(sample.key, "its pictures are shorter than the clip length", error)
        except MediaError as error:
            report.leave_out(sample.key, "its pictures cannot be read", error)
        return None

    def _read_sound(self, sample: Sample, report: DataReport) -> torch.Tensor | None:
        """The beginning of the sound as the VAE takes it, `(num_samples,)`."""
        if sample.audio is None:
            report.leave_out(sample.key, "it has no sound")
            return None
        try:
            audio = read_audio(sample.audio, length_in_s=self.clip_length_in_s)
        except NoAudioStreamError as error:
            report.leave_out(sample.key, "it has no sound", error)
            return None
        except InputError as error:
            report.leave_out(sample.key, "its sound is shorter than the clip length", error)
            return None
        except MediaError as error:
            report.leave_out(sample.key, "its sound cannot be read", error)
            return None
        waveform = torch.from_numpy(audio.samples).mean(dim=0)
        num_samples = self.pipeline.sequence_lengths(self.clip_length_in_s).num_samples
        waveform = resample(waveform, audio.sampling_rate, self.pipeline.sampling_rate)[:num_samples]
        peak = float(waveform.abs().max())
        if peak < SILENCE_PEAK:
            report.leave_out(sample.key, "its sound is silent")
            return None
        if self.peak_level > 0:
            waveform = waveform * (self.peak_level / peak)
        # Times of a file are rounded, so that a few samples may be missing.
        return F.pad(waveform, (0, num_samples - len(waveform)))


def cache_features(
    folder: Path,
    sources: Sequence[str],
    extractor: FeatureExtractor,
    report: DataReport,
    max_samples: int | None = None,
) -> PartCache:
    """Features of data sets, computed as far as they are not in the cache.

    Args:
        folder (`Path`): Folder of the cache.
        sources (`Sequence[str]`): See [`~training.data.read_samples`]; one after the other.
        extractor ([`FeatureExtractor`]): Computes the features.
        report ([`DataReport`]): Told of what was used and left out.
        max_samples (`int`, *optional*): How many samples are read.

    Raises:
        InputError: See [`~training.part_cache.build_cache`].
    """
    fingerprint = extractor.fingerprint(sources, max_samples)
    return build_cache(folder, fingerprint, sources, extractor.make_item, report, max_samples)


class FeatureDataset(Dataset):
    """
    The features of clips as dictionaries of tensors: float32, and `has_video` as a truth value.

    Args:
        cache ([`~training.part_cache.PartCache`]): From [`cache_features`].
    """

    def __init__(self, cache: PartCache) -> None:
        self.clips = cache.metadata
        self._cache = cache

    def __len__(self) -> int:
        return len(self._cache)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        record = self._record(index)
        return {
            name: torch.from_numpy(np.array(record[name], dtype=bool if name == "has_video" else np.float32))
            for name in record.dtype.names
        }

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of one feature of one clip."""
        return self._record(0).dtype[name].shape

    def count_peculiarities(self) -> dict[str, int]:
        """How many clips are used although something is missing that most have."""
        return {
            "without a prompt": sum(not clip["prompt"].strip() for clip in self.clips),
            "without pictures": sum(not clip["has_video"] for clip in self.clips),
        }

    def latent_statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the means of all posteriors, each of shape `(latent_channels,)`."""
        total = square_total = 0.0
        for index in range(len(self)):
            means = self._record(index)["latent_mean"].astype(np.float64)
            total, square_total = total + means.mean(axis=0), square_total + np.square(means).mean(axis=0)
        mean = total / len(self)
        std = np.sqrt(square_total / len(self) - np.square(mean))
        return torch.from_numpy(mean).float(), torch.from_numpy(std).float()

    def _record(self, index: int) -> np.void:
        return self._cache.array("features", index)[0]


def encode_empty_prompt(folders: dict[str, Path]) -> torch.Tensor:
    """What stands for no text: the states of the empty prompt, of shape `(num_tokens, text_dim)`."""
    pipeline = VideoToAudioPipeline(
        tokenizer=load_component("tokenizer", folders["tokenizer"]),
        text_encoder=load_component("text_encoder", folders["text_encoder"]),
        **dict.fromkeys(("image_encoder", "video_encoder", "transformer", "scheduler", "vae", "vocoder")),
    )
    with torch.no_grad():
        return pipeline.encode_prompt("")[0]
