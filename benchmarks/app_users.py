# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""Many users of the app at the same moment: does each get a take, and how long do they wait?

python spaces_app.py --port 7860 &
python benchmarks/app_users.py http://127.0.0.1:7860 --num-users 20
"""

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gradio_client import Client, handle_file

from deepaudio_diffusers.media import probe


ASSETS = Path(__file__).parents[1] / "examples" / "assets"


def use(address: str, seed: int, num_steps: int, folder: str) -> tuple[float, bytes]:
    """Open the app, upload a clip and a voice, and wait for the soundtrack: seconds that took, and its mix."""
    begin = time.monotonic()
    app = Client(address, download_files=f"{folder}/{seed}", verbose=False, httpx_kwargs={"timeout": 600})
    video, mix, *_ = app.predict(
        video=handle_file(str(ASSETS / "puppet-and-drums.mp4")),
        prompt="drums being played with sticks",
        contour_prompt="a puppet talking",
        transcript="throw brown over hammer one later",
        voice=handle_file(str(ASSETS / "voice.wav")),
        voice_text="throw white with paper five later",
        steps=num_steps,
        speech_steps=num_steps,
        seed=seed,
        api_name="/soundtrack",
    )
    app.close()
    assert probe(video).has_audio
    return time.monotonic() - begin, Path(mix).read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="where the app is running")
    parser.add_argument("--num-users", type=int, default=20, help="at the same moment (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=4, help="of sound and of speech (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(args.num_users) as pool:
        users = [pool.submit(use, args.address, seed, args.steps, folder) for seed in range(args.num_users)]
        results = [user.result() for user in users]
    times_in_s = sorted(time_in_s for time_in_s, _ in results)
    num_different = len({mix for _, mix in results})
    first, half, last = times_in_s[0], times_in_s[len(times_in_s) // 2], times_in_s[-1]
    print(f"{len(results)} of {args.num_users} users got a soundtrack; {num_different} are different")
    print(f"the first after {first:.1f} s, half of them after {half:.1f} s, the last after {last:.1f} s")


if __name__ == "__main__":
    main()
