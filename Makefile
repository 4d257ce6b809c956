# Two commands for a machine with Python 3.11 and git: `make demo` and `make test`.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
# Threads that wait without spinning: on a shared machine spinning costs several times the CPU.
export OMP_WAIT_POLICY := passive

.PHONY: demo test lint checkpoint app space clean

demo: .venv/installed
	$(BIN)/deepaudio generate examples/assets/puppet-and-drums.mp4 --model checkpoints/deepaudio-tiny \
		--task soundtrack --prompt "drums being played with sticks" --negative-prompt "a puppet talking" \
		--contour-prompt "a puppet talking" --transcript "throw brown over hammer one later" \
		--voice examples/assets/voice.wav --voice-text "throw white with paper five later" \
		--save video,stems,spectrogram --output build/demo --overwrite
	@echo "The clip with its sound: build/demo/puppet-and-drums.mp4"
	@echo "What was made, as a picture: build/demo/puppet-and-drums.png"
	@echo "A small checkpoint of a small world, trained on a CPU: checkpoints/deepaudio-tiny/README.md says what it can do."
	@echo "Convert published weights with 'deepaudio convert' (docs/checkpoints.md) for real clips."

# The app in a browser.
app: .venv/installed
	$(BIN)/python spaces_app.py

# What a Hugging Face Space consists of; docs/space.md says what to do with it.
SPACE ?= build/space
space:
	rm -rf "$(SPACE)"
	mkdir -p "$(SPACE)/examples" "$(SPACE)/checkpoints"
	cp docs/space/README.md docs/space/requirements.txt spaces_app.py LICENSE "$(SPACE)/"
	cp -R src/deepaudio_diffusers "$(SPACE)/"
	cp -R examples/assets "$(SPACE)/examples/"
	cp -R checkpoints/deepaudio-tiny "$(SPACE)/checkpoints/"
	find "$(SPACE)" -name __pycache__ -prune -exec rm -rf {} +

test: .venv/installed lint
	$(BIN)/python -m pytest

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# Hours of a CPU; a call that was interrupted goes on where it was. Needs flite and wamerican-small.
checkpoint: .venv/installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[training,evaluation]"
	$(BIN)/python -m pip install --quiet --no-deps resemblyzer
	$(BIN)/python training_scripts/reproduce_tiny.py --work_dir build/checkpoint

.venv/installed: setup.py constraints.txt
	@echo "Installing PyTorch and what else is needed into .venv; this takes a minute or more."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

clean:
	rm -rf .venv build
