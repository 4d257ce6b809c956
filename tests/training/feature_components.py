# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The components that stage 1 computes features with, as small as they can be, for the clips of `sounding_clips`."""

from pathlib import Path

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPVisionConfig

from deepaudio_diffusers import CLIPFrameEncoder, MMAudioMelVAE, SynchformerVideoEncoder, VocosVocoder
from tests.tiny import TEXT_LENGTH, tiny_tokenizer
from tests.training.sounding_clips import SAMPLING_RATE


CLIP_LENGTH_IN_S = 1.28
CLIP_DIM, SYNC_DIM, TEXT_DIM, LATENT_CHANNELS = 12, 16, 20, 6
NUM_CLIP_FRAMES, NUM_SYNC_TOKENS, NUM_LATENTS = 10, 24, 40
TRANSFORMER_CONFIG = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_layers": 1,
    "num_single_layers": 1,
    "mlp_ratio": 1.0,
    "time_embed_channels": 16,
}


def write_components(folder: Path) -> Path:
    """Write tokenizer, encoders, VAE and vocoder, always the same ones, into subfolders; returns `folder`."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer()
    tokenizer.save_pretrained(folder / "tokenizer")
    text_config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_DIM,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    image_config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        projection_dim=CLIP_DIM,
    )
    vae = MMAudioMelVAE(
        mel_bins=16,
        latent_channels=LATENT_CHANNELS,
        hidden_channels=8,
        channel_multipliers=(1, 2),
        layers_per_block=1,
        sample_rate=SAMPLING_RATE,
        n_fft=1024,
        hop_length=256,
    )
    networks = {
        "text_encoder": CLIPTextModel(text_config),
        "image_encoder": CLIPFrameEncoder(image_config),
        "video_encoder": SynchformerVideoEncoder(
            hidden_size=SYNC_DIM, num_layers=1, num_attention_heads=2, image_size=32, patch_size=16
        ),
        "vae": vae,
        "vocoder": VocosVocoder(
            num_mels=16,
            hidden_size=16,
            intermediate_size=16,
            num_layers=1,
            padding="same",
            sampling_rate=SAMPLING_RATE,
        ),
    }
    for name, network in networks.items():
        network.save_pretrained(folder / name)
    return folder
