from pathlib import Path

from setuptools import find_packages, setup


# What the training scripts need besides: data sets of the Hub, and pictures of spectrograms.
TRAINING = ["datasets>=4", "matplotlib>=3.9"]
# What scores need besides: a recogniser with its model inside, cepstra and their alignment, optical flow, counts and
# distances, and the interface of Hugging Face for metrics.
EVALUATION = [
    "datasets>=4",
    "evaluate>=0.4.6",
    "fastdtw>=0.3.4",
    "jiwer>=4",
    "matplotlib>=3.9",
    "opencv-python-headless>=4.12",
    "pocketsphinx>=5.1,<6",
    # pyworld itself has no wheels.
    "pyworld-prebuilt>=0.3.6",
    "torchmetrics>=1.7",
]
# What the app needs besides: its page, and the server behind it.
SPACE = ["gradio>=6.31,<7", "starlette>=1.0"]

# The training scripts lie beside the sources, where people look for them, and are installed with the package.
SCRIPTS = "deepaudio_diffusers.training_scripts"

setup(
    name="deepaudio-diffusers",
    version="0.1.0",
    description="DeepAudio-V1 and MMAudio for diffusers: sound and speech that fit a silent video",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    package_dir={"": "src", SCRIPTS: "training_scripts"},
    packages=[*find_packages("src"), SCRIPTS],
    package_data={
        "deepaudio_diffusers": ["py.typed"],
        "deepaudio_diffusers.app": ["static/*"],
        # Folders for `evaluate.load`, which are no packages.
        "deepaudio_diffusers.evaluation": ["published.json", "modules/*/*"],
        "deepaudio_diffusers.instructions": ["*.md", "*.jsonl", "templates/**/*"],
    },
    install_requires=[
        # torch below 2.15, because the last release of torchaudio is built for CUDA 13.0.
        "torch>=2.8,<2.15",
        "torchaudio>=2.8",
        "diffusers>=0.42.1,<0.43",
        "transformers>=5.6,<6",
        "accelerate>=1.1",
        "peft>=0.17",
        "huggingface_hub>=1.0",
        "safetensors>=0.5",
        "numpy>=1.26",
        "pillow>=11",
        "av>=18",
        "ftfy>=6.1",
        "pyloudnorm>=0.2",
        "tqdm>=4.66",
        # Newer dictionaries and grammars may read words differently; the tests know these.
        "pypinyin>=0.55,<0.56",
        "rjieba>=0.2.2,<0.3",
        "wetext>=0.1.8,<0.2",
        # The command line: one call at a time on a folder, and what `deepaudio doctor` reads.
        "filelock>=3.15",
        "packaging>=23",
        "psutil>=5.9",
    ],
    extras_require={
        "training": TRAINING,
        "evaluation": EVALUATION,
        "space": SPACE,
        "test": [
            *TRAINING,
            *EVALUATION,
            *SPACE,
            "hypothesis>=6.100",
            "playwright>=1.60",
            "pytest>=8",
            "ruff>=0.12",
        ],
    },
    entry_points={"console_scripts": ["deepaudio=deepaudio_diffusers.cli:main"]},
)
