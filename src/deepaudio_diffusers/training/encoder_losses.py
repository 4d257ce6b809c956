# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What small visual and text encoders are trained with: changed frames, and the losses.

Shapes below: B batch, S frame size, D feature size. Batches are of items of [`~training.encoders.SegmentDataset`].
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..processing.sequence import SYNC_SEGMENT_STRIDE
from ..processing.video import normalize_clip_frames, normalize_sync_frames
from .encoders import MARGIN, MELS_PER_FRAME, EncoderHeads, image_embeddings


# Weights of the losses.
MEL_WEIGHT = 2.0
MARGIN_WEIGHT = 0.5
SOUND_CONTRAST_WEIGHT = 0.3
TEXT_CONTRAST_WEIGHT = 0.3
TEXT_SOUND_WEIGHT = 0.3
# Prompts of the same classes may fit a clip as well as its own, and count as so much less wrong.
SAME_CLASS_OFFSET = -2.0
MAX_LOGIT_SCALE = 4.0

# Changes of the frames, the same for all frames of an item: standard deviations of contrast, colour and noise,
# in units of normalised frames, and the largest shift in pixels. No mirroring: directions may be heard.
CONTRAST_STD = 0.15
COLOUR_STD = 0.1
NOISE_STD = 0.05
MAX_SHIFT = 2


def augment_frames(frames: torch.Tensor) -> torch.Tensor:
    """Change contrast, colours and noise of normalised frames (B, num_frames, 3, S, S), and shift them; in place."""
    batch_size = len(frames)
    contrast = 1 + CONTRAST_STD * torch.randn(batch_size, 1, 1, 1, 1, device=frames.device)
    colour = COLOUR_STD * torch.randn(batch_size, 1, 3, 1, 1, device=frames.device)
    # One noise for all items, which spares most of the random numbers.
    noise = NOISE_STD * torch.randn_like(frames[:1])
    rows, columns = torch.randint(-MAX_SHIFT, MAX_SHIFT + 1, (2,)).tolist()
    return frames.mul_(contrast).add_(colour).add_(noise).roll((rows, columns), dims=(-2, -1))


def encoder_loss(
    networks: dict[str, nn.Module], batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The loss of all encoders.

    Args:
        networks (`dict`): `video_encoder`, `image_encoder`, `text_encoder` and their `heads`, an [`EncoderHeads`].
        batch (`dict`): `sync_frames` (B, 16, 3, S, S) and `clip_frames` (B, 4, 3, S, S) in uint8, `mel`
            (B, 32, num_mels), `input_ids` (B, text_length), and `label` (B,).

    Returns:
        `tuple[torch.Tensor, dict]`: The loss, and its parts without their weights: `mel`, `margin`, `sound_contrast`,
        and those of [`text_encoder_loss`].
    """
    heads = networks["heads"]
    features = networks["video_encoder"](augment_frames(normalize_sync_frames(batch["sync_frames"]))).features
    mel = heads.normalize_mel(batch["mel"])
    central = slice(MARGIN * MELS_PER_FRAME, (MARGIN + SYNC_SEGMENT_STRIDE) * MELS_PER_FRAME)
    errors = (heads(features) - mel).square().mean(dim=(0, 2))
    mel_loss = errors[central].mean()
    margin_loss = (errors.sum() - errors[central].sum()) / (len(errors) / 2)
    sound_loss = sound_contrast(heads, features, mel)
    text_loss, text_parts = text_encoder_loss(networks, batch)

    loss = MEL_WEIGHT * mel_loss + MARGIN_WEIGHT * margin_loss + SOUND_CONTRAST_WEIGHT * sound_loss + text_loss
    parts = {"mel": mel_loss, "margin": margin_loss, "sound_contrast": sound_loss}
    return loss, {name: part.detach() for name, part in parts.items()} | text_parts


def text_encoder_loss(
    networks: dict[str, nn.Module], batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The part of [`encoder_loss`] that depends on the text encoder: prompts beside pictures and beside sounds.

    Args:
        networks (`dict`): As in [`encoder_loss`]; the video encoder is not used.
        batch (`dict`): As in [`encoder_loss`]; `sync_frames` are not used.

    Returns:
        `tuple[torch.Tensor, dict]`: The loss, and its parts without their weights: `text_contrast`, `text_sound`.
    """
    heads = networks["heads"]
    images = image_embeddings(networks["image_encoder"], augment_frames(normalize_clip_frames(batch["clip_frames"])))
    pooled_states = networks["text_encoder"](batch["input_ids"]).pooler_output
    text_loss = text_contrast(images, heads.embed_texts(pooled_states), heads.text_logit_scale, batch["label"])
    # Prompts of one class are to be told apart here. Clips with equal prompts cost the same whatever they are told by.
    text_sound_loss = info_nce(
        heads.embed_sounds_for_texts(heads.normalize_mel(batch["mel"])),
        heads.embed_texts_for_sounds(pooled_states),
        heads.text_sound_logit_scale,
    )
    loss = TEXT_CONTRAST_WEIGHT * text_loss + TEXT_SOUND_WEIGHT * text_sound_loss
    return loss, {"text_contrast": text_loss.detach(), "text_sound": text_sound_loss.detach()}


def sound_contrast(heads: EncoderHeads, features: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
    """InfoNCE between segments, by their features (B, 8, D), and sounds, by normalised mels (B, 32, num_mels).

    Of each segment there are three sounds to choose from: that of the central frames, and those that begin four frames
    earlier and later.
    """
    # (B, 32, mels) -> (B, 3, mels, 16) -> (B * 3, 16, mels)
    windows = mel.unfold(1, SYNC_SEGMENT_STRIDE * MELS_PER_FRAME, MARGIN * MELS_PER_FRAME)
    sounds = heads.embed_sounds(windows.transpose(2, 3).flatten(0, 1)).unflatten(0, (-1, windows.shape[1]))
    segments = heads.embed_segments(features)
    scale = heads.sound_logit_scale.clamp(max=MAX_LOGIT_SCALE).exp()
    logits = scale * torch.einsum("bd,nwd->bnw", segments, sounds)
    batch = torch.arange(len(segments), device=segments.device)
    middle = windows.shape[1] // 2
    to_sound = F.cross_entropy(logits.flatten(1), batch * windows.shape[1] + middle)
    to_segment = F.cross_entropy(logits[:, :, middle].T, batch)
    return (to_sound + to_segment) / 2


def text_contrast(
    images: torch.Tensor, texts: torch.Tensor, logit_scale: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """InfoNCE between embeddings of clips and prompts (B, clip_dim), in which those of equal labels are less wrong."""
    same = (labels[:, None] == labels).float() - torch.eye(len(labels), device=labels.device)
    return info_nce(images, texts, logit_scale, SAME_CLASS_OFFSET * same)


def info_nce(
    first: torch.Tensor, second: torch.Tensor, logit_scale: torch.Tensor, offsets: torch.Tensor | float = 0.0
) -> torch.Tensor:
    """InfoNCE in both directions between embeddings (B, D) of which equal places belong together.

    Args:
        first, second (`torch.Tensor` of shape `(B, D)`): Of unit length.
        logit_scale (`torch.Tensor`): Natural logarithm of what cosines are multiplied by, at most 4 of it.
        offsets (`torch.Tensor` of shape `(B, B)` or `float`): Added to the logits.
    """
    logits = logit_scale.clamp(max=MAX_LOGIT_SCALE).exp() * first @ second.T + offsets
    batch = torch.arange(len(first), device=first.device)
    return (F.cross_entropy(logits, batch) + F.cross_entropy(logits.T, batch)) / 2
