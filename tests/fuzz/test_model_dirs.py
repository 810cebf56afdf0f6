"""A small model directory, damaged in any way: it is read, or refused with a message.

python tests/fuzz/test_model_dirs.py --cases 1000000 --seed 3
"""

import atexit
import functools
import io
import pickle
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import fuzzing
import numpy as np
import torch
from exports import make_model_dir
from original_network import OriginalNetwork, checkpoint_of

from local.embeddings.people import read_people
from local.evaluation import calibration
from local.evaluation.decision import DECISION_FILE, read_decision
from local.export.model_card import read_results, training_settings
from local.export.trained import read_settings, read_trained
from local.features.files import check_features, read_features
from local.model_files.original import convert

SETTINGS_FILE = "hyperparams.yaml"
WEIGHTS = "model_00000070.pt"
ORIGINAL = "original.chkpt"
CALIBRATION = """{"meaning": "llr", "weights": {"score": 8.5, "log_seconds_shorter": 0.1,
"log_seconds_longer": 0}, "offset": -2, "p_target": 0.05, "quality": ["log_seconds"],
"learnt_on": {"scores": "a/scores.txt"}}"""
DECISION = """{"model": "x", "threshold": 0.4, "calibration": {"weights": {"score": 20.0},
"offset": -8, "p_target": 0.5, "quality": [], "learnt_on": {"num_trials": 90}}}"""
METRICS = """{"num_trials": 8, "num_clients": 4, "num_impostors": 4, "eer_percent": 25.0,
"eer_hull_percent": 24.0, "eer_threshold": 0.3, "p_targets": [0.05], "min_dcf_0.05": 0.5,
"act_dcf_0.05": 0.6, "cllr": 0.5, "min_cllr": 0.4, "intervals": {"eer_percent": [10.0, 50.0]}}"""
PROGRAM = "os.mkdir [MARK]"
WORDS = (
    *fuzzing.WORDS,
    *("&a ", "*a", "<<: *a", "!", "!!", "!new:", "!apply:", "!name:", "!ref <sample_rate>"),
    *("local.models.vgg.VGG", "local.models.pooling.Statistics", "local.features.LogMel"),
    *(
        f" !apply:{PROGRAM}",
        f" !!python/object/apply:{PROGRAM}",
        f"(!!python/object/apply:{PROGRAM})",
    ),
    *("[", "]", "{", "}", ": ", "- ", "? ", ",", "|", ">", "\n", "\n  ", "---\n", "[[[[[[[["),
    *(".nan", "1e400", "0x7fffffff", "100000", "10000000000", "true", "-", "0.5", "null", "NaN"),
)


class ModelDir:
    """A directory of which each case damages one file, and the sound content of its files."""

    def __init__(self):
        top = Path(tempfile.mkdtemp())
        atexit.register(shutil.rmtree, top, ignore_errors=True)
        self.folder = make_model_dir(top / "model", width=2, num_blocks=2, embedding_size=4)
        self.mark = top / "mark"
        # Apart, as reading it takes longer than all else.
        (top / "settings").mkdir()
        (self.folder / SETTINGS_FILE).rename(top / "settings" / SETTINGS_FILE)
        features = np.ones((8, 5), "f4")
        (top / "settings" / DECISION_FILE).write_text(DECISION)
        self.add(ORIGINAL, saved(checkpoint_of(OriginalNetwork(width=8), normalization="cmn")))
        self.add("calibration.json", CALIBRATION.encode())
        self.add("metrics.json", METRICS.encode())
        self.add("a.pickle", pickle.dumps(features, 4))
        self.add("b.pickle", pickle.dumps(features, 2))
        with open(self.folder / "c.npy", "wb") as file:
            np.save(file, features.T)
        names, counts = np.array(["anna", "boris"]), np.array([3, 1])
        np.savez(
            self.folder / "people.npz",
            **{"names": names, "embeddings": features[:2], "num_utterances": counts, "model": "ab"},
        )
        self.paths = {path.name: path for path in top.glob("*/*")}
        self.sound = {name: path.read_bytes() for name, path in self.paths.items()}
        for name in self.sound:
            self.read(name)

    def add(self, name, content):
        (self.folder / name).write_bytes(content)

    def put(self, name, content):
        self.paths[name].write_bytes(content)

    def read(self, name):
        """What scripts read of this file."""
        path = self.paths[name]
        if name in ("model.yaml", "config.pkl", WEIGHTS):
            read_trained(self.folder)
        elif name == SETTINGS_FILE:
            training_settings(read_settings(path.parent))
        elif name == ORIGINAL:
            shutil.rmtree(self.folder / "converted", ignore_errors=True)
            convert(path, self.folder / "converted")
        elif name == DECISION_FILE:
            read_decision({"path": path, "digest": "x", "threshold": None})
        elif name == "calibration.json":
            calibration.load(path)
        elif name == "people.npz":
            people = read_people(path)
            assert all(map(str.isprintable, people.names)) and np.isfinite(people.embeddings).all()
        elif name == "metrics.json":
            read_results(self.folder, path)
        else:
            check_features(path, 8, 100.0)
            read_features(path, 1, 3)


@functools.cache
def model_dir():
    return ModelDir()


def saved(content, **options):
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def damaged(rng, name, content):
    """The content of a file, changed."""
    if name.endswith((".yaml", ".json")) and rng.random() < 0.7:
        return with_other_words(rng, content)
    if name not in (WEIGHTS, ORIGINAL):
        return fuzzing.mutate_bytes(rng, content, words=words())
    kind = rng.randrange(4)
    if kind == 0:
        return fuzzing.mutate_bytes(rng, content)
    if kind == 1:
        return with_other_pickle(rng, content)
    content = torch.load(io.BytesIO(content), weights_only=False)
    for _ in range(rng.randint(1, 3)):
        change(rng, content)
    return saved(content, _use_new_zipfile_serialization=rng.random() < 0.9)


def words():
    return [word.replace("MARK", str(model_dir().mark)) for word in WORDS]


def with_other_words(rng, content):
    """A text with other words in place of some of its own, or with some of its lines elsewhere."""
    parts = re.findall(r"\s+|[\w.]+|.", content.decode())
    for _ in range(rng.randint(1, 3)):
        parts[rng.randrange(len(parts))] = rng.choice((rng.choice(parts), rng.choice(words())))
    lines = "".join(parts).splitlines(keepends=True)
    if rng.random() < 0.3:
        lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "".join(lines).encode()


def with_other_pickle(rng, content):
    """The parts of a zip file put together again, one of them changed or compressed."""
    parts, file = zipfile.ZipFile(io.BytesIO(content)), io.BytesIO()
    which = rng.choice(("data.pkl", "data.pkl", "data.pkl", "byteorder", "data/0", "version"))
    with zipfile.ZipFile(file, "w") as archive:
        for part in parts.infolist():
            data = parts.read(part)
            if part.filename.endswith(which):
                data = fuzzing.mutate_bytes(rng, data, words=("c__builtin__\neval\n", "\x8a", "r"))
                part.compress_type = rng.choice((zipfile.ZIP_STORED,) * 5 + (zipfile.ZIP_DEFLATED,))
            archive.writestr(part, data)
    return file.getvalue()


def change(rng, content):
    """Changes an entry at any depth of nested dictionaries."""
    name = rng.choice(list(content))
    if isinstance(content[name], dict) and content[name] and rng.random() < 0.9:
        return change(rng, content[name])
    value = content[name]
    what = rng.randrange(4)
    if what == 0:
        del content[name]
    elif what == 1:
        content[rng.choice(("x", 1, None, "projection.bias", "directions"))] = value
    elif what == 2 or not torch.is_tensor(value):
        content[name] = rng.choice(
            (None, True, -1, 2**70, "1", [], {}, float("nan"), torch.ones(3))
        )
    else:
        content[name] = other_tensor(rng, value)
    return None


def other_tensor(rng, tensor):
    """A tensor of another shape, type or layout."""
    shape = list(tensor.shape) or [1]
    place = rng.randrange(len(shape))
    shape[place] = rng.choice((0, 1, 2, 3, shape[place] * 2, 1000))
    large = [rng.choice((1, 10**3, 10**4)) for _ in shape]
    kinds = (
        lambda: torch.ones(shape),
        lambda: torch.ones(1).expand(large),
        lambda: torch.ones([1]).as_strided(shape, [0] * len(shape)),
        lambda: tensor.to(rng.choice((torch.float16, torch.bool, torch.int8, torch.complex64))),
        lambda: tensor.double() * 1e300,
        lambda: tensor * float("nan"),
        lambda: torch.ones(shape).to_sparse(),
        lambda: torch.ones(shape, device="meta"),
        lambda: tensor.T if tensor.ndim == 2 else tensor[None],
    )
    return rng.choice(kinds)()


def case(rng):
    sound = model_dir().sound
    name = rng.choice(list(sound) + ["model.yaml", WEIGHTS] * 3)
    model_dir().put(name, damaged(rng, name, sound[name]))
    try:
        model_dir().read(name)
    finally:
        model_dir().put(name, sound[name])
    assert not model_dir().mark.exists(), "a program ran"


def test_damaged_model_directories_are_read_or_refused():
    model_dir()
    report = fuzzing.assert_sound(case, cases=150, seed=0)
    assert report.refused > 50, report


if __name__ == "__main__":
    model_dir()
    fuzzing.main(case)
