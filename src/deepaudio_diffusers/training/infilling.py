# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Infilling: how speech networks are trained and validated (stages 2 and 4).

Chen et al., "F5-TTS: A Fairytaler that Fakes Fluent and Faithful Speech with Flow Matching" (arXiv 2410.06885): the
network sees a mel spectrogram with a gap and the text of the whole, and learns the flow from noise to what was in the
gap. DeepAudio-V1 (arXiv 2503.22265) adds the energy contour.

Shape letters: B batch, T mel frames, C mel channels.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence

from ..errors import InputError
from ..media import write_audio
from ..models.transformer_f5tts import TEXT_PADDING_ID, F5TTSConditions, F5TTSTransformer1DModel
from ..models.vocoder_vocos import VocosVocoder
from ..schedulers.flow_time import flow_time, model_output_from_velocity
from ..schedulers.scheduling_flow_match_euler import FlowMatchGridEulerScheduler
from .codec import evenly_spaced
from .flow_matching import flow_matching_loss, flow_path, sample_times
from .pictures import save_spectrograms
from .speech import SpeechDataset


# Share of the frames that the gap takes (F5-TTS).
SHORTEST_GAP, LONGEST_GAP = 0.7, 1.0
# The voice prompts of a batch are about equally long, so that little of it is padding: they lie within this share of
# the utterances of their speakers, in order of length.
PROMPT_SPREAD = 0.1

# Flow times at which the loss is measured on validation data.
VALIDATION_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)
VALIDATION_STEPS = 16
VALIDATION_GUIDANCE_SCALE = 3.0


@dataclass(frozen=True)
class InfillingOptions:
    """
    How an utterance becomes something to be completed. Probabilities are of a whole batch but for `prompt_gap`.

    Args:
        drop_audio, drop_text, drop_energy (`float`): How often the known frames, the text and the contour are left
            out, each independently.
        drop_audio_and_text (`float`): How often both are left out at once, beside that.
        contours (`"none"`, `"true"`, `"predicted"` or `"both"`): Which contours are given: none, those of the
            recordings, those that were predicted from the picture, or of each batch either.
        join_utterances (`float`): How often utterances come after another one of their speaker.
        prompt_gap (`float`): How often the gap of an utterance that follows another is the whole utterance, as when
            speaking in the voice of a recording; otherwise it lies anywhere.
        add_silence (`float`): How often there is silence around the utterances, so that they are equally long.
        max_silence_in_s (`float`): The most of it, before and after the longest utterance of the batch.
    """

    drop_audio: float = 0.3
    drop_audio_and_text: float = 0.2
    drop_text: float = 0.0
    drop_energy: float = 0.0
    contours: str = "none"
    join_utterances: float = 0.0
    prompt_gap: float = 0.5
    add_silence: float = 0.0
    max_silence_in_s: float = 1.2


class InfillingBatch(NamedTuple):
    """Mel spectrograms to be completed.

    Args:
        mel (`torch.Tensor` of shape `(B, T, C)`): As the network sees it, zero at padding.
        text_ids (`torch.Tensor` of shape `(B, num_tokens)`): Padded with -1.
        energy (`torch.Tensor` of shape `(B, T, 1)`, *optional*): For networks that take a contour.
        lengths (`torch.Tensor` of shape `(B,)`): Frames of each item.
        prompt_lengths (`torch.Tensor` of shape `(B,)`): How many of them are a voice prompt.
    """

    mel: torch.Tensor
    text_ids: torch.Tensor
    energy: torch.Tensor | None
    lengths: torch.Tensor
    prompt_lengths: torch.Tensor

    @property
    def is_frame(self) -> torch.Tensor:
        """`(B, T)`: False at padding."""
        return torch.arange(self.mel.shape[1], device=self.mel.device) < self.lengths[:, None]

    @property
    def is_after_prompt(self) -> torch.Tensor:
        """`(B, T)`: True at the frames of an item that are no voice prompt."""
        frames = torch.arange(self.mel.shape[1], device=self.mel.device)
        return self.is_frame & (frames >= self.prompt_lengths[:, None])


def pad_infillings(items: list[dict[str, torch.Tensor]], config) -> InfillingBatch:
    """Put items of [`SpeechDataset.with_prompt`] together for a network of this configuration."""
    mel = pad_sequence([(item["mel"] - config.mel_mean) / config.mel_std for item in items], batch_first=True)
    energy = None
    if config.energy_conditioning:
        energy = pad_sequence([item["energy"] for item in items], batch_first=True)[..., None]
    text_ids = [item["text_ids"] for item in items]
    return InfillingBatch(
        mel=mel,
        text_ids=pad_sequence(text_ids, batch_first=True, padding_value=TEXT_PADDING_ID),
        energy=energy,
        lengths=torch.tensor([len(item["mel"]) for item in items], device=mel.device),
        prompt_lengths=torch.stack([item["prompt_length"] for item in items]),
    )


def draw_gaps(batch: InfillingBatch) -> torch.Tensor:
    """A gap of 70 to 100 % of the frames anywhere in each item: True inside, of shape `(B, T)`."""
    lengths = batch.lengths
    share = torch.empty(len(lengths), device=lengths.device).uniform_(SHORTEST_GAP, LONGEST_GAP)
    gap_lengths = (share * lengths).long()
    starts = (torch.rand_like(share) * (lengths - gap_lengths)).long()[:, None]
    frames = torch.arange(batch.mel.shape[1], device=lengths.device)
    return (frames >= starts) & (frames < starts + gap_lengths[:, None]) & batch.is_frame


def infilling_loss(
    transformer: nn.Module,
    batch: InfillingBatch,
    gap: torch.Tensor,
    times: torch.Tensor | None = None,
    drop_audio_cond: bool = False,
    drop_text: bool = False,
) -> torch.Tensor:
    """Mean squared error of the velocity in the gap; noise and times are drawn by torch's global generator.

    Args:
        transformer ([`F5TTSTransformer1DModel`]): The network.
        batch ([`InfillingBatch`]): What is to be completed.
        gap (`torch.Tensor` of shape `(B, T)`): True at the frames that the network does not see.
        times (`torch.Tensor` of shape `(B,)`, *optional*): Flow times; uniformly drawn by default.
        drop_audio_cond, drop_text (`bool`): What the network does without.
    """
    noise = torch.randn_like(batch.mel)
    if times is None:
        times = sample_times(len(batch.mel), "uniform", batch.mel.device)
    noisy_mel, velocity = flow_path(batch.mel, noise, times)
    prediction = transformer(
        hidden_states=noisy_mel,
        timestep=times,
        cond=batch.mel.masked_fill(gap[..., None], 0.0),
        text_ids=batch.text_ids,
        energy=batch.energy,
        attention_mask=batch.is_frame,
        drop_audio_cond=drop_audio_cond,
        drop_text=drop_text,
        return_dict=False,
    )[0]
    return flow_matching_loss(prediction, velocity, gap)


class InfillingLoss:
    """
    The loss of stages 2 and 4, for [`TrainingLoop`].

    Batches are lists of items of the data set. Voice prompts, silence and gaps are drawn here, because the loop seeds
    torch's generator for each batch, so that a training that goes on draws the same ones.

    Args:
        dataset ([`SpeechDataset`]): Voice prompts are drawn from all of it.
        options ([`InfillingOptions`]): How items are completed.

    Raises:
        InputError: An option needs what the data does not have.
    """

    def __init__(self, dataset: SpeechDataset, options: InfillingOptions) -> None:
        if options.join_utterances > 0 and not any(len(indices) > 1 for indices in dataset.by_speaker.values()):
            raise InputError(
                "`--join_utterances` puts utterances of one speaker together, but no two utterances have the same "
                "`speaker`; add it to the metadata, or pass `--join_utterances 0`."
            )
        if options.add_silence > 0 and not dataset.text.follows_frames:
            raise InputError("`--add_silence` needs the times of the phones; pass `--text_placement timings`, or 0.")
        self.dataset = dataset
        self.options = options

    def __call__(
        self, networks: dict[str, nn.Module], items: list[dict[str, torch.Tensor]]
    ) -> tuple[torch.Tensor, dict[str, float]]:
        transformer: F5TTSTransformer1DModel = networks["transformer"]
        options = self.options
        batch = pad_infillings(self._draw_infillings(items), transformer.config)
        gap = draw_gaps(batch)
        is_prompt_gap = (batch.prompt_lengths > 0) & (torch.rand_like(gap[:, 0].float()) < options.prompt_gap)
        gap = torch.where(is_prompt_gap[:, None], batch.is_after_prompt, gap)
        drop_both = _happens(options.drop_audio_and_text)
        loss = infilling_loss(
            transformer,
            batch,
            gap,
            drop_audio_cond=_happens(options.drop_audio) or drop_both,
            drop_text=_happens(options.drop_text) or drop_both,
        )
        return loss, {"frames": float(batch.lengths.sum()), "padding": 1 - float(batch.is_frame.float().mean())}

    def _draw_infillings(self, items: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        options = self.options
        contour = self._draw_contour()
        is_joined, prompt_quantile = _happens(options.join_utterances), torch.rand(())
        window = None
        if _happens(options.add_silence):
            longest_silence = round(2 * options.max_silence_in_s * self.dataset.text.frames_per_second)
            window = max(len(item["mel"]) for item in items) + int(torch.rand(()) * longest_silence)
        infillings = []
        for item in items:
            prompt_index = None
            if is_joined:
                quantile = prompt_quantile + PROMPT_SPREAD * (torch.rand(()) - 0.5)
                prompt_index = self.dataset.partner(int(item["index"]), float(quantile.clamp(0, 1)))
            num_silent = 0 if window is None else window - len(item["mel"])
            num_before = int(torch.rand(()) * (num_silent + 1))
            infillings.append(
                self.dataset.with_prompt(item, prompt_index, contour, num_before, num_silent - num_before)
            )
        return infillings

    def _draw_contour(self) -> str | None:
        """Which contour this batch is given."""
        if self.options.contours == "none" or _happens(self.options.drop_energy):
            return None
        is_predicted = {"true": 0.0, "predicted": 1.0, "both": 0.5}[self.options.contours]
        return "predicted_energy" if _happens(is_predicted) else "energy"


def _happens(probability: float) -> bool:
    return bool(torch.rand(()) < probability)


@torch.no_grad()
def complete_mels(
    transformer: F5TTSTransformer1DModel, batch: InfillingBatch, num_steps: int, guidance_scale: float
) -> torch.Tensor:
    """Complete mel spectrograms after their voice prompts; `(B, T, C)` as the network sees it.

    The loop is that of [`TextToSpeechPipeline`] with the original's grid of times.
    """
    is_known = batch.is_frame & ~batch.is_after_prompt
    inputs = {
        "cond": batch.mel.masked_fill(~is_known[..., None], 0.0),
        "text_ids": batch.text_ids,
        "energy": batch.energy,
        "lengths": batch.lengths.tolist(),
    }
    null_conditions = transformer.encode_conditions(**inputs, drop_audio_cond=True, drop_text=True)
    conditions = F5TTSConditions.cat([null_conditions, transformer.encode_conditions(**inputs)])
    scheduler = FlowMatchGridEulerScheduler(grid="epss")
    scheduler.set_timesteps(num_steps, device=batch.mel.device)
    latents = torch.randn_like(batch.mel)
    for timestep in scheduler.timesteps:
        time = flow_time(timestep, scheduler.config.num_train_timesteps).expand(len(latents))
        velocity = transformer(latents, time, conditions=conditions, return_dict=False)[0].float()
        null_velocity, velocity = velocity.chunk(2)
        velocity = null_velocity + guidance_scale * (velocity - null_velocity)
        latents = scheduler.step(model_output_from_velocity(velocity), timestep, latents, return_dict=False)[0]
    return torch.where(is_known[..., None], batch.mel, latents)


class InfillingValidation:
    """
    Held-out utterances spoken after another one of their speaker, with the true timing, for [`TrainingLoop`].

    Figures: `loss` of flow matching at fixed times, all of the utterance being the gap; `mel_l1`, the mean absolute
    difference to the true logarithmic mel spectrogram; `energy_correlation` of the loudness of the frames. Sounds and
    a picture are written to the folder of the step.

    Args:
        dataset ([`SpeechDataset`]): Held-out utterances.
        num_utterances (`int`): How many of them, evenly spread.
        contour (`"energy"` or `"predicted_energy"`, *optional*): Which contour is given.
        vocoder ([`VocosVocoder`], *optional*): Makes sounds of the mel spectrograms.
    """

    def __init__(
        self, dataset: SpeechDataset, num_utterances: int, contour: str | None, vocoder: VocosVocoder | None
    ) -> None:
        self.dataset = dataset
        self.indices = evenly_spaced(len(dataset), num_utterances)
        self.contour = contour
        self.vocoder = vocoder

    @torch.no_grad()
    def __call__(self, networks: dict[str, nn.Module], step: int, folder: Path) -> dict[str, float]:
        transformer: F5TTSTransformer1DModel = networks["transformer"]
        config = transformer.config
        batch = self._batch(config, transformer.device)
        times = batch.mel.new_tensor(VALIDATION_TIMES)[:, None].expand(-1, len(batch.mel))
        losses = [infilling_loss(transformer, batch, batch.is_after_prompt, time) for time in times]
        completed = complete_mels(transformer, batch, VALIDATION_STEPS, VALIDATION_GUIDANCE_SCALE)
        errors, correlations, pictures = [], [], {}
        for index, mels, is_new in zip(
            self.indices, zip(completed, batch.mel, strict=True), batch.is_after_prompt, strict=True
        ):
            made, true = (mel[is_new] * config.mel_std + config.mel_mean for mel in mels)
            errors.append((made - true).abs().mean())
            correlations.append(_correlation(*(mel.exp().mean(dim=-1) for mel in (made, true))))
            key = self.dataset.utterances[index]["key"]
            pictures |= {f"{key} generated": made.cpu(), f"{key} real": true.cpu()}
            if self.vocoder is not None:
                waveform = self.vocoder(made.T[None]).sample[0, 0]
                write_audio(folder / f"{key}.wav", waveform.cpu(), config.sampling_rate, allow_silence=True)
        save_spectrograms(folder / "spectrograms.png", pictures, config.sampling_rate / config.hop_length)
        return {
            "loss": float(torch.stack(losses).mean()),
            "mel_l1": float(torch.stack(errors).mean()),
            "energy_correlation": float(torch.stack(correlations).mean()),
        }

    def _batch(self, config, device: torch.device) -> InfillingBatch:
        infillings = []
        for index in self.indices:
            item = self.dataset[index]
            infilling = self.dataset.with_prompt(item, self.dataset.partner(index, 0.5), self.contour)
            if infilling["prompt_length"] == 0:
                # Nobody else speaks like this: the beginning is the prompt for the rest.
                infilling["prompt_length"] = torch.tensor(len(infilling["mel"]) // 3)
            infillings.append({name: value.to(device) for name, value in infilling.items()})
        return pad_infillings(infillings, config)


def _correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Pearson's correlation of two contours; 0 where one is constant."""
    first, second = first - first.mean(), second - second.mean()
    product = first.norm() * second.norm()
    return torch.where(product > 0, (first * second).sum() / product.clamp(min=1e-12), 0.0)
