# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""DeepAudio in a browser: drop a clip, type a line, get its sound with all stems.

python spaces_app.py
python spaces_app.py --pipeline path/to/deepaudio --max-clip-seconds 30 --port 7861

The same file is the app of a Hugging Face Space; docs/space.md says how to make one, and what protects its visitors.
"""

import argparse
import atexit
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path


# Gradio reads these when it is imported: nothing is sent home, and all files lie in one folder, which is ours.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="deepaudio-app-")
if HAS_ZERO_GPU := find_spec("spaces") is not None:
    # Before torch is imported: it stands between torch and the GPU.
    import spaces

import torch
from starlette.middleware import Middleware

from deepaudio_diffusers import DeepAudioPipeline
from deepaudio_diffusers.app.door import Door, upload_routes
from deepaudio_diffusers.app.page import CSS, THEME, Page
from deepaudio_diffusers.app.sessions import Sessions
from deepaudio_diffusers.app.studio import Studio
from deepaudio_diffusers.media import Limits


HERE = Path(__file__).parent
GPU_SECONDS = 90
PUPPET, BALL, VOICE = (
    str(HERE / "examples" / "assets" / name) for name in ("puppet-and-drums.mp4", "bouncing-ball.mp4", "voice.wav")
)
DRUMS, TALKING, SAID = "drums being played with sticks", "a puppet talking", "throw white with paper five later"
EXAMPLES = {
    "soundtrack": {
        "A puppet and its drums": {
            "video": PUPPET,
            "prompt": DRUMS,
            "negative_prompt": TALKING,
            "contour_prompt": TALKING,
            "transcript": "throw brown over hammer one later",
            "voice": VOICE,
            "voice_text": SAID,
        },
    },
    "video_to_audio": {
        "Drums": {"video": PUPPET, "prompt": DRUMS, "negative_prompt": TALKING},
        "A bouncing ball": {"video": BALL, "prompt": "a ball bouncing", "negative_prompt": ""},
    },
    "video_to_speech": {
        "A puppet speaks": {
            "video": PUPPET,
            "contour_prompt": TALKING,
            "transcript": "carry blue from island nine today",
            "voice": VOICE,
            "voice_text": SAID,
        },
    },
    "text_to_speech": {
        "A new sentence": {
            "transcript": "place silver behind window seven please",
            "voice": VOICE,
            "voice_text": SAID,
        },
    },
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--pipeline",
        default=os.environ.get("DEEPAUDIO_PIPELINE", str(HERE / "checkpoints" / "deepaudio-tiny")),
        help="folder or Hub repository of a DeepAudio pipeline "
        "(default: $DEEPAUDIO_PIPELINE, or else checkpoints/deepaudio-tiny)",
    )
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="default: %(default)s"
    )
    parser.add_argument(
        "--host", help="0.0.0.0 lets other machines in (default: $GRADIO_SERVER_NAME, or this machine)"
    )
    parser.add_argument("--port", type=int, help="default: $GRADIO_SERVER_PORT, or a free one from 7860 on")
    parser.add_argument("--max-clip-seconds", type=float, default=30.0, help="longest clip (default: %(default)g)")
    parser.add_argument("--max-upload-mb", type=int, default=100, help="largest upload (default: %(default)s)")
    parser.add_argument(
        "--keep-seconds", type=float, default=60.0, help="how long files outlast their visitor (default: %(default)g)"
    )
    return parser.parse_args()


def on_gpu(function: Callable) -> Callable:
    """What waits for a GPU on a Space with ZeroGPU, and is `function` itself elsewhere."""
    return spaces.GPU(duration=GPU_SECONDS)(function) if HAS_ZERO_GPU else function


def stop(sessions: Sessions, *_: object) -> None:
    """What the signal does that a Space gets when it is stopped: delete all files, and wait for nothing else."""
    sessions.close()
    os._exit(0)


def main() -> None:
    args = parse_arguments()
    sessions = Sessions(Path(os.environ["GRADIO_TEMP_DIR"]), keep_in_s=args.keep_seconds)
    atexit.register(sessions.close)
    signal.signal(signal.SIGTERM, partial(stop, sessions))
    limits = replace(
        Limits.strict(),
        max_bytes=args.max_upload_mb * 2**20,
        max_duration_in_s=args.max_clip_seconds,
        max_decode_time_in_s=60.0,
    )
    studio = Studio(DeepAudioPipeline.from_pretrained(args.pipeline), args.device, limits, on_gpu)
    page = Page(studio, sessions, EXAMPLES)
    # The files of the examples are there by now, and nobody has come yet.
    sessions.publish()
    sessions.start_sweeping()
    page.blocks.launch(
        server_name=args.host,
        server_port=args.port,
        app_kwargs={
            "routes": upload_routes(sessions, limits.max_bytes),
            "middleware": [Middleware(Door, sessions=sessions)],
            "docs_url": None,
            "redoc_url": None,
        },
        max_file_size=limits.max_bytes,
        theme=THEME,
        css=CSS,
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        share=False,
    )


if __name__ == "__main__":
    main()
