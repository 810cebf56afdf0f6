"""Embeddings: each utterance once, in batches that change nothing; and crops of utterances."""

import functools

import numpy as np
import pytest
import torch
from corpora import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from local.audio.reading import read_audio
from local.data.manifest_files import read_manifest, write_manifest
from local.data.manifests import prepare_trials
from local.embeddings.embed import (
    batches_by_length,
    embed_share,
    utterance_loader,
    write_crops,
)
from local.features.log_mel import LogMel
from local.lists.trials import read_trials
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import Statistics
from local.models.vgg import VGG


@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=40), st.floats(0.1, 60))
def test_batches_hold_each_utterance_once_and_fit(durations, max_seconds):
    batches = batches_by_length(durations, max_seconds)
    assert sorted(index for batch in batches for index in batch) == list(range(len(durations)))
    longest = [max(durations[index] for index in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    for batch, seconds in zip(batches, longest, strict=True):
        assert len(batch) == 1 or len(batch) * seconds <= max_seconds


@pytest.fixture(scope="module")
def trials_and_manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    settings = write_corpus(folder)
    trials = read_trials(settings["valid_clients"], settings["valid_impostors"])
    manifest = prepare_trials(
        trials, settings["valid_data_dir"], folder / "valid.csv", progress=False
    )
    return folder, trials, manifest


@pytest.mark.parametrize("batch_seconds", [0.1, 3.0, 100.0])
def test_embeddings_are_those_of_each_utterance_alone_in_order(trials_and_manifest, batch_seconds):
    folder, trials, manifest = trials_and_manifest
    torch.manual_seed(0)
    features = LogMel()
    head = functools.partial(EmbeddingHead, embedding_size=6, hidden_size=0)
    extractor = EmbeddingExtractor(VGG([4, 8], batch_norm=True), Statistics, head)
    loader = utterance_loader(manifest.path, 16000, batch_seconds)
    indices, rows = embed_share(features, extractor, loader, "cpu", "fp32", progress=False)
    assert sorted(indices) == list(range(len(trials.utterances)))
    embeddings = rows[np.argsort(indices)]
    for name, embedding in zip(trials.utterances, embeddings, strict=True):
        samples = torch.from_numpy(read_audio(folder / "audio" / f"{name}.wav"))[None]
        with torch.no_grad():
            alone = extractor(features(samples)[0])[0]
        assert torch.allclose(embedding, alone, rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def crops_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")

    def call(start, stop, rate, num_crops, crop_seconds):
        """The crops of one utterance, and how many there are said to be."""
        place = {"wav": "a.wav", "start": start, "stop": stop, "duration": (stop - start) / rate}
        write_manifest(folder / "all.csv", [{"ID": "a/1", "spk_id": "7"} | place])
        counts = write_crops(folder / "all.csv", folder / "crops.csv", num_crops, crop_seconds)
        return list(read_manifest(folder / "crops.csv")), counts.tolist()

    return call


def test_crops_of_a_part_of_a_file(crops_of):
    rows, counts = crops_of(1000, 5000, rate=2000, num_crops=2, crop_seconds=1.25)
    assert counts == [2]
    fixed = {"wav": "a.wav", "spk_id": "7", "duration": "1.25"}
    assert rows == [
        fixed | {"ID": "a/1#0", "start": "1000", "stop": "3500"},
        fixed | {"ID": "a/1#1", "start": "2500", "stop": "5000"},
    ]


@given(
    start=st.integers(0, 100_000),
    length=st.integers(1600, 500_000),
    rate=st.sampled_from([8000, 16000, 44100]),
    num_crops=st.integers(1, 12),
    crop_seconds=st.floats(0.1, 10.0),
)
def test_crops_go_evenly_from_beginning_to_end(
    crops_of, start, length, rate, num_crops, crop_seconds
):
    rows, counts = crops_of(start, start + length, rate, num_crops, crop_seconds)
    starts, stops = (np.array([int(row[key]) for row in rows]) for key in ("start", "stop"))
    assert counts == [len(rows)] and len({row["ID"] for row in rows}) == len(rows)
    assert starts[0] == start
    expected = min(length, crop_seconds * rate)
    np.testing.assert_allclose(stops - starts, expected, atol=1)
    np.testing.assert_allclose([float(row["duration"]) for row in rows], expected / rate, rtol=0.01)
    if length > expected + num_crops and num_crops > 1:
        assert len(rows) == num_crops and stops[-1] == start + length
        assert np.ptp(np.diff(starts)) <= 1
    else:
        assert len(rows) <= num_crops and (stops <= start + length).all()


@pytest.mark.parametrize(
    "precision, expected",
    [("fp32", None), ("tf32", None), ("bf16", torch.bfloat16), ("fp16", torch.float16)],
)
def test_each_precision_is_what_its_name_says(trials_and_manifest, precision, expected):
    found = []

    def watch(*_):
        is_on = torch.is_autocast_enabled("cpu") and torch.is_inference_mode_enabled()
        found.append(torch.get_autocast_dtype("cpu") if is_on else None)

    head = functools.partial(EmbeddingHead, embedding_size=6, hidden_size=0)
    extractor = EmbeddingExtractor(VGG([4, 8], batch_norm=True), Statistics, head)
    extractor.front_end.register_forward_pre_hook(watch)
    loader = utterance_loader(trials_and_manifest[2].path, 16000, batch_seconds=1.0)
    embed_share(LogMel(), extractor, loader, "cpu", precision, progress=False)
    assert found == [expected] * len(loader) and len(loader) > 1
