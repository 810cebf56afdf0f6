import functools

import pytest
import torch
from corpora import write_corpus
from hypothesis import given
from hypothesis import strategies as st

from local.audio.reading import read_audio
from local.data.manifests import prepare_trials
from local.embeddings.embed import batches_by_length, extract_embeddings, utterance_loader
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
    embeddings = extract_embeddings(features, extractor, loader, progress=False)
    assert embeddings.shape == (len(trials.utterances), 6)
    for name, embedding in zip(trials.utterances, embeddings, strict=True):
        samples = torch.from_numpy(read_audio(folder / "audio" / f"{name}.wav"))[None]
        with torch.no_grad():
            alone = extractor(features(samples)[0])[0]
        assert torch.allclose(embedding, alone, rtol=0, atol=1e-5)
