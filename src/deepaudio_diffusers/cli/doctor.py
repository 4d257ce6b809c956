# Copyright 2026 The deepaudio-diffusers authors.
# SPDX-License-Identifier: Apache-2.0
"""`deepaudio doctor`: whether everything is there that the other commands need, and what to do if not."""

import argparse
import json
import logging
from collections import Counter
from textwrap import dedent


def add_command(commands: argparse._SubParsersAction) -> None:
    examples = dedent("""
        examples:
          the machine and what is installed on it
            deepaudio doctor

          a model too: whether every part loads, all weights are there and finite, and a short sound can be made
            deepaudio doctor --model checkpoints/deepaudio-tiny

          for a script
            deepaudio doctor --json

        Each line begins with pass, warn or fail; below what is not right stands a way out. --json prints one object,
        {"ok": ..., "checks": [{"status": ..., "check": ..., "found": ..., "way_out": ...}, ...]}.

        exit codes:
          0  nothing fails; a warning is about something that not everybody needs
          1  something fails
          2  the command line is wrong
        """)
    parser = commands.add_parser(
        "doctor",
        help="checks of the environment and of a model",
        description="Check Python, libraries, devices, memory, media formats and disk space, and a model if given.",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", metavar="DIR_OR_HUB", help="folder or Hub repository of a pipeline to check")
    parser.add_argument("--device", default="auto", help="where to try the model (default: the best there is)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from .doctor_environment import check_environment
    from .doctor_model import check_model

    # That the files made for trying are odd is no news.
    logging.getLogger("deepaudio_diffusers").setLevel(logging.ERROR)
    findings = []
    checks = [check_environment()]
    if options.model is not None:
        checks.append(check_model(options.model, options.device))
    for check in checks:
        for finding in check:
            findings.append(finding)
            if not options.json:
                print(f"{finding.status}  {finding.check:<22} {finding.found}", flush=True)
                if finding.way_out is not None:
                    print(f"      -> {finding.way_out}", flush=True)
    numbers = Counter(finding.status for finding in findings)
    if options.json:
        print(json.dumps({"ok": not numbers["fail"], "checks": [vars(finding) for finding in findings]}, indent=1))
    else:
        print(f"{len(findings)} checks: {numbers['pass']} pass, {numbers['warn']} warn, {numbers['fail']} fail")
    return 1 if numbers["fail"] else 0
