# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Configurations of the small networks that ship with the project: `--preset tiny` of the training scripts.

The classes are those of the published networks, but for the video encoder. The published configurations are the
defaults of the classes and, for the sizes of MMAudio, in `deepaudio_diffusers.conversion.mmaudio`. Sound has one
sampling rate and one kind of mel spectrogram throughout, so one vocoder serves ambience and speech.
"""

SAMPLING_RATE = 16_000
N_FFT = 1024
HOP_LENGTH = 256
NUM_MELS = 80
MEL_TYPE = "bigvgan"
FRAME_SIZE = 48
PATCH_SIZE = 12
LATENT_CHANNELS = 20
CLIP_DIM = 128
SYNC_DIM = 128
TEXT_DIM = 128
TEXT_LENGTH = 32

TINY = {
    "vae": {
        "mel_bins": NUM_MELS,
        "latent_channels": LATENT_CHANNELS,
        "hidden_channels": 96,
        "channel_multipliers": (1, 2),
        "layers_per_block": 1,
        "sample_rate": SAMPLING_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
    },
    "vocoder": {
        "num_mels": NUM_MELS,
        "hidden_size": 192,
        "intermediate_size": 576,
        "num_layers": 5,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        "padding": "same",
        "sampling_rate": SAMPLING_RATE,
    },
    # Of ConvVideoEncoder: a Synchformer of this size learns the timing of sounds twenty times as slowly.
    "video_encoder": {"hidden_size": SYNC_DIM, "image_size": FRAME_SIZE},
    "image_encoder": {
        "hidden_size": 96,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "image_size": FRAME_SIZE,
        "patch_size": PATCH_SIZE,
        "projection_dim": CLIP_DIM,
        "hidden_act": "gelu",
    },
    "text_encoder": {
        "hidden_size": TEXT_DIM,
        "intermediate_size": 256,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": TEXT_LENGTH,
        "projection_dim": CLIP_DIM,
        "hidden_act": "gelu",
    },
    "transformer": {
        "latent_channels": LATENT_CHANNELS,
        "clip_dim": CLIP_DIM,
        "sync_dim": SYNC_DIM,
        "text_dim": TEXT_DIM,
        "text_length": TEXT_LENGTH,
        "hidden_size": 128,
        "num_attention_heads": 4,
        "num_layers": 2,
        "num_single_layers": 4,
        "mlp_ratio": 3.0,
        "time_embed_channels": 128,
        "latents_per_second": SAMPLING_RATE / HOP_LENGTH / 2,
        # Each token of ConvVideoEncoder belongs to a frame, from the fifth to the fifth from last.
        "sync_edge_tokens": 4,
    },
    "speech_transformer": {
        "mel_channels": NUM_MELS,
        "hidden_size": 192,
        "num_layers": 6,
        "num_attention_heads": 3,
        "attention_head_dim": 64,
        "ff_mult": 2,
        "text_dim": 128,
        "num_text_layers": 3,
        "energy_conditioning": True,
        "attn_mask_enabled": True,
        "dropout": 0.0,
        "max_positions": 2048,
        "mel_type": MEL_TYPE,
        "sampling_rate": SAMPLING_RATE,
        "n_fft": N_FFT,
        "hop_length": HOP_LENGTH,
        # So that noise and sound have one scale: natural logarithms of mels lie around -6.
        "mel_mean": -6.0,
        "mel_std": 2.4,
    },
}
