# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""How far every scheduler ends from the exact solution, by number of network evaluations.

A generated sound is the end point of an ordinary differential equation. A scheduler with few evaluations misses that
point; this script measures by how much, on fields that are known in closed form, so that the error is the solver's
alone: the exact flow-matching velocity of a Gaussian mixture whose components have unequal and unequally spread
variances, once plain and once under classifier-free guidance towards some of its components.

The error of a sample is its distance from a reference solution, relative to the length of the reference. The table
gives the median over the samples; the JSON adds the root mean square, which the few samples that end in another
component of the mixture than they should dominate.

Examples:
    python benchmarks/solver_error.py
    python benchmarks/solver_error.py --evaluations 6 8 10 12 --fields guided --output solver_error.json
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path

import diffusers
import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from deepaudio_diffusers.schedulers import (
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    FlowMatchGridMultistepScheduler,
)


RECOMMENDED = ("multistep", "uniform", 12)
YARDSTICK = ("euler", "uniform", 25)

OURS = {
    "euler": FlowMatchGridEulerScheduler,
    "midpoint": FlowMatchGridMidpointScheduler,
    "multistep": FlowMatchGridMultistepScheduler,
}
GRIDS = ("uniform", "sway", "epss")


class MixtureField:
    """The derivative `noise - data` of the probability path from a Gaussian mixture to noise, in closed form.

    Component k has mean `mean[k]` and, along coordinate j, standard deviation `std[k, j]`. The deviations fall
    geometrically over the coordinates, in another order for each component, as the spectra of real latents do. The
    whole is scaled to unit power, the scale of normalised latents.

    Args:
        favoured (`int`): Number of components that the condition of the guided field picks out.
        guidance_scale (`float`): 1 is the plain mixture under no condition.
    """

    def __init__(self, favoured: int, guidance_scale: float, components: int = 8, dimensions: int = 32):
        generator = torch.Generator().manual_seed(0)
        mean = torch.randn(components, dimensions, generator=generator, dtype=torch.float64)
        spectrum = torch.logspace(0, -1.3, dimensions, dtype=torch.float64)
        std = torch.stack([spectrum[torch.randperm(dimensions, generator=generator)] for _ in range(components)])
        scale = (mean**2 + std**2).mean().sqrt()
        self.mean, self.variance = mean / scale, (std / scale) ** 2
        self.favoured = favoured
        self.guidance_scale = guidance_scale
        self.evaluations = 0

    def __call__(self, sample: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        """`sample` of shape `(batch_size, dimensions)`, `sigma` a scalar in [0, 1]. Returns the shape of `sample`."""
        self.evaluations += 1
        x, sigma = sample.double(), sigma.double()
        variance = (1 - sigma) ** 2 * self.variance + sigma**2
        centred = x[:, None] - (1 - sigma) * self.mean
        log_weights = -0.5 * (centred**2 / variance + variance.log()).sum(-1)
        noise = sigma * centred / variance
        data = self.mean + (1 - sigma) * self.variance * centred / variance

        def expectation(log_weights, components):
            weights = log_weights[:, :components].softmax(1)
            return torch.einsum("bk,bkd->bd", weights, (noise - data)[:, :components])

        derivative = expectation(log_weights, len(self.mean))
        if self.guidance_scale != 1:
            derivative = derivative.lerp(expectation(log_weights, self.favoured), self.guidance_scale)
        return derivative.to(sample.dtype)


FIELDS = {
    "mixture": MixtureField(favoured=8, guidance_scale=1.0),
    "guided": MixtureField(favoured=2, guidance_scale=4.5),
}


def reference_solution(field: MixtureField, noise: torch.Tensor, num_steps: int) -> torch.Tensor:
    """The midpoint method in float64 on a uniform grid, written out: it shares nothing with the schedulers."""
    sample = noise.double()
    sigmas = torch.linspace(1, 0, num_steps + 1, dtype=torch.float64)
    for sigma, step in zip(sigmas[:-1], sigmas.diff(), strict=True):
        middle = sample + step / 2 * field(sample, sigma)
        sample = sample + step * field(middle, sigma + step / 2)
    return sample


def candidates(evaluations: int) -> list[tuple[str, str, Callable]]:
    """Every solver and grid as `(solver, grid, scheduler)`, ready with as many steps as `evaluations` pays for."""
    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}
    rows = []
    for (solver, scheduler_class), grid in product(OURS.items(), GRIDS):
        scheduler = scheduler_class(grid=grid)
        scheduler.set_timesteps(evaluations // scheduler.order)
        rows.append((solver, grid, scheduler))
    for solver, scheduler, steps in (
        ("diffusers FlowMatchEuler", FlowMatchEulerDiscreteScheduler(), evaluations),
        ("diffusers FlowMatchHeun", FlowMatchHeunDiscreteScheduler(), (evaluations + 1) // 2),
        ("diffusers UniPC", UniPCMultistepScheduler(**flow), evaluations),
        ("diffusers DPM++ 2M", DPMSolverMultistepScheduler(**flow), evaluations),
    ):
        scheduler.set_timesteps(steps)
        rows.append((solver, "its own", scheduler))
    return rows


def run(scheduler, field: MixtureField, noise: torch.Tensor) -> torch.Tensor:
    sample = noise
    for timestep in scheduler.timesteps:
        derivative = field(sample, timestep / scheduler.config.num_train_timesteps)
        sample = scheduler.step(derivative, timestep, sample).prev_sample
    return sample


def measure(field_name: str, budgets: list[int], num_samples: int, seed: int, reference_steps: int) -> list[dict]:
    field = FIELDS[field_name]
    noise = torch.randn(num_samples, field.mean.shape[1], generator=torch.Generator().manual_seed(seed))
    reference = reference_solution(field, noise, reference_steps)
    results = []
    for budget in budgets:
        for solver, grid, scheduler in candidates(budget):
            field.evaluations = 0
            found = run(scheduler, field, noise)
            errors = (found - reference).norm(dim=1) / reference.norm(dim=1)
            results.append(
                {
                    "field": field_name,
                    "solver": solver,
                    "grid": grid,
                    "budget": budget,
                    "evaluations": field.evaluations,
                    "error_median": errors.median().item(),
                    "error_rms": errors.square().mean().sqrt().item(),
                }
            )
    return results


def find(results: list[dict], field: str, solver: str, grid: str, budget: int) -> dict:
    wanted = {"field": field, "solver": solver, "grid": grid, "budget": budget}
    return next(result for result in results if wanted.items() <= result.items())


def markdown(results: list[dict], fields: list[str], budgets: list[int]) -> str:
    lines = []
    for field in fields:
        lines += [f"### Field `{field}`: median relative error by number of network evaluations", ""]
        lines.append("| solver | grid | " + " | ".join(str(budget) for budget in budgets) + " |")
        lines.append("| --- | --- |" + " ---: |" * len(budgets))
        rows = dict.fromkeys((r["solver"], r["grid"]) for r in results if r["field"] == field)
        for solver, grid in rows:
            cells = []
            for budget in budgets:
                result = find(results, field, solver, grid, budget)
                spent = "" if result["evaluations"] == budget else f" ({result['evaluations']})"
                cells.append(f"{result['error_median']:.4f}{spent}")
            lines.append(f"| {solver} | {grid} | " + " | ".join(cells) + " |")
        recommended, yardstick = find(results, field, *RECOMMENDED), find(results, field, *YARDSTICK)
        lines += [
            "",
            "Recommended ({} on {}, {} evaluations) against the original sampler ({} on {}, {} evaluations): ".format(
                *RECOMMENDED, *YARDSTICK
            )
            + f"{recommended['error_median'] / yardstick['error_median']:.2f} of its median error, "
            + f"{recommended['error_rms'] / yardstick['error_rms']:.2f} of its root mean square error.",
            "",
        ]
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--evaluations",
        type=int,
        nargs="+",
        default=[8, 12, 16, 25, 50],
        help="budgets of network evaluations; a solver that cannot spend one exactly shows what it spent in brackets; "
        "12 and 25, which the closing comparison needs, are always added (default: %(default)s)",
    )
    parser.add_argument("--fields", nargs="+", choices=list(FIELDS), default=list(FIELDS), help="default: all")
    parser.add_argument("--samples", type=int, default=256, help="number of trajectories (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of their noise (default: %(default)s)")
    parser.add_argument(
        "--reference-steps",
        type=int,
        default=1000,
        help="midpoint steps of the reference solution (default: %(default)s)",
    )
    parser.add_argument("--output", type=Path, help="write the JSON to this file instead of below the tables")
    arguments = parser.parse_args()

    budgets = sorted({*arguments.evaluations, RECOMMENDED[-1], YARDSTICK[-1]})
    results = []
    for field in arguments.fields:
        results += measure(field, budgets, arguments.samples, arguments.seed, arguments.reference_steps)
    print(markdown(results, arguments.fields, budgets))

    report = {
        "machine": {
            "platform": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "torch": torch.__version__,
            "diffusers": diffusers.__version__,
        },
        "samples": arguments.samples,
        "seed": arguments.seed,
        "reference_steps": arguments.reference_steps,
        "results": results,
    }
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    else:
        json.dump(report, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
