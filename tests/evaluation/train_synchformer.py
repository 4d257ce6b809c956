# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the tiny Synchformer of `tests/fixtures/synchformer_lamps`, which tells how early the sound of the lamps is.

    python -m tests.evaluation.train_synchformer tests/fixtures/synchformer_lamps

The published weights cannot be had everywhere; a network of the same class that has learnt a small world shows that
the score measures what it says. As in the original there are two stages: the encoders learn what is seen and heard,
each for itself, and on their features, which then stay as they are, the transformer that compares learns offsets.
"""

import argparse
import math
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import nn

from deepaudio_diffusers import Synchformer
from deepaudio_diffusers.processing.audio import synchformer_mel
from deepaudio_diffusers.processing.video import normalize_sync_frames
from tests.evaluation.lamps import (
    COLOURS,
    FLASH_IN_S,
    PERIOD_IN_S,
    TEST_SEEDS,
    Lamps,
    make_lamps,
    picture_lamps,
    sound_lamps,
)


CONFIG = {
    "hidden_size": 48,
    "num_video_layers": 1,
    "num_audio_layers": 1,
    "num_sync_layers": 2,
    "num_attention_heads": 4,
    "num_sync_heads": 4,
    "mlp_ratio": 2.0,
    "image_size": 16,
    "patch_size": 8,
    "num_mel_bins": 36,
}
SCENE_LENGTH_IN_S = 32.0
# Times are counted in frames: offsets are whole numbers of them, and so are the steps from segment to segment.
FRAME_IN_S, SEGMENT_STEP, OFFSET_STEP = 0.04, 8, 5
SAMPLES_PER_FRAME = 640
SEGMENTS_PER_FLASH = round(PERIOD_IN_S / (SEGMENT_STEP * FRAME_IN_S))
# How far before the middle of a time step a tone may have begun that belongs to it.
TONE_IN_S = 0.1
# Of the embeddings of places: from steps of the grid to the whole window.
SHORTEST_PERIOD_IN_S, LONGEST_PERIOD_IN_S = 0.8, 10.0


def step_times(num_segments: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The middles of the time steps of pictures `(num_segments, 8)` and of sound `(num_segments, 6)`, in seconds."""
    starts = SEGMENT_STEP * FRAME_IN_S * torch.arange(num_segments)[:, None]
    # Two frames are one step; so are 16 frames of the mel spectrogram, every 10.
    return starts + 2 * FRAME_IN_S * (torch.arange(8) + 0.5), starts + 0.1 * torch.arange(6) + 0.08


def time_embedding(times_in_s: torch.Tensor, dim: int) -> torch.Tensor:
    """Sines, cosines and a ramp of times, `(num_times, dim)`: what is seen and heard at one time begins alike."""
    periods = torch.logspace(math.log10(SHORTEST_PERIOD_IN_S), math.log10(LONGEST_PERIOD_IN_S), dim // 3)
    angles = 2 * math.pi * times_in_s[:, None] / periods
    ramp = (times_in_s[:, None] / 2.4 - 1) * torch.linspace(-1.5, 1.5, dim - 2 * (dim // 3))
    return torch.cat([angles.sin(), angles.cos(), ramp], dim=1)


def make_network() -> Synchformer:
    """The network before it has learnt anything but which tokens belong to one time."""
    network = Synchformer(**CONFIG)
    seen, heard = (times.flatten() for times in step_times(network.config.num_segments))
    dim, comparison = network.config.hidden_size, network.comparison
    with torch.no_grad():
        for parameter in (comparison.offset_token, comparison.modality_token, comparison.position_embedding):
            parameter.mul_(0.02)
        comparison.position_embedding[0, 1 : 1 + len(seen)] = time_embedding(seen, dim)
        comparison.position_embedding[0, 2 + len(seen) :] = time_embedding(heard, dim)
    return network


def scene_of(seed: int) -> Lamps:
    assert seed not in TEST_SEEDS
    return make_lamps(seed, SCENE_LENGTH_IN_S)


def video_segments(network: Synchformer, scene: Lamps) -> torch.Tensor:
    """All segments of a scene, `(num_segments, 16, 3, height, width)`."""
    frames = torch.from_numpy(picture_lamps(scene, network.config.image_size)).permute(0, 3, 1, 2)
    return normalize_sync_frames(frames).unfold(0, 16, SEGMENT_STEP).permute(0, 4, 1, 2, 3)


def audio_segments(network: Synchformer, scene: Lamps, start: int = 0) -> torch.Tensor:
    """All segments of a scene from frame `start` on, `(num_segments, num_mel_frames, num_mel_bins)`."""
    waveform = torch.from_numpy(sound_lamps(scene))[start * SAMPLES_PER_FRAME :]
    return synchformer_mel(waveform, num_mels=network.config.num_mel_bins)


def lamps_at(scene: Lamps, times_in_s: torch.Tensor, length_in_s: float) -> torch.Tensor:
    """Which lamps began at most `length_in_s` before each time, `(*times, 2)`."""
    since = times_in_s[..., None] - torch.from_numpy(scene.times_in_s).float()
    flashes = F.one_hot(torch.from_numpy(scene.which), len(COLOURS)).float()
    return ((since >= 0) & (since < length_in_s)).float() @ flashes


def train_encoders(network: Synchformer, num_steps: int, learning_rate: float, num_scenes: int = 6) -> None:
    """First stage: which lamp is seen, and which is heard, in each time step."""
    scenes = [scene_of(seed) for seed in range(num_scenes)]
    streams = []
    for encode, segments, times, length_in_s in (
        (network.encode_video, [video_segments(network, scene) for scene in scenes], 0, FLASH_IN_S),
        (network.encode_audio, [audio_segments(network, scene) for scene in scenes], 1, TONE_IN_S),
    ):
        labels = [lamps_at(scene, step_times(len(segments[0]))[times], length_in_s) for scene in scenes]
        head = nn.Linear(network.config.hidden_size, len(COLOURS))
        streams.append((encode, torch.cat(segments), torch.cat(labels), head))
    heads = nn.ModuleList([head for *_, head in streams])
    parameters = [*network.video_encoder.parameters(), *network.audio_encoder.parameters(), *heads.parameters()]
    for step, optimizer in enumerate(optimizing(parameters, num_steps, learning_rate)):
        losses = []
        for encode, segments, labels, head in streams:
            chosen = torch.randint(len(segments), (48,))
            logits = head(encode(segments[None, chosen]))[0]
            losses.append(F.binary_cross_entropy_with_logits(logits, labels[chosen]))
        optimizer.zero_grad()
        sum(losses).backward()
        report(step, "encoders", loss_seen=losses[0], loss_heard=losses[1])


@torch.no_grad()
def encode_scenes(network: Synchformer, seeds: range) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of pictures `(num_scenes, segments, 8, D)`, and of sound for each frame that segments may begin with,
    `(num_scenes, 8, segments, 6, D)`."""
    seen, heard = [], []
    for seed in seeds:
        scene = scene_of(seed)
        seen.append(network.encode_video(video_segments(network, scene)[None])[0])
        starts = [audio_segments(network, scene, start) for start in range(SEGMENT_STEP)]
        num_segments = min(map(len, starts))
        heard.append(network.encode_audio(torch.stack([segments[:num_segments] for segments in starts])))
    return torch.stack(seen), torch.stack(heard)


def draw_windows(
    network: Synchformer, seen: torch.Tensor, heard: torch.Tensor, num_windows: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of windows around random flashes with random offsets, and which offset is true."""
    length, largest = network.config.num_segments, network.config.num_offsets // 2
    # Not the outermost flashes: the sound begins up to two seconds before or after the pictures.
    due = range(1, int(SCENE_LENGTH_IN_S / PERIOD_IN_S) - 2)
    video, audio, targets = [], [], []
    for _ in range(num_windows):
        scene, flash, moved, offset = (
            int(torch.randint(low, high, (), generator=generator))
            for low, high in ((0, len(seen)), (due.start, due.stop), (-1, 2), (-largest, largest + 1))
        )
        segment = SEGMENTS_PER_FLASH * flash + moved
        start = SEGMENT_STEP * segment + OFFSET_STEP * offset
        video.append(seen[scene, segment : segment + length])
        audio.append(heard[scene, start % SEGMENT_STEP, start // SEGMENT_STEP :][:length])
        targets.append(offset + largest)
    return torch.stack(video), torch.stack(audio), torch.tensor(targets)


def train_comparison(network: Synchformer, num_steps: int, learning_rate: float, num_scenes: int) -> None:
    """Second stage: offsets."""
    generator = torch.Generator().manual_seed(1)
    seen, heard = encode_scenes(network, range(num_scenes))
    held_out = encode_scenes(network, range(num_scenes, num_scenes + 2))
    print(f"features of {num_scenes} scenes after {time.process_time():.0f} s", flush=True)
    grid = network.offsets_in_s
    for step, _ in enumerate(optimizing([*network.comparison.parameters()], num_steps, learning_rate)):
        video, audio, targets = draw_windows(network, seen, heard, 32, generator)
        logits = network.compare(video, audio)
        # Neighbours on the grid are less wrong than others.
        likeness = (-0.5 * ((grid - grid[targets, None]) / 0.15).square()).softmax(dim=-1)
        loss = F.cross_entropy(logits, likeness)
        network.comparison.zero_grad()
        loss.backward()
        report(step, "comparison", loss=loss, right=(logits.argmax(-1) == targets).float().mean())
        if step % 250 == 249:
            video, audio, targets = draw_windows(network, *held_out, 64, torch.Generator().manual_seed(2))
            with torch.no_grad():
                errors = (grid[network.compare(video, audio).argmax(-1)] - grid[targets]).abs()
            print(f"held out: right {(errors < 0.1).float().mean():.3f}, mean error {errors.mean():.3f} s", flush=True)


def optimizing(parameters: list[nn.Parameter], num_steps: int, learning_rate: float) -> Iterator[torch.optim.AdamW]:
    """Steps of an optimizer, each taken after the caller has filled the gradients."""
    optimizer = torch.optim.AdamW(parameters, learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=num_steps, pct_start=0.1)
    for _ in range(num_steps):
        yield optimizer
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()


def report(step: int, stage: str, **values: torch.Tensor) -> None:
    if step % 50 == 49:
        figures = ", ".join(f"{name} {value.item():.3f}" for name, value in values.items())
        print(f"{stage} {step + 1}: {figures}, {time.process_time():.0f} s of CPU", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", help="folder to write")
    parser.add_argument("--encoder-steps", type=int, default=80)
    parser.add_argument("--comparison-steps", type=int, default=2500)
    parser.add_argument("--num-scenes", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    options = parser.parse_args()
    torch.manual_seed(0)
    network = make_network()
    train_encoders(network, options.encoder_steps, options.learning_rate)
    train_comparison(network, options.comparison_steps, options.learning_rate, options.num_scenes)
    network.save_pretrained(options.output)


if __name__ == "__main__":
    main()
