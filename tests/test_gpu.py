"""What only a GPU can show: that the recipe runs on it, and computes what it does on a CPU.

python -m pytest -m gpu                         # where there is a GPU; they are skipped elsewhere
GPU_OF_TESTS=cpu python -m pytest -m gpu        # tries the tests themselves, without one
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import (
    EVERY_AUGMENTATION,
    as_arguments,
    write_coloured_noise,
    write_corpus,
    write_voice,
)
from exports import make_model_dir, own_embeddings
from runs import Runs, run_apart
from speechbrain.inference.interfaces import foreign_class
from steered import start

from local.audio.reading import read_audio
from local.machine.memory import what_was_tried
from local.machine.signals import REQUEUE_STATUS

pytestmark = pytest.mark.gpu

ROOT = Path(__file__).resolve().parents[1]
DEVICE = os.environ.get("GPU_OF_TESTS", "cuda")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    settings = write_corpus(folder, num_speakers=5)
    for seed, path in enumerate(sorted((folder / "audio").rglob("*.wav"))):
        write_coloured_noise(path, seed)
    return settings


@pytest.fixture(scope="module")
def runs(corpus, tmp_path_factory):
    settings = EVERY_AUGMENTATION | {"device": DEVICE, "batch_size": 8, "precision": "bf16"}
    return Runs(corpus, tmp_path_factory.mktemp("runs"), **settings)


@pytest.fixture(scope="module")
def trained(runs):
    """The out_dir of a training that was interrupted and went on."""
    assert runs.train("run", "step", 10, "SIGTERM") == REQUEUE_STATUS, runs.printed("run")
    assert runs.train("run") == 0, runs.printed("run")
    assert "Going on after 5 updates" in runs.printed("run")
    assert len(runs.log("run").splitlines()) == 2
    return runs.folder / "run"


def script(name, yaml_name, folder, **settings):
    """Runs a script of recipes/, and expects that it ends well."""
    arguments = [ROOT / "hparams" / yaml_name, *as_arguments(settings)]
    code, printed = run_apart(f"{name}.py", arguments, folder)
    assert code == 0, printed


def test_an_interrupted_training_goes_on_and_its_model_verifies(trained, corpus, tmp_path):
    trials = {name: path for name, path in corpus.items() if name.startswith("valid")}
    options = {"output_dir": "verified", "device": DEVICE, "precision": "bf16"}
    script("verify", "verify.yaml", tmp_path, model_dir=trained, **trials, **options)
    metrics = json.loads((tmp_path / "verified" / "metrics.json").read_text())
    assert metrics["num_trials"] == 22 and 0 <= metrics["eer_percent"] <= 100


def test_saved_tensors_load_where_there_is_no_gpu(trained):
    for path in trained.rglob("*.pt"):
        content = torch.load(path, weights_only=True)
        tensors = [one for one in torch.utils._pytree.tree_leaves(content) if torch.is_tensor(one)]
        assert tensors and {tensor.device.type for tensor in tensors} == {"cpu"}, path


def test_one_process_of_torchrun_trains_with_synchronised_batch_norm(runs):
    options = {"num_processes": 1, "sync_batch_norm": True, "number_of_epochs": 1}
    assert runs.train_together("torchrun", **options) == [0], runs.printed("torchrun")


# Without what is drawn on the device, and without thresholds, at which rounding matters much.
LOSSES = {
    "augment": False,
    "vad": "none",
    "max_masked_mels": 0,
    "head_drop": 0.0,
    "grad_accumulation_factor": 1,
    "number_of_epochs": 1,
    "validate_every": 20,
    "ckpt_interval_steps": 0,
    "lr": 0.0003,
    "precision": "fp32",
}


def test_losses_in_float32_are_those_of_a_cpu(runs):
    found = {}
    for device in dict.fromkeys((DEVICE, "cpu")):
        plan = {"record": str(runs.folder / f"losses_{device}")}
        arguments = runs.arguments(f"run_{device}", **LOSSES, device=device)
        process = start(arguments, plan, runs.folder / f"run_{device}.log")
        process.join(120)
        assert process.exitcode == 0, runs.printed(f"run_{device}")
        lines = (runs.folder / f"losses_{device}.0").read_text().splitlines()
        found[device] = [json.loads(line)["loss"] for line in lines]
    assert len(found["cpu"]) == 20
    assert found[DEVICE] == pytest.approx(found["cpu"], abs=1e-3)
    assert abs(found["cpu"][-1] - found["cpu"][0]) > 0.01


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings")
    for seed, seconds in enumerate((0.6, 1.0, 2.5, 9.0)):
        write_voice(folder / f"{seed}.wav", 110 + 40 * seed, seconds, seed=seed)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("front_end", ["vgg", "repvgg", "resnet34", "ecapa", "xvector"])
def test_embeddings_are_those_of_a_cpu(front_end, recordings, tmp_path):
    model_dir = make_model_dir(tmp_path / "model", front_end=front_end)
    options = {"out": "e.npz", "device": DEVICE, "precision": "fp32", "unit_length": True}
    options |= {"model_dir": model_dir, "files": recordings[0].parent}
    script("extract_embeddings", "embed.yaml", tmp_path, **options)
    with np.load(tmp_path / "e.npz") as content:
        found = dict(zip(content["ids"].tolist(), content["embeddings"], strict=True))
    expected = torch.nn.functional.normalize(own_embeddings(model_dir, recordings))
    for path, embedding in zip(recordings, expected, strict=True):
        assert found[path.stem] == pytest.approx(embedding.numpy(), abs=1e-4)


def test_an_exported_model_computes_the_same_on_the_device(trained, recordings, tmp_path):
    options = {"model_dir": trained, "export_dir": tmp_path / "export", "onnx": False}
    script("export_model", "export.yaml", tmp_path, **options)
    model = foreign_class(
        source=str(tmp_path / "export"),
        pymodule_file="custom_interface.py",
        classname="SpeakerVerification",
        run_opts={"device": DEVICE},
    )
    own = own_embeddings(trained, recordings[:1])[0]
    samples = torch.from_numpy(read_audio(recordings[0])).float() / 32768
    found = model.encode_batch(samples).cpu().flatten()
    assert torch.cosine_similarity(own, found, dim=0) > 0.9999


def test_memory_that_is_not_there_is_told_from_other_errors():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8, device=DEVICE)
    assert what_was_tried(caught.value).startswith("tried to allocate")
