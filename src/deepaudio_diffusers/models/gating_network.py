# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The gating network of DeepAudio-V1: which task an instruction asks for (https://arxiv.org/abs/2503.22265).

The paper's gate is `p = G(instruction) = softmax(MLP(TextEncoder(instruction)))` with FLAN-T5
(https://arxiv.org/abs/2210.11416, weights Apache 2.0) as text encoder, trained by multi-class cross-entropy. It mixes
what is passed on to the speech network,

    M_mof(instruction) = G_v2s(instruction) * M_v2a(video, prompts) + G_tts(instruction) * phi,

where `phi` is the empty feature. Here the probability of `video_to_speech` is `G_v2s` and that of `text_to_speech` is
`G_tts`. The two tasks that the paper's abstract promises and its formulas leave out are classes of the same softmax:
`video_to_audio` gives the output of M_v2a itself and runs no speech network, and `soundtrack` gives it beside speech
that is timed by it, so that where speech is made, `p(video_to_speech) + p(soundtrack)` takes the place of `G_v2s`.

The paper does not say how tokens are pooled, how wide the MLP is, or which size of FLAN-T5 was used, and the authors
published neither code nor weights of a gate: here the tokens are averaged, and the rest is in the configuration.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, T5Config, T5EncoderModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from ..errors import InputError
from ..tasks import TASKS


class MoFGatingConfig(PretrainedConfig):
    r"""
    Configuration of [`MoFGatingNetwork`].

    Args:
        text_config (`T5Config` or `dict`, *optional*): The text encoder; by default T5's smallest published size.
        mlp_hidden_size (`int`, defaults to `256`): Width of the MLP's hidden layer.
        mlp_dropout (`float`, defaults to `0.1`): Dropout before each of the MLP's two layers, in training.
        id2label (`dict[int, str]`, *optional*): Names of the classes; by default the four of [`TASKS`].
        label2id (`dict[str, int]`, *optional*): The inverse of `id2label`, which it is derived from by default.
        **kwargs: Passed on to `PretrainedConfig`.
    """

    model_type = "mof_gating_network"
    sub_configs = {"text_config": T5Config}

    def __init__(
        self,
        text_config: T5Config | dict[str, Any] | None = None,
        mlp_hidden_size: int = 256,
        mlp_dropout: float = 0.1,
        id2label: dict[int, str] | None = None,
        label2id: dict[str, int] | None = None,
        **kwargs: Any,
    ):
        self.text_config = text_config if isinstance(text_config, T5Config) else T5Config(**(text_config or {}))
        self.mlp_hidden_size = mlp_hidden_size
        self.mlp_dropout = mlp_dropout
        if id2label is None:
            id2label = dict(enumerate(TASKS))
        if label2id is None:
            label2id = {label: int(index) for index, label in id2label.items()}
        super().__init__(id2label=id2label, label2id=label2id, **kwargs)


@dataclass
class MoFGatingOutput(ModelOutput):
    """
    Output of [`MoFGatingNetwork`].

    Args:
        loss (`torch.Tensor` of shape `()`, *optional*, float32): Mean cross-entropy in nats, where labels were given.
        logits (`torch.Tensor` of shape `(batch_size, num_labels)`): Before the softmax.
        probabilities (`torch.Tensor` of shape `(batch_size, num_labels)`, float32):
            Of each class, in the order of `config.id2label`; each row sums to one.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    probabilities: torch.Tensor | None = None


class MoFGatingMLP(nn.Module):
    """From the mean of the text encoder's states to logits: `(batch_size, d_model) -> (batch_size, num_labels)`."""

    def __init__(self, config: MoFGatingConfig):
        super().__init__()
        self.dropout = nn.Dropout(config.mlp_dropout)
        self.proj_in = nn.Linear(config.text_config.d_model, config.mlp_hidden_size)
        self.act = nn.GELU()
        self.proj_out = nn.Linear(config.mlp_hidden_size, config.num_labels)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        hidden_states = self.act(self.proj_in(self.dropout(hidden_states)))
        return self.proj_out(self.dropout(hidden_states))


class MoFGatingNetwork(PreTrainedModel):
    r"""
    Probabilities of the tasks that an instruction may ask for: T5 encoder, mean over tokens, MLP, softmax.

    Begin a new one from the encoder of FLAN-T5 with [`MoFGatingNetwork.from_t5_encoder`].

    Args:
        config (`MoFGatingConfig`): Sizes and class names.
        text_encoder (`T5EncoderModel`, *optional*):
            A trained text encoder, whose configuration is `config.text_config`. By default a new one.
    """

    config_class = MoFGatingConfig
    base_model_prefix = "text_encoder"
    supports_gradient_checkpointing = True
    # As T5.
    _supports_sdpa = True
    _supports_flex_attn = True

    def __init__(self, config: MoFGatingConfig, text_encoder: T5EncoderModel | None = None):
        super().__init__(config)
        self.text_encoder = T5EncoderModel(config.text_config) if text_encoder is None else text_encoder
        self.mlp = MoFGatingMLP(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module):
        # The text encoder initialises its own modules, so the linear layers that come here are the MLP's.
        if isinstance(module, nn.Linear):
            init.normal_(module.weight, std=module.in_features**-0.5)
            init.zeros_(module.bias)

    @classmethod
    def from_t5_encoder(
        cls,
        pretrained_model_name_or_path: str,
        mlp_hidden_size: int = 256,
        mlp_dropout: float = 0.1,
        id2label: dict[int, str] | None = None,
        **kwargs: Any,
    ) -> "MoFGatingNetwork":
        r"""
        A gate whose text encoder is a trained one and whose MLP is new, to be trained.

        Args:
            pretrained_model_name_or_path (`str`):
                Folder or Hub repository of a T5, such as `google/flan-t5-base`. The decoder is left out.
            mlp_hidden_size, mlp_dropout, id2label (*optional*): As in [`MoFGatingConfig`].
            **kwargs: Passed on to `T5EncoderModel.from_pretrained`, such as `dtype` or `local_files_only`.

        Returns:
            `MoFGatingNetwork`: In evaluation mode, as `from_pretrained` gives it, in the dtype of the encoder.
        """
        text_encoder = T5EncoderModel.from_pretrained(pretrained_model_name_or_path, **kwargs)
        config = MoFGatingConfig(
            text_encoder.config,
            mlp_hidden_size,
            mlp_dropout,
            id2label,
            # A configuration hands its choice down to those inside it, and its default would leave T5 without one.
            attn_implementation=text_encoder.config._attn_implementation,
        )
        model = cls(config, text_encoder)
        model.mlp.to(text_encoder.dtype)
        return model.eval()

    def get_input_embeddings(self) -> nn.Module:
        """The embedding of tokens of the text encoder."""
        return self.text_encoder.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module):
        """Exchange the embedding of tokens of the text encoder.

        Args:
            value (`nn.Module`): Takes token ids to vectors of the encoder's width.
        """
        self.text_encoder.set_input_embeddings(value)

    def classify(self, hidden_states: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        r"""
        From states of the text encoder to logits.

        Args:
            hidden_states (`torch.Tensor` of shape `(batch_size, num_tokens, d_model)`): Last states of the encoder.
            attention_mask (`torch.Tensor` of shape `(batch_size, num_tokens)`): 1 for tokens, 0 for padding.

        Returns:
            `torch.Tensor` of shape `(batch_size, num_labels)`: Before the softmax.
        """
        # In float32, where long sums lose nothing.
        pooled = (hidden_states.float() * attention_mask[..., None]).sum(dim=1) / attention_mask.sum(1, keepdim=True)
        return self.mlp(pooled.to(hidden_states.dtype))

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        return_dict: bool = True,
    ) -> MoFGatingOutput | tuple[torch.Tensor, ...]:
        r"""
        Args:
            input_ids (`torch.Tensor` of shape `(batch_size, num_tokens)`): Tokens of the instructions.
            attention_mask (`torch.Tensor` of shape `(batch_size, num_tokens)`, *optional*):
                1 for tokens, 0 for padding, which changes nothing. By default all are tokens.
            labels (`torch.Tensor` of shape `(batch_size,)`, *optional*): Index of the right class; gives a loss.
            return_dict (`bool`, defaults to `True`): Whether to return a [`MoFGatingOutput`] instead of a tuple.

        Returns:
            [`MoFGatingOutput`] or `tuple`: With `return_dict=False`, those of `loss`, `logits`, `probabilities` that
            are there, in this order.

        Raises:
            InputError: If `attention_mask` leaves an instruction without any token.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        if not attention_mask.any(dim=1).all():
            raise InputError(
                "`attention_mask` has a row without any token. Tokenize empty instructions with the end token, as the "
                "tokenizers of T5 do by default."
            )
        hidden_states = self.text_encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        logits = self.classify(hidden_states, attention_mask)
        loss = None if labels is None else F.cross_entropy(logits.float(), labels)
        output = MoFGatingOutput(loss=loss, logits=logits, probabilities=logits.float().softmax(dim=-1))
        return output if return_dict else output.to_tuple()
