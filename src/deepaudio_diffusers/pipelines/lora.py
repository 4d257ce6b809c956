# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""LoRA weights for the transformer of a pipeline, in the layout that diffusers and PEFT share."""

import os

import torch
from diffusers.loaders.lora_base import LoraBaseMixin, _fetch_state_dict

from ..errors import CheckpointError


class TransformerLoraLoaderMixin(LoraBaseMixin):
    """Load and save LoRA weights of `self.transformer`.

    Scales, fusing, hot-swapping and several adapters at a time (`set_adapters`, `fuse_lora`, `delete_adapters`, ...)
    come from diffusers.
    """

    _lora_loadable_modules = ["transformer"]
    transformer_name = "transformer"

    @classmethod
    def lora_state_dict(
        cls,
        pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor],
        weight_name: str | None = None,
        use_safetensors: bool | None = None,
        return_lora_metadata: bool = False,
        **hub_kwargs,
    ) -> dict[str, torch.Tensor] | tuple[dict[str, torch.Tensor], dict | None]:
        """Read LoRA weights without applying them.

        Args:
            pretrained_model_name_or_path_or_dict (`str`, `os.PathLike` or `dict`):
                A Hub repository, a folder, a file, or the weights themselves.
            weight_name (`str`, *optional*): File name inside the repository or folder.
            use_safetensors (`bool`, *optional*): `None` prefers safetensors and accepts a `weights_only` pickle.
            return_lora_metadata (`bool`, defaults to `False`): Whether to return the adapter's metadata too.
            **hub_kwargs: `cache_dir`, `force_download`, `proxies`, `local_files_only`, `token`, `revision`,
                `subfolder`.
        """
        names = ("cache_dir", "force_download", "proxies", "local_files_only", "token", "revision", "subfolder")
        state_dict, metadata = _fetch_state_dict(
            pretrained_model_name_or_path_or_dict=pretrained_model_name_or_path_or_dict,
            weight_name=weight_name,
            use_safetensors=True if use_safetensors is None else use_safetensors,
            allow_pickle=use_safetensors is None,
            user_agent={"file_type": "attn_procs_weights", "framework": "pytorch"},
            **{name: hub_kwargs.get(name) for name in names},
        )
        return (state_dict, metadata) if return_lora_metadata else state_dict

    def load_lora_weights(
        self,
        pretrained_model_name_or_path_or_dict: str | os.PathLike | dict[str, torch.Tensor],
        adapter_name: str | None = None,
        hotswap: bool = False,
        low_cpu_mem_usage: bool = True,
        **kwargs,
    ) -> None:
        """Load LoRA weights into the transformer and make them active.

        Args:
            pretrained_model_name_or_path_or_dict (`str`, `os.PathLike` or `dict`): See `lora_state_dict`.
            adapter_name (`str`, *optional*): Name for `set_adapters`; numbered when not given.
            hotswap (`bool`, defaults to `False`): Whether to replace the weights of the adapter of that name in place.
            low_cpu_mem_usage (`bool`, defaults to `True`): Whether to skip the adapter's random initialisation.
            **kwargs: See `lora_state_dict`.

        Raises:
            CheckpointError: When the file holds something else than LoRA weights of a transformer.
        """
        if isinstance(pretrained_model_name_or_path_or_dict, dict):
            # The weights are renamed on the way in; the caller's dictionary stays as it is.
            pretrained_model_name_or_path_or_dict = pretrained_model_name_or_path_or_dict.copy()
        state_dict, metadata = self.lora_state_dict(
            pretrained_model_name_or_path_or_dict, return_lora_metadata=True, **kwargs
        )
        foreign = [key for key in state_dict if "lora" not in key or not key.startswith(f"{self.transformer_name}.")]
        if foreign or not state_dict:
            raise CheckpointError(
                f"Not LoRA weights for a {self.transformer_name}: {foreign[:5] or 'the file is empty'}. Save them "
                f"with `{type(self).__name__}.save_lora_weights`."
            )
        self.transformer.load_lora_adapter(
            state_dict,
            network_alphas=None,
            adapter_name=adapter_name,
            metadata=metadata,
            _pipeline=self,
            low_cpu_mem_usage=low_cpu_mem_usage,
            hotswap=hotswap,
        )

    @classmethod
    def save_lora_weights(
        cls,
        save_directory: str | os.PathLike,
        transformer_lora_layers: dict[str, torch.Tensor],
        is_main_process: bool = True,
        weight_name: str | None = None,
        save_function=None,
        safe_serialization: bool = True,
        transformer_lora_adapter_metadata: dict | None = None,
    ) -> None:
        """Save LoRA weights to `save_directory` (`pytorch_lora_weights.safetensors` unless `weight_name` says else).

        Args:
            save_directory (`str` or `os.PathLike`): Folder; created if it does not exist.
            transformer_lora_layers (`dict[str, torch.Tensor]`): From `peft.get_peft_model_state_dict(transformer)`.
            is_main_process (`bool`, defaults to `True`): Whether this process writes, in distributed training.
            weight_name (`str`, *optional*): File name.
            save_function (`Callable`, *optional*): Replaces the writer, for distributed training.
            safe_serialization (`bool`, defaults to `True`): Whether to write safetensors.
            transformer_lora_adapter_metadata (`dict`, *optional*): The adapter's `LoraConfig` as a dictionary.
        """
        cls._save_lora_weights(
            save_directory=save_directory,
            lora_layers={cls.transformer_name: transformer_lora_layers},
            lora_metadata={cls.transformer_name: transformer_lora_adapter_metadata},
            is_main_process=is_main_process,
            weight_name=weight_name,
            save_function=save_function,
            safe_serialization=safe_serialization,
        )

    def fuse_lora(self, components: tuple[str, ...] = ("transformer",), **kwargs) -> None:
        """Add the LoRA weights to those of the transformer; see `LoraBaseMixin.fuse_lora` for the arguments."""
        super().fuse_lora(components=list(components), **kwargs)

    def unfuse_lora(self, components: tuple[str, ...] = ("transformer",), **kwargs) -> None:
        """Undo `fuse_lora`."""
        super().unfuse_lora(components=list(components), **kwargs)
