# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""This package behind the interface that the benchmarks time; the same one as in `mmaudio_original.py`."""

import torch

from deepaudio_diffusers import VideoToAudioPipeline
from deepaudio_diffusers.pipelines.pipeline_output import VideoFeatures
from deepaudio_diffusers.processing.video import VideoFrameStreams, normalize_sync_frames, read_video_streams


# Frames are picked by the original's clock, so that both sides see the same ones.
SAMPLING = "mmaudio"


class DeepAudio:
    """A pipeline folder. The methods are the stages of one generation; shapes are those of `OriginalMMAudio`."""

    def __init__(self, folder: str, device: str, dtype: str):
        self.device, self.dtype = torch.device(device), getattr(torch, dtype)
        self.pipe = VideoToAudioPipeline.from_pretrained(folder, dtype=self.dtype).to(self.device)
        self.pipe.set_progress_bar_config(disable=True)
        self.seconds = 0.0
        self.video_features: VideoFeatures | None = None

    def set_length(self, seconds: float) -> None:
        self.seconds = seconds

    def input_shapes(self, batch_size: int) -> dict[str, tuple[int, ...]]:
        lengths, transformer = self.pipe.sequence_lengths(self.seconds), self.pipe.transformer.config
        latents = (batch_size, lengths.num_latents, transformer.latent_channels)
        text = (batch_size, transformer.text_length, transformer.text_dim)
        return {
            "clip_features": (batch_size, lengths.num_clip_frames, transformer.clip_dim),
            "sync_features": (batch_size, lengths.num_sync_tokens, transformer.sync_dim),
            "text_features": text,
            "negative_text_features": text,
            "noise": latents,
            "latents": latents,
            "mel": (batch_size, self.pipe.vocoder.config.num_mels, 2 * lengths.num_latents),
        }

    def decode(self, video: str, seconds: float) -> VideoFrameStreams:
        return read_video_streams(video, audio_length_in_s=seconds, sampling=SAMPLING)

    def duration(self, streams: VideoFrameStreams) -> float:
        return streams.duration_in_s

    def pixels(self, streams: VideoFrameStreams) -> dict[str, torch.Tensor]:
        return {
            "clip_pixels": streams.clip_frames[streams.clip_index].float() * (1 / 255),
            "sync_pixels": normalize_sync_frames(streams.sync_frames[streams.sync_index]),
        }

    # `encode_video` does the next two in one; here they are taken apart.

    def clip_image(self, streams: list[VideoFrameStreams]) -> dict[str, torch.Tensor]:
        features = [self.pipe._encode_clip_frames(clip.clip_frames)[clip.clip_index] for clip in streams]
        return {"clip_features": torch.stack(features)}

    def synchformer(self, streams: list[VideoFrameStreams]) -> dict[str, torch.Tensor]:
        return {"sync_features": torch.stack([self.pipe._encode_sync_frames(clip) for clip in streams])}

    def clip_text(self, prompts: list[str], negative_prompts: list[str]) -> dict[str, torch.Tensor]:
        # In one pass, as the pipeline does it.
        features = self.pipe.encode_prompt([*prompts, *negative_prompts])
        return {"text_features": features[: len(prompts)], "negative_text_features": features[len(prompts) :]}

    def denoising(self, inputs: dict[str, torch.Tensor], steps: int, guidance_scale: float) -> dict[str, torch.Tensor]:
        latents = self.pipe(
            video_features=VideoFeatures(inputs["clip_features"], inputs["sync_features"], self.seconds),
            prompt_embeds=inputs["text_features"],
            negative_prompt_embeds=inputs["negative_text_features"],
            latents=inputs["noise"],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            output_type="latent",
        ).audios
        # The pipeline gives latents as the transformer makes them, the original as the VAE takes them.
        return {"latents": self.pipe.transformer.denormalize_latents(latents)}

    def vae(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"mel": self.pipe.vae.decode(inputs["latents"].transpose(1, 2)).sample}

    def vocoder(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"audio": self.pipe.vocoder(inputs["mel"]).sample}

    def whole(
        self,
        video: str,
        seconds: float,
        prompts: list[str],
        negative_prompts: list[str],
        seed: int,
        steps: int,
        guidance_scale: float,
    ) -> dict[str, torch.Tensor]:
        # What the pipeline does when it is called with `video`; the features are kept for `again`.
        self.video_features = self.pipe.encode_video(
            [video] * len(prompts), audio_length_in_s=seconds, sampling=SAMPLING
        )
        return self.again(prompts, negative_prompts, seed, steps, guidance_scale)

    def again(
        self, prompts: list[str], negative_prompts: list[str], seed: int, steps: int, guidance_scale: float
    ) -> dict[str, torch.Tensor]:
        """Another generation for the clip of the last `whole`."""
        audio = self.pipe(
            video_features=self.video_features,
            prompt=prompts,
            negative_prompt=negative_prompts,
            generator=torch.Generator(self.device).manual_seed(seed),
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            output_type="pt",
        ).audios
        return {"audio": audio}
