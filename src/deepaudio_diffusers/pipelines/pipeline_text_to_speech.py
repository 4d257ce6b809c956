# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""F5-TTS as a diffusers pipeline: speech in the voice of a few seconds of reference speech.

Chen et al., "F5-TTS: A Fairytaler that Fakes Fluent and Faithful Speech with Flow Matching" (arXiv 2410.06885);
original code: SWivid/F5-TTS (MIT). With an energy contour it is the speech half of DeepAudio-V1 (arXiv 2503.22265;
original code: acappemin/DeepAudio-V1).

The network fills in a mel spectrogram whose first frames are those of the reference speech. What is arranged
differently from the original: the frame that is half reference and half new speech is not heard, a requested length is
that of the new speech and is met to the sample, and passages of a long text are seeded one after the other, so that a
seed gives the same speech each time.
"""

import inspect
import math
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import SchedulerMixin
from diffusers.utils import logging
from diffusers.utils.torch_utils import randn_tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from ..errors import GenerationError, InputError
from ..models.transformer_f5tts import F5TTSConditions, F5TTSTransformer1DModel
from ..models.vocoder_bigvgan import BigVGANVocoder
from ..models.vocoder_vocos import VocosVocoder
from ..processing.audio import (
    cross_fade,
    energy_contour,
    log_mel_spectrogram,
    read_waveform,
    resample,
    trim_reference,
)
from ..processing.passages import (
    MelFrames,
    estimate_speech_frames,
    fit_passages,
    passage_limit_in_bytes,
)
from ..processing.speech_text import (
    complete_reference_text,
    is_speakable,
    join_reference,
    normalize_text,
    split_text,
    split_voices,
)
from ..processing.tokenization_phones import PhoneTokenizer
from ..schedulers.flow_time import flow_time, model_output_from_velocity
from .lora import TransformerLoraLoaderMixin
from .pipeline_output import TextToSpeechPipelineOutput, VoicePrompt


logger = logging.get_logger(__name__)

MIN_REFERENCE_LENGTH_IN_S = 1.0
# Below this share of their own loudness, channels cancel each other when they are averaged.
MIN_AVERAGED_LOUDNESS = 0.1
# Far beyond what the networks can speak; what lies outside is a mistake.
MIN_SPEED, MAX_SPEED = 0.1, 10.0
# The loudness (root mean square) that reference speech is raised to.
TARGET_RMS = 0.1
# How far new speech reaches into the old at the edges of an edited span: from one sound to the other without a click.
EDIT_FADE_IN_S = 0.02


@dataclass(frozen=True, eq=False)
class Passage:
    """A piece of text that is spoken in one run of the network.

    Args:
        voice ([`VoicePrompt`]): Who speaks.
        text (`str`): What is said.
        num_samples (`int`): How long it lasts.
        overlap (`int`): How many of its first samples are cross-faded with the passage before.
        energy (`torch.Tensor` of shape `(num_frames,)`, *optional*): Energy contour from its beginning on.
    """

    voice: VoicePrompt
    text: str
    num_samples: int
    overlap: int
    energy: torch.Tensor | None


@dataclass(frozen=True, eq=False)
class _Infilling:
    """A mel spectrogram of which some frames are known: what the network is asked to complete."""

    mel: torch.Tensor  # (num_frames, mel_channels), zero where it is not known
    is_known: torch.Tensor  # (num_frames,)
    token_ids: torch.Tensor  # (num_tokens,)
    energy: torch.Tensor | None  # (num_frames,)


class TextToSpeechPipeline(DiffusionPipeline, TransformerLoraLoaderMixin):
    r"""
    Speaks a text in the voice of a reference recording.

    Args:
        tokenizer ([`F5TTSTokenizer`] or [`PhoneTokenizer`]): Text to tokens. The network finds out itself when each
            letter is spoken; phones are placed on the frames before, by their usual durations or by the energy
            contour, for networks that were trained so.
        transformer ([`F5TTSTransformer1DModel`]): The velocity network. Its configuration describes the mel
            spectrograms that it was trained on.
        scheduler (`SchedulerMixin`): [`FlowMatchGridEulerScheduler`] with `grid="epss"` is the original sampler; any
            flow-matching scheduler serves.
        vocoder ([`VocosVocoder`] or [`BigVGANVocoder`]): Decodes mel spectrograms to waveforms.
        speech_recognizer (`PreTrainedModel`, *optional*): A speech-to-text model of transformers, Whisper for
            instance, that writes down reference speech whose text is not given.
        speech_recognizer_processor (`ProcessorMixin`, *optional*): Its processor.

    Example:

    ```py
    >>> import torch
    >>> from deepaudio_diffusers import TextToSpeechPipeline
    >>> from deepaudio_diffusers.media import write_audio

    >>> pipe = TextToSpeechPipeline.from_pretrained("path/to/f5-tts-v1-base")
    >>> voice = pipe.encode_voice("voice.wav", "What is said in the recording.")
    >>> result = pipe("Any text, in that voice.", voice=voice, generator=torch.Generator().manual_seed(0))
    >>> write_audio("speech.wav", result.audios[0], result.sampling_rate)
    ```
    """

    model_cpu_offload_seq = "transformer->vocoder"
    # Its `generate` runs parts of the model without passing the hooks that offloading relies on.
    _exclude_from_cpu_offload = ["speech_recognizer"]
    _optional_components = ["speech_recognizer", "speech_recognizer_processor"]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        transformer: F5TTSTransformer1DModel,
        scheduler: SchedulerMixin,
        vocoder: VocosVocoder | BigVGANVocoder,
        speech_recognizer: PreTrainedModel | None = None,
        speech_recognizer_processor: ProcessorMixin | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            tokenizer=tokenizer,
            transformer=transformer,
            scheduler=scheduler,
            vocoder=vocoder,
            speech_recognizer=speech_recognizer,
            speech_recognizer_processor=speech_recognizer_processor,
        )
        config = self.transformer.config
        self.sampling_rate = config.sampling_rate
        self.frames = MelFrames(config.hop_length, centered=config.mel_type == "vocos")

    @property
    def guidance_scale(self) -> float:
        return self._guidance_scale

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

    def check_inputs(
        self,
        num_inference_steps: int,
        guidance_scale: float,
        num_waveforms: int,
        generator: torch.Generator | list[torch.Generator] | None,
        output_type: str,
        callback_on_step_end_tensor_inputs: list[str],
    ) -> None:
        """Refuse arguments of sampling that do not fit, before any work is done.

        The arguments are those of [`~TextToSpeechPipeline.__call__`], and how many waveforms there will be.

        Raises:
            InputError: Naming the argument, its value and the way out.
        """
        _check_count("num_inference_steps", num_inference_steps)
        if isinstance(generator, (list, tuple)) and len(generator) != num_waveforms:
            raise InputError(
                f"`generator` is a list of {len(generator)}; expected one for each of {num_waveforms} waveforms."
            )
        for item in generator if isinstance(generator, (list, tuple)) else [generator]:
            if item is not None and not isinstance(item, torch.Generator):
                raise InputError(
                    f"`generator` is {item!r}; pass `torch.Generator().manual_seed(seed)`, or a list of generators."
                )
        if not isinstance(guidance_scale, numbers.Real) or not math.isfinite(guidance_scale):
            raise InputError(f"`guidance_scale` is {guidance_scale!r}; expected a finite number, 3.0 for instance.")
        config, kind = self.scheduler.config, type(self.scheduler).__name__
        is_flow = config.get("prediction_type", "flow_prediction") == "flow_prediction"
        if not is_flow or not config.get("use_flow_sigmas", True):
            raise InputError(
                f"The scheduler of the pipeline is a {kind} for another kind of diffusion; pass "
                '`prediction_type="flow_prediction", use_flow_sigmas=True` to its `from_config`, or use a FlowMatch '
                "scheduler."
            )
        if output_type not in ("np", "pt", "latent"):
            raise InputError(f"`output_type` is {output_type!r}; accepted are 'np', 'pt' and 'latent'.")
        unknown = sorted(set(callback_on_step_end_tensor_inputs) - set(self._callback_tensor_inputs))
        if unknown:
            raise InputError(
                f"`callback_on_step_end_tensor_inputs` has {unknown}; accepted are {self._callback_tensor_inputs}."
            )

    @torch.no_grad()
    def encode_voice(
        self,
        reference_audio,
        reference_text: str | None = None,
        reference_sampling_rate: int | None = None,
        trim: bool = True,
        normalize: bool = True,
    ) -> VoicePrompt:
        r"""
        Listen to a voice.

        Args:
            reference_audio:
                Speech of one person, 5 to 10 s for best results: a path, bytes or a binary file of audio or video, or
                an array or tensor of shape `(num_samples,)` or `(channels, num_samples)`. Channels are averaged.
            reference_text (`str`, *optional*):
                What is said in it, word for word. Without it the `speech_recognizer` of the pipeline writes it down.
            reference_sampling_rate (`int`, *optional*):
                Needed for arrays and tensors, refused for files, which know their own.
            trim (`bool`, defaults to `True`):
                Whether to shorten the recording to 12 s at a pause and to cut off silence at its ends, as the original
                does. What is cut off must not be in `reference_text`.
            normalize (`bool`, defaults to `True`):
                Whether to write out numbers, dates and units in `reference_text`.

        Returns:
            [`VoicePrompt`].

        Raises:
            MediaError: When a file cannot be read.
            InputError: When the recording is too short or silent, or its text is missing or empty.
        """
        waveform, rate = _read_reference(reference_audio, reference_sampling_rate)
        given_length_in_s = waveform.shape[0] / rate
        if trim:
            waveform = trim_reference(waveform, rate)
        length_in_s = waveform.shape[0] / rate
        if length_in_s < MIN_REFERENCE_LENGTH_IN_S:
            raise InputError(
                f"`reference_audio` lasts {given_length_in_s:.2f} s, of which {length_in_s:.2f} s are left without "
                f"silence; at least {MIN_REFERENCE_LENGTH_IN_S:g} s of speech are needed, and 5 to 10 s are best."
            )
        waveform, gain = _raise_loudness("reference_audio", waveform)
        waveform = resample(waveform, rate, self.sampling_rate)

        if reference_text is None:
            reference_text = self.transcribe(waveform)
        _check_text("reference_text", reference_text)
        if not is_speakable(reference_text):
            raise InputError(
                f"`reference_text` is {reference_text!r}, without a letter or digit; pass what is said in the "
                "recording, or None to have it written down."
            )
        reference_text = _normalize(reference_text, normalize)

        mel = self._encode_mel(waveform)
        energy = energy_contour(
            waveform[None],
            self.sampling_rate,
            mel_sampling_rate=self.sampling_rate,
            hop_length=self.frames.hop_length,
        )
        return VoicePrompt(
            mel=mel,
            text=complete_reference_text(reference_text),
            energy=_fit_length(energy, mel.shape[0]),
            audio_length_in_s=length_in_s,
            gain=gain,
        )

    def _encode_mel(self, waveform: torch.Tensor) -> torch.Tensor:
        """A waveform `(num_samples,)` -> what the network works on, a mel spectrogram `(num_frames, mel_channels)`."""
        config = self.transformer.config
        mel = log_mel_spectrogram(
            waveform[None],
            sampling_rate=config.sampling_rate,
            n_fft=config.n_fft,
            hop_length=config.hop_length,
            num_mels=config.mel_channels,
            mel_type=config.mel_type,
        )[0]
        return (mel - config.mel_mean) / config.mel_std

    def prepare_voices(
        self,
        transcript: str | list[str],
        reference_audio=None,
        reference_text: str | list[str] | None = None,
        reference_sampling_rate: int | None = None,
        voice: VoicePrompt | dict[str, VoicePrompt] | list[VoicePrompt] | None = None,
        normalize: bool = True,
    ) -> list[VoicePrompt | dict[str, VoicePrompt]]:
        """The voice of each transcript, from recordings or from voices that are known already.

        The arguments are those of [`~TextToSpeechPipeline.__call__`].

        Returns:
            `list[VoicePrompt | dict[str, VoicePrompt]]`: One for each transcript; voices by name where several speak.

        Raises:
            MediaError: When a file cannot be read.
            InputError: When a recording does not serve, or voices and transcripts do not pair up.
        """
        batch_size = 1 if isinstance(transcript, str) else len(transcript)
        if (reference_audio is None) == (voice is None):
            raise InputError("Pass either `reference_audio` with `reference_text`, or `voice` from `encode_voice`.")
        if voice is not None and (reference_text is not None or reference_sampling_rate is not None):
            raise InputError(
                "`reference_text` and `reference_sampling_rate` belong to `reference_audio`; leave them out with "
                "`voice`, which has its text."
            )
        if voice is None:
            voice = [
                self.encode_voice(audio, text, reference_sampling_rate, normalize=normalize)
                for audio, text in self._pair_references(reference_audio, reference_text, batch_size)
            ]
        voices = _per_item("voice", voice, batch_size)
        for item in voices:
            prompts = list(item.values()) if isinstance(item, dict) else [item]
            if not prompts or not all(isinstance(prompt, VoicePrompt) for prompt in prompts):
                raise InputError(f"`voice` is {item!r}; pass what `encode_voice` returns, or a dictionary of those.")
        return voices

    @torch.no_grad()
    def transcribe(self, waveform: torch.Tensor) -> str:
        """Write down speech with the `speech_recognizer` of the pipeline.

        Args:
            waveform (`torch.Tensor` of shape `(num_samples,)`): Speech at the sampling rate of the pipeline.

        Returns:
            `str`: What is said in it.

        Raises:
            InputError: When the pipeline has no speech recognizer, or it hears nothing.
        """
        if self.speech_recognizer is None or self.speech_recognizer_processor is None:
            raise InputError(
                "`reference_text` is missing and the pipeline has no `speech_recognizer` to write it down; pass the "
                "text, or load the pipeline with `speech_recognizer` and `speech_recognizer_processor`, "
                "`WhisperForConditionalGeneration` and `WhisperProcessor` of transformers for instance."
            )
        rate = self.speech_recognizer_processor.feature_extractor.sampling_rate
        inputs = self.speech_recognizer_processor(
            resample(waveform, self.sampling_rate, rate).cpu().numpy(), sampling_rate=rate, return_tensors="pt"
        ).to(self.speech_recognizer.device, self.speech_recognizer.dtype)
        token_ids = self.speech_recognizer.generate(**inputs)
        text = self.speech_recognizer_processor.batch_decode(token_ids, skip_special_tokens=True)[0].strip()
        if not is_speakable(text):
            raise InputError(
                f"The speech recognizer heard no words in `reference_audio` (it wrote {text!r}); pass "
                "`reference_text`, or another recording."
            )
        return text

    def prepare_passages(
        self,
        transcript: str,
        voice: VoicePrompt | dict[str, VoicePrompt],
        speed: float = 1.0,
        audio_length_in_s: float | None = None,
        energy: torch.Tensor | None = None,
        cross_fade_in_s: float = 0.15,
        normalize: bool = True,
    ) -> list[Passage]:
        """Divide a text into passages that the network can speak, and decide how long each of them lasts.

        Args:
            transcript (`str`): The text, of any length. With a dictionary of voices, `[name]` hands over to another.
            voice ([`VoicePrompt`] or `dict[str, VoicePrompt]`): Who speaks; what stands before the first tag is
                spoken by the first voice of a dictionary.
            speed (`float`, defaults to 1.0): Above 1 is faster than the reference speech.
            audio_length_in_s (`float`, *optional*): Length of the whole, met to the sample. Without it each passage is
                spoken at the rate of its voice.
            energy (`torch.Tensor` of shape `(num_frames,)`, *optional*): Energy contour of the whole, one value for
                each hop. Without `audio_length_in_s` it is also its length.
            cross_fade_in_s (`float`, defaults to 0.15): How long passages of one voice overlap.
            normalize (`bool`, defaults to `True`): Whether to write out numbers, dates and units.

        Returns:
            `list[Passage]`.

        Raises:
            InputError: When nothing can be spoken, a voice is unknown, the text does not fit into the length, or the
                energy contour does not fit the network or the length.
        """
        if not isinstance(speed, numbers.Real) or not MIN_SPEED <= speed <= MAX_SPEED:
            raise InputError(f"`speed` is {speed!r}; expected a number from {MIN_SPEED:g} to {MAX_SPEED:g}.")
        if not isinstance(cross_fade_in_s, numbers.Real) or not 0 <= cross_fade_in_s < math.inf:
            raise InputError(f"`cross_fade_in_s` is {cross_fade_in_s!r}; expected seconds, 0 for none.")
        _check_text("transcript", transcript)
        if audio_length_in_s is not None:
            _check_positive("audio_length_in_s", audio_length_in_s)
            audio_length_in_s = float(audio_length_in_s)
        if energy is not None:
            audio_length_in_s = self._check_energy(energy, audio_length_in_s)

        # 1. Who says what.
        if isinstance(voice, dict):
            first_name = next(iter(voice))
            parts = [(name or first_name, text) for name, text in split_voices(transcript)]
            unknown = sorted({name for name, _ in parts} - voice.keys())
            if unknown:
                raise InputError(
                    f"`transcript` has the tag `[{unknown[0]}]`, but the voices are {', '.join(voice)}; add it to "
                    "`voice`, or take the tag out."
                )
            spoken = [(voice[name], text) for name, text in parts]
        else:
            spoken = [(voice, transcript)]
        pieces, joined = [], []
        for speaker, text in spoken:
            text = _normalize(text, normalize)
            reference_in_bytes = len(join_reference(speaker.text, "").encode())
            limit = passage_limit_in_bytes(len(speaker.text.encode()), speaker.audio_length_in_s, speed)
            for i, piece in enumerate(text for text in split_text(text, limit) if is_speakable(text)):
                num_reference_hops = speaker.mel.shape[0] - self.frames.centered
                hops = estimate_speech_frames(len(piece.encode()), reference_in_bytes, num_reference_hops, speed)
                pieces.append((speaker, piece, hops))
                joined.append(i > 0)
        if not pieces:
            shown = transcript if len(transcript) <= 40 else transcript[:40] + "..."
            raise InputError(
                f"`transcript` is {shown!r}, without a letter or digit to be spoken; pass a text, beside any tags."
            )

        # 2. How long it takes.
        estimates, shortest = [], []
        for speaker, text, hops in pieces:
            if isinstance(self.tokenizer, PhoneTokenizer):
                least = len(self.tokenizer(text).input_ids)
            else:
                # The network reads one token a frame, reference text included, and needs one frame more.
                least = len(self.tokenizer(join_reference(speaker.text, text)).input_ids) + 1 - speaker.mel.shape[0]
            shortest.append(self.frames.samples_after_prompt(max(least, 1 + self.frames.centered)))
            new_frames = max(hops - self.frames.centered, least, 1 + self.frames.centered)
            estimates.append(self.frames.samples_after_prompt(new_frames))
        self._warn_of_unknown_characters("".join(text for _, text, _ in pieces))
        num_samples = None if audio_length_in_s is None else round(audio_length_in_s * self.sampling_rate)
        overlap = int(cross_fade_in_s * self.sampling_rate)
        lengths, overlaps = fit_passages(estimates, joined, overlap, num_samples)
        longest = self.transformer.config.max_positions
        for (speaker, text, _), length, least in zip(pieces, lengths, shortest, strict=True):
            if length < least:
                needed = sum(estimates) * max(s / estimate for s, estimate in zip(shortest, estimates, strict=True))
                needed_in_s = math.ceil(needed / self.sampling_rate * 10) / 10
                raise InputError(
                    f"`audio_length_in_s` is {audio_length_in_s}, too short for the transcript: the network reads at "
                    f"most one letter a frame. Pass at least {needed_in_s:g}, or a shorter text."
                )
            if speaker.mel.shape[0] + self.frames.frames_after_prompt(length) > longest:
                longest_in_s = longest * self.frames.hop_length / self.sampling_rate
                way_out = "a higher `speed`" if audio_length_in_s is None else "a shorter `audio_length_in_s`"
                raise InputError(
                    f"The passage {text[:40]!r}... would last {length / self.sampling_rate:.1f} s; reference and new "
                    f"speech must fit into {longest} frames ({longest_in_s:.1f} s). Pass {way_out}."
                )
        passages, end = [], 0
        for (speaker, text, _), length, overlap in zip(pieces, lengths, overlaps, strict=True):
            start = end - overlap
            end = start + length
            contour = None if energy is None else energy[round(start / self.frames.hop_length) :]
            passages.append(Passage(speaker, text, length, overlap, contour))
        return passages

    def _warn_of_unknown_characters(self, text: str) -> None:
        tokens = dict.fromkeys(self.tokenizer.tokenize(text))
        ids = self.tokenizer.convert_tokens_to_ids(list(tokens))
        # The space has the id that stands for what is unknown.
        unknown = [token for token, i in zip(tokens, ids, strict=True) if i == 0 and not token.isspace()]
        if unknown:
            shown = ", ".join(map(repr, unknown[:10]))
            logger.warning(f"The transcript has characters that the network does not know and passes over: {shown}.")

    def _check_energy(self, energy: torch.Tensor, audio_length_in_s: float | None) -> float:
        """Refuse an energy contour that does not fit; returns how long the speech is to be."""
        if not self.transformer.config.energy_conditioning:
            raise InputError(
                "`energy` was given, but the transformer is not conditioned on energy; leave it out, or load a V2S "
                "checkpoint of DeepAudio."
            )
        is_contour = isinstance(energy, torch.Tensor) and energy.is_floating_point() and energy.ndim == 1
        if not is_contour or energy.shape[0] == 0:
            found = type(energy).__name__
            if isinstance(energy, torch.Tensor):
                found = f"{energy.dtype} {tuple(energy.shape)}"
            raise InputError(f"`energy` is {found}; expected floats of shape (num_frames,) for each item.")
        if not ((energy >= 0) & (energy <= 1)).all():
            raise InputError("`energy` has values outside [0, 1] or NaN; divide the contour by its maximum.")
        rate = self.sampling_rate / self.frames.hop_length
        if audio_length_in_s is None:
            return energy.shape[0] / rate
        expected = round(audio_length_in_s * self.sampling_rate) // self.frames.hop_length
        if energy.shape[0] != expected:
            raise InputError(
                f"`energy` has {energy.shape[0]} values for `audio_length_in_s={audio_length_in_s}`; expected "
                f"{expected}, {rate:g} a second. `energy_contour(..., audio_length_in_s=...)` cuts or pads it."
            )
        return audio_length_in_s

    def prepare_latents(self, num_frames: list[int], generators: list[torch.Generator | None]) -> torch.Tensor:
        """Noise to begin from.

        Every item is drawn on its own, so that its noise does not depend on what else is in the batch.

        Args:
            num_frames (`list[int]`): Frames of each item.
            generators (`list[torch.Generator | None]`): The seed of each item.

        Returns:
            `torch.Tensor` of shape `(batch_size, max(num_frames), mel_channels)`: float32, zero beyond the frames of
            an item.
        """
        noise = [
            randn_tensor(
                (count, self.transformer.config.mel_channels),
                generator=generator,
                device=self._execution_device,
                dtype=torch.float32,
            )
            for count, generator in zip(num_frames, generators, strict=True)
        ]
        return pad_sequence(noise, batch_first=True)

    def _infilling(self, passage: Passage) -> _Infilling:
        """The mel spectrogram of a passage: the reference speech, and then what is to be found."""
        prompt = passage.voice.mel
        num_new_frames = self.frames.frames_after_prompt(passage.num_samples)
        num_frames = prompt.shape[0] + num_new_frames
        energy = None
        if self.transformer.config.energy_conditioning:
            # Without a contour the released models were run on zeros, for the prompt as well.
            known = [] if passage.energy is None else [passage.voice.energy, passage.energy.to(passage.voice.energy)]
            energy = _fit_length(torch.cat([*known, torch.zeros(num_frames)]), num_frames)
        return _Infilling(
            mel=_fit_length(prompt, num_frames),
            is_known=torch.arange(num_frames) < prompt.shape[0],
            token_ids=self._token_ids(passage, num_new_frames),
            energy=energy,
        )

    def _token_ids(self, passage: Passage, num_new_frames: int) -> torch.Tensor:
        """The tokens of the reference and the new text; phones stand one for each frame."""
        voice = passage.voice
        if not isinstance(self.tokenizer, PhoneTokenizer):
            return torch.tensor(self.tokenizer(join_reference(voice.text, passage.text)).input_ids)
        frame_length_in_s = self.frames.hop_length / self.sampling_rate
        # A contour of zeros, which the gate makes of a picture that does not count, tells nothing about the timing.
        has_contour = passage.energy is not None and bool(passage.energy.any())
        contour = _fit_length(passage.energy / passage.energy.max(), num_new_frames) if has_contour else None
        return torch.cat(
            [
                self.tokenizer.place(voice.text, voice.mel.shape[0], frame_length_in_s, voice.energy),
                self.tokenizer.place(passage.text, num_new_frames, frame_length_in_s, contour),
            ]
        )

    def _denoise(
        self,
        infillings: list[_Infilling],
        generators: list[torch.Generator | None],
        num_inference_steps: int,
        callback_on_step_end: Callable[..., dict] | None,
        callback_on_step_end_tensor_inputs: list[str],
        progress_bar: Any,
    ) -> list[torch.Tensor]:
        """Complete mel spectrograms, all at once. Returns those of the items, each of shape `(num_frames, mels)`."""
        # 1. Prepare what stays the same in every step.
        device, dtype = self._execution_device, self.transformer.dtype
        num_frames = [item.mel.shape[0] for item in infillings]
        mel = pad_sequence([item.mel.to(device) for item in infillings], batch_first=True)
        is_known = pad_sequence([item.is_known for item in infillings], batch_first=True).to(device)
        text_ids = pad_sequence([item.token_ids for item in infillings], batch_first=True, padding_value=-1)
        energy = None
        if infillings[0].energy is not None:
            energy = pad_sequence([item.energy for item in infillings], batch_first=True)[..., None].to(device, dtype)
        inputs = {
            "cond": mel.to(dtype),
            "text_ids": text_ids.to(device),
            "energy": energy,
            "lengths": num_frames,
            "attention_kwargs": self._attention_kwargs,
        }
        conditions = self.transformer.encode_conditions(**inputs)
        guided_conditions = None
        if self.do_classifier_free_guidance:
            null_conditions = self.transformer.encode_conditions(**inputs, drop_audio_cond=True, drop_text=True)
            guided_conditions = F5TTSConditions.cat([null_conditions, conditions])

        # 2. Prepare time and noise.
        self.scheduler.set_timesteps(num_inference_steps, device=device)
        timesteps = self.scheduler.timesteps
        self._num_timesteps = len(timesteps)
        latents = self.prepare_latents(num_frames, generators)
        # Solvers that add noise of their own take it from the same seeds.
        takes_generator = "generator" in inspect.signature(self.scheduler.step).parameters
        step_kwargs = {}
        if takes_generator and generators[0] is not None:
            step_kwargs["generator"] = generators[0] if len(generators) == 1 else generators
        # A call that was broken off may have left half a run in the caches.
        self.transformer._reset_stateful_cache()

        # 3. Denoise.
        for i, t in enumerate(timesteps):
            if self.interrupt:
                continue
            self._current_timestep = t
            time = flow_time(t, self.scheduler.config.num_train_timesteps).expand(latents.shape[0])
            # A callback may end guidance, but what it needs was not prepared if it was off from the start.
            guided = self.do_classifier_free_guidance and guided_conditions is not None
            with self.transformer.cache_context("cond_uncond" if guided else "cond"):
                velocity = self.transformer(
                    hidden_states=latents.to(dtype),
                    timestep=time,
                    conditions=guided_conditions if guided else conditions,
                    attention_kwargs=self._attention_kwargs,
                    return_dict=False,
                )[0].float()
            if guided:
                null_velocity, velocity = velocity.chunk(2)
                velocity = null_velocity + self.guidance_scale * (velocity - null_velocity)
            model_output = model_output_from_velocity(velocity)
            latents = self.scheduler.step(model_output, t, latents, **step_kwargs, return_dict=False)[0]

            if callback_on_step_end is not None:
                callback_kwargs = {}
                for name in callback_on_step_end_tensor_inputs:
                    callback_kwargs[name] = locals()[name]
                latents = (callback_on_step_end(self, i, t, callback_kwargs) or {}).get("latents", latents)
            progress_bar.update()
        self._current_timestep = None

        completed = torch.where(is_known[..., None], mel, latents)
        return [item[:count] for item, count in zip(completed, num_frames, strict=True)]

    def decode_latents(self, mel: torch.Tensor) -> torch.Tensor:
        """Turn a mel spectrogram into a waveform.

        Args:
            mel (`torch.Tensor` of shape `(num_frames, mel_channels)`): As the network makes it.

        Returns:
            `torch.Tensor` of shape `(num_samples,)`, float32.

        Raises:
            GenerationError: When the networks made NaN or infinity.
        """
        mel = mel * self.transformer.config.mel_std + self.transformer.config.mel_mean
        audio = self.vocoder(mel.T[None].to(self.vocoder.dtype)).sample[0, 0].float()
        if not torch.isfinite(audio).all():
            raise GenerationError(
                "The generated audio contains NaN or infinity. Load the pipeline in float32, or check the weights."
            )
        return audio

    def _decode_passage(self, passage: Passage, mel: torch.Tensor) -> torch.Tensor:
        """The new part of a mel spectrogram -> the waveform of a passage, `(passage.num_samples,)`."""
        # The last frame of the prompt goes before the first new one, and the hop between the two is cut off.
        context = int(self.frames.centered)
        audio = self.decode_latents(mel[passage.voice.mel.shape[0] - context :])
        start = context * self.frames.hop_length
        return audio[start : start + passage.num_samples] / passage.voice.gain

    @torch.no_grad()
    def __call__(
        self,
        transcript: str | list[str],
        reference_audio=None,
        reference_text: str | list[str] | None = None,
        reference_sampling_rate: int | None = None,
        voice: VoicePrompt | dict[str, VoicePrompt] | list[VoicePrompt] | None = None,
        speed: float = 1.0,
        audio_length_in_s: float | list[float] | None = None,
        energy: torch.Tensor | list[torch.Tensor] | None = None,
        cross_fade_in_s: float = 0.15,
        normalize_text: bool = True,
        num_inference_steps: int = 32,
        guidance_scale: float = 3.0,
        num_waveforms_per_prompt: int = 1,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., dict] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> TextToSpeechPipelineOutput | tuple[np.ndarray | torch.Tensor]:
        r"""
        Speak a text in a voice.

        Args:
            transcript (`str` or `list[str]`): What is to be said, in English or Chinese for the published models. Long
                texts are spoken in passages that are divided at punctuation. Items of a batch share one voice or have
                one each.
            reference_audio, reference_text, reference_sampling_rate: See [`~TextToSpeechPipeline.encode_voice`]; lists
                are a batch.
            voice ([`VoicePrompt`], `dict[str, VoicePrompt]` or `list[VoicePrompt]`, *optional*): Output of
                `encode_voice`, instead of `reference_audio`. With a dictionary, `[name]` in the transcript hands over
                to another voice; without one, brackets are text.
            speed (`float`, defaults to 1.0): Above 1 is faster than the reference speech. With a length it only
                decides where long texts are divided.
            audio_length_in_s (`float` or `list[float]`, *optional*): Length of the new speech, met to the sample
                however many passages there are, by speaking faster or slower. Without it and without `energy` the text
                is spoken at the rate of the reference speech.
            energy (`torch.Tensor` of shape `(num_frames,)` or `(batch_size, num_frames)`, or a list, *optional*):
                Energy contour of the new speech in [0, 1], one value for each hop of 256 samples at 24 kHz; see
                [`~deepaudio_diffusers.processing.audio.energy_contour`]. It times the speech, and its length is that
                of the speech. For networks with `energy_conditioning`, which take no contour as a flat one of zeros.
            cross_fade_in_s (`float`, defaults to 0.15): How long passages of one voice overlap.
            normalize_text (`bool`, defaults to `True`): Whether to write out numbers, dates, money and units.
            num_inference_steps (`int`, defaults to 32): Steps of the scheduler. The authors of F5-TTS recommend 7 or
                16 where time matters, on the pruned grid (`grid="epss"`).
            guidance_scale (`float`, defaults to 3.0): Strength of classifier-free guidance in the notation of
                diffusers; up to 1 is without. The original's `cfg_strength` is one less.
            num_waveforms_per_prompt (`int`, defaults to 1): How many takes of each item.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*): The seed; with a list, one for each
                waveform, so that an item sounds the same whatever else is in the batch.
            output_type (`str`, defaults to `"np"`): `"np"`, `"pt"` or `"latent"` (mel spectrograms).
            return_dict (`bool`, defaults to `True`): Whether to return a [`TextToSpeechPipelineOutput`] instead of a
                tuple of its `audios`.
            callback_on_step_end (`Callable`, *optional*): Called as `(pipeline, step, timestep, tensors)` after each
                step of each passage; what it returns in a dictionary, if anything, replaces those tensors. Setting
                `pipeline._interrupt = True` in it ends the speech with the passage that is being made.
            callback_on_step_end_tensor_inputs (`list[str]`, *optional*): Names of the tensors for the callback:
                `"latents"`, the whole mel spectrograms of shape `(batch_size, num_frames, mel_channels)`.
            attention_kwargs (`dict`, *optional*): `scale` is the strength of loaded LoRA weights.

        Returns:
            [`TextToSpeechPipelineOutput`].

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
        transcripts = [transcript] if isinstance(transcript, str) else transcript
        if not isinstance(transcripts, (list, tuple)) or not transcripts:
            raise InputError(f"`transcript` is {transcript!r}; expected a string or a list of strings.")
        batch_size = len(transcripts)
        _check_count("num_waveforms_per_prompt", num_waveforms_per_prompt)
        num_waveforms = batch_size * num_waveforms_per_prompt
        self.check_inputs(
            num_inference_steps,
            guidance_scale,
            num_waveforms,
            generator,
            output_type,
            callback_on_step_end_tensor_inputs,
        )
        self._begin_call(guidance_scale, attention_kwargs)

        # 2. Listen to the voices and divide the texts.
        voices = self.prepare_voices(
            transcripts, reference_audio, reference_text, reference_sampling_rate, voice, normalize_text
        )
        if isinstance(energy, torch.Tensor) and energy.ndim == 2:
            energy = list(energy)
        passages = []
        for text, item_voice, length_in_s, contour in zip(
            transcripts,
            voices,
            _per_item("audio_length_in_s", audio_length_in_s, batch_size),
            _per_item("energy", energy, batch_size),
            strict=True,
        ):
            divided = self.prepare_passages(
                text, item_voice, speed, length_in_s, contour, cross_fade_in_s, normalize_text
            )
            passages += [divided] * num_waveforms_per_prompt

        # 3. Speak: the first passages of all items at once, then the second ones, and so on.
        generators = list(generator) if isinstance(generator, (list, tuple)) else [generator] * num_waveforms
        mels = [[] for _ in passages]
        num_rounds = max(len(item) for item in passages)
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        with self.progress_bar(total=num_rounds * len(self.scheduler.timesteps)) as progress_bar:
            for i in range(num_rounds):
                # What was interrupted ends there.
                if self.interrupt:
                    break
                # A callback may have ended guidance in the passages before.
                self._guidance_scale = guidance_scale
                speaking = [number for number, item in enumerate(passages) if len(item) > i]
                completed = self._denoise(
                    [self._infilling(passages[number][i]) for number in speaking],
                    [generators[number] for number in speaking],
                    num_inference_steps,
                    callback_on_step_end,
                    callback_on_step_end_tensor_inputs,
                    progress_bar,
                )
                for number, mel in zip(speaking, completed, strict=True):
                    mels[number].append(mel)

        # 4. Decode and join.
        outputs = []
        for divided, item_mels in zip(passages, mels, strict=True):
            item = divided[: len(item_mels)]
            if output_type == "latent":
                new = [mel[passage.voice.mel.shape[0] :] for passage, mel in zip(item, item_mels, strict=True)]
                outputs.append(torch.cat(new))
            else:
                outputs.append(self._decode_passages(item, item_mels))
        self.maybe_free_model_hooks()
        return self._make_output(outputs, output_type, return_dict)

    @torch.no_grad()
    def edit(
        self,
        audio,
        transcript: str,
        spans_in_s: list[tuple[float, float]],
        span_lengths_in_s: list[float] | None = None,
        sampling_rate: int | None = None,
        normalize_text: bool = True,
        num_inference_steps: int = 32,
        guidance_scale: float = 3.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., dict] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> TextToSpeechPipelineOutput | tuple[np.ndarray | torch.Tensor]:
        r"""
        Speak parts of a recording anew, in its own voice, and leave every other sample as it is.

        Args:
            audio: The recording: see `reference_audio` of [`~TextToSpeechPipeline.encode_voice`]. Channels are
                averaged and another sampling rate than that of the pipeline is converted; what is left of the
                recording then is equal to that, bit for bit.
            transcript (`str`): What is said in the whole recording after the edit.
            spans_in_s (`list[tuple[float, float]]`): Where the words to be replaced begin and end, in order. They are
                rounded to frames of 10.7 ms.
            span_lengths_in_s (`list[float]`, *optional*): How long the new words last; as long as the old ones by
                default.
            sampling_rate (`int`, *optional*): Needed for arrays and tensors, refused for files.
            normalize_text, num_inference_steps, guidance_scale, generator, output_type, return_dict,
            callback_on_step_end, callback_on_step_end_tensor_inputs, attention_kwargs:
                See [`~TextToSpeechPipeline.__call__`]. With `output_type="latent"` the mel spectrogram of the whole.

        Returns:
            [`TextToSpeechPipelineOutput`].

        Raises:
            MediaError: When a file cannot be read.
            InputError: When an argument does not fit.
            GenerationError: When the networks make NaN.
        """
        if isinstance(callback_on_step_end, (PipelineCallback, MultiPipelineCallbacks)):
            callback_on_step_end_tensor_inputs = callback_on_step_end.tensor_inputs
        elif callback_on_step_end_tensor_inputs is None:
            callback_on_step_end_tensor_inputs = ["latents"]

        # 1. Check the arguments.
        self.check_inputs(
            num_inference_steps, guidance_scale, 1, generator, output_type, callback_on_step_end_tensor_inputs
        )
        if not isinstance(transcript, str) or not is_speakable(transcript):
            raise InputError(f"`transcript` is {transcript!r}; pass the text of the whole recording after the edit.")
        if isinstance(self.tokenizer, PhoneTokenizer):
            raise InputError(
                "This network is told when each phone is spoken, which an edit does not know beforehand; edit with "
                "one that reads letters, such as the published ones."
            )
        self._begin_call(guidance_scale, attention_kwargs)

        # 2. Take the spans out of the recording and its mel spectrogram.
        waveform, rate = read_waveform(audio, sampling_rate)
        waveform = resample(waveform.mean(dim=0).cpu(), rate, self.sampling_rate)
        loud, gain = _raise_loudness("audio", waveform)
        spans = self._spans_in_frames(waveform.shape[0], spans_in_s, span_lengths_in_s)
        config = self.transformer.config
        mel = self._encode_mel(loud)
        parts, known, end = [], [], 0
        for span_start, span_end, new_frames in spans:
            parts += [mel[end:span_start], mel.new_zeros(new_frames, mel.shape[1])]
            known += [torch.ones(span_start - end, dtype=torch.bool), torch.zeros(new_frames, dtype=torch.bool)]
            end = span_end
        parts.append(mel[end:])
        known.append(torch.ones(mel.shape[0] - end, dtype=torch.bool))
        edited = torch.cat(parts)
        num_frames = edited.shape[0]
        infilling = _Infilling(
            mel=edited,
            is_known=torch.cat(known),
            token_ids=torch.tensor(self.tokenizer(_normalize(transcript, normalize_text)).input_ids),
            energy=torch.zeros(num_frames) if config.energy_conditioning else None,
        )
        if not len(infilling.token_ids) < num_frames <= config.max_positions:
            raise InputError(
                f"The edited recording has {num_frames} frames for {len(infilling.token_ids)} letters of "
                f"`transcript`; there must be more frames than letters, and at most {config.max_positions} frames."
            )

        # 3. Speak.
        self.scheduler.set_timesteps(num_inference_steps, device=self._execution_device)
        with self.progress_bar(total=len(self.scheduler.timesteps)) as progress_bar:
            (completed,) = self._denoise(
                [infilling],
                list(generator) if isinstance(generator, (list, tuple)) else [generator],
                num_inference_steps,
                callback_on_step_end,
                callback_on_step_end_tensor_inputs,
                progress_bar,
            )

        # 4. Decode, and put the new spans into the recording.
        if output_type == "latent":
            output = completed
        else:
            spoken = self.decode_latents(completed) / gain
            output = _replace_spans(waveform.to(spoken), spoken, spans, config.hop_length, self.sampling_rate)
        self.maybe_free_model_hooks()
        return self._make_output([output], output_type, return_dict)

    def _spans_in_frames(
        self, num_samples: int, spans_in_s: list[tuple[float, float]], span_lengths_in_s: list[float] | None
    ) -> list[tuple[int, int, int]]:
        """(first frame, frame after the last, frames in their place) of each span."""
        rate = self.sampling_rate / self.frames.hop_length
        pairs = spans_in_s if isinstance(spans_in_s, (list, tuple)) else []
        is_pair = [isinstance(span, (list, tuple)) and len(span) == 2 and all(map(_is_time, span)) for span in pairs]
        if not is_pair or not all(is_pair):
            raise InputError(f"`spans_in_s` is {spans_in_s!r}; expected a list of (start, end) in seconds.")
        if span_lengths_in_s is None:
            span_lengths_in_s = [None] * len(spans_in_s)
        elif not isinstance(span_lengths_in_s, (list, tuple)):
            raise InputError(f"`span_lengths_in_s` is {span_lengths_in_s!r}; expected a list of seconds.")
        if len(span_lengths_in_s) != len(spans_in_s):
            raise InputError(
                f"`span_lengths_in_s` has {len(span_lengths_in_s)} items for {len(spans_in_s)} spans; pass one for "
                "each."
            )
        spans, previous_end = [], 0
        for (start_in_s, end_in_s), length_in_s in zip(spans_in_s, span_lengths_in_s, strict=True):
            if length_in_s is not None:
                _check_positive("span_lengths_in_s", length_in_s)
            start, end = round(start_in_s * rate), round(end_in_s * rate)
            length = end - start if length_in_s is None else round(length_in_s * rate)
            if not previous_end <= start < end <= num_samples // self.frames.hop_length:
                raise InputError(
                    f"`spans_in_s` has ({start_in_s}, {end_in_s}); spans must have a length, lie inside the "
                    f"recording of {num_samples / self.sampling_rate:.3f} s, and follow each other in order."
                )
            if length < 1:
                raise InputError(f"`span_lengths_in_s` has {length_in_s}, less than a frame of {1 / rate:.4f} s.")
            spans.append((start, end, length))
            previous_end = end
        return spans

    def _begin_call(self, guidance_scale: float, attention_kwargs: dict[str, Any] | None) -> None:
        self._guidance_scale = guidance_scale
        self._attention_kwargs = attention_kwargs
        self._current_timestep = None
        self._interrupt = False

    def _decode_passages(self, passages: list[Passage], mels: list[torch.Tensor]) -> torch.Tensor:
        """The mel spectrograms of the passages of an item -> its waveform `(num_samples,)`."""
        groups: list[list[torch.Tensor]] = []
        for passage, mel in zip(passages, mels, strict=True):
            audio = self._decode_passage(passage, mel)
            if passage.overlap:
                groups[-1].append(audio)
            else:
                groups.append([audio])
        # All cross-fades of an item are equally long.
        overlap = max(passage.overlap for passage in passages)
        return torch.cat([cross_fade(group, overlap) for group in groups])

    def _make_output(
        self, outputs: list[torch.Tensor], output_type: str, return_dict: bool
    ) -> TextToSpeechPipelineOutput | tuple[np.ndarray | torch.Tensor]:
        lengths = [output.shape[0] for output in outputs]
        audios = pad_sequence(outputs, batch_first=True)
        if output_type != "latent":
            audios = audios[:, None]
        if output_type == "np":
            audios = audios.cpu().numpy()
        if not return_dict:
            return (audios,)
        return TextToSpeechPipelineOutput(audios=audios, sampling_rate=self.sampling_rate, lengths=lengths)

    @staticmethod
    def _pair_references(reference_audio, reference_text, batch_size: int) -> Iterator[tuple[Any, str | None]]:
        """Recordings and their texts, one or a batch of each."""
        audios = reference_audio if isinstance(reference_audio, (list, tuple)) else [reference_audio]
        if any(isinstance(audio, numbers.Real) for audio in audios):
            raise InputError("`reference_audio` is a list of numbers; pass samples as an array or tensor.")
        if reference_text is None:
            texts = [None] * len(audios)
        else:
            texts = reference_text if isinstance(reference_text, (list, tuple)) else [reference_text]
        if len(audios) not in (1, batch_size) or len(audios) != len(texts):
            raise InputError(
                f"`reference_audio` has {len(audios)} items and `reference_text` {len(texts)} for a batch of "
                f"{batch_size}; pass one of each, or one of each for each item."
            )
        return zip(audios, texts, strict=True)


def _per_item(name: str, value: Any, batch_size: int) -> list[Any]:
    """One value for each item of the batch."""
    if not isinstance(value, (list, tuple)):
        return [value] * batch_size
    if len(value) not in (1, batch_size):
        raise InputError(
            f"`{name}` has {len(value)} items for a batch of {batch_size}; pass one, or one for each item."
        )
    return list(value) * (batch_size // len(value))


def _normalize(text: str, normalize: bool) -> str:
    return normalize_text(text) if normalize else text


def _read_reference(reference_audio: Any, reference_sampling_rate: int | None) -> tuple[torch.Tensor, int]:
    """A recording as one channel on the CPU, where voices are kept, and its sampling rate."""
    is_array = isinstance(reference_audio, (np.ndarray, torch.Tensor))
    if is_array and reference_sampling_rate is None:
        raise InputError("`reference_audio` is an array of samples; pass its `reference_sampling_rate`.")
    if not is_array and reference_sampling_rate is not None:
        raise InputError(
            f"`reference_sampling_rate` is {reference_sampling_rate}, but `reference_audio` is no array or tensor; a "
            "file states its own rate, so leave it out."
        )
    waveform, rate = read_waveform(reference_audio, reference_sampling_rate)
    averaged = waveform.mean(dim=0)
    if averaged.square().mean() < MIN_AVERAGED_LOUDNESS**2 * waveform.square().mean():
        logger.warning("The channels of `reference_audio` cancel each other when they are averaged; pass one of them.")
    return averaged.cpu(), rate


def _raise_loudness(name: str, waveform: torch.Tensor) -> tuple[torch.Tensor, float]:
    """A waveform that is at least as loud as the network is used to, and what it was multiplied by."""
    rms = waveform.square().mean().sqrt()
    if rms == 0:
        raise InputError(f"`{name}` is silent; pass a recording of speech.")
    if rms >= TARGET_RMS:
        return waveform, 1.0
    # In the order of the original: the logarithm of a mel spectrogram magnifies rounding where it is nearly silent.
    return waveform * TARGET_RMS / rms, TARGET_RMS / rms.item()


def _fit_length(tensor: torch.Tensor, length: int) -> torch.Tensor:
    """Cut or zero-pad along the first axis."""
    tensor = tensor[:length]
    return torch.cat([tensor, tensor.new_zeros(length - tensor.shape[0], *tensor.shape[1:])])


def _replace_spans(
    waveform: torch.Tensor,
    spoken: torch.Tensor,
    spans: list[tuple[int, int, int]],
    hop_length: int,
    sampling_rate: int,
) -> torch.Tensor:
    """Put parts of `spoken`, the edited recording as the vocoder made it, into the recording itself.

    The fades lie inside the spans, so what is outside stays as it is.
    """
    parts, end, spoken_start = [], 0, 0
    for first_frame, last_frame, num_new_frames in spans:
        start = first_frame * hop_length
        spoken_start += start - end
        parts.append(waveform[end:start])
        end = last_frame * hop_length
        old, new = waveform[start:end], spoken[spoken_start : spoken_start + num_new_frames * hop_length].clone()
        spoken_start += num_new_frames * hop_length
        fade = min(round(EDIT_FADE_IN_S * sampling_rate), len(old) // 2, len(new) // 2)
        weight = torch.linspace(0, 1, fade).to(new)
        new[:fade] = old[:fade] * (1 - weight) + new[:fade] * weight
        new[len(new) - fade :] = new[len(new) - fade :] * weight.flip(0) + old[len(old) - fade :] * (
            1 - weight.flip(0)
        )
        parts.append(new)
    return torch.cat([*parts, waveform[end:]])


def _is_time(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _check_text(name: str, text: Any) -> None:
    if not isinstance(text, str):
        raise InputError(f"`{name}` is {text!r}; expected a string or a list of strings.")
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise InputError(f"`{name}` has half of a character (a lone surrogate); decode it as UTF-8 again.")


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise InputError(f"`{name}` is {value!r}; expected an integer of at least 1.")


def _check_positive(name: str, value: Any) -> None:
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < math.inf:
        raise InputError(f"`{name}` is {value!r}; expected a positive number.")
