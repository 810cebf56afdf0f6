"""recipes/extract_embeddings.py from end to end."""

import multiprocessing
import runpy
import signal
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
import torch
from corpora import as_arguments, write_voice
from exports import make_model_dir
from runs import run_apart

from local.atomic import lock_folder
from local.audio.reading import read_audio
from local.embeddings import embed as embedding
from local.embeddings import shards
from local.errors import InputError
from local.model_files.model_dir import load_model

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(ROOT / "recipes" / "extract_embeddings.py")
YAML = str(ROOT / "hparams" / "embed.yaml")
NAMES = ("a", "b/1", "b/2.v")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return make_model_dir(
        tmp_path_factory.mktemp("model") / "model", pooling="multi_head", width=8, hidden_size=6
    )


@pytest.fixture(scope="module")
def audio(tmp_path_factory):
    """A folder with recordings of different lengths, rates and channels."""
    folder = tmp_path_factory.mktemp("audio")
    write_voice(folder / "a.wav", 120, seconds=0.7)
    write_voice(folder / "b/1.flac", 150, seconds=1.9, sample_rate=44100)
    write_voice(folder / "b/2.v.wav", 180, seconds=0.01)
    mono, rate = soundfile.read(folder / "a.wav")
    soundfile.write(folder / "a.wav", np.stack([mono, 0.2 * mono], axis=1), rate)
    return folder


def embed(model_dir, out, files, *more, **settings):
    settings = {"model_dir": model_dir, "out": out, "device": "cpu"} | settings
    main = runpy.run_path(SCRIPT)["main"]
    files = files if isinstance(files, list) else [files]
    arguments = [YAML, "--noprogressbar", "--files", *map(str, files), *as_arguments(settings)]
    main([*arguments, *more])


def read(path):
    with np.load(path) as content:
        return dict(zip(content["ids"].tolist(), content["embeddings"], strict=True))


def expected(model_dir, path, layer=lambda extractor: extractor):
    """Straight through the network, the recording alone."""
    model = load_model(model_dir)
    samples = torch.from_numpy(read_audio(path))[None]
    with torch.no_grad():
        features, _ = model["features"](samples)
        return layer(model["extractor"].eval())(features)[0].numpy()


def test_a_list_from_another_directory(model_dir, audio, tmp_path):
    (tmp_path / "files.lst").write_text("".join(f"{name}\n" for name in NAMES))
    settings = {"model_dir": model_dir, "data_dir": audio, "out": "out/e", "device": "cpu"}
    arguments = [YAML, "--files", "files.lst", *as_arguments(settings)]
    code, printed = run_apart("extract_embeddings.py", arguments, tmp_path)
    assert code == 0, printed
    assert "3 embeddings: out/e.npz" in printed
    assert "1 are not at 16000 Hz" in printed and "1 have several" in printed
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["e.npz"]
    embeddings = read(tmp_path / "out" / "e.npz")
    assert list(embeddings) == list(NAMES)
    for name, path in zip(NAMES, ("a.wav", "b/1.flac", "b/2.v.wav"), strict=True):
        assert np.allclose(embeddings[name], expected(model_dir, audio / path), atol=1e-5)


def test_every_source_gives_the_same(model_dir, audio, tmp_path):
    embed(model_dir, tmp_path / "folder", audio)
    (tmp_path / "wav.scp").write_text(f"x {audio}/a.wav\ny {audio}/b/1.flac\n")
    embed(model_dir, tmp_path / "scp.ark", tmp_path / "wav.scp", batch_seconds=0.1)
    files = [audio / "a.wav", audio / "b" / "1.flac"]
    embed(model_dir, tmp_path / "files", files)
    embeddings = read(tmp_path / "folder.npz")
    assert list(embeddings) == list(NAMES)
    table = dict(kaldiio.load_scp(str(tmp_path / "scp.scp")).items())
    single = read(tmp_path / "files.npz")
    assert list(table) == ["x", "y"] and list(single) == [str(path) for path in files]
    for name, *others in zip(NAMES, table.values(), single.values(), strict=False):
        for other in others:
            assert np.allclose(other, embeddings[name], atol=1e-5)


def test_unit_length(model_dir, audio, tmp_path):
    embed(model_dir, tmp_path / "raw", audio)
    embed(model_dir, tmp_path / "unit", audio, unit_length=True)
    raw, unit = read(tmp_path / "raw.npz"), read(tmp_path / "unit.npz")
    for name in NAMES:
        assert np.allclose(unit[name], raw[name] / np.linalg.norm(raw[name]), atol=1e-6)


@pytest.mark.parametrize("layer, size", [("pooled", 24), ("hidden", 6), ("linear", 8)])
def test_layers(model_dir, audio, tmp_path, layer, size):
    embed(model_dir, tmp_path / "e", audio / "b", layer=layer)

    def up_to(extractor):
        head = extractor.head
        parts = {"pooled": [], "hidden": [head.hidden], "linear": [head.hidden, head.linear]}
        extractor.head = torch.nn.Sequential(*parts[layer])
        return extractor

    embedding = read(tmp_path / "e.npz")["1"]
    assert embedding.shape == (size,)
    reference = expected(model_dir, audio / "b" / "1.flac", up_to)
    assert np.allclose(embedding, reference, atol=1e-5)


@pytest.mark.parametrize(
    "pooling, shape",
    [("attention", (6, 1)), ("multi_head", (6, 4)), ("double_multi_head", (6, 4))]
    + [("attentive_statistics", (6, 24))],
)
def test_alignment(audio, tmp_path, pooling, shape):
    model_dir = make_model_dir(tmp_path / "model", pooling=pooling, width=8)
    embed(model_dir, tmp_path / "e", audio, alignment=True)
    with np.load(tmp_path / "e.alignment.npz") as alignments:
        assert list(alignments) == list(NAMES)
        # 0.7 s are 67 frames, 5 states of 16; 1.9 s are 187 frames; one frame is one state.
        assert [len(alignments[name]) for name in NAMES] == [5, 12, 1]
        alignment = alignments["a"]
    assert alignment.shape == (5, shape[1]) and (alignment >= 0).all()
    total = alignment.sum() if pooling == "double_multi_head" else alignment.sum(axis=0)
    assert np.allclose(total, 1.0, atol=1e-5)


def test_alignment_is_what_the_pooling_used(model_dir, audio, tmp_path):
    embed(model_dir, tmp_path / "e", audio, alignment=True)
    embed(model_dir, tmp_path / "pooled", audio, layer="pooled")
    alignment = np.load(tmp_path / "e.alignment.npz")["a"]
    model = load_model(model_dir)
    with torch.no_grad():
        features, _ = model["features"](torch.from_numpy(read_audio(audio / "a.wav"))[None])
        states, _ = model["extractor"].eval().front_end(features)
    heads = states[0].numpy().reshape(5, 4, 6)
    pooled = (alignment[:, :, None] * heads).sum(axis=0).ravel()
    assert np.allclose(pooled, read(tmp_path / "pooled.npz")["a"], atol=1e-5)


# Interruptions


@pytest.mark.parametrize("file_format", ["npz", "npy", "ark", "csv"])
def test_an_interrupted_extraction_goes_on(
    model_dir, audio, tmp_path, monkeypatch, capsys, caplog, file_format
):
    options = {"alignment": True, "batch_seconds": 0.1, "format": file_format}
    embed(model_dir, tmp_path / "e", audio, **options)
    expected = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in expected:
        (tmp_path / name).unlink()
    monkeypatch.setattr(shards, "SHARD_SECONDS", 0.0)
    embed_batch, calls = embedding.embed_batch, []

    def stop(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return embed_batch(*arguments)

    monkeypatch.setattr(embedding, "embed_batch", stop)
    with pytest.raises(KeyboardInterrupt):
        embed(model_dir, tmp_path / "e", audio, **options)
    assert [path.name for path in tmp_path.iterdir()] == [f"e.{file_format}.partial"]
    with caplog.at_level("INFO"):
        embed(model_dir, tmp_path / "e", audio, **options)
    assert "goes on, with 1 of 3 recordings" in caplog.text and len(calls) == 4
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == expected


def test_one_run_at_a_time_writes_a_file(model_dir, audio, tmp_path):
    """The other one is refused, and leaves what the first has done."""
    context = multiprocessing.get_context("fork")
    ready = context.Event()

    def hold():
        lock_folder(tmp_path / "e.npz.partial")
        ready.set()
        signal.pause()

    other = context.Process(target=hold, daemon=True)
    other.start()
    assert ready.wait(10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lock_folder, "__defaults__", (0.0,))
        with pytest.raises(InputError, match="e.npz.partial: another run is writing here"):
            embed(model_dir, tmp_path / "e", audio)
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz.partial"]
    other.kill()
    other.join()
    embed(model_dir, tmp_path / "e", audio)
    assert [path.name for path in tmp_path.iterdir()] == ["e.npz"]


# Wrong input


def test_silent_recordings_fail_and_doubtful_ones_are_named(
    model_dir, audio, tmp_path, caplog, capsys
):
    folder = tmp_path / "audio"
    write_voice(folder / "good.wav", 120)
    noise = np.random.default_rng(0).standard_normal(16000)
    soundfile.write(folder / "loud.wav", np.clip(noise, -1, 1), 16000)
    soundfile.write(folder / "faint.wav", 1e-4 * noise, 16000)
    soundfile.write(folder / "silent.wav", np.zeros(16000), 16000)
    with caplog.at_level("WARNING"):
        with pytest.raises(InputError, match="silent.wav is digital silence"):
            embed(model_dir, tmp_path / "e", folder)
    assert "1 recordings are nearly silent" in caplog.text and ": faint\n" in caplog.text
    assert "1 recordings are clipped" in caplog.text and ": loud\n" in caplog.text
    assert list(read(tmp_path / "e.npz")) == ["faint", "good", "loud"]
    assert "3 embeddings" in capsys.readouterr().out
    good = expected(model_dir, folder / "good.wav")
    assert np.allclose(read(tmp_path / "e.npz")["good"], good, atol=1e-5)


def test_recordings_that_fail_are_reported_and_the_rest_done(model_dir, audio, tmp_path, capsys):
    broken = tmp_path / "broken.flac"
    write_voice(broken, 120, seconds=3.0)
    content = bytearray(broken.read_bytes())
    # Its ends are whole: only reading all of it shows what is wrong.
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    broken.write_bytes(content)
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    (tmp_path / "noise.wav").write_bytes(b"no audio")
    lines = [f"{audio}/a", "nowhere", broken, f"{audio}/a", tmp_path / "empty", f"{audio}/b/1"]
    lines += [tmp_path / "noise"]
    (tmp_path / "files.lst").write_text("".join(f"{line}\n" for line in lines))
    with pytest.raises(InputError) as raised:
        embed(model_dir, tmp_path / "e", tmp_path / "files.lst")
    message = str(raised.value)
    for line, problem in (
        (2, "there is no audio file"),
        (3, "broken.flac can't be read as audio"),
        (4, "is already in"),
        (5, "empty.wav has 0 samples"),
        (7, "noise.wav can't be read as audio"),
    ):
        assert f"files.lst:{line}: " in message and problem in message
    assert list(read(tmp_path / "e.npz")) == [f"{audio}/a", f"{audio}/b/1"]
    printed = capsys.readouterr()
    assert "2 embeddings" in printed.out and "5 failed:" in printed.err


def test_nothing_is_left_where_nothing_could_be_embedded(model_dir, tmp_path):
    (tmp_path / "files.lst").write_text("nowhere\n")
    with pytest.raises(InputError, match="files.lst:1: there is no audio file"):
        embed(model_dir, tmp_path / "out" / "e", tmp_path / "files.lst")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"layer": "last"}, "layer must be embedding, .* or linear, not 'last'"),
        ({"format": "hdf5"}, "format must be npz, npy, ark or csv"),
        ({"model_dir": "nowhere"}, "nowhere: no trained model here"),
    ],
)
def test_wrong_settings(model_dir, audio, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        embed(settings.pop("model_dir", model_dir), tmp_path / "e", audio, **settings)


def test_what_a_model_does_not_have(audio, tmp_path):
    model_dir = make_model_dir(tmp_path / "model")
    with pytest.raises(InputError, match="trained with hidden_size 0"):
        embed(model_dir, tmp_path / "e", audio, layer="hidden")
    with pytest.raises(InputError, match="pooling of this model has no attention"):
        embed(model_dir, tmp_path / "e", audio, alignment=True)
    with pytest.raises(InputError, match="--files"):
        runpy.run_path(SCRIPT)["main"]([YAML, "--model_dir", str(model_dir), "--device", "cpu"])
