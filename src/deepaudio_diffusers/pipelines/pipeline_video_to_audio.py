# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""MMAudio as a diffusers pipeline: sound for a silent video, a picture, or a text.

Cheng et al., "Taming Multimodal Joint Training for High-Quality Video-to-Audio Synthesis" (arXiv 2412.15322); original
code: hkchengrex/MMAudio (MIT).
"""

import inspect
import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.models.autoencoders.autoencoder_mmaudio import MMAudioVAE
from diffusers.models.autoencoders.mmaudio_vocoder import MMAudioVocoder
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import SchedulerMixin
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from PIL import Image
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModelWithProjection

from ..errors import GenerationError, InputError
from ..models.autoencoder_mmaudio import MMAudioMelVAE
from ..models.encoder_conv import ConvVideoEncoder
from ..models.encoder_synchformer import SynchformerVideoEncoder
from ..models.transformer_mmaudio import MMAudioConditions, MMAudioTransformer1DModel
from ..models.vocoder_bigvgan import BigVGANVocoder
from ..models.vocoder_vocos import VocosVocoder
from ..processing.image import read_image
from ..processing.sequence import MMAudioSequenceLengths
from ..processing.text import clean_prompt
from ..processing.video import (
    VideoFrameStreams,
    normalize_clip_frames,
    normalize_sync_frames,
    read_video_streams,
)
from ..schedulers.flow_time import flow_time, model_output_from_velocity
from .lora import TransformerLoraLoaderMixin
from .pipeline_output import VideoFeatures, VideoToAudioPipelineOutput


logger = logging.get_logger(__name__)

DEFAULT_AUDIO_LENGTH_IN_S = 8.0
# How much goes through a frame encoder at a time: enough to fill a GPU, little enough for a laptop's memory.
FRAMES_PER_BATCH = 16
SEGMENTS_PER_BATCH = 4


class VideoToAudioPipeline(DiffusionPipeline, TransformerLoraLoaderMixin):
    r"""
    Makes sound that fits a silent video, in content and in time.

    Args:
        tokenizer (`CLIPTokenizer`, *optional*): Tokenizer of the CLIP text encoder.
        text_encoder (`CLIPTextModel`, *optional*): CLIP text encoder; the states of all its tokens are used.
        image_encoder ([`CLIPFrameEncoder`] or `CLIPVisionModelWithProjection`, *optional*): CLIP image encoder: what
            is to be seen.
        video_encoder ([`SynchformerVideoEncoder`] or [`ConvVideoEncoder`], *optional*): When it happens: Synchformer's
            visual branch, or a small encoder in its place.
        transformer ([`MMAudioTransformer1DModel`]): The velocity network.
        scheduler (`SchedulerMixin`): [`FlowMatchGridEulerScheduler`] is the original sampler; any flow-matching
            scheduler serves.
        vae ([`MMAudioMelVAE`] or [`~diffusers.MMAudioVAE`]): Decodes latents to mel spectrograms.
        vocoder ([`BigVGANVocoder`], [`VocosVocoder`] or [`~diffusers.MMAudioVocoder`]): Decodes mel spectrograms to
            waveforms.

    The encoders may be `None` when features are given in their place.

    Example:

    ```py
    >>> import torch
    >>> from deepaudio_diffusers import VideoToAudioPipeline
    >>> from deepaudio_diffusers.media import write_audio_into_video

    >>> pipe = VideoToAudioPipeline.from_pretrained("path/to/mmaudio-small-16k")
    >>> result = pipe("clip.mp4", prompt="waves on a beach", generator=torch.Generator().manual_seed(0))
    >>> write_audio_into_video("clip.mp4", result.audios[0], result.sampling_rate, "clip-with-sound.mp4")
    ```
    """

    model_cpu_offload_seq = "image_encoder->video_encoder->text_encoder->transformer->vae->vocoder"
    _optional_components = ["tokenizer", "text_encoder", "image_encoder", "video_encoder"]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        tokenizer: CLIPTokenizer | None,
        text_encoder: CLIPTextModel | None,
        image_encoder: CLIPVisionModelWithProjection | None,
        video_encoder: SynchformerVideoEncoder | ConvVideoEncoder | None,
        transformer: MMAudioTransformer1DModel,
        scheduler: SchedulerMixin,
        vae: MMAudioMelVAE | MMAudioVAE,
        vocoder: BigVGANVocoder | VocosVocoder | MMAudioVocoder,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            image_encoder=image_encoder,
            video_encoder=video_encoder,
            transformer=transformer,
            scheduler=scheduler,
            vae=vae,
            vocoder=vocoder,
        )
        # A pipeline of text parts alone, as training scripts build it to encode prompts, has no VAE.
        has_vae = getattr(self, "vae", None) is not None
        self.sampling_rate = self.vae.config.sample_rate if has_vae else 44100
        self.mel_hop_length = self.vae.config.hop_length if has_vae else 512

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

    @property
    def prompt_guidance_scale(self) -> float | None:
        return self._prompt_guidance_scale

    @property
    def do_classifier_free_guidance(self) -> bool:
        return self._guidance_scale > 1

    @property
    def attention_kwargs(self) -> dict[str, Any] | None:
        return self._attention_kwargs

    @property
    def num_timesteps(self) -> int:
        return self._num_timesteps

    @property
    def current_timestep(self) -> torch.Tensor | None:
        return self._current_timestep

    @property
    def interrupt(self) -> bool:
        return self._interrupt

    def sequence_lengths(self, audio_length_in_s: float) -> MMAudioSequenceLengths:
        """How many latents, tokens and samples a length is.

        Args:
            audio_length_in_s (`float`): Length in seconds.

        Returns:
            `MMAudioSequenceLengths`.

        Raises:
            InputError: Below 0.64 s, one segment of Synchformer.
        """
        return MMAudioSequenceLengths.from_duration(audio_length_in_s, self.sampling_rate, self.mel_hop_length)

    def check_inputs(
        self,
        video,
        image,
        prompt,
        negative_prompt,
        video_features: VideoFeatures | None,
        prompt_embeds: torch.Tensor | None,
        negative_prompt_embeds: torch.Tensor | None,
        fps: float | None,
        start_in_s: float,
        audio_length_in_s: float | None,
        num_inference_steps: int,
        sigmas: list[float] | None,
        guidance_scale: float,
        prompt_guidance_scale: float | None,
        num_waveforms_per_prompt: int,
        generator: torch.Generator | list[torch.Generator] | None,
        output_type: str,
        callback_on_step_end_tensor_inputs: list[str],
    ) -> None:
        """Refuse arguments that do not fit, alone or together, before any work is done.

        The arguments are those of [`~VideoToAudioPipeline.__call__`].

        Raises:
            InputError: Naming the argument, its value and the way out.
        """
        # 1. What to make sound for.
        sources = {"video": video, "image": image, "video_features": video_features}
        given = [f"`{name}`" for name, value in sources.items() if value is not None]
        if len(given) > 1:
            raise InputError(f"{' and '.join(given)} were given; pass only one of them.")
        if not given and prompt is None and prompt_embeds is None:
            raise InputError("Nothing to make sound for: pass `video`, `image`, `video_features` or `prompt`.")
        if video is None and (fps is not None or start_in_s != 0):
            raise InputError("`fps` and `start_in_s` belong to `video`, which was not given; leave them out.")
        num_items = {}
        for name in ("video", "image"):
            if sources[name] is not None:
                num_items[name] = len(_as_batch(name, sources[name]))
        if video_features is not None:
            if not isinstance(video_features, VideoFeatures):
                kind = type(video_features).__name__
                raise InputError(f"`video_features` is of type {kind}; pass what `encode_video` returns.")
            if audio_length_in_s is not None:
                raise InputError(
                    f"`audio_length_in_s` is {audio_length_in_s}, but `video_features` have their own length of "
                    f"{video_features.audio_length_in_s} s; leave it out, or encode the part of the clip you want."
                )
            for name in ("clip_features", "sync_features"):
                features = getattr(video_features, name)
                if features is not None:
                    _check_finite(f"video_features.{name}", features)
                    num_items["video_features"] = features.shape[0]

        # 2. Texts.
        text_shape = (self.transformer.config.text_length, self.transformer.config.text_dim)
        for name, text, embeds in (
            ("prompt", prompt, prompt_embeds),
            ("negative_prompt", negative_prompt, negative_prompt_embeds),
        ):
            if text is not None and embeds is not None:
                raise InputError(f"`{name}` and `{name}_embeds` were given; pass only one of them.")
            if text is not None:
                num_items[name] = len(_as_texts(name, text))
            elif embeds is not None:
                _check_finite(f"{name}_embeds", embeds)
                if embeds.ndim != 3 or embeds.shape[1:] != text_shape:
                    raise InputError(
                        f"`{name}_embeds` has shape {tuple(embeds.shape)}; expected (batch_size, {text_shape[0]}, "
                        f"{text_shape[1]}), as `encode_prompt` returns it."
                    )
                num_items[f"{name}_embeds"] = embeds.shape[0]

        # 3. What has to pair up.
        batch_size = max((count for name, count in num_items.items() if not name.startswith("negative")), default=1)
        for name, count in num_items.items():
            if count not in (1, batch_size):
                raise InputError(
                    f"`{name}` has {count} items for a batch of {batch_size}; pass one, or one for each item."
                )
        for name, value in (
            ("num_inference_steps", num_inference_steps),
            ("num_waveforms_per_prompt", num_waveforms_per_prompt),
        ):
            if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
                raise InputError(f"`{name}` is {value!r}; expected an integer of at least 1.")
        if isinstance(generator, (list, tuple)):
            num_waveforms = batch_size * num_waveforms_per_prompt
            if len(generator) != num_waveforms:
                raise InputError(
                    f"`generator` is a list of {len(generator)}; expected one for each of {num_waveforms} waveforms."
                )
        for item in generator if isinstance(generator, (list, tuple)) else [generator]:
            if item is not None and not isinstance(item, torch.Generator):
                raise InputError(
                    f"`generator` is {item!r}; pass `torch.Generator().manual_seed(seed)`, or a list of generators."
                )

        # 4. How to sample.
        scales = {"guidance_scale": guidance_scale}
        if prompt_guidance_scale is not None:
            scales["prompt_guidance_scale"] = prompt_guidance_scale
        for name, value in scales.items():
            if not isinstance(value, numbers.Real) or not math.isfinite(value):
                raise InputError(f"`{name}` is {value!r}; expected a finite number, 4.5 for instance.")
        config, kind = self.scheduler.config, type(self.scheduler).__name__
        is_flow = config.get("prediction_type", "flow_prediction") == "flow_prediction"
        if not is_flow or not config.get("use_flow_sigmas", True):
            raise InputError(
                f"The scheduler of the pipeline is a {kind} for another kind of diffusion; pass "
                '`prediction_type="flow_prediction", use_flow_sigmas=True` to its `from_config`, or use a FlowMatch '
                "scheduler."
            )
        if sigmas is not None and "sigmas" not in inspect.signature(self.scheduler.set_timesteps).parameters:
            raise InputError(f"`sigmas` was given, but {kind} has its own grid; leave it out or change the scheduler.")
        if output_type not in ("np", "pt", "latent"):
            raise InputError(f"`output_type` is {output_type!r}; accepted are 'np', 'pt' and 'latent'.")
        unknown = sorted(set(callback_on_step_end_tensor_inputs) - set(self._callback_tensor_inputs))
        if unknown:
            raise InputError(
                f"`callback_on_step_end_tensor_inputs` has {unknown}; accepted are {self._callback_tensor_inputs}."
            )

    @torch.no_grad()
    def encode_prompt(self, prompt: str | list[str]) -> torch.Tensor:
        """Encode text with CLIP.

        Args:
            prompt (`str` or `list[str]`): What is to be heard.

        Returns:
            `torch.Tensor` of shape `(batch_size, 77, 1024)`: The states of all tokens, each of unit length.

        Raises:
            InputError: When `prompt` is not text, or the pipeline has no text encoder.
        """
        if self.text_encoder is None or self.tokenizer is None:
            raise InputError(
                "`prompt` needs the `text_encoder` and `tokenizer` of the pipeline; pass `prompt_embeds`."
            )
        # A text that occurs several times, such as the empty one, is encoded once.
        prompts = [clean_prompt(text) for text in _as_texts("prompt", prompt)]
        texts = list(dict.fromkeys(prompts))
        max_length = self.tokenizer.model_max_length
        for text, token_ids in zip(texts, self.tokenizer(texts, verbose=False).input_ids, strict=True):
            if len(token_ids) > max_length:
                logger.warning(
                    f"The prompt {text[:40]!r}... has {len(token_ids)} tokens; CLIP reads the first {max_length}."
                )
        input_ids = self.tokenizer(
            texts,
            padding="max_length",
            max_length=max_length,
            truncation=True,
            return_tensors="pt",
        ).input_ids
        # No attention mask: causal attention keeps padding from what comes before it, and the network was trained on
        # the states of the padding too.
        states = self.text_encoder(input_ids.to(self._execution_device)).last_hidden_state
        return F.normalize(states, dim=-1)[[texts.index(text) for text in prompts]]

    @torch.no_grad()
    def encode_video(
        self,
        video,
        fps: float | None = None,
        start_in_s: float = 0.0,
        audio_length_in_s: float | None = None,
        sampling: str = "presentation",
    ) -> VideoFeatures:
        r"""
        Look at one clip or several.

        Args:
            video:
                A path, bytes, a binary file, or frames: a list of PIL images, or an array or tensor of shape
                `(num_frames, height, width, 3)` in uint8. A list of these is a batch of clips of equal length.
            fps (`float`, *optional*):
                Frames per second, needed for frames and refused for files, which know their own times.
            start_in_s (`float`, defaults to 0.0):
                Where to begin in the clip.
            audio_length_in_s (`float`, *optional*):
                How much of the clip to use; all of it when not given.
            sampling (`str`, defaults to `"presentation"`):
                How frames are picked. `"presentation"` takes what a player shows at each moment. `"mmaudio"` is the
                clock of the original code, which lags by up to a frame and shortens some clips: for exact comparison.

        Returns:
            [`VideoFeatures`] for the batch.

        Raises:
            MediaError: When a file cannot be read.
            InputError: When an argument does not fit, or clips differ in length.
        """
        if self.image_encoder is None or self.video_encoder is None:
            raise InputError(
                "`video` needs the `image_encoder` and `video_encoder` of the pipeline; pass `video_features`."
            )
        clips = [
            read_video_streams(
                clip,
                fps=fps,
                start_in_s=start_in_s,
                audio_length_in_s=audio_length_in_s,
                sampling=sampling,
                clip_frame_size=self.image_encoder.config.image_size,
                sync_frame_size=self.video_encoder.config.image_size,
            )
            for clip in _as_batch("video", video)
        ]
        lengths_in_s = [clip.duration_in_s for clip in clips]
        if len({self.sequence_lengths(length_in_s) for length_in_s in lengths_in_s}) > 1:
            lengths = ", ".join(f"{length_in_s:.3f}" for length_in_s in lengths_in_s)
            raise InputError(
                f"`video` is a batch of clips that last {lengths} s; they must be equally long. Pass "
                f"`audio_length_in_s={min(lengths_in_s):.3f}`, or one clip a call."
            )
        # One encoder after the other, so that offloading moves each of them once.
        clip_features = [self._encode_clip_frames(clip.clip_frames)[clip.clip_index] for clip in clips]
        sync_features = [self._encode_sync_frames(clip) for clip in clips]
        return VideoFeatures(torch.stack(clip_features), torch.stack(sync_features), lengths_in_s[0])

    @torch.no_grad()
    def encode_image(self, image, audio_length_in_s: float = DEFAULT_AUDIO_LENGTH_IN_S) -> VideoFeatures:
        r"""
        Look at a picture: it tells what is to be heard, but not when.

        Args:
            image (`str`, `os.PathLike`, `PIL.Image.Image` or a list of these): One picture or a batch.
            audio_length_in_s (`float`, defaults to 8.0): How long the sound is to last.

        Returns:
            [`VideoFeatures`] without Synchformer features.

        Raises:
            InputError: When a picture cannot be read or the pipeline has no image encoder.
        """
        if self.image_encoder is None:
            raise InputError("`image` needs the `image_encoder` of the pipeline; pass `video_features`.")
        size = self.image_encoder.config.image_size
        frames = torch.stack([read_image(picture, size) for picture in _as_batch("image", image)])
        num_clip_frames = self.sequence_lengths(audio_length_in_s).num_clip_frames
        clip_features = self._encode_clip_frames(frames)[:, None].expand(-1, num_clip_frames, -1)
        return VideoFeatures(clip_features, None, audio_length_in_s)

    def _encode_clip_frames(self, frames: torch.Tensor) -> torch.Tensor:
        """uint8 frames `(num_frames, 3, height, width)` -> unit-length features `(num_frames, 1024)`."""
        features = []
        for batch in frames.split(FRAMES_PER_BATCH):
            pixel_values = normalize_clip_frames(batch.to(self._execution_device), self.image_encoder.dtype)
            features.append(F.normalize(self.image_encoder(pixel_values).image_embeds, dim=-1))
        return torch.cat(features)

    def _encode_sync_frames(self, clip: VideoFrameStreams) -> torch.Tensor:
        """The frames of a clip -> features `(num_sync_tokens, 768)`."""
        # A segment is known by its frames: where the picture stands still, one segment serves many.
        segments, segment_index = torch.unique(clip.sync_segments, dim=0, return_inverse=True)
        features = []
        for batch in segments.split(SEGMENTS_PER_BATCH):
            pixel_values = clip.sync_frames[batch].to(self._execution_device)
            features.append(self.video_encoder(normalize_sync_frames(pixel_values, self.video_encoder.dtype)).features)
        return torch.cat(features)[segment_index].flatten(0, 1)

    def prepare_latents(
        self,
        batch_size: int,
        num_latents: int,
        generator: torch.Generator | list[torch.Generator] | None,
        latents: torch.Tensor | None,
    ) -> torch.Tensor:
        """Noise to begin from.

        Args:
            batch_size (`int`): Number of waveforms.
            num_latents (`int`): How many latents the length is; see `sequence_lengths`.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*): The seed, or one for each waveform.
            latents (`torch.Tensor`, *optional*): Noise that was made before; only checked.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`: float32 whatever the dtype of the
            networks.

        Raises:
            InputError: When `latents` has another shape or is not finite.
        """
        shape = (batch_size, num_latents, self.transformer.config.latent_channels)
        if latents is None:
            return randn_tensor(shape, generator=generator, device=self._execution_device, dtype=torch.float32)
        _check_finite("latents", latents)
        if latents.shape != shape:
            raise InputError(f"`latents` has shape {tuple(latents.shape)}; expected {shape} for this clip.")
        return latents.to(self._execution_device, torch.float32)

    def _guide(self, velocities: tuple[torch.Tensor, ...]) -> torch.Tensor:
        """The velocity away from that without conditions, and from that of the picture alone where it is given, too.

        With two strengths as in InstructPix2Pix (https://arxiv.org/abs/2211.09800), equation 3.
        """
        null, *picture, velocity = velocities
        if picture:
            towards_picture = self.guidance_scale * (picture[0] - null)
            return null + towards_picture + self.prompt_guidance_scale * (velocity - picture[0])
        return null + self.guidance_scale * (velocity - null)

    def decode_latents(self, latents: torch.Tensor, num_samples: int) -> torch.Tensor:
        """Turn latents into waveforms.

        Args:
            latents (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`): As the transformer makes
                them.
            num_samples (`int`): Length of the waveforms; what the latents have beyond it is cut off.

        Returns:
            `torch.Tensor` of shape `(batch_size, 1, num_samples)`, float32.

        Raises:
            GenerationError: When the networks made NaN or infinity.
        """
        latents = self.transformer.denormalize_latents(latents)
        mel = self.vae.decode(latents.transpose(1, 2).to(self.vae.dtype)).sample
        # Latents cover whole frames; what they have beyond the end of the clip is cut off.
        audio = self.vocoder(mel.to(self.vocoder.dtype)).sample[..., :num_samples].float()
        if not torch.isfinite(audio).all():
            raise GenerationError(
                "The generated audio contains NaN or infinity. Load the pipeline in float32, or check the weights."
            )
        return audio

    @torch.no_grad()
    def __call__(
        self,
        video=None,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        image=None,
        fps: float | None = None,
        start_in_s: float = 0.0,
        audio_length_in_s: float | None = None,
        sampling: str = "presentation",
        num_inference_steps: int = 25,
        sigmas: list[float] | None = None,
        guidance_scale: float = 4.5,
        prompt_guidance_scale: float | None = None,
        num_waveforms_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        latents: torch.Tensor | None = None,
        video_features: VideoFeatures | None = None,
        prompt_embeds: torch.Tensor | None = None,
        negative_prompt_embeds: torch.Tensor | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., dict] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> VideoToAudioPipelineOutput | tuple[np.ndarray | torch.Tensor]:
        r"""
        Make sound for a clip, a picture or a text.

        Args:
            video: See [`~VideoToAudioPipeline.encode_video`]; a list is a batch of clips of equal length.
            prompt (`str` or `list[str]`, *optional*): What is to be heard. Clips and prompts pair up; one of either
                serves all of the other.
            negative_prompt (`str` or `list[str]`, *optional*): What is not to be heard. Without it guidance points
                away from the empty prompt that is stored with the transformer.
            image: See [`~VideoToAudioPipeline.encode_image`].
            fps (`float`, *optional*): Frames per second of `video` when it is given as frames.
            start_in_s (`float`, defaults to 0.0): Where to begin in the clip.
            audio_length_in_s (`float`, *optional*): Seconds of sound: at most what the clip has, all of it by default;
                8 s without a clip. The networks were trained on 8 s.
            sampling (`str`, defaults to `"presentation"`): See [`~VideoToAudioPipeline.encode_video`].
            num_inference_steps (`int`, defaults to 25): Steps of the scheduler. [`FlowMatchGridMultistepScheduler`]
                has less error with 12 on test fields (`benchmarks/solver_error.py`).
            sigmas (`list[float]`, *optional*): A time grid of your own for the scheduler, falling from 1 towards 0.
            guidance_scale (`float`, defaults to 4.5): Strength of classifier-free guidance; up to 1 is without.
            prompt_guidance_scale (`float`, *optional*): Strength of guidance towards the prompt, where the picture is
                known already; `guidance_scale` is then that towards the picture. Higher than that, it lets the prompt
                decide where the picture leaves open what it sounds like. It takes half as much time again. By
                default, and without a prompt, both are guided as one.
            num_waveforms_per_prompt (`int`, defaults to 1): How many takes of each item.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*): The seed; with a list, one for each
                waveform, so that an item sounds the same whatever else is in the batch.
            latents (`torch.Tensor` of shape `(batch_size, num_latents, latent_channels)`, *optional*): The noise to
                begin from.
            video_features ([`VideoFeatures`], *optional*): Output of `encode_video` or `encode_image`. Other seeds,
                prompts and models of the same clip need not look at it again.
            prompt_embeds, negative_prompt_embeds (`torch.Tensor` of shape `(batch_size, 77, 1024)`, *optional*):
                Output of `encode_prompt`.
            output_type (`str`, defaults to `"np"`): `"np"`, `"pt"` or `"latent"`.
            return_dict (`bool`, defaults to `True`): Whether to return a [`VideoToAudioPipelineOutput`] instead of a
                tuple of its `audios`.
            callback_on_step_end (`Callable`, *optional*): Called as `(pipeline, step, timestep, tensors)` after each
                step; what it returns in a dictionary, if anything, replaces those tensors.
            callback_on_step_end_tensor_inputs (`list[str]`, *optional*): Names of the tensors for the callback:
                `"latents"`.
            attention_kwargs (`dict`, *optional*): `scale` is the strength of loaded LoRA weights.

        Returns:
            [`VideoToAudioPipelineOutput`].

        Raises:
            InputError: When an argument does not fit.
            MediaError: When a file cannot be read.
            GenerationError: When the networks make NaN.
        """
        if isinstance(callback_on_step_end, (PipelineCallback, MultiPipelineCallbacks)):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        elif callback_on_step_end_tensor_inputs is None:
            callback_on_step_end_tensor_inputs = ["latents"]

        # 1. Check the arguments.
        self.check_inputs(
            video,
            image,
            prompt,
            negative_prompt,
            video_features,
            prompt_embeds,
            negative_prompt_embeds,
            fps,
            start_in_s,
            audio_length_in_s,
            num_inference_steps,
            sigmas,
            guidance_scale,
            prompt_guidance_scale,
            num_waveforms_per_prompt,
            generator,
            output_type,
            callback_on_step_end_tensor_inputs,
        )
        self._guidance_scale = guidance_scale
        self._prompt_guidance_scale = prompt_guidance_scale
        self._attention_kwargs = attention_kwargs
        self._current_timestep = None
        self._interrupt = False

        # 2. Look at the clip and read the prompts.
        if video is not None:
            video_features = self.encode_video(video, fps, start_in_s, audio_length_in_s, sampling)
        elif video_features is None:
            length_in_s = DEFAULT_AUDIO_LENGTH_IN_S if audio_length_in_s is None else audio_length_in_s
            if image is None:
                video_features = VideoFeatures(None, None, length_in_s)
            else:
                video_features = self.encode_image(image, length_in_s)
        lengths = self.sequence_lengths(video_features.audio_length_in_s)
        # In one pass: the text encoder is large and a prompt is short.
        prompts = [] if prompt is None else _as_texts("prompt", prompt)
        negative_prompts = [] if negative_prompt is None else _as_texts("negative_prompt", negative_prompt)
        if prompts or negative_prompts:
            embeds = self.encode_prompt([*prompts, *negative_prompts])
            prompt_embeds = embeds[: len(prompts)] if prompts else prompt_embeds
            negative_prompt_embeds = embeds[len(prompts) :] if negative_prompts else negative_prompt_embeds

        # 3. Prepare what stays the same in every step.
        dtype = self.transformer.dtype
        features = (video_features.clip_features, video_features.sync_features, prompt_embeds, negative_prompt_embeds)
        clip_features, sync_features, prompt_embeds, negative_prompt_embeds = (
            None if tensor is None else tensor.to(self._execution_device, dtype) for tensor in features
        )
        shared = {
            "num_clip_tokens": lengths.num_clip_frames,
            "num_sync_tokens": lengths.num_sync_tokens,
            "attention_kwargs": attention_kwargs,
        }
        conditions = self.transformer.encode_conditions(clip_features, sync_features, prompt_embeds, **shared)
        conditions = conditions.repeat_interleave(num_waveforms_per_prompt)
        batch_size = conditions.pooled.shape[0]
        guided_conditions = None
        if self.do_classifier_free_guidance:
            away = [self.transformer.encode_conditions(None, None, negative_prompt_embeds, **shared)]
            if prompt_guidance_scale is not None and prompt_embeds is not None:
                away.append(
                    self.transformer.encode_conditions(clip_features, sync_features, negative_prompt_embeds, **shared)
                )
            away = [each.repeat_interleave(batch_size // each.pooled.shape[0]) for each in away]
            guided_conditions = MMAudioConditions.cat([*away, conditions])

        # 4. Prepare time and noise.
        if sigmas is None:
            self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        else:
            self.scheduler.set_timesteps(sigmas=np.asarray(sigmas), device=self._execution_device)
        timesteps = self.scheduler.timesteps
        self._num_timesteps = len(timesteps)
        generator = list(generator) if isinstance(generator, tuple) else generator
        latents = self.prepare_latents(batch_size, lengths.num_latents, generator, latents)
        # Solvers that add noise of their own take it from the same seed.
        takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        step_kwargs = {"generator": generator} if takes_generator else {}
        # A call that was broken off may have left half a run in the caches.
        self.transformer._reset_stateful_cache()

        # 5. Denoise.
        with self.progress_bar(total=len(timesteps)) as progress_bar:
            for i, t in enumerate(timesteps):
                if self.interrupt:
                    continue
                self._current_timestep = t
                time = flow_time(t, self.scheduler.config.num_train_timesteps).expand(batch_size)
                # A callback may end guidance, but what it needs was not prepared if it was off from the start.
                guided = self.do_classifier_free_guidance and guided_conditions is not None
                with self.transformer.cache_context("cond_uncond" if guided else "cond"):
                    velocity = self.transformer(
                        hidden_states=latents.to(dtype),
                        timestep=time,
                        conditions=guided_conditions if guided else conditions,
                        attention_kwargs=attention_kwargs,
                        return_dict=False,
                    )[0].float()
                if guided:
                    velocity = self._guide(velocity.chunk(len(velocity) // batch_size))
                model_output = model_output_from_velocity(velocity)
                latents = self.scheduler.step(model_output, t, latents, **step_kwargs, return_dict=False)[0]

                if callback_on_step_end is not None:
                    callback_kwargs = {}
                    for name in callback_on_step_end_tensor_inputs:
                        callback_kwargs[name] = locals()[name]
                    latents = (callback_on_step_end(self, i, t, callback_kwargs) or {}).get("latents", latents)
                progress_bar.update()
        self._current_timestep = None

        # 6. Decode.
        if output_type == "latent":
            audio = latents
        else:
            audio = self.decode_latents(latents, lengths.num_samples)
            audio = audio.cpu().numpy() if output_type == "np" else audio

        self.maybe_free_model_hooks()
        if not return_dict:
            return (audio,)
        return VideoToAudioPipelineOutput(audios=audio, sampling_rate=self.sampling_rate)


def _as_batch(name: str, value: Any) -> list[Any]:
    """The items of a batch of clips or pictures; one alone is a batch of one, and so is a clip given as frames."""
    if not isinstance(value, (list, tuple)):
        return [value]
    if len(value) == 0:
        raise InputError(f"`{name}` is an empty list; pass at least one item.")
    is_frame = isinstance(value[0], Image.Image) or (
        isinstance(value[0], (np.ndarray, torch.Tensor)) and value[0].ndim == 3
    )
    return [value] if name == "video" and is_frame else list(value)


def _as_texts(name: str, value: str | list[str]) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not texts or not all(isinstance(text, str) for text in texts):
        raise InputError(f"`{name}` is {value!r}; expected a string or a list of strings.")
    return list(texts)


def _check_finite(name: str, tensor: torch.Tensor) -> None:
    if not isinstance(tensor, torch.Tensor):
        raise InputError(f"`{name}` is of type {type(tensor).__name__}; pass a `torch.Tensor`.")
    if not torch.isfinite(tensor).all():
        raise InputError(
            f"`{name}` contains NaN or infinity; make it again, in float32 if half precision overflows there."
        )
