# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""F5-TTS's velocity network: equal to the originals, and a full citizen of diffusers."""

import json
import math
import random

import pytest
import torch
import torch.nn.functional as F
from diffusers import (
    FasterCacheConfig,
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from diffusers.hooks import LayerSkipConfig, apply_layer_skip
from peft import LoraConfig

from deepaudio_diffusers.conversion.f5tts import convert_f5tts, infer_f5tts_config
from deepaudio_diffusers.errors import InputError
from deepaudio_diffusers.models.transformer_f5tts import F5TTSConditions, F5TTSLinear, F5TTSTransformer1DModel
from deepaudio_diffusers.schedulers import (
    FlowMatchGridEulerScheduler,
    FlowMatchGridMidpointScheduler,
    flow_time,
    model_output_from_velocity,
)
from tests.golden import FIXTURES, load_golden, relative_error


# One call in float32: differences come from the order of sums alone (6e-7 seen).
SINGLE_CALL_TOLERANCE = 1e-5
# Up to eight guided steps amplify them (9e-7 seen).
SAMPLE_TOLERANCE = 1e-4

# The configuration that shapes do not tell, and the file of the weights, for each set of golden tensors.
INDEX = json.loads((FIXTURES / "f5tts" / "dit_index.json").read_text())
VARIANTS = list(INDEX)


@pytest.fixture(scope="module")
def networks():
    return {
        variant: convert_f5tts(load_golden(f"f5tts/dit_{entry['weights']}_weights"), **entry["config"])
        for variant, entry in INDEX.items()
    }


@pytest.fixture
def model():
    """A network with every weight away from zero, so that nothing is an identity by chance."""
    torch.manual_seed(0)
    model = F5TTSTransformer1DModel(
        mel_channels=10,
        vocab_size=20,
        hidden_size=32,
        num_layers=3,
        num_attention_heads=2,
        attention_head_dim=16,
        text_dim=12,
        num_text_layers=2,
        num_rotary_heads=1,
        qk_norm="rms_norm",
        long_skip=True,
        energy_conditioning=True,
        dropout=0.0,
        max_positions=64,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


@pytest.fixture
def inputs():
    generator = torch.Generator().manual_seed(1)
    shapes = {"hidden_states": (2, 19, 10), "cond": (2, 19, 10), "energy": (2, 19, 1)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    text_ids = torch.tensor([[3, 0, 19, 7, 7, 1, 12], [5, 18, 2, 9, -1, -1, -1]])
    return {**tensors, "text_ids": text_ids, "timestep": torch.tensor([0.2, 0.7])}


LENGTHS = [19, 13]


def conditions_of(inputs):
    """The inputs that do not depend on time."""
    return {name: inputs[name] for name in ("cond", "text_ids", "energy")}


def velocity_of(model, golden, prefix, time, **kwargs):
    """The velocity for golden inputs; the energy is there for networks that take it."""
    time = torch.as_tensor(time, dtype=torch.float32)
    text_ids = golden["long_text"] if prefix == "lt" else golden[f"{prefix}_text"]
    hidden_states = golden[f"{prefix}_x"]
    with torch.no_grad():
        return model(
            hidden_states,
            time.expand(hidden_states.shape[0]),
            cond=golden[f"{prefix}_cond"],
            text_ids=text_ids,
            energy=golden.get(f"{prefix}_energy"),
            **kwargs,
        ).sample


# v1_attnmask has the weights of v1 and differs where there is a mask.
ALONE = [variant for variant in VARIANTS if variant != "v1_attnmask"]
# The code of DeepAudio-V1 masks keys, but neither convolutions nor text, which no network was trained with.
MASKED_AS_UPSTREAM = [variant for variant in VARIANTS if variant != "v2s"]


class TestParity:
    """Against fixtures of SWivid/F5-TTS and acappemin/DeepAudio-V1 (`v2s`), whose weights are seeded and random."""

    @pytest.mark.parametrize("variant", ALONE)
    @pytest.mark.parametrize("time", [0.0, 0.5, 1.0])
    def test_velocity(self, networks, variant, time):
        golden = load_golden(f"f5tts/dit_{variant}_io")
        velocity = velocity_of(networks[variant], golden, "s", time)
        assert relative_error(velocity, golden[f"s_v_t{time}"]) <= SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize("variant", ALONE)
    @pytest.mark.parametrize(("drop_audio_cond", "drop_text"), [(True, True), (True, False), (False, True)])
    def test_dropped_conditions(self, networks, variant, drop_audio_cond, drop_text):
        golden = load_golden(f"f5tts/dit_{variant}_io")
        velocity = velocity_of(
            networks[variant], golden, "s", 0.5, drop_audio_cond=drop_audio_cond, drop_text=drop_text
        )
        expected = golden[f"s_v_t0.5_da{int(drop_audio_cond)}_dt{int(drop_text)}"]
        assert relative_error(velocity, expected) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    @pytest.mark.parametrize("variant", ALONE)
    def test_inside(self, networks, variant):
        model, golden = networks[variant], load_golden(f"f5tts/dit_{variant}_io")
        seen = {}
        hook = model.transformer_blocks[1].register_forward_hook(
            lambda _, inputs, output: seen.update(input_of_second=inputs[0], s_block1=output)
        )
        velocity_of(model, golden, "s", 0.5)
        hook.remove()
        assert relative_error(seen["s_block1"], golden["s_block1"]) <= SINGLE_CALL_TOLERANCE
        time = model.time_embed(torch.tensor([0.5]))
        assert relative_error(time, golden["s_time_embed"]) <= SINGLE_CALL_TOLERANCE
        for key, drop_text in (("s_text_embed", False), ("s_text_embed_drop", True)):
            text = model.text_embed(golden["s_text"], 37, drop_text=drop_text)
            assert relative_error(text, golden[key]) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    @pytest.mark.parametrize("variant", ALONE)
    def test_packed_guidance(self, networks, variant):
        model, golden = networks[variant], load_golden(f"f5tts/dit_{variant}_io")
        inputs = (golden["s_cond"], golden["s_text"], golden.get("s_energy"))
        both = F5TTSConditions.cat(
            [model.encode_conditions(*inputs, drop_audio_cond=drop, drop_text=drop) for drop in (False, True)]
        )
        assert both.attention_mask is None
        velocity = model(golden["s_x"], torch.tensor([0.5]), conditions=both).sample
        expected = torch.cat([golden["s_v_t0.5"], golden["s_v_t0.5_da1_dt1"]])
        assert relative_error(velocity, expected) <= SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize("variant", MASKED_AS_UPSTREAM)
    @pytest.mark.parametrize(("drop", "key"), [(False, "b_v_mask"), (True, "b_v_mask_drop")])
    def test_masked_batch(self, networks, variant, drop, key):
        golden = load_golden(f"f5tts/dit_{variant}_io")
        velocity = velocity_of(
            networks[variant],
            golden,
            "b",
            golden["b_time"],
            attention_mask=golden["b_mask"],
            drop_audio_cond=drop,
            drop_text=drop,
        )
        assert relative_error(velocity, golden[key]) <= SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_batch_without_a_mask(self, networks, variant):
        golden = load_golden(f"f5tts/dit_{variant}_io")
        velocity = velocity_of(networks[variant], golden, "b", golden["b_time"])
        assert relative_error(velocity, golden["b_v_nomask"]) <= SINGLE_CALL_TOLERANCE

    def test_masked_batch_of_the_fork(self, networks):
        """Its code lets padding into text and convolutions; equal is the item that has none."""
        golden = load_golden("f5tts/dit_v2s_io")
        assert golden["b_mask"][0].all()
        velocity = velocity_of(networks["v2s"], golden, "b", golden["b_time"], attention_mask=golden["b_mask"])
        assert relative_error(velocity[0], golden["b_v_mask"][0]) <= SINGLE_CALL_TOLERANCE

    @pytest.mark.parametrize("variant", ALONE)
    def test_text_longer_than_the_speech(self, networks, variant):
        golden = load_golden(f"f5tts/dit_{variant}_io")
        assert golden["long_text"].shape[1] > golden["lt_x"].shape[1]
        velocity = velocity_of(networks[variant], golden, "lt", 0.3)
        assert relative_error(velocity, golden["lt_v"]) <= SINGLE_CALL_TOLERANCE

    @torch.no_grad()
    @pytest.mark.parametrize("drop", [False, True])
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_padding_has_no_influence_through_conditions(self, networks, variant, drop):
        model, golden = networks[variant], load_golden(f"f5tts/dit_{variant}_io")
        lengths = golden["b_mask"].sum(dim=1).tolist()
        assert len(set(lengths)) == 3
        inputs = [golden["b_cond"], golden["b_text"], golden.get("b_energy")]
        conditions = model.encode_conditions(*inputs, lengths, drop_audio_cond=drop, drop_text=drop)
        assert torch.equal(conditions.attention_mask, golden["b_mask"])
        assert conditions.states[~golden["b_mask"]].abs().max() == 0
        velocity = model(golden["b_x"], golden["b_time"], conditions=conditions).sample
        for i, length in enumerate(lengths):
            item = slice(i, i + 1)
            alone = model(
                golden["b_x"][item, :length],
                golden["b_time"][item],
                cond=inputs[0][item, :length],
                text_ids=inputs[1][item],
                energy=None if inputs[2] is None else inputs[2][item, :length],
                drop_audio_cond=drop,
                drop_text=drop,
            ).sample
            assert relative_error(velocity[item, :length], alone) <= SINGLE_CALL_TOLERANCE


# Name of a sampling run -> solver, steps, strength of guidance. All but two are swayed by -1.
RUNS = {
    "euler8_cfg2_sway": (FlowMatchGridEulerScheduler, 8, 2.0),
    "euler7_cfg2_sway": (FlowMatchGridEulerScheduler, 7, 2.0),
    "euler5_cfg0_nosway": (FlowMatchGridEulerScheduler, 5, 0.0),
    "midpoint4_cfg1.5_sway": (FlowMatchGridMidpointScheduler, 4, 1.5),
    "norefaudio": (FlowMatchGridEulerScheduler, 4, 2.0),
    "duptest": (FlowMatchGridEulerScheduler, 7, 2.0),
    "edit": (FlowMatchGridEulerScheduler, 4, 2.0),
    "shortdur": (FlowMatchGridEulerScheduler, 2, 2.0),
    "fromwav": (FlowMatchGridEulerScheduler, 4, 2.0),
}


@torch.no_grad()
def integrate(scheduler, latents, guided_velocity, **set_timesteps_kwargs):
    """The loop of the pipeline; `guided_velocity` takes latents and flow times."""
    scheduler.set_timesteps(**set_timesteps_kwargs)
    for timestep in scheduler.timesteps:
        time = flow_time(timestep, scheduler.config.num_train_timesteps).expand(latents.shape[0])
        velocity = guided_velocity(latents, time)
        latents = scheduler.step(model_output_from_velocity(velocity), timestep, latents).prev_sample
    return latents


def guide(velocity, null_velocity, strength):
    """Guidance as F5-TTS defines it: a strength of 0 is none."""
    return velocity + strength * (velocity - null_velocity)


class TestSampling:
    """The original samplers against our schedulers and conditions, for every run of the fixtures."""

    @torch.no_grad()
    @pytest.mark.parametrize("run", list(RUNS))
    @pytest.mark.parametrize("variant", ALONE)
    def test_sample(self, networks, variant, run):
        model, golden = networks[variant], load_golden(f"f5tts/cfm_{variant}_sample")
        scheduler_class, num_steps, strength = RUNS[run]
        expected, noise = golden[f"{run}.out"], golden.get(f"{run}.y0.0", golden["y0"])[None]
        num_frames = noise.shape[1]

        # The mel of the run from a waveform is heard in its output.
        reference = expected[:, :15] if run == "fromwav" else golden["ref_mel"]
        known = golden["edit_mask"] if run == "edit" else torch.ones(1, 15, dtype=torch.bool)
        mel = F.pad(reference, (0, 0, 0, num_frames - 15))
        if run == "norefaudio":
            mel = torch.zeros_like(mel)
        known = F.pad(known, (0, num_frames - 15))[..., None]
        inputs = (mel * known, golden["text"], golden.get(f"{run}.energy"))

        # Upstream prunes grids of some sizes; the fork never does.
        grid = "sway" if variant == "v2s" else "epss"
        scheduler = scheduler_class(grid=grid, sway_coef=0.0 if run.endswith("nosway") else -1.0)
        steps = {"num_inference_steps": num_steps}
        if run == "duptest":
            # The run begins at a tenth of the way, with a second copy of the reference in its start.
            noise = 0.9 * noise + 0.1 * F.pad(reference, (0, 0, 15, num_frames - 30))
            steps = {"sigmas": (1 - torch.linspace(0.1, 1, num_steps + 1).double())[:-1]}

        conditions = model.encode_conditions(*inputs)
        if strength > 0:
            null_conditions = model.encode_conditions(*inputs, drop_audio_cond=True, drop_text=True)
            conditions = F5TTSConditions.cat([conditions, null_conditions])

        def guided_velocity(latents, time):
            velocities = model(latents, time, conditions=conditions).sample
            return guide(*velocities.chunk(2), strength) if strength > 0 else velocities

        sample = integrate(scheduler, noise, guided_velocity, **steps)
        assert relative_error(torch.where(known, mel, sample), expected) <= SAMPLE_TOLERANCE

    @pytest.mark.parametrize("variant", VARIANTS)
    def test_sample_of_a_padded_batch(self, networks, variant):
        model, golden = networks[variant], load_golden(f"f5tts/cfm_{variant}_sample")
        frames = torch.arange(40)
        mask = frames < torch.tensor([40, 28])[:, None]
        known = (frames < golden["b_lens"][:, None])[..., None]
        mel = F.pad(golden["b_ref_mel"], (0, 0, 0, 25))
        inputs = {
            "cond": mel * known,
            "text_ids": golden["b_text"],
            "energy": golden.get("batch.energy"),
            "attention_mask": mask,
        }

        def guided_velocity(latents, time):
            velocities = (
                model(latents, time, **inputs, drop_audio_cond=drop, drop_text=drop).sample for drop in (False, True)
            )
            return guide(*velocities, strength=2.0)

        noise = torch.stack([golden["y0"], F.pad(golden["batch.y0.1"], (0, 0, 0, 12))])
        scheduler = FlowMatchGridEulerScheduler(grid="sway")
        sample = torch.where(known, mel, integrate(scheduler, noise, guided_velocity, num_inference_steps=4))
        # Of the fork, the item that has no padding.
        items = slice(0, 1 if variant == "v2s" else 2)
        assert relative_error(sample[items], golden["batch.out"][items]) <= SAMPLE_TOLERANCE


def training_loss(model, mel, lengths, text_ids, energy, mask_padding):
    """The objective of F5-TTS: flow matching in a random span of each item, conditions dropped for whole batches."""
    batch_size, num_frames, _ = mel.shape
    is_frame = torch.arange(num_frames) < lengths[:, None]
    fraction = torch.empty(batch_size).uniform_(0.7, 1.0)
    span_lengths = (fraction * lengths).long()
    starts = ((lengths - span_lengths) * torch.rand(batch_size)).long()
    frames = torch.arange(num_frames)
    span = (frames >= starts[:, None]) & (frames < (starts + span_lengths)[:, None]) & is_frame
    noise, timestep = torch.randn_like(mel), torch.rand(batch_size)
    drop_audio_cond = random.random() < 0.3
    drop_text = random.random() < 0.2
    velocity = model(
        torch.lerp(noise, mel, timestep[:, None, None]),
        timestep,
        cond=mel.masked_fill(span[..., None], 0),
        text_ids=text_ids,
        energy=energy,
        attention_mask=is_frame if mask_padding else None,
        drop_audio_cond=drop_audio_cond or drop_text,
        drop_text=drop_text,
    ).sample
    return F.mse_loss(velocity[span], (mel - noise)[span]), span, (drop_audio_cond or drop_text, drop_text)


class TestTraining:
    @pytest.mark.parametrize(
        ("case", "seed", "dropped"),
        [("keep", 0, (False, False)), ("drop_audio", 1, (True, False)), ("drop_both", 4, (True, True))],
    )
    @pytest.mark.parametrize("variant", VARIANTS)
    def test_loss_and_gradients(self, networks, variant, case, seed, dropped):
        """Dropout is off, as it was in the original's run."""
        model, golden = networks[variant], load_golden(f"f5tts/cfm_{variant}_train")
        model.zero_grad()
        torch.manual_seed(31)
        random.seed(seed)
        loss, span, was_dropped = training_loss(
            model,
            golden["mel"],
            golden["lens"],
            golden["text"],
            golden.get("energy"),
            mask_padding=variant != "v2s",
        )
        assert was_dropped == dropped
        assert torch.equal(span, golden["span"])
        assert relative_error(loss[None].detach(), golden[f"{case}.loss"]) <= SINGLE_CALL_TOLERANCE
        loss.backward()
        for name, parameter in model.named_parameters():
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_dropout_works_in_training_alone(self, model, inputs):
        model = F5TTSTransformer1DModel.from_config(model.config, dropout=0.5)
        for module in (model.proj_out, *(block.norm1.linear for block in model.transformer_blocks)):
            torch.nn.init.normal_(module.weight)
        with torch.no_grad():
            assert not torch.equal(model.train()(**inputs).sample, model(**inputs).sample)
            assert torch.equal(model.eval()(**inputs).sample, model(**inputs).sample)


class TestPublishedSizes:
    """The published networks, on the meta device. The fixture holds the original's keys and shapes."""

    ENERGY = {"input_embed.proj_energy.weight": [1024, 1], "input_embed.proj_energy.bias": [1024]}
    # Millions of parameters, and number of keys, of which the original also stores its rotary table.
    SIZES = {"base": (337.097, 364), "small": (159.229, 308), "v2s": (337.099, 366)}

    def original(self, size):
        shapes = json.loads((FIXTURES / "f5tts" / "dit_shapes.json").read_text())
        shapes = shapes["base"] | self.ENERGY if size == "v2s" else shapes[size]
        return {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}

    @pytest.mark.parametrize("size", list(SIZES))
    def test_converts_without_a_key_left_over(self, size):
        original = self.original(size)
        millions, num_keys = self.SIZES[size]
        assert len(original) == num_keys
        model = convert_f5tts(original)  # raises when a key is left over on either side
        count = sum(parameter.numel() for parameter in model.parameters())
        assert count == sum(tensor.numel() for key, tensor in original.items() if key != "rotary_embed.inv_freq")
        assert round(count / 1e6, 3) == millions
        assert not list(model.buffers())

    def test_defaults_are_v1_base(self):
        with torch.device("meta"):
            defaults = F5TTSTransformer1DModel().config
        inferred = infer_f5tts_config(self.original("base"))
        assert len(inferred) > 10
        for name, value in inferred.items():
            assert defaults[name] == value, name

    def test_an_energy_projection_tells_deepaudio(self):
        inferred = infer_f5tts_config(self.original("v2s"))
        for name, value in INDEX["v2s"]["config"].items():
            assert inferred[name] == value, name


class TestConditions:
    def test_no_mask_without_padding(self, model, inputs):
        with torch.no_grad():
            for lengths in (None, [19, 19]):
                assert model.encode_conditions(**conditions_of(inputs), lengths=lengths).attention_mask is None
            assert model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS).attention_mask.sum() == 32

    @torch.no_grad()
    def test_one_projection_serves_all_condition_sets(self, model, inputs):
        latents, timestep = inputs["hidden_states"], inputs["timestep"]
        sets = [
            model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS, drop_audio_cond=drop, drop_text=drop)
            for drop in (True, False)
        ]
        num_rows = []
        hooks = [
            module.register_forward_hook(lambda _, args, output: num_rows.append(output.shape[0]))
            for module in (model.proj_in, model.time_embed, model.transformer_blocks[0].norm1.linear)
        ]
        both = model(latents, timestep, conditions=F5TTSConditions.cat(sets)).sample
        for hook in hooks:
            hook.remove()
        assert num_rows == [2, 2, 2]
        apart = [model(latents, timestep, conditions=conditions).sample for conditions in sets]
        torch.testing.assert_close(both, torch.cat(apart), rtol=1e-5, atol=1e-6)
        assert relative_error(apart[0], apart[1]) > 0.01

    def test_cat_of_padded_and_unpadded_sets(self):
        padded = F5TTSConditions(torch.zeros(1, 3, 4), torch.tensor([[True, True, False]]))
        whole = F5TTSConditions(torch.ones(1, 3, 4), None)
        assert F5TTSConditions.cat([whole, padded]).attention_mask.tolist() == [[True] * 3, [True, True, False]]
        assert F5TTSConditions.cat([whole, padded]).states[:, 0, 0].tolist() == [1, 0]
        assert F5TTSConditions.cat([whole, whole]).attention_mask is None

    @torch.no_grad()
    def test_repeat_and_expand(self, model, inputs):
        conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
        repeated = conditions.repeat_interleave(2)
        assert torch.equal(repeated.states, conditions.states[[0, 0, 1, 1]])
        assert torch.equal(repeated.attention_mask, conditions.attention_mask[[0, 0, 1, 1]])
        assert F5TTSConditions(conditions.states, None).repeat_interleave(2).attention_mask is None

        one = F5TTSConditions(conditions.states[1:], conditions.attention_mask[1:])
        assert one.expand(5).states.shape == (5, 19, 32)
        assert one.expand(5).attention_mask.shape == (5, 19)
        expected = model(inputs["hidden_states"], inputs["timestep"], conditions=one.expand(2)).sample
        actual = model(inputs["hidden_states"], inputs["timestep"], conditions=one).sample
        assert torch.equal(actual, expected)

    @torch.no_grad()
    def test_no_energy_is_not_zero_energy(self, model, inputs):
        zeros = inputs | {"energy": torch.zeros(2, 19, 1)}
        assert relative_error(model(**(inputs | {"energy": None})).sample, model(**zeros).sample) > 1e-4

    @pytest.mark.parametrize("size", ["v0", "v1"])
    @torch.no_grad()
    def test_length_of_dropped_text_matters_to_networks_that_mask_it(self, networks, size):
        cond, text_ids = torch.zeros(1, 12, 100), torch.ones(1, 8, dtype=torch.long)
        states = [
            networks[size].encode_conditions(cond, text_ids[:, :length], drop_text=True).states for length in (4, 8)
        ]
        assert torch.equal(*states) == (size == "v0")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"cond": torch.zeros(2, 19, 9)}, r"`cond` has shape \(2, 19, 9\)"),
            ({"text_ids": torch.zeros(3, 7, dtype=torch.long)}, r"`text_ids` has shape \(3, 7\)"),
            ({"text_ids": torch.tensor([[20], [0]])}, r"`text_ids` holds ids from 0 to 20; .* 0 to 19"),
            ({"text_ids": torch.tensor([[0], [-2]])}, r"`text_ids` holds ids from -2 to 0"),
            ({"energy": torch.zeros(2, 18, 1)}, r"`energy` has shape \(2, 18, 1\)"),
            ({"lengths": [19]}, r"`lengths` is \[19\]; expected 2"),
            ({"lengths": [19, 0]}, r"`lengths` is \[19, 0\]; .* from 1 to 19"),
            ({"lengths": [20, 1]}, r"`lengths` is \[20, 1\]"),
            ({"cond": torch.zeros(2, 65, 10), "energy": None}, r"`cond` has 65 frames; .* up to 64"),
        ],
    )
    def test_errors(self, model, inputs, change, message):
        with pytest.raises(InputError, match=message):
            model.encode_conditions(**(conditions_of(inputs) | change))

    def test_energy_for_a_network_without(self, networks):
        with pytest.raises(InputError, match="`energy` was given to a network without"):
            networks["v1"].encode_conditions(
                torch.zeros(1, 5, 100), torch.zeros(1, 2, dtype=torch.long), torch.zeros(1, 5, 1)
            )


class TestForward:
    def test_return_dict(self, model, inputs):
        with torch.no_grad():
            assert torch.equal(model(**inputs).sample, model(**inputs, return_dict=False)[0])

    @pytest.mark.parametrize(
        ("name", "value"), [("text_ids", torch.zeros(2, 1, dtype=torch.long)), ("drop_text", True)]
    )
    def test_conditions_and_what_they_hold_contradict(self, model, inputs, name, value):
        conditions = F5TTSConditions(torch.zeros(2, 19, 32), None)
        with pytest.raises(InputError, match=f"`conditions` and `{name}` were given"):
            model(inputs["hidden_states"], inputs["timestep"], conditions=conditions, **{name: value})

    def test_no_conditions(self, model, inputs):
        with pytest.raises(InputError, match="`conditions` was not given"):
            model(inputs["hidden_states"], inputs["timestep"], cond=inputs["cond"])

    @pytest.mark.parametrize("shape", [(3, 19, 32), (2, 18, 32)])
    def test_conditions_of_other_shape(self, model, inputs, shape):
        with pytest.raises(InputError, match=f"`conditions` is for {shape[0]} items of {shape[1]} frames"):
            model(inputs["hidden_states"], inputs["timestep"], conditions=F5TTSConditions(torch.zeros(shape), None))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"hidden_states": torch.zeros(2, 19, 9)}, r"`hidden_states` has shape \(2, 19, 9\)"),
            ({"timestep": torch.zeros(())}, r"`timestep` has shape \(\)"),
            ({"cond": torch.zeros(2, 18, 10), "energy": None}, r"`cond` has shape \(2, 18, 10\); .*\(2, 19, 10\)"),
            ({"attention_mask": torch.ones(2, 18, dtype=torch.bool)}, r"`attention_mask` has shape \(2, 18\)"),
            ({"attention_mask": torch.ones(2, 19)}, r"`attention_mask` has .* dtype torch\.float32"),
        ],
    )
    def test_shapes_are_checked(self, model, inputs, change, message):
        with pytest.raises(InputError, match=message):
            model(**(inputs | change))

    @pytest.mark.parametrize(
        ("config", "message"),
        [
            ({"hidden_size": 40}, "`hidden_size` is 40"),
            ({"attention_head_dim": 15}, "`attention_head_dim` is 15"),
            ({"text_dim": 15}, "`text_dim` is 15"),
            ({"num_rotary_heads": 17}, "`num_rotary_heads` is 17"),
            ({"num_rotary_heads": 0}, "`num_rotary_heads` is 0"),
            ({"qk_norm": "layer_norm"}, "`qk_norm` is 'layer_norm'"),
            ({"mel_type": "hifigan"}, "`mel_type` is 'hifigan'"),
            ({"text_average_upsampling": True, "text_mask_padding": False}, "`text_average_upsampling` is True"),
        ],
    )
    def test_config_is_checked(self, config, message):
        with pytest.raises(InputError, match=message), torch.device("meta"):
            F5TTSTransformer1DModel(**config)

    def test_a_new_network_predicts_zero(self, model, inputs):
        fresh = F5TTSTransformer1DModel.from_config(model.config)
        assert torch.equal(fresh(**inputs).sample, torch.zeros(2, 19, 10))
        assert torch.equal(fresh.energy_proj.weight, torch.zeros(32, 1))

    def test_the_two_input_projections_begin_as_one(self):
        model = F5TTSTransformer1DModel(num_layers=1, hidden_size=64, num_attention_heads=2)
        for parameter in (model.proj_in.weight, model.cond_proj.weight, model.cond_proj.bias):
            assert 0.9 / math.sqrt(712) < parameter.abs().max() <= 1 / math.sqrt(712)


class TestDiffusersFeatures:
    def test_save_and_load(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path, max_shard_size="50KB")
        assert len(list(tmp_path.glob("*.safetensors"))) > 1
        loaded = F5TTSTransformer1DModel.from_pretrained(tmp_path)
        with torch.no_grad():
            assert torch.equal(loaded(**inputs).sample, model(**inputs).sample)

    def test_bfloat16_keeps_time_in_float32(self, model, inputs, tmp_path):
        model.save_pretrained(tmp_path)
        loaded = F5TTSTransformer1DModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
        assert loaded.time_embed.linear_1.weight.dtype == torch.float32
        assert loaded.proj_out.weight.dtype == torch.bfloat16
        half = {n: t.bfloat16() if n in ("hidden_states", "cond", "energy") else t for n, t in inputs.items()}
        with torch.no_grad():
            expected = model(**inputs).sample
            # bfloat16 has 8 bits of mantissa; errors add up over three blocks.
            assert relative_error(loaded(**half).sample.float(), expected) < 0.1
            conditions = loaded.encode_conditions(**conditions_of(half), lengths=LENGTHS)
            sample = loaded(half["hidden_states"], half["timestep"], conditions=conditions).sample
            assert sample.dtype == torch.bfloat16
            assert relative_error(sample[0].float(), expected[0]) < 0.1

    def test_autocast(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            with torch.autocast("cpu", dtype=torch.bfloat16):
                actual = model(**inputs).sample
        assert relative_error(actual.float(), expected) < 0.1

    @pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
    def test_single_file_keeps_it_too(self, tmp_path, name):
        original = load_golden("f5tts/dit_v0_weights")
        file = tmp_path / "model.pt"
        torch.save({"ema_model_state_dict": {f"ema_model.transformer.{k}": v for k, v in original.items()}}, file)
        v0 = {"text_mask_padding": False, "num_rotary_heads": 1}
        loaded = F5TTSTransformer1DModel.from_single_file(str(file), original_config=v0, **{name: torch.bfloat16})
        assert loaded.config.num_rotary_heads == 1
        assert loaded.proj_out.weight.dtype == torch.bfloat16
        assert torch.equal(loaded.time_embed.linear_1.weight, original["time_embed.time_mlp.0.weight"])
        plain = F5TTSTransformer1DModel.from_single_file(str(file))
        assert plain.config.num_rotary_heads is None
        assert plain.proj_out.weight.dtype == torch.float32

    def test_fused_projections(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.fuse_qkv_projections()
            assert model.transformer_blocks[0].attn.to_qkv.weight.shape == (96, 32)
            fused = model(**inputs).sample
            model.unfuse_qkv_projections()
            assert not hasattr(model.transformer_blocks[0].attn, "to_qkv")
            torch.testing.assert_close(fused, expected, rtol=1e-5, atol=1e-6)
            assert torch.equal(model(**inputs).sample, expected)

    def test_attention_backend(self, model, inputs):
        from diffusers.models.attention_dispatch import attention_backend

        with torch.no_grad(), attention_backend("native"):
            conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
            latents, timestep = inputs["hidden_states"], inputs["timestep"]
            expected = model(latents, timestep, conditions=conditions).sample
            model.set_attention_backend("_native_math")
            assert model.transformer_blocks[0].attn.processor._attention_backend == "_native_math"
            actual = model(latents, timestep, conditions=conditions).sample
            model.reset_attention_backend()
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)

    def test_attention_processors_can_be_listed_and_set(self, model, inputs):
        processors = model.attn_processors
        assert len(processors) == 3
        model.set_attn_processor(dict(processors))
        with torch.no_grad():
            model(**inputs)

    def test_gradient_checkpointing(self, model, inputs):
        model.train()
        gradients = []
        for checkpointing in (False, True):
            model.zero_grad()
            if checkpointing:
                model.enable_gradient_checkpointing()
            model(**inputs).sample.square().mean().backward()
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters()})
        for name, gradient in gradients[0].items():
            torch.testing.assert_close(gradient, gradients[1][name], rtol=1e-5, atol=1e-7, msg=name)

    def test_regional_compilation(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.compile_repeated_blocks(backend="eager", fullgraph=True)
            torch.testing.assert_close(model(**inputs).sample, expected)

    def test_layerwise_casting(self, model, inputs):
        with torch.no_grad():
            expected = model(**inputs).sample
            model.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)
            assert model.transformer_blocks[0].attn.to_q.weight.dtype == torch.bfloat16
            assert model.time_embed.linear_1.weight.dtype == torch.float32
            actual = model(**inputs).sample
        assert 0 < relative_error(actual, expected) < 0.05

    @pytest.mark.parametrize("offload_type", ["leaf_level", "block_level"])
    def test_group_offload(self, model, inputs, offload_type, tmp_path):
        latents, timestep = inputs["hidden_states"], inputs["timestep"]
        with torch.no_grad():
            conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
            expected = model(latents, timestep, conditions=conditions).sample
            # From disk: between CPU and CPU a weight that is not fetched would go unnoticed.
            model.enable_group_offload(
                onload_device=torch.device("cpu"),
                offload_type=offload_type,
                num_blocks_per_group=1 if offload_type == "block_level" else None,
                offload_to_disk_path=str(tmp_path),
            )
            for _ in range(2):
                conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
                assert torch.equal(model(latents, timestep, conditions=conditions).sample, expected)

    def test_lora_scale_reaches_the_conditions(self, model, inputs):
        with torch.no_grad():
            expected = model.encode_conditions(**conditions_of(inputs)).states
            model.add_adapter(LoraConfig(r=2, target_modules=["cond_proj"], init_lora_weights=False))
            assert relative_error(model.encode_conditions(**conditions_of(inputs)).states, expected) > 1e-3
            off = model.encode_conditions(**conditions_of(inputs), attention_kwargs={"scale": 0.0})
            torch.testing.assert_close(off.states, expected)

    def test_device_map_offload(self, model, inputs):
        from accelerate import cpu_offload

        latents, timestep = inputs["hidden_states"], inputs["timestep"]
        with torch.no_grad():
            conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
            expected = model(latents, timestep, conditions=conditions).sample
            # Every layer's weights sit on the meta device between calls, as in sequential CPU offload.
            cpu_offload(model, execution_device=torch.device("cpu"), offload_buffers=True)
            assert model.proj_out.weight.device.type == "meta"
            conditions = model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS)
            assert torch.equal(model(latents, timestep, conditions=conditions).sample, expected)

    def test_ema(self, model, tmp_path):
        from diffusers.training_utils import EMAModel

        ema = EMAModel(model.parameters(), model_cls=F5TTSTransformer1DModel, model_config=model.config)
        ema.save_pretrained(tmp_path)
        loaded = EMAModel.from_pretrained(tmp_path, F5TTSTransformer1DModel)
        for a, b in zip(loaded.shadow_params, model.parameters(), strict=True):
            assert torch.equal(a, b)

    @pytest.mark.parametrize(
        "targets", [["to_q", "to_v", "to_out.0"], ["ff.net.0.proj", "ff.net.2"], ["position_conv.conv_1"]]
    )
    def test_lora(self, model, inputs, tmp_path, targets):
        with torch.no_grad():
            expected = model(**inputs).sample
            # A rank that the 16 groups of the convolutions divide, as PEFT wants it.
            model.add_adapter(LoraConfig(r=16, target_modules=targets, init_lora_weights="gaussian"))
            torch.testing.assert_close(model(**inputs).sample, expected)  # B starts at zero
            for name, parameter in model.named_parameters():
                if "lora_B" in name:
                    parameter.normal_(std=0.1)
            adapted = model(**inputs).sample
            assert relative_error(adapted, expected) > 1e-3
            # Beside an adapter PyTorch multiplies with other kernels on some processors, which round otherwise.
            torch.testing.assert_close(model(**inputs, attention_kwargs={"scale": 0.0}).sample, expected)

            model.save_lora_adapter(tmp_path)
            model.unload_lora()
            torch.testing.assert_close(model(**inputs).sample, expected)
            model.load_lora_adapter(tmp_path, prefix=None, use_safetensors=True)
            torch.testing.assert_close(model(**inputs).sample, adapted)

    @pytest.mark.parametrize(
        "skipped", [{}, {"skip_ff": False}, {"skip_attention": False}], ids=["block", "attention", "feed-forward"]
    )
    def test_layer_skip(self, model, inputs, skipped):
        with torch.no_grad():
            expected = model(**inputs).sample
            apply_layer_skip(model, LayerSkipConfig(indices=[0], fqn="transformer_blocks", **skipped))
            assert relative_error(model(**inputs).sample, expected) > 1e-3


class TestCaches:
    """Each cache of diffusers really skips work, counted on the blocks, and leaves no trace when disabled."""

    NUM_STEPS = 6

    def config(self, name):
        # The attention caches of diffusers ask for the time on the scale of training timesteps, 1000 to 0.
        def current_timestep():
            return 1000 * (1 - self.step / self.NUM_STEPS)

        match name:
            case "first_block":
                return FirstBlockCacheConfig(threshold=10.0)
            case "pyramid_attention_broadcast":
                return PyramidAttentionBroadcastConfig(
                    spatial_attention_block_skip_range=2, current_timestep_callback=current_timestep
                )
            case "taylorseer":
                return TaylorSeerCacheConfig(cache_interval=2, disable_cache_before_step=2, max_order=1)
            case "mag":
                ratios = torch.ones(self.NUM_STEPS)
                return MagCacheConfig(threshold=10.0, num_inference_steps=self.NUM_STEPS, mag_ratios=ratios)
            case "faster":
                return FasterCacheConfig(
                    spatial_attention_block_skip_range=2,
                    is_guidance_distilled=True,
                    current_timestep_callback=current_timestep,
                    attention_weight_callback=lambda _: 0.3,
                )

    def run(self, model, inputs):
        conditions = F5TTSConditions.cat(
            [
                model.encode_conditions(**conditions_of(inputs), lengths=LENGTHS, drop_audio_cond=drop, drop_text=drop)
                for drop in (True, False)
            ]
        )
        outputs = []
        for step in range(self.NUM_STEPS):
            self.step = step
            with torch.no_grad(), model.cache_context("cond_uncond"):
                timestep = torch.full((2,), step / self.NUM_STEPS)
                outputs.append(model(inputs["hidden_states"], timestep, conditions=conditions).sample)
        return torch.stack(outputs)

    @torch.no_grad()
    @pytest.mark.parametrize("name", ["first_block", "pyramid_attention_broadcast", "taylorseer", "mag", "faster"])
    def test_cache_skips_work(self, model, inputs, name):
        num_attention_calls = 0

        def count(*_):
            nonlocal num_attention_calls
            num_attention_calls += 1

        for block in model.transformer_blocks:
            block.attn.to_q.register_forward_hook(count)
        expected = self.run(model, inputs)
        full_calls, num_attention_calls = num_attention_calls, 0
        assert full_calls == 3 * self.NUM_STEPS

        model.enable_cache(self.config(name))
        cached = self.run(model, inputs)
        assert num_attention_calls < full_calls
        assert torch.isfinite(cached).all()
        assert torch.equal(cached[0], expected[0])
        assert not torch.equal(cached, expected)

        model.disable_cache()
        torch.testing.assert_close(self.run(model, inputs), expected)


class TestLinear:
    """The layer that takes oneDNN on a CPU is `nn.Linear` in all that can be seen of it."""

    @pytest.fixture
    def layer(self):
        torch.manual_seed(0)
        return F5TTSLinear(24, 40)

    @pytest.mark.parametrize("shape", [(24,), (3, 24), (2, 5, 24), (0, 24)])
    def test_equals_a_plain_layer(self, layer, shape):
        states = torch.randn(shape)
        with torch.no_grad():
            torch.testing.assert_close(layer(states), F.linear(states, layer.weight, layer.bias), rtol=0, atol=1e-6)
            transposed = torch.randn(24, 7).T
            expected = F.linear(transposed, layer.weight, layer.bias)
            torch.testing.assert_close(layer(transposed), expected, rtol=0, atol=1e-6)

    def test_it_is_taken(self, layer):
        with torch.profiler.profile() as profile, torch.no_grad():
            layer(torch.randn(3, 24))
        assert "aten::mkldnn_linear" in {event.name for event in profile.events()}

    def test_gradients_flow(self, layer):
        states, direction = torch.randn(3, 5, 24, requires_grad=True), torch.randn(3, 5, 40)
        inputs = (states, layer.weight, layer.bias)
        gradients = torch.autograd.grad(layer(states), inputs, direction)
        expected = torch.autograd.grad(F.linear(*inputs), inputs, direction)
        for gradient, plain in zip(gradients, expected, strict=True):
            torch.testing.assert_close(gradient, plain, rtol=1e-5, atol=1e-5)

    def test_other_precisions(self, layer):
        states = torch.randn(3, 24)
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            assert layer(states).dtype == torch.bfloat16
        with torch.no_grad():
            assert layer.to(torch.bfloat16)(states.to(torch.bfloat16)).dtype == torch.bfloat16
        with pytest.raises(RuntimeError, match="dtype"), torch.no_grad():
            layer(states)
