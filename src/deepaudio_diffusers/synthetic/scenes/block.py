# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A mallet on a gray block. Of what the block is made cannot be seen: the prompt tells."""

from ..acoustics import add_at, click, struck
from .stage import Action, Stage, Strikes, flash


TEMPLATES = (
    "a {size} {material} block being struck",
    "a mallet striking a {size} {material} block",
    "a mallet hitting a {material} block",
    "a {material} block being struck",
    "striking a {material} block with a mallet",
)
# Mode frequencies in Hz of a middle-sized block, their decay times in s and amplitudes, and the share of the knock.
MATERIALS = {
    "wooden": ((420.0, 1130.0, 2050.0), (0.05, 0.028, 0.014), (1.0, 0.6, 0.3), 0.35),
    "metal": ((620.0, 1560.0, 2710.0, 4180.0, 5900.0), (0.7, 0.5, 0.35, 0.2, 0.12), (0.7, 0.7, 0.5, 0.4, 0.3), 0.2),
    "glass": ((2350.0, 3890.0, 5420.0, 7100.0), (0.2, 0.14, 0.09, 0.05), (1.0, 0.6, 0.4, 0.3), 0.1),
}


def play(stage: Stage) -> Action:
    """Draw and sound the mallet and the block."""
    rng, canvas, times = stage.rng, stage.canvas, stage.frame_times
    material = tuple(MATERIALS)[rng.integers(len(MATERIALS))]
    half_width = rng.uniform(0.13, 0.26)
    blows = Strikes.sample(stage, 0.34, 0.95)
    strikes = blows.within(stage)

    gray = rng.uniform(120, 170)
    top = 0.95 - 1.4 * half_width
    canvas.box(0.5, 0.96, 0.48, 0.03, (60, 55, 50))
    canvas.box(0.5, (top + 0.95) / 2, half_width, 0.7 * half_width, (gray, gray, gray))
    canvas.box(0.5, top + 0.03, half_width, 0.03, (gray + 30, gray + 30, gray + 30))
    head = top - 0.09 - (top - 0.22) * blows.lift(times)
    canvas.line(0.5, head, 0.5, head - 0.5, 0.025, (165, 120, 70))
    canvas.box(0.5, head, 0.13, 0.09, (75, 70, 80))
    canvas.glow(0.5, top, 0.13, (255, 245, 200), flash(times, strikes))

    frequencies, decays, amplitudes, knock = MATERIALS[material]
    frequencies = [frequency * 0.19 / half_width for frequency in frequencies]
    sound = stage.silence()
    for time, strength in strikes:
        blow = struck(frequencies, decays, amplitudes, length_in_s=min(2.0, 5 * decays[0]))
        burst = click(rng, 0.008, 0.002)
        blow[: len(burst)] += knock * burst
        add_at(sound, time, 0.34 * strength**1.2 * blow)
    size = "small" if half_width < 0.195 else "big"
    return Action(sound, strikes, {"size": size}, {"material": material})
