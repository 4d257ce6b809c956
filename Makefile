# Two commands for a machine with Python 3.11 and git: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Threads that wait without spinning: on a shared machine spinning costs several times the CPU.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint clean

demo: .venv/installed
	$(BIN)/python examples/make_a_soundtrack.py --pipeline checkpoints/deepaudio-tiny \
		--video examples/assets/puppet-and-drums.mp4 --prompt "drums being played with sticks" \
		--contour-prompt "a puppet talking" --transcript "throw brown over hammer one later" \
		--voice examples/assets/voice.wav --voice-text "throw white with paper five later" \
		--output-dir build/demo
	@echo "A small checkpoint of a small world, trained on a CPU: checkpoints/deepaudio-tiny/README.md says what it can do."
	@echo "Convert published weights with 'deepaudio convert' (docs/checkpoints.md) for real clips."

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
