# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Small visual and text encoders, for those who have no pretrained ones at hand: data, heads and validation.

[`~training.encoder_losses`] has the losses.

The video encoder learns what is heard from what is seen, by regressing mel spectrograms and by telling the sound of a
segment from others (InfoNCE, van den Oord et al., arXiv 1807.03748): those of other clips, and earlier and later ones
of its own. The image and the text encoder learn which prompt belongs to which clip, as CLIP does (Radford et al.,
arXiv 2103.00020). The text encoder also learns which prompt belongs to which sound, as CLAP does (Elizalde et al.,
arXiv 2206.04769): pictures alone would teach it to overlook words like "wooden" and "low" where only the prompt tells.

The features of consecutive segments, which overlap by half, follow each other in MMAudio's sequence. So the eight
features of a segment stand for its eight central frames. They also have to tell of the four frames before and after
these, which at the ends of a clip no other feature stands for.

Shapes below: B batch, S frame size, D feature size.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import Dataset
from transformers import CLIPTokenizer
from transformers.convert_slow_tokenizer import bytes_to_unicode

from ..conversion.clip import build_clip_tokenizer
from ..errors import CheckpointError, InputError, MediaError
from ..models.encoder_conv import ConvVideoEncoder
from ..models.encoder_synchformer import SynchformerVideoEncoder
from ..processing.audio import log_mel_spectrogram
from ..processing.sequence import (
    MIN_DURATION_IN_S,
    SYNC_FRAMES_PER_SECOND,
    SYNC_SEGMENT_FRAMES,
    SYNC_SEGMENT_STRIDE,
    segment_sync_frames,
)
from ..processing.video import normalize_clip_frames, normalize_sync_frames, read_video_streams
from .codec import read_mono
from .data import DataReport, Sample
from .part_cache import CacheItem, PartCache, build_cache, fingerprint_of_sources
from .presets import HOP_LENGTH, MEL_TYPE, N_FFT, NUM_MELS, SAMPLING_RATE


# Mel frames of the targets for each video frame.
MELS_PER_FRAME = 2
# Frames before and after the central ones of a segment.
MARGIN = (SYNC_SEGMENT_FRAMES - SYNC_SEGMENT_STRIDE) // 2
# Frames for the CLIP encoder that are looked at for each segment, from all over its clip.
CLIP_FRAMES_OF_ITEM = 4

INITIAL_LOGIT_SCALE = 2.3
# Bytes with and without the mark of a word's end, merges and two special tokens.
MAX_VOCABULARY = 4096
HEADS_FILE = "heads.safetensors"


def cache_clips(
    folder: Path, sources: Sequence[str], clip_frame_size: int, sync_frame_size: int, report: DataReport
) -> PartCache:
    """Read clips with pictures and sound into a cache.

    Its arrays are `"sync_frames"` and `"clip_frames"`, uint8 of shape `(num_frames, 3, S, S)` at 25 and 8 frames a
    second, and `"mel"`, float16 of shape `(2 * num_sync_frames, num_mels)`.

    Args:
        folder (`Path`): Folder of the cache.
        sources (`Sequence[str]`): See [`read_samples`]; `prompt`, `classes`, `visible` and `events` are kept.
        clip_frame_size, sync_frame_size (`int`): Sizes of the frames of both encoders in pixels.
        report (`DataReport`): Told of what is left out: samples without pictures or sound, silent, too short or
            damaged ones.
    """

    def make_item(sample: Sample, item_report: DataReport) -> CacheItem | None:
        return _make_clip(sample, clip_frame_size, sync_frame_size, item_report)

    mel = [SAMPLING_RATE, N_FFT, HOP_LENGTH, NUM_MELS, MEL_TYPE, MELS_PER_FRAME]
    fingerprint = ["clips", clip_frame_size, sync_frame_size, mel, fingerprint_of_sources(sources)]
    return build_cache(folder, fingerprint, sources, make_item, report)


def _make_clip(sample: Sample, clip_frame_size: int, sync_frame_size: int, report: DataReport) -> CacheItem | None:
    if sample.video is None:
        report.leave_out(sample.key, "it has no pictures")
        return None
    try:
        streams = read_video_streams(sample.video, clip_frame_size=clip_frame_size, sync_frame_size=sync_frame_size)
    except (InputError, MediaError) as error:
        report.leave_out(sample.key, "its pictures cannot be used", error)
        return None
    waveform = read_mono(sample, SAMPLING_RATE, report)
    if waveform is None:
        return None
    num_frames = min(len(streams.sync_index), len(waveform) * SYNC_FRAMES_PER_SECOND // SAMPLING_RATE)
    if num_frames < SYNC_SEGMENT_FRAMES:
        report.leave_out(sample.key, f"its sound is shorter than {MIN_DURATION_IN_S} s")
        return None
    arrays = {
        "sync_frames": streams.sync_frames[streams.sync_index[:num_frames]].numpy(),
        "clip_frames": streams.clip_frames[streams.clip_index].numpy(),
        "mel": target_mel(waveform, num_frames).to(torch.float16).numpy(),
    }
    metadata = {name: sample.metadata.get(name) for name in ("prompt", "classes", "visible", "events")}
    return CacheItem(arrays, metadata | {"key": sample.key, "prompt": metadata["prompt"] or ""})


def target_mel(waveform: torch.Tensor, num_frames: int) -> torch.Tensor:
    """What the video encoder has to tell of frames: two natural log mels for each, (2 * num_frames, num_mels).

    Args:
        waveform (`torch.Tensor` of shape `(num_samples,)`): Sound at the sampling rate of the presets.
        num_frames (`int`): Frames at 25 a second.
    """
    mel = log_mel_spectrogram(
        waveform[None],
        sampling_rate=SAMPLING_RATE,
        n_fft=N_FFT,
        hop_length=HOP_LENGTH,
        num_mels=NUM_MELS,
        mel_type=MEL_TYPE,
    )[0]
    return resample_frames(
        mel, SAMPLING_RATE / HOP_LENGTH, MELS_PER_FRAME * SYNC_FRAMES_PER_SECOND, MELS_PER_FRAME * num_frames
    )


def resample_frames(frames: torch.Tensor, from_rate: float, to_rate: float, num_frames: int) -> torch.Tensor:
    """Frames (T, C) at another rate, by linear interpolation between their middles; (num_frames, C)."""
    position = ((torch.arange(num_frames, dtype=torch.float64) + 0.5) / to_rate * from_rate - 0.5).clamp(
        0, len(frames) - 1
    )
    earlier = position.floor().long()
    later = (earlier + 1).clamp(max=len(frames) - 1)
    weight = (position - earlier).to(frames)[:, None]
    return frames[earlier.to(frames.device)].lerp(frames[later.to(frames.device)], weight)


class SegmentDataset(Dataset):
    """
    All segments of 16 frames of the clips of a cache, with prompts and sounds.

    Every segment is an item of its own, so the sampler alone decides what is seen when. Items are dictionaries:
    `sync_frames` (16, 3, S, S) and `clip_frames` (4, 3, S, S) in uint8, `mel` (32, num_mels) in float16, `input_ids`
    (text_length,), and `label`, a number that clips with the same classes have in common.
    """

    def __init__(self, cache: PartCache, tokenizer: CLIPTokenizer) -> None:
        self.cache = cache
        counts = cache.lengths("sync_frames") - SYNC_SEGMENT_FRAMES + 1
        # Number of the first item of each clip, and of all items.
        self._first_items = np.concatenate([[0], np.cumsum(counts)])
        self.input_ids = tokenize([metadata["prompt"] for metadata in cache.metadata], tokenizer)
        labels: dict[str, int] = {}
        self.labels = [labels.setdefault(class_name(metadata), len(labels)) for metadata in cache.metadata]

    def __len__(self) -> int:
        return int(self._first_items[-1])

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        clip = int(np.searchsorted(self._first_items, index, side="right")) - 1
        start = index - int(self._first_items[clip])
        clip_frames = self.cache.array("clip_frames", clip)
        step = max(1, len(clip_frames) // CLIP_FRAMES_OF_ITEM)
        moments = (start % step + step * np.arange(CLIP_FRAMES_OF_ITEM)) % len(clip_frames)
        end = start + SYNC_SEGMENT_FRAMES
        return {
            "sync_frames": torch.from_numpy(self.cache.array("sync_frames", clip)[start:end].copy()),
            "clip_frames": torch.from_numpy(clip_frames[moments]),
            "mel": torch.from_numpy(
                self.cache.array("mel", clip)[MELS_PER_FRAME * start : MELS_PER_FRAME * end].copy()
            ),
            "input_ids": self.input_ids[clip],
            "label": torch.tensor(self.labels[clip]),
        }


def class_name(metadata: dict[str, Any]) -> str:
    """What tells sounds of one kind from others: the classes, or else the prompt."""
    return ", ".join(sorted(metadata["classes"])) if metadata["classes"] else metadata["prompt"]


def learn_clip_tokenizer(prompts: Sequence[str], max_length: int) -> CLIPTokenizer:
    """CLIP's tokenizer with merges learnt from prompts, so that each of their words becomes one token.

    Args:
        prompts (`Sequence[str]`): Words that occur in them more often are merged first, up to 4096 tokens.
        max_length (`int`): Longest sequence in tokens, both special tokens included.
    """
    characters = list(bytes_to_unicode().values())
    letters = [*characters, *(f"{character}</w>" for character in characters)]
    special = ["<|startoftext|>", "<|endoftext|>"]

    def tokenizer_of(merges: list[tuple[str, str]]) -> CLIPTokenizer:
        # Two pairs may make one token.
        tokens = dict.fromkeys([*letters, *("".join(pair) for pair in merges), *special])
        return build_clip_tokenizer({token: number for number, token in enumerate(tokens)}, merges, max_length)

    learnt = tokenizer_of([]).train_new_from_iterator(prompts, vocab_size=MAX_VOCABULARY, show_progress=False)
    return tokenizer_of(json.loads(learnt.backend_tokenizer.to_str())["model"]["merges"])


def tokenize(prompts: Sequence[str], tokenizer: CLIPTokenizer) -> torch.Tensor:
    """Token ids (B, text_length), as the pipelines make them."""
    return tokenizer(list(prompts), padding="max_length", truncation=True, return_tensors="pt").input_ids


class EncoderHeads(nn.Module):
    """
    What the encoders are trained through and no pipeline needs: the mel spectrogram that can be read off the features
    of the video encoder, embeddings of segments, their sounds and prompts, and the statistics of mels.

    Sounds have two towers. Timing tells a segment from others, so the one for segments keeps it. It does not tell the
    prompt, so the one for prompts takes the mean and the maximum over time.

    Args:
        sync_dim (`int`): Size of the features of the video encoder.
        text_dim (`int`): Width of the text encoder.
        clip_dim (`int`): Size of the embeddings of the image encoder.
        hidden_size (`int`, defaults to 256): Width of the mel head; the towers for sounds have half of it.
        embedding_size (`int`, defaults to 64): Size of the embeddings of segments and sounds, and of prompts that are
            compared with sounds.
    """

    def __init__(
        self, sync_dim: int, text_dim: int, clip_dim: int, hidden_size: int = 256, embedding_size: int = 64
    ) -> None:
        super().__init__()
        self.config = {
            "sync_dim": sync_dim,
            "text_dim": text_dim,
            "clip_dim": clip_dim,
            "hidden_size": hidden_size,
            "embedding_size": embedding_size,
        }
        self.register_buffer("mel_mean", torch.tensor(0.0))
        self.register_buffer("mel_std", torch.tensor(1.0))
        # For each feature, the mels of a central frame and of a frame of the margin.
        self.mel_head = nn.Sequential(
            nn.LayerNorm(sync_dim),
            nn.Linear(sync_dim, hidden_size),
            nn.GELU(),
            nn.Linear(hidden_size, 2 * MELS_PER_FRAME * NUM_MELS),
        )
        self.segment_head = nn.Linear(SYNC_SEGMENT_STRIDE * sync_dim, embedding_size)
        width = hidden_size // 2
        self.sound_tower = nn.Sequential(
            nn.Conv1d(NUM_MELS, width, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(width * MELS_PER_FRAME * SYNC_SEGMENT_STRIDE // 2, embedding_size),
        )
        self.text_head = nn.Linear(text_dim, clip_dim)
        self.listener = nn.Sequential(
            nn.Conv1d(NUM_MELS, width, 3, padding=1),
            nn.GELU(),
            nn.Conv1d(width, width, 3, stride=2, padding=1),
            nn.GELU(),
        )
        self.listener_head = nn.Linear(2 * width, embedding_size)
        self.text_sound_head = nn.Linear(text_dim, embedding_size)
        self.sound_logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))
        self.text_logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))
        self.text_sound_logit_scale = nn.Parameter(torch.tensor(INITIAL_LOGIT_SCALE))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Normalised mels (B, 32, num_mels) of the 16 frames of segments, read off their features (B, 8, D)."""
        # (B, 8, 2 * 2 * mels) -> (B, 8, 2, 2 * mels)
        mels = self.mel_head(features).float().unflatten(-1, (2, -1))
        # The first four frames of the margin lie before the central ones, the others after them.
        frames = torch.cat([mels[:, :MARGIN, 1], mels[:, :, 0], mels[:, MARGIN:, 1]], dim=1)
        return frames.unflatten(-1, (MELS_PER_FRAME, NUM_MELS)).flatten(1, 2)

    def normalize_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return (mel.float() - self.mel_mean) / self.mel_std

    def denormalize_mel(self, mel: torch.Tensor) -> torch.Tensor:
        return mel * self.mel_std + self.mel_mean

    def embed_segments(self, features: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (B, embedding_size) of segments by their features (B, 8, D)."""
        return F.normalize(self.segment_head(features.flatten(1)).float(), dim=-1)

    def embed_sounds(self, mel: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (B, embedding_size) of normalised mels (B, 16, num_mels) of eight frames."""
        return F.normalize(self.sound_tower(mel.transpose(1, 2)).float(), dim=-1)

    def embed_texts(self, pooled_states: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (B, clip_dim) of prompts by the states of their ends (B, text_dim)."""
        return F.normalize(self.text_head(pooled_states).float(), dim=-1)

    def embed_texts_for_sounds(self, pooled_states: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (B, embedding_size) of prompts, for [`embed_sounds_for_texts`]."""
        return F.normalize(self.text_sound_head(pooled_states).float(), dim=-1)

    def embed_sounds_for_texts(self, mel: torch.Tensor) -> torch.Tensor:
        """Embeddings of unit length (B, embedding_size) of normalised mels (B, num_frames, num_mels) of any length."""
        heard = self.listener(mel.transpose(1, 2))
        return F.normalize(self.listener_head(torch.cat([heard.mean(-1), heard.amax(-1)], dim=1)).float(), dim=-1)

    def save(self, folder: Path) -> None:
        """Write weights and sizes into one file of a folder."""
        state = {name: tensor.contiguous().cpu() for name, tensor in self.state_dict().items()}
        save_file(state, folder / HEADS_FILE, metadata={"config": json.dumps(self.config)})

    @classmethod
    def load(cls, folder: Path) -> "EncoderHeads":
        """The heads of a folder that [`save`] has written into, in evaluation mode.

        Raises:
            CheckpointError: There are none, or those of another version.
        """
        path = folder / HEADS_FILE
        if not path.is_file():
            raise CheckpointError(f"There is no {path}; pass the output folder of train_encoders.py.")
        with safe_open(path, framework="pt") as file:
            heads = cls(**json.loads(file.metadata()["config"]))
        state = load_file(path)
        if different := sorted(heads.state_dict().keys() ^ state.keys()):
            raise CheckpointError(
                f"{path} was written by another version of train_encoders.py: {different[0]} is in one of both alone. "
                "Train the encoders again."
            )
        heads.load_state_dict(state)
        return heads.eval()


def set_mel_statistics(heads: EncoderHeads, mels: Sequence[np.ndarray]) -> None:
    """Let mels be normalised by their mean and standard deviation over all of `mels`, (num_frames, num_mels) each."""
    values = torch.from_numpy(np.concatenate(mels)).double()
    heads.mel_mean.fill_(values.mean())
    heads.mel_std.fill_(values.std().clamp(min=1e-3))


def image_embeddings(image_encoder: nn.Module, frames: torch.Tensor) -> torch.Tensor:
    """Embeddings of unit length (B, clip_dim) of clips by normalised frames (B, num_frames, 3, S, S) of each."""
    embeds = image_encoder(frames.flatten(0, 1)).image_embeds.float()
    # Each frame counts alike, as in the features that the pipelines make.
    return F.normalize(F.normalize(embeds, dim=-1).unflatten(0, frames.shape[:2]).mean(dim=1), dim=-1)


@torch.no_grad()
def segment_features(
    video_encoder: ConvVideoEncoder | SynchformerVideoEncoder, sync_frames: torch.Tensor, segments_per_batch: int = 64
) -> torch.Tensor:
    """Features (num_segments, 8, D) of the segments of a clip, uint8 frames (num_frames, 3, S, S)."""
    starts = torch.tensor(segment_sync_frames(len(sync_frames)))
    segments = starts[:, None] + torch.arange(SYNC_SEGMENT_FRAMES)
    features = [
        video_encoder(normalize_sync_frames(sync_frames[part])).features.float()
        for part in segments.split(segments_per_batch)
    ]
    return torch.cat(features)


@torch.no_grad()
def regress_mel(heads: EncoderHeads, features: torch.Tensor) -> torch.Tensor:
    """The natural log mel spectrogram that the features of a clip tell, without a generator.

    Args:
        heads (`EncoderHeads`): The heads of the video encoder.
        features (`torch.Tensor` of shape `(num_segments, 8, D)`): From [`segment_features`].

    Returns:
        `torch.Tensor` of shape `(16 * num_segments + 16, num_mels)`: Two mels for each frame from the first to the
        last one of all segments, that is, 50 a second; [`resample_frames`] brings them to the rate of a vocoder.
    """
    # (num_segments, 32, mels)
    mels = heads.denormalize_mel(heads(features))
    margin = MARGIN * MELS_PER_FRAME
    central = mels[:, margin:-margin].flatten(0, 1)
    return torch.cat([mels[0, :margin], central, mels[-1, -margin:]])


def correlation(first: torch.Tensor, second: torch.Tensor) -> float:
    """Pearson's correlation of two contours of one length; 0 where one of them does not change."""
    first, second = first.double() - first.double().mean(), second.double() - second.double().mean()
    norms = first.norm() * second.norm()
    return float(first @ second / norms) if norms > 0 else 0.0


@torch.no_grad()
def validate_encoders(
    networks: dict[str, nn.Module], cache: PartCache, indices: Sequence[int], tokenizer: CLIPTokenizer
) -> tuple[dict[str, float], list[dict[str, torch.Tensor]]]:
    """How well the encoders do on clips of a cache.

    Returns:
        `tuple[dict, list]`: Figures, and for each clip its true and its regressed spectrogram. `mel_mse` is the error
        of normalised mels, `energy_r` the correlation of their mean over bins, `retrieval` how often a segment is
        nearest to its own sound among all of its clip, and `class_accuracy` how often the picture of a single thing
        that sounds is nearest to the prompts of its class.
    """
    heads, device = networks["heads"], next(networks["heads"].parameters()).device
    errors, energies, hits, pictures, images = [], {}, [], [], []
    for index in indices:
        features = segment_features(
            networks["video_encoder"], torch.from_numpy(cache.array("sync_frames", index).copy()).to(device)
        )
        regressed = regress_mel(heads, features)
        true = torch.from_numpy(cache.array("mel", index)[: len(regressed)].astype(np.float32)).to(device)
        margin = MARGIN * MELS_PER_FRAME
        errors.append(F.mse_loss(regressed[margin:-margin], true[margin:-margin]) / heads.mel_std**2)
        energies.setdefault(class_name(cache.metadata[index]), []).append(
            correlation(regressed.mean(dim=1), true.mean(dim=1))
        )
        windows = heads.normalize_mel(true[margin:-margin]).unflatten(0, (len(features), -1))
        similarities = heads.embed_segments(features) @ heads.embed_sounds(windows).T
        hits.append((similarities.argmax(dim=1) == torch.arange(len(features), device=device)).float().mean())
        pictures.append({"true": true, "regressed by the video encoder": regressed})
        frames = torch.from_numpy(cache.array("clip_frames", index).copy()).to(device)
        images.append(image_embeddings(networks["image_encoder"], normalize_clip_frames(frames)[None])[0])

    figures = {
        "mel_mse": float(torch.stack(errors).mean()),
        "energy_r": float(np.mean([value for values in energies.values() for value in values])),
        "retrieval": float(torch.stack(hits).mean()),
    }
    texts = heads.embed_texts(
        networks["text_encoder"](
            tokenize([cache.metadata[index]["prompt"] for index in indices], tokenizer).to(device)
        ).pooler_output
    )
    accuracy = zero_shot_accuracy(torch.stack(images), texts, [cache.metadata[index] for index in indices])
    if not math.isnan(accuracy):
        figures["class_accuracy"] = accuracy
    # Of single classes only: there are many combinations, of few clips each.
    figures |= {f"energy_r/{name}": float(np.mean(values)) for name, values in energies.items() if "," not in name}
    return figures, pictures


def zero_shot_accuracy(images: torch.Tensor, texts: torch.Tensor, metadata: Sequence[dict[str, Any]]) -> float:
    """How often a clip (B, clip_dim) is nearest to the mean prompt (B, clip_dim) of its class; NaN without any.

    Only clips count of which one thing is seen and heard: of others, a picture does not tell what sounds.
    """
    single = [
        index
        for index, known in enumerate(metadata)
        if known["classes"] and len(known["classes"]) == 1 and known["visible"] in (None, known["classes"])
    ]
    names = sorted({metadata[index]["classes"][0] for index in single})
    if not single:
        return math.nan
    labels = torch.tensor([names.index(metadata[index]["classes"][0]) for index in single], device=images.device)
    prototypes = torch.stack([texts[single][labels == label].mean(dim=0) for label in range(len(names))])
    nearest = (images[single] @ F.normalize(prototypes, dim=-1).T).argmax(dim=1)
    return float((nearest == labels).float().mean())
