import functools

import numpy as np
import pytest
import torch
from corpora import write_corpus
from torch.utils.data import DataLoader

from local.audio.reading import cut_chunk, read_audio
from local.augmentation.voices import Voices
from local.data.chunks import ChunkDataset, collate
from local.data.manifests import prepare_training
from local.data.sampling import EndlessShuffle
from local.features.cutting import cut_features
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


AUGMENTED = {"voices": Voices(speeds=[0.9, 1.1], probability=0.8), "num_draws": 9}


@pytest.mark.parametrize("settings", [{}, {"whole": True}, AUGMENTED])
def test_chunks_do_not_depend_on_workers_or_memory(corpus, settings):
    manifest_path, _ = corpus
    expected = batches_of(manifest_path, num_workers=0, **settings)
    for other in (
        batches_of(manifest_path, num_workers=2, **settings),
        batches_of(manifest_path, num_workers=0, **settings, in_memory=True),
    ):
        for batch, same in zip(expected, other, strict=True):
            assert torch.equal(batch.waveforms, same.waveforms)
            assert torch.equal(batch.labels, same.labels)
            assert batch.draws is None or torch.equal(batch.draws, same.draws)


def test_chunks_are_drawn_as_ever(corpus):
    """A new version gives the chunks that the one before gave: runs go on."""
    manifest_path, audio = corpus
    dataset = ChunkDataset(manifest_path, 16000, 8000, seed=5)
    for draw in range(8):
        rng = np.random.default_rng((5, draw))
        rng.random()
        expected = cut_chunk([*audio.values()][draw], 8000, rng)
        assert np.array_equal(dataset[draw, draw]["samples"], expected)


def test_voices_have_their_lengths_and_labels(corpus):
    manifest_path, _ = corpus
    plain = ChunkDataset(manifest_path, 16000, 8000, seed=5)
    for new_speakers in (True, False):
        voices = Voices(speeds=[0.9, 1.1], probability=0.8, new_speakers=new_speakers)
        dataset = ChunkDataset(manifest_path, 16000, 8000, seed=5, voices=voices, num_draws=3)
        items = [dataset[draw % 8, draw] for draw in range(30)]
        numbers = voices.numbers(np.stack([item["draws"] for item in items])[:, 0])
        assert {*numbers} == {0, 1, 2}
        labels = [plain[draw % 8, draw]["label"] for draw in range(30)]
        for item, number, label in zip(items, numbers.tolist(), labels, strict=True):
            assert item["samples"].shape == ((8000, 7200, 8800)[number],)
            assert item["label"] == (label + 2 * number if new_speakers else label)
        batch = collate(False, items)
        assert (
            batch.waveforms.shape == (30, 8800) and not batch.waveforms[numbers == 0, 8000:].any()
        )
        # The pitches of the speakers are 100 and 130 Hz.
        chunks = voices.at_speeds(batch.waveforms.double(), numbers, 8000)
        spectra = torch.fft.rfft(chunks * torch.hann_window(8000), 80_000).abs()[:, :1000]
        pitches = np.array((100, 130))[labels] * np.array(voices.speeds)[numbers]
        assert spectra.argmax(dim=1).numpy() / 5 == pytest.approx(pitches, rel=0.02)


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


def test_batch_moves_to_a_device(corpus):
    manifest_path, _ = corpus
    moved = batches_of(manifest_path, num_workers=0)[0].to("meta")
    assert moved.waveforms.device.type == "meta" and moved.lengths is None
    moved = batches_of(manifest_path, num_workers=0, **AUGMENTED)[0].to("meta")
    assert moved.labels.device.type == "meta" and moved.draws.device.type == "cpu"
    moved = batches_of(manifest_path, num_workers=0, whole=True)[0].to("meta")
    assert moved.waveforms.device.type == "meta" and moved.lengths.is_cpu and moved.starts.is_cpu
