# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""DeepAudio-V1 as a diffusers pipeline: an instruction chooses, the picture times the voice.

Zhang et al., "DeepAudio-V1: Towards Multi-Modal Multi-Stage End-to-End Video to Speech and Audio Generation"
(arXiv 2503.22265). With the video-to-audio module M_v2a, the speech module M_tts, the gate G and the empty feature 0:

    audio from video   = M_v2a(video, prompt)
    speech from video  = M_tts(M_mof(instruction, M_v2a(video)), transcript)
    speech from text   = M_tts(M_mof(instruction), transcript)
    M_mof(instruction) = G_v2s(instruction) * M_v2a(video) + G_tts(instruction) * 0

What the speech module takes from M_v2a is the energy contour of its waveform. Audio and speech at once, which the
paper announces, is the task `"soundtrack"`. The released code (acappemin/DeepAudio-V1) has neither gate nor mix; where
it decides something that the published weights depend on, its way is kept: the contour is made without a prompt.
"""

import math
import numbers
from collections.abc import Callable
from typing import Any

import torch
from diffusers.callbacks import MultiPipelineCallbacks, PipelineCallback
from diffusers.models.autoencoders.autoencoder_mmaudio import MMAudioVAE
from diffusers.models.autoencoders.mmaudio_vocoder import MMAudioVocoder
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.schedulers import SchedulerMixin
from transformers import (
    CLIPTextModel,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
)

from ..errors import InputError
from ..models.autoencoder_mmaudio import MMAudioMelVAE
from ..models.encoder_conv import ConvVideoEncoder
from ..models.encoder_synchformer import SynchformerVideoEncoder
from ..models.gating_network import MoFGatingNetwork
from ..models.transformer_f5tts import F5TTSTransformer1DModel
from ..models.transformer_mmaudio import MMAudioTransformer1DModel
from ..models.vocoder_bigvgan import BigVGANVocoder
from ..models.vocoder_vocos import VocosVocoder
from ..processing.audio import energy_contour, resample
from ..processing.knowledge import align_energy, voiced_spans
from ..processing.mixing import duck, match_loudness, mix_stems, place
from ..tasks import NEEDS_SPEECH, NEEDS_VIDEO, TASKS
from .pipeline_output import DeepAudioPipelineOutput, VideoFeatures, VoicePrompt
from .pipeline_text_to_speech import TextToSpeechPipeline
from .pipeline_video_to_audio import VideoToAudioPipeline


# What T5 was trained on; an instruction is a sentence or two.
MAX_INSTRUCTION_TOKENS = 512

# What the ambience of a soundtrack is guided away from: the voice is to come from the speech network alone.
NO_SPEECH_PROMPT = "speech, talking, human voice"

VIDEO_TO_AUDIO_COMPONENTS = (
    "tokenizer",
    "text_encoder",
    "image_encoder",
    "video_encoder",
    "transformer",
    "scheduler",
    "vae",
    "vocoder",
)
# Here -> in `TextToSpeechPipeline`.
TEXT_TO_SPEECH_COMPONENTS = {
    "speech_tokenizer": "tokenizer",
    "speech_transformer": "transformer",
    "speech_scheduler": "scheduler",
    "speech_vocoder": "vocoder",
    "speech_recognizer": "speech_recognizer",
    "speech_recognizer_processor": "speech_recognizer_processor",
}


class DeepAudioPipeline(DiffusionPipeline):
    r"""
    Makes sound that fits a clip, speech that is timed by it, plain speech, or the whole soundtrack.

    | task | needs | makes |
    | --- | --- | --- |
    | `"video_to_audio"` | `video`, `prompt` or both | ambience and effects in time with the picture |
    | `"video_to_speech"` | `video`, `transcript`, a voice | speech in that voice, timed by the picture |
    | `"text_to_speech"` | `transcript`, a voice | speech in that voice |
    | `"soundtrack"` | `video`, `transcript`, a voice | ambience and speech, mixed, and each alone |

    A voice is `reference_audio` and `reference_text`, or `voice` from `text_to_speech.encode_voice`.

    Every component may be `None`; tasks that need it then raise an error. The two halves, which share the components,
    are the attributes `video_to_audio` ([`VideoToAudioPipeline`]) and `text_to_speech` ([`TextToSpeechPipeline`]):
    LoRA weights, features and voices are theirs.

    Args:
        tokenizer, text_encoder, image_encoder, video_encoder, transformer, scheduler, vae, vocoder:
            Components of [`VideoToAudioPipeline`].
        speech_tokenizer, speech_transformer, speech_scheduler, speech_vocoder, speech_recognizer,
        speech_recognizer_processor:
            Components of [`TextToSpeechPipeline`].
        gate ([`MoFGatingNetwork`]): Reads the instruction and chooses the task.
        gate_tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.

    Example:

    ```py
    >>> import torch
    >>> from deepaudio_diffusers import DeepAudioPipeline
    >>> from deepaudio_diffusers.media import write_audio_into_video

    >>> pipe = DeepAudioPipeline.from_pretrained("path/to/deepaudio")
    >>> result = pipe(
    ...     "clip.mp4",
    ...     instruction="Dub this clip and give it the sound of the street.",
    ...     transcript="I told you we would be late.",
    ...     reference_audio="voice.wav",
    ...     reference_text="What is said in the recording.",
    ...     generator=torch.Generator().manual_seed(0),
    ... )
    >>> print(result.task, result.task_probabilities)
    >>> write_audio_into_video("clip.mp4", result.audios[0], result.sampling_rate, "clip-with-sound.mp4")
    ```
    """

    model_cpu_offload_seq = (
        "gate->image_encoder->video_encoder->text_encoder->transformer->vae->vocoder->"
        "speech_transformer->speech_vocoder"
    )
    # See `TextToSpeechPipeline`.
    _exclude_from_cpu_offload = ["speech_recognizer"]
    _optional_components = [*VIDEO_TO_AUDIO_COMPONENTS, *TEXT_TO_SPEECH_COMPONENTS, "gate", "gate_tokenizer"]
    _callback_tensor_inputs = ["latents"]

    def __init__(
        self,
        tokenizer: CLIPTokenizer | None = None,
        text_encoder: CLIPTextModel | None = None,
        image_encoder: CLIPVisionModelWithProjection | None = None,
        video_encoder: SynchformerVideoEncoder | ConvVideoEncoder | None = None,
        transformer: MMAudioTransformer1DModel | None = None,
        scheduler: SchedulerMixin | None = None,
        vae: MMAudioMelVAE | MMAudioVAE | None = None,
        vocoder: BigVGANVocoder | VocosVocoder | MMAudioVocoder | None = None,
        speech_tokenizer: PreTrainedTokenizerBase | None = None,
        speech_transformer: F5TTSTransformer1DModel | None = None,
        speech_scheduler: SchedulerMixin | None = None,
        speech_vocoder: VocosVocoder | BigVGANVocoder | None = None,
        speech_recognizer: PreTrainedModel | None = None,
        speech_recognizer_processor: ProcessorMixin | None = None,
        gate: MoFGatingNetwork | None = None,
        gate_tokenizer: PreTrainedTokenizerBase | None = None,
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
            speech_tokenizer=speech_tokenizer,
            speech_transformer=speech_transformer,
            speech_scheduler=speech_scheduler,
            speech_vocoder=speech_vocoder,
            speech_recognizer=speech_recognizer,
            speech_recognizer_processor=speech_recognizer_processor,
            gate=gate,
            gate_tokenizer=gate_tokenizer,
        )
        self._video_to_audio: VideoToAudioPipeline | None = None
        self._text_to_speech: TextToSpeechPipeline | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        # A component that is exchanged, a scheduler most of all, is exchanged in its half too.
        super().__setattr__(name, value)
        if name in VIDEO_TO_AUDIO_COMPONENTS and getattr(self, "_video_to_audio", None) is not None:
            setattr(self._video_to_audio, name, value)
        if name in TEXT_TO_SPEECH_COMPONENTS and getattr(self, "_text_to_speech", None) is not None:
            setattr(self._text_to_speech, TEXT_TO_SPEECH_COMPONENTS[name], value)

    @property
    def video_to_audio(self) -> VideoToAudioPipeline:
        """The half that makes sound for a picture.

        Raises:
            InputError: When its components are not loaded.
        """
        if self._video_to_audio is None:
            self._require("sound for video", ("transformer", "scheduler", "vae", "vocoder"))
            components = {name: getattr(self, name) for name in VIDEO_TO_AUDIO_COMPONENTS}
            self._video_to_audio = VideoToAudioPipeline(**components)
            self._video_to_audio.set_progress_bar_config(**self._bar_config)
        return self._video_to_audio

    @property
    def text_to_speech(self) -> TextToSpeechPipeline:
        """The half that speaks.

        Raises:
            InputError: When its components are not loaded.
        """
        if self._text_to_speech is None:
            needed = ("speech_tokenizer", "speech_transformer", "speech_scheduler", "speech_vocoder")
            self._require("speech", needed)
            components = {name: getattr(self, own_name) for own_name, name in TEXT_TO_SPEECH_COMPONENTS.items()}
            self._text_to_speech = TextToSpeechPipeline(**components)
            self._text_to_speech.set_progress_bar_config(**self._bar_config)
        return self._text_to_speech

    def _require(self, what: str, names: tuple[str, ...]) -> None:
        missing = [f"`{name}`" for name in names if getattr(self, name) is None]
        if missing:
            raise InputError(
                f"The pipeline has no {' and no '.join(missing)} for {what}; load a checkpoint with them."
            )

    @property
    def _bar_config(self) -> dict[str, Any]:
        return getattr(self, "_progress_bar_config", {})

    def set_progress_bar_config(self, **kwargs: Any) -> None:
        """Configure the progress bars of both halves.

        Args:
            **kwargs: Of `tqdm`, `disable=True` for instance.
        """
        super().set_progress_bar_config(**kwargs)
        for half in (self._video_to_audio, self._text_to_speech):
            if half is not None:
                half.set_progress_bar_config(**kwargs)

    @torch.no_grad()
    def read_instruction(self, instruction: str) -> dict[str, float]:
        """What the gate makes of an instruction.

        Args:
            instruction (`str`): What is wanted, in words: "Dub this clip", "只要环境声，不要人声", ...

        Returns:
            `dict[str, float]`: The probability of each task.

        Raises:
            InputError: When the instruction is no text, empty or too long, or the pipeline has no gate.
        """
        if self.gate is None or self.gate_tokenizer is None:
            raise InputError("`instruction` needs the `gate` and `gate_tokenizer` of the pipeline; pass `task`.")
        if not isinstance(instruction, str) or not instruction.strip():
            raise InputError(f"`instruction` is {instruction!r}; say in a few words what you want, or pass `task`.")
        inputs = self.gate_tokenizer(instruction, return_tensors="pt")
        num_tokens = inputs.input_ids.shape[1]
        if num_tokens > MAX_INSTRUCTION_TOKENS:
            raise InputError(
                f"`instruction` has {num_tokens} tokens, of which the gate reads {MAX_INSTRUCTION_TOKENS} at most; "
                "say in a sentence or two what you want, or pass `task`. Words to be spoken belong into `transcript`."
            )
        probabilities = self.gate(
            input_ids=inputs.input_ids.to(self._execution_device),
            attention_mask=inputs.attention_mask.to(self._execution_device),
        ).probabilities[0]
        return {self.gate.config.id2label[i]: p for i, p in enumerate(probabilities.tolist())}

    def choose_task(
        self, instruction: str | list[str] | None, task: str | None
    ) -> tuple[str, list[dict[str, float]] | None, list[float]]:
        """Which task is meant, how sure that is, and how much of the contour reaches the speech network.

        Args:
            instruction (`str` or `list[str]`, *optional*): One for the call or one for each item of a batch.
            task (`str`, *optional*): The task itself, instead of an instruction.

        Returns:
            `tuple[str, list[dict[str, float]] | None, list[float]]`: The task; for each instruction the probabilities
            of all tasks, `None` when `task` was given; and the weight of the contour, G_v2s / (G_v2s + G_tts), with
            the soundtrack on the side of G_v2s: 1 when `task` was given.

        Raises:
            InputError: When neither or both are given, or the instructions of a batch mean different tasks.
        """
        if (instruction is None) == (task is None):
            raise InputError(f"Pass either `instruction`, what you want in words, or `task`, one of {_listed(TASKS)}.")
        if task is not None:
            if task not in TASKS:
                raise InputError(f"`task` is {task!r}; accepted are {_listed(TASKS)}.")
            return task, None, [1.0]
        instructions = [instruction] if isinstance(instruction, str) else instruction
        if not isinstance(instructions, (list, tuple)) or not instructions:
            raise InputError(f"`instruction` is {instruction!r}; expected a string or a list of strings.")
        probabilities = [self.read_instruction(text) for text in instructions]
        tasks = [max(each, key=each.get) for each in probabilities]
        if len(set(tasks)) > 1:
            found = ", ".join(f"{text!r} ({meant})" for text, meant in zip(instructions, tasks, strict=True))
            raise InputError(f"`instruction` asks for different tasks: {found}; make one call for each task.")
        weights = [1.0] * len(instructions)
        if tasks[0] in NEEDS_VIDEO:
            with_video = [each["video_to_speech"] + each["soundtrack"] for each in probabilities]
            weights = [
                share / (share + each["text_to_speech"]) for share, each in zip(with_video, probabilities, strict=True)
            ]
        return tasks[0], probabilities, weights

    def check_inputs(
        self,
        task: str,
        task_probabilities: list[dict[str, float]] | None,
        video,
        video_features: VideoFeatures | None,
        prompt,
        transcript,
        reference_audio,
        voice,
        fps: float | None,
        start_in_s: float,
        audio_length_in_s: float | None,
        speech_start_in_s: float | None,
        speech_end_in_s: float | None,
        speech_placement: str,
        speech_above_ambience_in_db: float | None,
        ducking_in_db: float,
        speech_num_inference_steps: int,
        speech_guidance_scale: float,
        generator: torch.Generator | list[torch.Generator] | None,
        output_type: str,
    ) -> None:
        """Refuse a call that lacks what its task needs, before any work is done.

        The arguments are those of [`~DeepAudioPipeline.__call__`], and what `choose_task` made of them.

        Raises:
            InputError: Saying which task was chosen, how sure the gate was, and what is missing.
        """
        # 1. What the task needs.
        missing = []
        if task in NEEDS_VIDEO and video is None and video_features is None:
            missing.append("`video`")
        if task == "video_to_audio" and video is None and video_features is None and prompt is None:
            missing.append("`video` or `prompt`")
        if task in NEEDS_SPEECH and transcript is None:
            missing.append("`transcript`")
        if task in NEEDS_SPEECH and reference_audio is None and voice is None:
            missing.append("`reference_audio` (with `reference_text`) or `voice`")
        if missing:
            understood = f"The task is {task!r}"
            if task_probabilities is not None:
                understood = f"The instruction was understood as {task!r} (p = {task_probabilities[0][task]:.2f})"
            raise InputError(
                f"{understood}, which needs {' and '.join(missing)}. Pass what is missing, or choose another task "
                f"with `task`: {_listed(TASKS)}."
            )
        if video_features is not None and (video is not None or fps is not None or start_in_s != 0):
            raise InputError("`video_features` were given; leave `video`, `fps` and `start_in_s` out.")
        if video_features is not None and audio_length_in_s is not None:
            raise InputError("`video_features` have their own length; leave `audio_length_in_s` out.")

        # 2. Where the speech is and how loud.
        for name, value in (("speech_start_in_s", speech_start_in_s), ("speech_end_in_s", speech_end_in_s)):
            if value is None:
                continue
            if not isinstance(value, numbers.Real) or not math.isfinite(value):
                raise InputError(f"`{name}` is {value!r}; expected a number of seconds.")
            if task not in NEEDS_VIDEO:
                raise InputError(f"`{name}` places speech in a clip; {task!r} has none.")
        if speech_placement not in ("clip", "contour"):
            raise InputError(f"`speech_placement` is {speech_placement!r}; accepted are 'clip' and 'contour'.")
        if speech_placement == "contour" and (speech_start_in_s is not None or speech_end_in_s is not None):
            raise InputError(
                '`speech_placement="contour"` finds where the speech is; leave `speech_start_in_s` and '
                "`speech_end_in_s` out."
            )
        levels = {"ducking_in_db": (ducking_in_db, 0, 60)}
        if speech_above_ambience_in_db is not None:
            levels["speech_above_ambience_in_db"] = (speech_above_ambience_in_db, -60, 60)
        for name, (value, lowest, highest) in levels.items():
            if not isinstance(value, numbers.Real) or not lowest <= value <= highest:
                raise InputError(f"`{name}` is {value!r}; expected dB between {lowest} and {highest}.")

        # 3. How to sample; the half that works first checks its own arguments, the other would only be asked later.
        if output_type not in ("np", "pt"):
            raise InputError(f"`output_type` is {output_type!r}; accepted are 'np' and 'pt'.")
        if task in NEEDS_SPEECH:
            transcripts = [transcript] if isinstance(transcript, str) else transcript
            if not isinstance(transcripts, (list, tuple)) or not all(isinstance(text, str) for text in transcripts):
                raise InputError(f"`transcript` is {transcript!r}; expected a string or a list of strings.")
            self.text_to_speech.check_inputs(
                speech_num_inference_steps,
                speech_guidance_scale,
                len(transcripts),
                generator,
                output_type,
                self._callback_tensor_inputs,
            )

    def _speak_to_video(
        self,
        transcripts: list[str],
        voices: list[VoicePrompt | dict[str, VoicePrompt]],
        video_features: VideoFeatures,
        contour_weights: list[float],
        speech_start_in_s: float | None,
        speech_end_in_s: float | None,
        speech_placement: str,
        normalize_text: bool,
        contour_prompt: str | list[str] | None,
        sound: dict[str, Any],
        speech_sampling: dict[str, Any],
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Speech that is timed by what the picture sounds like.

        Returns the speech, `(batch_size, 1, num_samples)`, as long as the clip, and the contours of the whole clips,
        `(batch_size, num_frames)`; `None` for a network without energy that speaks in the whole clip.
        """
        length_in_s = video_features.audio_length_in_s
        # 1. What needs no sound is checked before it is made.
        window_in_s = (
            0.0 if speech_start_in_s is None else float(speech_start_in_s),
            length_in_s if speech_end_in_s is None else float(speech_end_in_s),
        )
        shortest_in_s = self.text_to_speech.frames.hop_length / self.text_to_speech.sampling_rate
        if not 0 <= window_in_s[0] <= window_in_s[1] - shortest_in_s or window_in_s[1] > length_in_s:
            raise InputError(
                f"`speech_start_in_s` is {window_in_s[0]} and `speech_end_in_s` is {window_in_s[1]}; speech must "
                f"begin before it ends, inside the clip of {length_in_s:.3f} s."
            )
        num_clips = 1 if video_features.clip_features is None else len(video_features.clip_features)
        if len(transcripts) != num_clips:
            raise InputError(f"`transcript` has {len(transcripts)} items for {num_clips} clips; pass one for each.")
        if len(contour_weights) not in (1, num_clips):
            raise InputError(
                f"`instruction` has {len(contour_weights)} items for {num_clips} clips; pass one, or one for each."
            )
        for text, item_voice in zip(transcripts, voices, strict=True):
            self.text_to_speech.prepare_passages(
                text, item_voice, audio_length_in_s=window_in_s[1] - window_in_s[0], normalize=normalize_text
            )

        # 2. What the picture sounds like, if anything depends on it.
        windows_in_s = [window_in_s] * num_clips
        uses_energy = self.text_to_speech.transformer.config.energy_conditioning
        contours = None
        if uses_energy or speech_placement == "contour":
            audios = self.video_to_audio(video_features=video_features, prompt=contour_prompt, **sound).audios
            contours = [self._contour(audio, 0.0, length_in_s) for audio in audios]
        if speech_placement == "contour":
            spans = [voiced_spans(contour, **self._contour_rates) for contour in contours]
            # Where nothing sounds, the whole clip is as good as any part of it.
            windows_in_s = [(found[0][0], min(found[-1][1], length_in_s)) if found else window_in_s for found in spans]
        energy = None
        if uses_energy:
            weights = contour_weights * (num_clips // len(contour_weights))
            energy = [
                weight * self._contour(audio, *window)
                for audio, window, weight in zip(audios, windows_in_s, weights, strict=True)
            ]

        # 3. Speak.
        spoken = self.text_to_speech(
            transcripts,
            voice=voices,
            audio_length_in_s=[end_in_s - start_in_s for start_in_s, end_in_s in windows_in_s],
            energy=energy,
            normalize_text=normalize_text,
            **speech_sampling,
        )
        rate = self.text_to_speech.sampling_rate
        num_samples = round(length_in_s * rate)
        placed = []
        for audio, length, (start_in_s, end_in_s) in zip(spoken.audios, spoken.lengths, windows_in_s, strict=True):
            start = min(round(start_in_s * rate), num_samples - length)
            # Speech that fills the clip has no edge to be faded.
            is_part = (start_in_s, end_in_s) != (0.0, length_in_s)
            placed.append(place(audio[None, :, :length], start, num_samples, num_fade_samples=128 * is_part))
        return torch.cat(placed), None if contours is None else torch.stack(contours)

    @property
    def _contour_rates(self) -> dict[str, int]:
        return {
            "mel_sampling_rate": self.text_to_speech.sampling_rate,
            "hop_length": self.text_to_speech.frames.hop_length,
        }

    def _contour(self, audio: torch.Tensor, start_in_s: float, end_in_s: float) -> torch.Tensor:
        """The contour of a part of a sound of shape `(1, num_samples)`; 1 where that part is loudest."""
        rate = self.video_to_audio.sampling_rate
        part = audio[:, round(start_in_s * rate) : round(end_in_s * rate)]
        return energy_contour(part, rate, end_in_s - start_in_s, **self._contour_rates)

    def mix(
        self,
        ambience: torch.Tensor,
        speech: torch.Tensor,
        audio_length_in_s: float,
        speech_above_ambience_in_db: float | None = 6.0,
        ducking_in_db: float = 6.0,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]:
        """Ambience and speech at one rate, in balance, and added up.

        Args:
            ambience (`torch.Tensor` of shape `(batch_size, 1, num_samples)`): At the rate of `video_to_audio`.
            speech (`torch.Tensor` of shape `(batch_size, 1, num_samples)`): At the rate of `text_to_speech`.
            audio_length_in_s (`float`): Length of the clip.
            speech_above_ambience_in_db, ducking_in_db: See [`~DeepAudioPipeline.__call__`].

        Returns:
            `tuple[torch.Tensor, torch.Tensor, torch.Tensor, int]`: The mix, the ambience and the speech as they are in
            it, and their sampling rate, the higher of both. The stems add up to the mix.
        """
        sampling_rate = max(self.video_to_audio.sampling_rate, self.text_to_speech.sampling_rate)
        num_samples = round(audio_length_in_s * sampling_rate)
        # From the speech and not from the contour: where nothing is said, nothing has to give way.
        rate = self.text_to_speech.sampling_rate
        spans = [
            voiced_spans(energy_contour(audio, rate, **self._contour_rates), **self._contour_rates) for audio in speech
        ]
        # Resampling may end one sample early or late.
        ambience, speech = (
            align_energy(resample(stem, rate, sampling_rate), num_samples)
            for stem, rate in (
                (ambience, self.video_to_audio.sampling_rate),
                (speech, self.text_to_speech.sampling_rate),
            )
        )
        if speech_above_ambience_in_db is not None:
            ambience = match_loudness(ambience, speech, sampling_rate, speech_above_ambience_in_db)
        ambience = duck(ambience, spans, sampling_rate, depth_in_db=ducking_in_db)
        mixed, (ambience, speech) = mix_stems([ambience, speech], [0.0, 0.0])
        return mixed, ambience, speech, sampling_rate

    @torch.no_grad()
    def __call__(
        self,
        video=None,
        instruction: str | list[str] | None = None,
        task: str | None = None,
        prompt: str | list[str] | None = None,
        negative_prompt: str | list[str] | None = None,
        transcript: str | list[str] | None = None,
        reference_audio=None,
        reference_text: str | list[str] | None = None,
        reference_sampling_rate: int | None = None,
        voice: VoicePrompt | dict[str, VoicePrompt] | list[VoicePrompt] | None = None,
        fps: float | None = None,
        start_in_s: float = 0.0,
        audio_length_in_s: float | None = None,
        video_features: VideoFeatures | None = None,
        speech_start_in_s: float | None = None,
        speech_end_in_s: float | None = None,
        speech_placement: str = "clip",
        contour_prompt: str | list[str] | None = None,
        speed: float = 1.0,
        normalize_text: bool = True,
        speech_above_ambience_in_db: float | None = 6.0,
        ducking_in_db: float = 6.0,
        num_inference_steps: int = 25,
        guidance_scale: float = 4.5,
        prompt_guidance_scale: float | None = None,
        speech_num_inference_steps: int = 32,
        speech_guidance_scale: float = 3.0,
        generator: torch.Generator | list[torch.Generator] | None = None,
        output_type: str = "np",
        return_dict: bool = True,
        callback_on_step_end: Callable[..., dict] | PipelineCallback | MultiPipelineCallbacks | None = None,
        callback_on_step_end_tensor_inputs: list[str] | None = None,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> DeepAudioPipelineOutput | tuple:
        r"""
        Do what an instruction asks for.

        Args:
            video: See [`~VideoToAudioPipeline.encode_video`]; a list is a batch of clips of equal length.
            instruction (`str` or `list[str]`, *optional*): What is wanted, in English or Chinese; the gate chooses the
                task. The instructions of a batch must mean the same task.
            task (`str`, *optional*): The task itself, instead of an instruction: `"video_to_audio"`,
                `"video_to_speech"`, `"text_to_speech"` or `"soundtrack"`.
            prompt, negative_prompt (`str` or `list[str]`, *optional*): What the ambience is to be and not to be. The
                ambience of a soundtrack is guided away from speech when there is no `negative_prompt`.
            transcript (`str` or `list[str]`, *optional*): What is to be said.
            reference_audio, reference_text, reference_sampling_rate, voice (*optional*): Whose voice it is; see
                [`~TextToSpeechPipeline.__call__`].
            fps, start_in_s, video_features (*optional*): See [`~VideoToAudioPipeline.__call__`].
            audio_length_in_s (`float`, *optional*): How much of the clip to use, or how long speech or sound without a
                clip is to last.
            speech_start_in_s, speech_end_in_s (`float`, *optional*): Where in the clip the speech is; from its
                beginning to its end by default. Speech fills this time exactly.
            speech_placement (`str`, defaults to `"clip"`): With `"contour"`, speech is put where the picture sounds
                like it, from the first active part of the contour to the last; in the whole clip if none is.
            contour_prompt (`str` or `list[str]`, *optional*): What the sound whose contour times the speech is to be,
                where more is to be seen than somebody who speaks. Without it the contour is that of all there is to
                be heard, as in the training of the published models.
            speed (`float`, defaults to 1.0): Of plain speech without `audio_length_in_s`; above 1 is faster.
            normalize_text (`bool`, defaults to `True`): Whether to write out numbers, dates and units.
            speech_above_ambience_in_db (`float`, *optional*, defaults to 6.0): How much louder than the ambience the
                speech of a soundtrack is; `None` leaves both as they were made.
            ducking_in_db (`float`, defaults to 6.0): By how much the ambience of a soundtrack is turned down further
                while somebody speaks.
            num_inference_steps, guidance_scale (defaults 25 and 4.5): Of the ambience and the contour.
            prompt_guidance_scale (`float`, *optional*): Of both where they have a prompt; see
                [`~VideoToAudioPipeline.__call__`].
            speech_num_inference_steps, speech_guidance_scale (defaults 32 and 3.0): Of the speech.
            generator (`torch.Generator` or `list[torch.Generator]`, *optional*): The seed; with a list, one for each
                item, which gives all the noise of that item.
            output_type (`str`, defaults to `"np"`): `"np"` or `"pt"`.
            return_dict (`bool`, defaults to `True`): Whether to return a [`DeepAudioPipelineOutput`] instead of a
                tuple of its `audios`.
            callback_on_step_end, callback_on_step_end_tensor_inputs (*optional*): As in diffusers, for the loops of
                both halves; the pipeline that the callback receives is the half that is working.
            attention_kwargs (`dict`, *optional*): `scale` is the strength of loaded LoRA weights, in both halves.

        Returns:
            [`DeepAudioPipelineOutput`].

        Raises:
            InputError: When an argument does not fit, or the chosen task lacks something.
            MediaError: When a file cannot be read.
            GenerationError: When the networks make NaN.
        """
        # 1. Choose.
        task, task_probabilities, contour_weights = self.choose_task(instruction, task)
        self.check_inputs(
            task,
            task_probabilities,
            video,
            video_features,
            prompt,
            transcript,
            reference_audio,
            voice,
            fps,
            start_in_s,
            audio_length_in_s,
            speech_start_in_s,
            speech_end_in_s,
            speech_placement,
            speech_above_ambience_in_db,
            ducking_in_db,
            speech_num_inference_steps,
            speech_guidance_scale,
            generator,
            output_type,
        )
        sampling = {
            "generator": generator,
            "output_type": "pt",
            "callback_on_step_end": callback_on_step_end,
            "callback_on_step_end_tensor_inputs": callback_on_step_end_tensor_inputs,
            "attention_kwargs": attention_kwargs,
        }
        sound = {
            "num_inference_steps": num_inference_steps,
            "guidance_scale": guidance_scale,
            "prompt_guidance_scale": prompt_guidance_scale,
        } | sampling
        speech_sampling = {
            "num_inference_steps": speech_num_inference_steps,
            "guidance_scale": speech_guidance_scale,
        } | sampling
        if task in NEEDS_SPEECH:
            # Before the picture is looked at, so that a recording that does not serve costs nothing.
            voice = self.text_to_speech.prepare_voices(
                transcript, reference_audio, reference_text, reference_sampling_rate, voice, normalize_text
            )

        # 2. Sound for the picture.
        ambience = energy = speech = None
        if task == "video_to_audio":
            clip = {"video": video, "fps": fps, "start_in_s": start_in_s, "audio_length_in_s": audio_length_in_s}
            result = self.video_to_audio(
                **clip, prompt=prompt, negative_prompt=negative_prompt, video_features=video_features, **sound
            )
            ambience, sampling_rate = result.audios, result.sampling_rate
            lengths = [ambience.shape[-1]] * len(ambience)

        # 3. Speech without a picture: the empty feature.
        elif task == "text_to_speech":
            result = self.text_to_speech(
                transcript,
                voice=voice,
                speed=speed,
                audio_length_in_s=audio_length_in_s,
                normalize_text=normalize_text,
                **speech_sampling,
            )
            speech, sampling_rate, lengths = result.audios, result.sampling_rate, result.lengths

        # 4. Speech that is timed by the picture, alone or with ambience.
        else:
            if video_features is None:
                video_features = self.video_to_audio.encode_video(video, fps, start_in_s, audio_length_in_s)
            speech, energy = self._speak_to_video(
                [transcript] if isinstance(transcript, str) else list(transcript),
                voice,
                video_features,
                contour_weights,
                speech_start_in_s,
                speech_end_in_s,
                speech_placement,
                normalize_text,
                contour_prompt,
                sound,
                speech_sampling,
            )
            sampling_rate = self.text_to_speech.sampling_rate
            if task == "soundtrack":
                result = self.video_to_audio(
                    video_features=video_features,
                    prompt=prompt,
                    negative_prompt=NO_SPEECH_PROMPT if negative_prompt is None else negative_prompt,
                    **sound,
                )
                audios, ambience, speech, sampling_rate = self.mix(
                    result.audios, speech, video_features.audio_length_in_s, speech_above_ambience_in_db, ducking_in_db
                )
            lengths = [speech.shape[-1]] * len(speech)

        # 5. Hand over.
        if task != "soundtrack":
            audios = speech if ambience is None else ambience
        self.maybe_free_model_hooks()
        if output_type == "np":
            audios, ambience, speech = (
                None if stem is None else stem.cpu().numpy() for stem in (audios, ambience, speech)
            )
        if not return_dict:
            return (audios,)
        return DeepAudioPipelineOutput(
            audios=audios,
            sampling_rate=sampling_rate,
            lengths=lengths,
            task=task,
            task_probabilities=task_probabilities,
            energy=energy,
            ambience=ambience,
            speech=speech,
        )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
