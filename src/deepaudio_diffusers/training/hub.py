# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""The end of a training: a folder with its model card, on disk and on the Hub."""

import argparse
from pathlib import Path

from accelerate import Accelerator
from huggingface_hub import create_repo, upload_folder


def save_and_push(args: argparse.Namespace, accelerator: Accelerator, folder: Path, model_card: str) -> None:
    """Write the model card into a folder and, with `--push_to_hub`, upload what is in it.

    Caches, checkpoints, validation sounds and partly written files stay at home.

    Args:
        args (`argparse.Namespace`): With the arguments of [`~training.arguments.add_training_arguments`].
        accelerator (`Accelerator`): Only its main process writes.
        folder (`Path`): What was trained.
        model_card (`str`): Text of the `README.md`.
    """
    if not accelerator.is_main_process:
        return
    (folder / "README.md").write_text(model_card, encoding="utf-8")
    if args.push_to_hub:
        repository = create_repo(args.hub_model_id or folder.resolve().name, token=args.hub_token, exist_ok=True)
        upload_folder(
            repo_id=repository.repo_id,
            folder_path=folder,
            token=args.hub_token,
            commit_message="Trained weights",
            ignore_patterns=["cache/*", "checkpoint-*", "validation/*", "logs/*", "*.partial"],
        )
        accelerator.print(f"Uploaded to {repository}.")
