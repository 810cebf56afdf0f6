"""recipes/extract_features.py from end to end, and training from what it stores."""

import functools
import os
import pickle
import runpy
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from corpora import TINY, as_arguments, write_corpus, write_voice
from runs import run_apart

from local.audio.reading import read_audio
from local.audio.table import AUDIO
from local.data.chunks import ChunkDataset, collate
from local.data.manifests import prepare_training
from local.errors import InputError
from local.features.cutting import cut_features
from local.features.files import feature_kind, read_features
from local.features.log_mel import LogMel

ROOT = Path(__file__).resolve().parents[2]
YAML = str(ROOT / "hparams" / "vgg.yaml")
MELS = {"num_mels": 40, "remove_dc_offset": True}  # of that file


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def extract(tmp_path, capsys):
    """Runs the script into a folder of its own; returns what it printed."""

    def run(*arguments, **settings):
        settings = {"feature_dir": tmp_path / "features"} | settings
        main = runpy.run_path(str(ROOT / "recipes" / "extract_features.py"))["main"]
        main([YAML, "--noprogressbar", *map(str, arguments), *as_arguments(settings)])
        return capsys.readouterr().out

    return run


def expected(path, **settings):
    """Log-mel before normalisation: (frames, num_mels)."""
    log_mel = LogMel(**MELS | settings, normalization="none")
    return log_mel(torch.from_numpy(read_audio(path))[None])[0][0].numpy()


def train(settings):
    main = runpy.run_path(str(ROOT / "recipes" / "train_vgg.py"))["main"]
    main([YAML, "--noprogressbar", *as_arguments(TINY | settings)])


def test_a_list_from_another_directory(tmp_path):
    write_voice(tmp_path / "audio/a.wav", 100)
    write_voice(tmp_path / "audio/b/1.2.flac", 120, seconds=0.4, sample_rate=8000)
    (tmp_path / "files.lst").write_text("a\nb/1.2\n")
    arguments = [YAML, "-i", "files.lst", "--data_dir", "audio"]
    code, printed = run_apart("extract_features.py", arguments, tmp_path)
    assert code == 0, printed
    assert "Features of 2 recordings written, 0 were there." in printed
    # Beside the audio.
    for name, extension in (("a", ".wav"), ("b/1.2", ".flac")):
        stored = read_features(tmp_path / "audio" / f"{name}.npy")
        assert stored.dtype == np.float16
        assert np.abs(stored - expected(tmp_path / "audio" / f"{name}{extension}")).max() < 0.009


def test_without_a_list_the_utterances_of_the_training(corpus, extract, tmp_path):
    printed = extract(**corpus, feature_dtype="float32")
    assert "Features of 16 recordings written, 0 were there." in printed
    names = [path.relative_to(tmp_path / "features") for path in tmp_path.rglob("*.npy")]
    assert len(names) == 16 and Path("s3/u.2.npy") in names
    stored = read_features(tmp_path / "features" / "s0" / "u.1.npy")
    audio = Path(corpus["train_data_dir"]) / "s0" / "u.1.wav"
    assert np.abs(stored - expected(audio)).max() < 1e-4


def test_pickles_as_the_original_has_them(corpus, extract, tmp_path):
    extract("--files", corpus["train_data_dir"], feature_format="pickle", num_mels=80)
    with open(tmp_path / "features" / "s0" / "u.1.pickle", "rb") as file:
        content = pickle.load(file)
    audio = Path(corpus["train_data_dir"]) / "s0" / "u.1.wav"
    assert content.shape[0] == 80
    assert np.abs(content.T - expected(audio, num_mels=80)).max() < 1e-4


def test_what_is_finished_is_kept(corpus, extract, tmp_path):
    folder = tmp_path / "audio"
    for name in ("a", "b", "c", "d"):
        write_voice(folder / f"{name}.wav", 100)
    extract("-i", folder)
    features = tmp_path / "features"
    before = {path.name: path.stat().st_mtime_ns for path in features.iterdir()}
    (features / "a.npy").write_bytes((features / "a.npy").read_bytes()[:1000])  # cut
    write_voice(folder / "b.wav", 200)  # changed since
    os.utime(folder / "b.wav", ns=(0, before["b.npy"] + 1))
    (features / "c.npy").unlink()
    assert "Features of 3 recordings written, 1 were there." in extract("-i", folder)
    after = {path.name: path.stat().st_mtime_ns for path in features.iterdir()}
    assert after["d.npy"] == before["d.npy"] and len(after) == 4
    for name in ("a", "b", "c"):
        error = read_features(features / f"{name}.npy") - expected(folder / f"{name}.wav")
        assert np.abs(error).max() < 0.009
    assert "4 recordings written, 0" in extract("-i", folder, feature_dtype="float32")
    assert "4 recordings written, 0" in extract("-i", folder, num_mels=30)


def test_recordings_that_fail_are_reported_and_the_rest_done(extract, tmp_path, capsys):
    folder = tmp_path / "audio"
    write_voice(folder / "a.wav", 100)
    write_voice(folder / "short.wav", 100, seconds=0.05)
    soundfile.write(folder / "empty.wav", np.zeros(0), 16000)
    (folder / "noise.wav").write_bytes(b"no audio")
    (tmp_path / "files.lst").write_text("none\na\nempty\nnoise\na\nshort\n")
    with pytest.raises(InputError) as raised:
        extract("-i", tmp_path / "files.lst", "--data_dir", folder)
    for line, problem in (
        (1, "there is no audio file"),
        (3, "empty.wav has 0 samples"),
        (4, "noise.wav can't be read as audio"),
        (5, "'a' is already in"),
        (6, "short.wav is too short: 0.05 s"),
    ):
        assert f"files.lst:{line}: " in str(raised.value) and problem in str(raised.value)
    assert [path.name for path in (tmp_path / "features").iterdir()] == ["a.npy"]
    printed = capsys.readouterr()
    assert "Features of 1 recordings written" in printed.out and "5 failed:" in printed.err


@pytest.mark.parametrize("name, value", [("feature_format", "hdf5"), ("feature_dtype", "int8")])
def test_wrong_settings(corpus, extract, name, value):
    with pytest.raises(InputError, match=f"{name} is .* not '{value}'"):
        extract(**corpus, **{name: value})


def test_features_that_cannot_be_written(corpus, extract, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="can't be written"):
        extract("--files", corpus["train_data_dir"], feature_dir=tmp_path / "file" / "features")


# Training


@pytest.mark.parametrize(
    "normalization, dtype, tolerance",
    [("cmn", "float16", 0.01), ("cmn", "float32", 1e-3), ("cmvn", "float32", 1e-3)],
)
@pytest.mark.parametrize("in_memory", [False, True])
def test_whole_utterances_give_the_input_that_audio_does(
    corpus, extract, tmp_path, normalization, dtype, tolerance, in_memory
):
    extract(**corpus, feature_dtype=dtype)
    log_mel = LogMel(**MELS, normalization=normalization)
    inputs = []
    for kind, folder, length in (("audio", corpus["train_data_dir"], 8000), ("stored", None, 47)):
        manifest = make_manifest(corpus, tmp_path, kind, folder or tmp_path / "features")
        dataset = ChunkDataset(manifest, 16000, length, 5, whole=True, in_memory=in_memory)
        batch = collate(True, [dataset[index, index + 7] for index in range(8)])
        features, num_frames = log_mel(batch.waveforms, batch.lengths)
        inputs.append(cut_features(features, num_frames, batch.starts, 47))
    assert inputs[0].shape == inputs[1].shape == (8, 47, 40)
    assert torch.allclose(*inputs, rtol=0, atol=tolerance)


def make_manifest(corpus, tmp_path, kind, folder):
    options = {"kind": AUDIO} if kind == "audio" else {"kind": feature_kind(40, 100)}
    if kind == "stored":
        options["sample_rate"] = 100
    prepare = functools.partial(prepare_training, corpus["train_labels_path"], folder)
    return prepare(tmp_path / f"{kind}.csv", progress=False, **options).path


def test_chunks_give_the_input_that_audio_from_their_place_does(corpus, extract, tmp_path):
    extract(**corpus, feature_dtype="float32")
    manifest = make_manifest(corpus, tmp_path, "stored", tmp_path / "features")
    dataset = ChunkDataset(manifest, 16000, 47, seed=5)
    log_mel = LogMel(**MELS)
    places = set()
    for draw in range(20):
        chunk = torch.from_numpy(dataset[1, draw]["samples"])[None]
        samples = read_audio(Path(corpus["train_data_dir"]) / "s0" / "u.1.wav")
        whole = expected(Path(corpus["train_data_dir"]) / "s0" / "u.1.wav")
        place = np.abs(whole[: len(whole) - 46, 0] - float(chunk[0, 0, 0])).argmin()
        same = samples[place * 160 : place * 160 + log_mel.num_samples(47)]
        of_audio, _ = log_mel(torch.from_numpy(same)[None])
        assert torch.allclose(log_mel(chunk)[0], of_audio, rtol=0, atol=1e-3)
        places.add(int(place))
    assert len(places) > 10


@pytest.mark.parametrize(
    "settings, feature_format",
    [({}, "npy"), ({"normalize_over": "utterance", "max_memory_gb": 0}, "pickle")],
)
def test_training_without_audio(corpus, extract, tmp_path, settings, feature_format):
    extract(**corpus, feature_format=feature_format)
    nowhere = {"train_data_dir": "nowhere", "valid_data_dir": "nowhere"}
    stored = {"train_on": "features", "feature_dir": tmp_path / "features", "number_of_epochs": 1}
    train(corpus | nowhere | stored | settings | {"out_dir": tmp_path / "out"})
    assert list((tmp_path / "out").glob("model_*.pt"))
    rows = (tmp_path / "out" / "manifests" / "train.csv").read_text().splitlines()
    # 1 s is 97 frames.
    assert rows[1] == f"s0/u.0,0.97,{tmp_path}/features/s0/u.0.{feature_format},0,97,0"


def test_a_model_of_stored_features_verifies_audio_against_its_cohort(extract, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", num_speakers=8)
    extract(**corpus)
    stored = {"train_on": "features", "feature_dir": tmp_path / "features"}
    # Long enough for embeddings that differ.
    stored |= {"number_of_epochs": 10, "average_decay": 0, "num_workers": 0}
    stored |= {"pooling": "statistics", "width": 32}
    train(corpus | stored | {"out_dir": tmp_path / "out"})
    main = runpy.run_path(str(ROOT / "recipes" / "verify.py"))["main"]
    trials = {name: path for name, path in corpus.items() if name.startswith("valid")}
    settings = trials | {"model_dir": tmp_path / "out", "score_norm": "s", "device": "cpu"}
    settings |= {"num_workers": 0, "bootstrap_draws": 20}
    main([str(ROOT / "hparams" / "verify.yaml"), "--noprogressbar", *as_arguments(settings)])
    assert (tmp_path / "out" / "verification" / "scores.txt").is_file()


def test_features_of_another_number_of_mels(corpus, extract, tmp_path):
    extract(**corpus, num_mels=30)
    stored = {"train_on": "features", "feature_dir": tmp_path / "features"}
    with pytest.raises(InputError, match=r"labels.txt:1: .*u.0.npy has 30 features a frame, not"):
        train(corpus | stored | {"out_dir": tmp_path / "out"})


def test_a_program_in_place_of_features_is_not_run(corpus, extract, tmp_path):
    class Malice:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    extract(**corpus, feature_format="pickle")
    (tmp_path / "features" / "s1" / "u.3.pickle").write_bytes(pickle.dumps(Malice()))
    stored = {"train_on": "features", "feature_dir": tmp_path / "features"}
    with pytest.raises(InputError, match=r"labels.txt:8: .*u.3.pickle holds posix.mkdir"):
        train(corpus | stored | {"out_dir": tmp_path / "out"})
    assert not (tmp_path / "executed").exists()


def test_features_that_are_not_there(corpus, tmp_path):
    stored = {"train_on": "features", "feature_dir": tmp_path}
    with pytest.raises(InputError, match=r"no feature file .*s0/u.0 \(tried .* .npy .pick"):
        train(corpus | stored | {"out_dir": tmp_path / "out"})


def test_features_stay_inside_of_their_folder(extract, tmp_path, monkeypatch):
    """Absolute paths, paths with `..` and IDs of a wav.scp are refused; the others are done."""
    folder = tmp_path / "audio"
    for name in ("a", "b/c"):
        write_voice(folder / f"{name}.wav", 100)
    before = set(tmp_path.rglob("*"))
    lines = [folder / "a", "../audio/a", "b/../../audio/a", "b/../a", "b/c"]
    (tmp_path / "files.lst").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError) as raised:
        extract("-i", tmp_path / "files.lst", "--data_dir", folder)
    for line in (1, 2, 3):
        assert f"files.lst:{line}: " in str(raised.value)
    assert str(raised.value).count("outside of") == 3
    (tmp_path / "wav.scp").write_text(f"../x {folder}/a.wav\n/{tmp_path.name}/x {folder}/a.wav\n")
    with pytest.raises(InputError) as raised:
        extract("-i", tmp_path / "wav.scp")
    assert str(raised.value).count("outside of") == 2
    with pytest.raises(InputError, match="outside of"):
        extract("-i", folder / "a.wav")
    features = tmp_path / "features"
    own = {path for path in tmp_path.rglob("*") if not path.is_relative_to(features)}
    assert own - before == {tmp_path / "files.lst", tmp_path / "wav.scp"}
    stored = {path.relative_to(features) for path in features.rglob("*.*")}
    assert stored == {Path("a.npy"), Path("b/c.npy")}


def test_what_a_killed_run_left_is_removed(extract, tmp_path):
    write_voice(tmp_path / "audio" / "s" / "a.wav", 100)
    left = tmp_path / "features" / "s" / ".b.npy.0123456789ab.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    extract("-i", tmp_path / "audio")
    assert [path.name for path in (tmp_path / "features").rglob("*.*")] == ["a.npy"]
