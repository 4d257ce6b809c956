# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""What the flow-matching schedulers of this library share: the time grid and the place on it.

The probability path is the straight line `x_sigma = sigma * noise + (1 - sigma) * data` (Flow Matching,
https://huggingface.co/papers/2210.02747). A solver integrates `dx / dsigma = noise - data` from `sigma = 1` to 0. Each
solver is a subclass in a file of its own that adds its formula as `_advance`.
"""

from numbers import Integral
from typing import Literal

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.schedulers.scheduling_utils import SchedulerMixin, SchedulerOutput

from ..errors import InputError
from .time_grids import MAX_SWAY_COEF, MIN_SWAY_COEF, epss_sigmas, sway_sigmas, uniform_sigmas


class FlowMatchGridScheduler(SchedulerMixin, ConfigMixin):
    """Base class of the flow-matching schedulers: it owns the grid and `step`, a subclass adds the solver's formula.

    The interface is that of diffusers' flow-matching schedulers, and so are the conventions: `sigmas` fall from 1
    (noise) to 0 (data), `timesteps = sigmas * num_train_timesteps`, `model_output` is `noise - data`. Two things
    differ on purpose. The default grid is exactly `1 - i / num_inference_steps`, and no shift is ever applied to a
    grid.

    `timesteps` has one entry for each network evaluation, so `len(scheduler.timesteps)` is the cost of a run.
    Timesteps and sigmas are float64 (float32 on MPS, which has nothing longer): see `time_grids.py` for the reason.

    Args:
        num_train_timesteps (`int`, defaults to 1000):
            The timestep of pure noise. Only a scale: networks receive `1 - timestep / num_train_timesteps`.
        grid (`"uniform"`, `"sway"` or `"epss"`, defaults to `"uniform"`):
            How the steps are spread, see `time_grids.py`.
        sway_coef (`float`, defaults to -1.0):
            The coefficient of the `"sway"` and `"epss"` grids, in [-1, 2 / (pi - 2)]. Without effect on `"uniform"`.

    Raises:
        InputError: for an unknown `grid` or a `sway_coef` outside its range.
    """

    _compatibles = [
        "FlowMatchGridEulerScheduler",
        "FlowMatchGridMidpointScheduler",
        "FlowMatchGridMultistepScheduler",
        "FlowMatchEulerDiscreteScheduler",
        "FlowMatchHeunDiscreteScheduler",
    ]
    order = 1
    init_noise_sigma = 1.0

    @register_to_config
    def __init__(
        self,
        num_train_timesteps: int = 1000,
        grid: Literal["uniform", "sway", "epss"] = "uniform",
        sway_coef: float = -1.0,
    ):
        if grid not in ("uniform", "sway", "epss"):
            raise InputError(f'`grid` is {grid!r}; use "uniform", "sway" or "epss".')
        if not MIN_SWAY_COEF <= sway_coef <= MAX_SWAY_COEF:
            raise InputError(
                f"`sway_coef` is {sway_coef}; outside [{MIN_SWAY_COEF:g}, {MAX_SWAY_COEF:.4f}] the times of the grid "
                "would run backwards. F5-TTS uses -1."
            )
        self.num_inference_steps = None
        # Until `set_timesteps` is called these show every training timestep, as in diffusers.
        self._set_evaluation_sigmas(uniform_sigmas(num_train_timesteps), device=None)

    @property
    def step_index(self) -> int | None:
        """Index into `timesteps` of the next network evaluation; `None` before the first `step`."""
        return self._step_index

    @property
    def begin_index(self) -> int | None:
        """Index into `timesteps` where the run begins, if `set_begin_index` was called."""
        return self._begin_index

    def set_begin_index(self, begin_index: int = 0):
        """Says at which index of `timesteps` the run begins, so that the first `step` need not search for it."""
        self._begin_index = begin_index

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | torch.Tensor | None = None,
    ):
        """Lays out the grid of a run and forgets the run before. To be called before each denoising loop.

        Args:
            num_inference_steps (`int`, *optional*):
                Number of steps, at least 1. May be left out if `sigmas` is given.
            device (`str` or `torch.device`, *optional*):
                Where `timesteps` and `sigmas` are put.
            sigmas (`list[float]` or `torch.Tensor`, *optional*):
                The starting points of the steps instead of the configured grid: strictly decreasing, in (0, 1],
                without the final 0. They are used as they are.

        Raises:
            InputError: if neither is given, or they disagree, or one is outside what is described above.
        """
        if sigmas is None:
            if num_inference_steps is None:
                raise InputError("`num_inference_steps` and `sigmas` are both None; pass one of them.")
            if not isinstance(num_inference_steps, Integral) or num_inference_steps < 1:
                raise InputError(f"`num_inference_steps` is {num_inference_steps!r}; pass an int of at least 1.")
            sigmas = self._grid_sigmas(num_inference_steps)
        else:
            sigmas = torch.as_tensor(sigmas, dtype=torch.float64, device="cpu")
            if num_inference_steps is not None and sigmas.shape != (num_inference_steps,):
                raise InputError(
                    f"`sigmas` has shape {tuple(sigmas.shape)} but `num_inference_steps` is {num_inference_steps}; "
                    "pass one value for each step (the final 0 is added here), or leave `num_inference_steps` out."
                )
        _check_sigmas(sigmas)
        self.num_inference_steps = len(sigmas)
        self._set_evaluation_sigmas(sigmas, device)

    def step(
        self,
        model_output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        return_dict: bool = True,
    ) -> SchedulerOutput | tuple[torch.Tensor]:
        """Moves `sample` from `timestep` to the next one. To be called once for each entry of `timesteps`, in order.

        Args:
            model_output (`torch.Tensor`): `noise - data` as predicted at `sample` and `timestep`, shaped like it.
            timestep (`torch.Tensor`): The current entry of `timesteps`, unchanged.
            sample (`torch.Tensor`):
                The current latents. They are computed with in float32, or in their own dtype if that is wider, and
                returned in their own dtype.
            return_dict (`bool`, defaults to `True`): Whether to return a `SchedulerOutput` or a tuple.

        Raises:
            InputError: for a timestep off the grid, shapes that differ, a step before `set_timesteps` or after the
                grid, or a run that begins where the solver cannot begin.
        """
        index = self._start_step(model_output, timestep, sample)
        dtype = torch.promote_types(sample.dtype, torch.float32)
        # Copies, because solvers keep them for later steps and the caller may write into the originals.
        prev_sample = self._advance(index, model_output.to(dtype, copy=True), sample.to(dtype, copy=True))
        prev_sample = prev_sample.to(sample.dtype)

        self._step_index += 1
        return SchedulerOutput(prev_sample=prev_sample) if return_dict else (prev_sample,)

    def scale_noise(self, sample: torch.Tensor, timestep: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """A point on the path between data and noise: `sigma * noise + (1 - sigma) * sample`.

        Args:
            sample (`torch.Tensor` of shape `(batch_size, ...)`): The data.
            timestep (`torch.Tensor` of shape `(batch_size,)`, `(1,)` or `()`):
                Any values in [0, `num_train_timesteps`]; they need not lie on the grid.
            noise (`torch.Tensor`): Of the shape of `sample`.
        """
        dtype = torch.promote_types(sample.dtype, torch.float32)
        sigma = timestep.to(device=sample.device, dtype=dtype) / self.config.num_train_timesteps
        sigma = sigma.reshape(-1, *[1] * (sample.ndim - 1))
        return (sigma * noise.to(dtype) + (1 - sigma) * sample.to(dtype)).to(sample.dtype)

    def __len__(self) -> int:
        return self.config.num_train_timesteps

    def _advance(self, index: int, model_output: torch.Tensor, sample: torch.Tensor) -> torch.Tensor:
        """The formula of a solver: the sample at `sigmas[index + 1]`, as a new tensor.

        `model_output` is the derivative along sigma at `sigmas[index]` and `sample`. Both are float32 or wider, and
        the solver's to keep but not to change.
        """
        raise NotImplementedError

    def _grid_sigmas(self, num_steps: int) -> torch.Tensor:
        if self.config.grid == "uniform":
            return uniform_sigmas(num_steps)
        if self.config.grid == "sway":
            return sway_sigmas(num_steps, self.config.sway_coef)
        return epss_sigmas(num_steps, self.config.sway_coef)

    def _evaluation_sigmas(self, sigmas: torch.Tensor) -> torch.Tensor:
        """The points at which the network is evaluated, from the `(num_steps + 1,)` ends of the steps, 0 included."""
        return sigmas

    def _set_evaluation_sigmas(self, sigmas: torch.Tensor, device: str | torch.device | None):
        sigmas = self._evaluation_sigmas(torch.cat([sigmas, sigmas.new_zeros(1)]))
        is_mps = device is not None and torch.device(device).type == "mps"
        self.sigmas = sigmas.to(device=device, dtype=torch.float32 if is_mps else torch.float64)
        self.timesteps = self.sigmas[:-1] * self.config.num_train_timesteps
        self._step_index = None
        self._begin_index = None
        self._forget_evaluations()

    def _forget_evaluations(self):
        """Drops what a solver remembers of earlier evaluations."""

    def _start_step(self, model_output: torch.Tensor, timestep: torch.Tensor, sample: torch.Tensor) -> int:
        """Checks the arguments of `step` and returns the index of the evaluation that it was given."""
        if self.num_inference_steps is None:
            raise InputError("`step` was called before `set_timesteps`; call `set_timesteps(num_inference_steps)`.")
        if model_output.shape != sample.shape:
            raise InputError(
                f"`model_output` has shape {tuple(model_output.shape)} but `sample` has {tuple(sample.shape)}; they "
                "have to be equal."
            )
        if self._step_index is None:
            self._step_index = self._index_of(timestep) if self._begin_index is None else self._begin_index
        if self._step_index >= len(self.timesteps):
            raise InputError(
                f"`step` was called after the last of {len(self.timesteps)} timesteps; call `set_timesteps` before "
                "each denoising loop."
            )
        return self._step_index

    def _index_of(self, timestep: torch.Tensor) -> int:
        matches = (self.timesteps == timestep).nonzero()
        if len(matches) == 0:
            raise InputError(
                f"`timestep` is {float(timestep)}, which is not one of `scheduler.timesteps`; pass the entry of "
                "`scheduler.timesteps` unchanged (no index, no cast to another dtype)."
            )
        return matches.item()


def _check_sigmas(sigmas: torch.Tensor):
    if sigmas.ndim != 1 or len(sigmas) == 0:
        raise InputError(f"`sigmas` has shape {tuple(sigmas.shape)}; pass a list of at least one number.")
    if not (sigmas.diff() < 0).all() or not sigmas[-1] > 0 or not sigmas[0] <= 1:
        raise InputError(
            f"`sigmas` is {sigmas.tolist()}; it has to fall strictly from at most 1 (noise) to above 0 (data). The "
            "final 0 is added by the scheduler."
        )
