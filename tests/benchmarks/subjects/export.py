"""An exported model beside the model itself, on real speech."""

import logging
import runpy
import tempfile
from pathlib import Path

import numpy as np
import torch
from speechbrain.inference.interfaces import foreign_class
from tables import Row, Table, compared
from timing import interleaved

from local.audio.reading import read_audio
from local.errors import Problems
from local.export.onnx_model import write_onnx
from local.export.speechbrain_dir import INTERFACE
from local.lists.file_lists import find_recordings
from local.model_files.model_dir import load_model
from subjects.accuracy import train, trial_settings

ROOT = Path(__file__).resolve().parents[3]
NUM_RECORDINGS = 200
LEAST_COSINE = 0.99999


def measure(options):
    """hparams/vgg.yaml after one epoch; recordings one by one, in float32, on one core."""
    torch.set_num_threads(1)
    recordings = find_recordings([str(options.data_dir / "audio")], Problems())
    paths = recordings.names[:: max(1, len(recordings.names) // NUM_RECORDINGS)]
    with tempfile.TemporaryDirectory() as name:
        model_dir, export_dir = Path(name) / "model", Path(name) / "export"
        # The moving average would still be close to the weights that were drawn.
        short = {"number_of_epochs": "1", "average_decay": "0"}
        data = trial_settings(options.data_dir) | short
        train(options, data, model_dir, "fp32")
        export(model_dir, export_dir)
        calls = {
            "the recipe": by_recipe(model_dir),
            "SpeechBrain, foreign_class": by_speechbrain(export_dir),
            "ONNX Runtime": by_onnx(load_model(model_dir), Path(name) / "model.onnx"),
        }
        samples = [read_audio(path) for path in paths]
        embeddings = {what: [call(one) for one in samples] for what, call in calls.items()}
        turns = {
            what: lambda call=call: [call(one) for one in samples[:20]]
            for what, call in calls.items()
        }
        rows = compared(interleaved(turns, rounds=5))
    own = embeddings.pop("the recipe")
    for what, others in embeddings.items():
        lowest = float(min(cosine(*pair) for pair in zip(own, others, strict=True)))
        rows.append(
            Row(
                f"{what}: 1 - lowest cosine to the recipe's embedding",
                max(1 - lowest, 0.0),
                "",
                target=f"below {1 - LEAST_COSINE:.0e}",
                met=lowest > LEAST_COSINE,
            )
        )
    return Table(f"Exported models: {len(paths)} recordings; times are of 20", rows)


def export(model_dir, export_dir):
    main = runpy.run_path(str(ROOT / "recipes" / "export_model.py"))["main"]
    yaml_path = str(ROOT / "hparams" / "export.yaml")
    main([yaml_path, "--model_dir", str(model_dir), "--export_dir", str(export_dir)])
    logging.disable(logging.WARNING)


def by_recipe(model_dir):
    model = load_model(model_dir)
    extractor = model["extractor"].eval()

    @torch.inference_mode()
    def embed(samples):
        features, _ = model["features"](torch.from_numpy(samples)[None])
        return extractor(features)[0].numpy()

    return embed


def by_speechbrain(export_dir):
    model = foreign_class(source=str(export_dir), run_opts={"device": "cpu"}, **INTERFACE)

    @torch.inference_mode()
    def embed(samples):
        return model.encode_batch(torch.from_numpy(samples)[None] / 32768.0)[0, 0].numpy()

    return embed


def by_onnx(model, path):
    import onnxruntime

    write_onnx(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options)
    return lambda samples: session.run(None, {"waveforms": samples[None] / np.float32(32768)})[0][0]


def cosine(left, right):
    left, right = left.astype(np.float64), right.astype(np.float64)
    return left @ right / np.sqrt((left @ left) * (right @ right))
