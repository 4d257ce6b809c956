# Two commands for a machine with Python 3.11 and git: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Threads that wait without spinning: on a shared machine spinning costs several times the CPU.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/python -m tests.tiny video-to-audio build/demo/random-pipeline
	$(BIN)/python examples/score_a_clip.py --pipeline build/demo/random-pipeline \
		--video examples/assets/bouncing-ball.mp4 --prompt "a rubber ball bouncing" \
		--output build/demo/bouncing-ball-with-sound.mp4
	@echo "The weights of this demo are RANDOM: what you hear is noise that shows the way through the code."
	@echo "Convert published weights with 'deepaudio convert' (docs/checkpoints.md) to hear MMAudio."

test: .venv/installed lint
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/installed: setup.py constraints.txt
	@echo "Installing PyTorch and what else is needed into .venv; this takes a minute or more."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

clean:
	rm -rf .venv build
