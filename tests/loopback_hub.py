# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""A Hugging Face Hub on 127.0.0.1: one model repository, served from a folder."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


REPO_ID = "someone/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class LoopbackHub:
    """Serves `folder` as the model repository `REPO_ID` while the context is open. Only reading is possible.

    `endpoint` is the value for the environment variable `HF_ENDPOINT`, `requests` how many there have been.
    """

    def __init__(self, folder: Path):
        hub = self
        self.requests = 0

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.respond(with_body=False)

            def do_GET(self):
                self.respond(with_body=True)

            def respond(self, with_body: bool):
                hub.requests += 1
                path = self.path.partition("?")[0]
                file_prefix = f"/{REPO_ID}/resolve/"
                if path.startswith(f"/api/models/{REPO_ID}"):
                    files = sorted(file for file in folder.rglob("*") if file.is_file())
                    names = [file.relative_to(folder).as_posix() for file in files]
                    if path.startswith(f"/api/models/{REPO_ID}/tree/"):
                        answer = [
                            {"type": "file", "path": name, "size": file.stat().st_size, "oid": COMMIT}
                            for name, file in zip(names, files, strict=True)
                        ]
                    else:
                        answer = {"id": REPO_ID, "sha": COMMIT, "siblings": [{"rfilename": name} for name in names]}
                    self.send(200, json.dumps(answer).encode(), with_body, {"Content-Type": "application/json"})
                elif path.startswith(file_prefix) and (file := folder / path.split("/", 5)[5]).is_file():
                    body = file.read_bytes()
                    etag = hashlib.sha256(body).hexdigest()
                    self.send(200, body, with_body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
                else:
                    error = "EntryNotFound" if path.startswith(file_prefix) else "RepoNotFound"
                    self.send(404, b"", with_body, {"X-Error-Code": error, "X-Repo-Commit": COMMIT})

            def send(self, status: int, body: bytes, with_body: bool, headers: dict[str, str]):
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if with_body:
                    self.wfile.write(body)

            def log_message(self, *arguments):
                """Not into the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "LoopbackHub":
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self.server.shutdown()
        self.server.server_close()
