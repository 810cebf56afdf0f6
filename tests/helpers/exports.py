"""Tiny models in model directories, without training, for the tests of export."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from corpora import TINY
from hyperpyyaml import load_hyperpyyaml, resolve_references

from local.audio.reading import read_audio
from local.data.chunks import pad_waveforms
from local.embeddings.embed import Utterances, embed_batch
from local.export.trained import read_trained
from local.model_files.model_dir import load_model, save_config, save_weights
from local.models.embedding import SpeakerClassifier

ROOT = Path(__file__).resolve().parents[2]
NUM_SPEAKERS = 3


def make_model_dir(folder, seed=0, replaced=(), num_centres=1, **settings):
    """A model of hparams/vgg.yaml with drawn weights; of its definition, texts may be replaced."""
    folder.mkdir(parents=True)
    own = {"out_dir": str(folder), "pooling": "statistics", "width": 32}
    settings = TINY | own | settings
    with open(ROOT / "hparams" / "vgg.yaml") as file:
        hyperparams = resolve_references(file, settings).getvalue()
    for old, new in replaced:
        assert old in hyperparams
        hyperparams = hyperparams.replace(old, new)
    (folder / "hyperparams.yaml").write_text(hyperparams)
    save_config(folder, num_speakers=NUM_SPEAKERS)
    write_weights(folder, seed, settings.get("projection", False), num_centres)
    return folder


def write_weights(folder, seed=0, projection=False, num_centres=1, **changes):
    """Drawn weights for the model.yaml of a folder."""
    torch.manual_seed(seed)
    with open(folder / "model.yaml") as file:
        model = load_hyperpyyaml(file)
    draw_weights(model["features"], model["extractor"])
    size = TINY["embedding_size"]
    classifier = SpeakerClassifier(size, NUM_SPEAKERS, projection, num_centres)
    content = {
        "extractor": model["extractor"].state_dict(),
        "classifier": classifier.state_dict(),
        "optimizer": {"state": {}},
        "step": 70,
        "epoch": 2,
        "eer_percent": 3.456,
        "threshold": 0.375,
    }
    return save_weights(folder, content | changes)


def draw_weights(features, extractor):
    """Weights of a model whose embeddings differ from one recording to another, as a trained one's.

    Those that layers begin with make differences smaller from layer to layer.
    """
    for module in extractor.modules():
        if isinstance(module, torch.nn.Conv1d | torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(module.weight)
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    loudness = torch.nn.functional.interpolate(torch.rand(8, 1, 12), 16000, mode="linear")
    noise = 3000 * loudness[:, 0] * torch.randn(8, 16000)
    with torch.no_grad():
        extractor.train()(features(noise)[0])


def own_embeddings(model_dir, paths):
    """What the recipe computes of files, in one padded batch: (batch, embedding_size)."""
    model = load_model(model_dir)
    waveforms, lengths = pad_waveforms([read_audio(path) for path in paths])
    batch = Utterances(list(range(len(paths))), waveforms, lengths, [], [])
    with torch.inference_mode():
        return embed_batch(model["features"].eval(), model["extractor"].eval().fold(), batch, "cpu")


def own_cosines(model_dir, paths):
    """What the recipe's classifier says of files: (batch, num_speakers)."""
    with torch.inference_mode():
        return read_trained(model_dir).classifier(own_embeddings(model_dir, paths))


# Loads each of the directories that it is given, all in one process, by SpeechBrain alone.
ELSEWHERE = """
import importlib.util, os, sys
import numpy as np, soundfile, torch
torch.set_num_threads(1)
from speechbrain.inference.interfaces import foreign_class

assert importlib.util.find_spec("local") is None
out, audio, *directories = sys.argv[1:]
paths = [os.path.join(audio, name) for name in sorted(os.listdir(audio))]
waveforms = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in paths]
padded = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
padded[0, len(waveforms[0]) :] = 0.5
lengths = torch.tensor([len(waveform) / padded.shape[1] for waveform in waveforms])
models = {
    directory: foreign_class(
        source=directory,
        pymodule_file="custom_interface.py",
        classname="SpeakerVerification",
        run_opts={"device": "cpu"},
    )
    for directory in directories
}
found = {}
for directory, model in models.items():
    score, decision = model.verify_files(*paths)
    results = {
        "one": model.encode_batch(waveforms[0]),
        "batch": model.encode_batch(padded, lengths),
        "score": score,
        "decision": decision,
    }
    if "classifier" in model.mods:
        cosines, _, index, label = model.classify_file(paths[0])
        results |= {"cosines": cosines, "index": index, "label": np.array(label)}
    name = os.path.basename(directory)
    found |= {f"{name}/{key}": np.asarray(value) for key, value in results.items()}
np.savez(out, **found)
"""


def load_elsewhere(folder, audio, directories):
    """Loads exports in a process that knows nothing of this repository: {NAME/what: array}."""
    script, here = folder / "elsewhere.py", folder / "here"
    script.write_text(ELSEWHERE)
    here.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, script, folder / "found.npz", audio, *directories]
    subprocess.run(command, cwd=here, env=environment, check=True, timeout=120)
    assert not list(here.iterdir()), "loading left files"
    return dict(np.load(folder / "found.npz"))
