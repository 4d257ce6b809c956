# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""One Space for all tests: with a gate of random weights, and with the shipped checkpoint."""

import subprocess

import pytest

from tests.space.server import ROOT, Server, running
from tests.tiny import tiny_deepaudio_pipeline


@pytest.fixture(scope="session")
def space(tmp_path_factory):
    """The folder that is pushed to a Space."""
    folder = tmp_path_factory.mktemp("space") / "space"
    subprocess.run(["make", "-s", "space", f"SPACE={folder}"], cwd=ROOT, check=True)
    return folder


@pytest.fixture(scope="session")
def servers(space, tmp_path_factory):
    """Both apps, which start at the same time."""
    pipeline = tmp_path_factory.mktemp("pipeline")
    tiny_deepaudio_pipeline().save_pretrained(pipeline)
    with running(space) as shipped, running(space, "--pipeline", str(pipeline)) as tiny:
        shipped.wait()
        tiny.wait()
        yield shipped, tiny


@pytest.fixture(scope="session")
def shipped(servers) -> Server:
    """The app with `checkpoints/deepaudio-tiny`."""
    return servers[0]


@pytest.fixture(scope="session")
def tiny(servers) -> Server:
    """The app with tiny networks of random weights, a gate among them."""
    return servers[1]
