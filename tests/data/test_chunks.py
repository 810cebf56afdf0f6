import functools

import numpy as np
import pytest
import torch
from corpora import write_corpus
from torch.utils.data import DataLoader

from local.audio.reading import read_audio
from local.data.chunks import ChunkDataset, collate, cut_features
from local.data.manifests import prepare_training
from local.data.sampling import EndlessShuffle
from local.features.log_mel import LogMel


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A manifest of 4 utterances of 1 to 1.4 s, and the audio of each by its ID."""
    folder = tmp_path_factory.mktemp("corpus")
    settings = write_corpus(folder)
    manifest = prepare_training(
        settings["train_labels_path"],
        settings["train_data_dir"],
        folder / "train.csv",
        progress=False,
    )
    names = [line.split()[0] for line in open(settings["train_labels_path"])]
    audio = {name: read_audio(folder / "audio" / f"{name}.wav") for name in names}
    return manifest.path, audio


def batches_of(manifest_path, num_workers, whole=False, num_samples=8000, **settings):
    dataset = ChunkDataset(manifest_path, 16000, num_samples, seed=5, whole=whole, **settings)
    loader = DataLoader(
        dataset,
        batch_sampler=EndlessShuffle(len(dataset), 4, 3, seed=5),
        collate_fn=functools.partial(collate, whole),
        num_workers=num_workers,
    )
    return list(loader)


def test_chunks_are_parts_of_their_speakers_utterances(corpus):
    manifest_path, audio = corpus
    for batch in batches_of(manifest_path, num_workers=0):
        assert batch.waveforms.shape == (4, 8000) and batch.waveforms.dtype == torch.int16
        assert batch.lengths is None and batch.starts is None
        for waveform, label in zip(batch.waveforms.numpy(), batch.labels.tolist(), strict=True):
            own = [samples for name, samples in audio.items() if name.startswith(f"s{label}/")]
            windows = (np.lib.stride_tricks.sliding_window_view(samples, 8000) for samples in own)
            assert any((view == waveform).all(axis=1).any() for view in windows)


@pytest.mark.parametrize("whole", [False, True])
def test_chunks_do_not_depend_on_workers_or_memory(corpus, whole):
    manifest_path, _ = corpus
    expected = batches_of(manifest_path, num_workers=0, whole=whole)
    for other in (
        batches_of(manifest_path, num_workers=2, whole=whole),
        batches_of(manifest_path, num_workers=0, whole=whole, in_memory=True),
    ):
        for batch, same in zip(expected, other, strict=True):
            assert torch.equal(batch.waveforms, same.waveforms)
            assert torch.equal(batch.labels, same.labels)


def test_short_utterances_are_repeated(corpus):
    manifest_path, _ = corpus
    for batch in batches_of(manifest_path, num_workers=0, num_samples=50000):
        assert batch.waveforms.shape == (4, 50000)
        assert (batch.waveforms[:, -1000:] != 0).any(dim=1).all()


def test_whole_utterances_are_padded_and_their_features_cut(corpus):
    manifest_path, _ = corpus
    log_mel = LogMel()
    batch = batches_of(manifest_path, num_workers=0, whole=True)[0]
    assert batch.lengths.max() == batch.waveforms.shape[1]
    features, num_frames = log_mel(batch.waveforms, batch.lengths)
    chunks = cut_features(features, num_frames, batch.starts, chunk_frames=40)
    for chunk, waveform, length in zip(chunks, batch.waveforms, batch.lengths, strict=True):
        alone, _ = log_mel(waveform[None, :length])
        matches = [torch.allclose(chunk, part, atol=1e-4) for part in alone[0].unfold(0, 40, 1).mT]
        assert sum(matches) == 1


def test_cut_features_reaches_first_and_last_place():
    features = torch.arange(10.0).view(1, 10, 1).expand(2, -1, -1)
    starts = torch.tensor([0.0, 1.0])
    chunks = cut_features(features, torch.tensor([10, 7]), starts, chunk_frames=3)
    assert chunks[:, :, 0].tolist() == [[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]


def test_batch_moves_to_a_device(corpus):
    manifest_path, _ = corpus
    moved = batches_of(manifest_path, num_workers=0)[0].to("meta")
    assert moved.waveforms.device.type == "meta" and moved.lengths is None
