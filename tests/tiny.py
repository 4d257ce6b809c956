# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A complete pipeline of real, tiny networks with seeded random weights.

`python -m tests.tiny FOLDER` writes it as a pipeline folder.
"""

import sys

import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, CLIPVisionConfig

from deepaudio_diffusers import (
    BigVGANVocoder,
    CLIPFrameEncoder,
    FlowMatchGridEulerScheduler,
    MMAudioMelVAE,
    MMAudioTransformer1DModel,
    SynchformerVideoEncoder,
    VideoToAudioPipeline,
)
from deepaudio_diffusers.conversion.clip import build_clip_tokenizer


SEED = 0
TEXT_LENGTH = 40
CLIP_DIM, SYNC_DIM, TEXT_DIM = 24, 16, 20
NUM_MELS, LATENT_CHANNELS = 16, 8


def tiny_tokenizer() -> CLIPTokenizer:
    """CLIP's tokenizer without merges: every byte is a token, and padding is id 0 as in MMAudio."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    characters = list(bytes_to_unicode().values())
    tokens = [*characters, *(f"{character}</w>" for character in characters), "<|startoftext|>", "<|endoftext|>"]
    return build_clip_tokenizer(
        vocab={token: i for i, token in enumerate(tokens)}, merges=[], model_max_length=TEXT_LENGTH
    )


def tiny_components() -> dict:
    """Components of [`VideoToAudioPipeline`], the same at each call; sampling rate 16 kHz as for the smallest model.

    All weights are random, those that training starts from zero included, so that nothing is silent by chance.
    """
    torch.manual_seed(SEED)
    tokenizer = tiny_tokenizer()
    text_config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_DIM,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=TEXT_LENGTH,
        projection_dim=CLIP_DIM,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    # Frames of the published size, cut into few patches.
    image_config = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=384,
        patch_size=96,
        projection_dim=CLIP_DIM,
    )
    components = {
        "tokenizer": tokenizer,
        "text_encoder": CLIPTextModel(text_config),
        "image_encoder": CLIPFrameEncoder(image_config),
        "video_encoder": SynchformerVideoEncoder(
            hidden_size=SYNC_DIM, num_layers=2, num_attention_heads=2, patch_size=56
        ),
        "transformer": MMAudioTransformer1DModel(
            latent_channels=LATENT_CHANNELS,
            clip_dim=CLIP_DIM,
            sync_dim=SYNC_DIM,
            text_dim=TEXT_DIM,
            text_length=TEXT_LENGTH,
            hidden_size=32,
            num_attention_heads=2,
            num_layers=2,
            num_single_layers=2,
            time_embed_channels=32,
            latents_per_second=31.25,
        ),
        "scheduler": FlowMatchGridEulerScheduler(),
        "vae": MMAudioMelVAE(
            mel_bins=NUM_MELS,
            latent_channels=LATENT_CHANNELS,
            hidden_channels=16,
            channel_multipliers=(1, 2),
            layers_per_block=1,
            sample_rate=16000,
            n_fft=1024,
            hop_length=256,
            mel_log_base=10,
        ),
        "vocoder": BigVGANVocoder(
            num_mels=NUM_MELS,
            upsample_initial_channel=32,
            upsample_rates=(16, 16),
            upsample_kernel_sizes=(32, 32),
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1, 3, 5),),
        ),
    }
    for name, component in components.items():
        if name in ("tokenizer", "scheduler"):
            continue
        component.eval().requires_grad_(False)
        for parameter in component.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return components


def tiny_pipeline() -> VideoToAudioPipeline:
    """[`tiny_components`] put together, without a progress bar."""
    pipeline = VideoToAudioPipeline(**tiny_components())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


if __name__ == "__main__":
    tiny_pipeline().save_pretrained(sys.argv[1])
