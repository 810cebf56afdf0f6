"""All parts together: what a training takes of its settings."""

import logging

import numpy as np
import pytest
import torch
from corpora import as_arguments, write_corpus
from drawn_chunks import chunks
from test_hparams import ROOT

from local.command_line import load_hparams
from local.data.manifests import prepare_training
from local.errors import InputError

# Little to make, so that it is quick.
SMALL = {
    "noise": {"minutes": 0.1, "made": True},
    "reverberation": {"num_rooms": 5, "made": True},
}
EVERYTHING = {
    name: {"probability": 1.0}
    for name in "mixup silence equalizer telephone gain time_masks".split()
} | {
    "noise": SMALL["noise"] | {"probability": 1.0},
    "reverberation": SMALL["reverberation"] | {"probability": 1.0},
    "voices": {"speeds": [0.9, 1.1], "warps": [0.9, 1.1], "probability": 0.9},
}


@pytest.fixture(scope="module")
def manifest_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    settings = write_corpus(folder)
    labels, audio = settings["train_labels_path"], settings["train_data_dir"]
    return prepare_training(labels, audio, folder / "train.csv", progress=False).path


def load(augmentation=SMALL, **settings):
    settings |= {"augment": True, "augmentation": augmentation, "chunk_samples": 8000}
    yaml_path = str(ROOT / "hparams" / "vgg.yaml")
    return load_hparams([yaml_path, *as_arguments(settings | {"device": "cpu"})])[1]


@pytest.fixture(scope="module")
def everything(manifest_path):
    return load(EVERYTHING)["augmentation"].prepare(manifest_path)


def drawn(augmentation, batch_size=6):
    draws = np.random.default_rng(0).random((batch_size, augmentation.num_draws))
    return torch.from_numpy(draws)


def test_everything_together(everything):
    draws = drawn(everything)
    before = chunks(6, 8800).round().to(torch.int16)
    waveforms = everything.waveforms(before, draws)
    assert waveforms.shape == (6, 8000) and waveforms.dtype == torch.float32
    assert torch.equal(before, chunks(6, 8800).round().to(torch.int16))  # not changed in place
    assert torch.equal(waveforms, everything.waveforms(before, draws))
    assert not torch.equal(waveforms, everything.waveforms(before, drawn(everything) / 2))
    features = torch.randn(6, 47, 40)
    changed = everything.features(features.clone(), draws)
    assert changed.shape == features.shape and (changed == 0).all(dim=2).any(dim=1).all()


def test_what_is_drawn_is_used_once(everything):
    """Each number belongs to one part."""
    parts = [*everything.waveform_parts, *everything.feature_parts]
    assert everything.num_draws == 1 + sum(part.num_draws for part in parts)
    assert len({type(part).__name__ for part in parts}) == len(parts) == 8


def test_autocast_changes_nothing(everything):
    draws = drawn(everything)
    expected = everything.waveforms(chunks(6, 8800), draws)
    features = torch.randn(6, 47, 40)
    expected_features = everything.features(features.clone(), draws)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(everything.waveforms(chunks(6, 8800), draws), expected)
        assert torch.equal(everything.features(features.clone(), draws), expected_features)


def test_settings_of_the_command_line_reach_their_parts(manifest_path):
    changes = {
        "noise": SMALL["noise"] | {"probability": 0.7, "noise_snr_db": [3, 4]},
        "voices": {"speeds": []},
    }
    augmentation = load(SMALL | changes)["augmentation"].prepare(manifest_path)
    noise = augmentation.waveform_parts[4]
    assert (noise.probability, list(noise.snr_db["noise"])) == (0.7, [3, 4])
    assert list(noise.snr_db["music"]) == [5, 15] and augmentation.voices.copies == 1


def test_the_seed_decides_what_is_kept(manifest_path):
    kept = [
        [*load(seed=seed)["augmentation"].prepare(manifest_path).buffers()] for seed in (1, 1, 2)
    ]
    assert len(kept[0]) == 3
    assert all(map(torch.equal, kept[0], kept[1])) and not any(map(torch.equal, kept[0], kept[2]))


def test_stored_features_get_what_works_on_them(manifest_path, caplog):
    changes = {"voices": {"warps": [0.9]}, "time_masks": {"probability": 1.0}}
    with caplog.at_level(logging.WARNING):
        hparams = load(SMALL | changes, train_on="features", normalize_over="utterance")
        augmentation = hparams["augmentation"].prepare(manifest_path)
    left_out = "speeds of Voices, Reverberation, Equalizer, Noise, Gain change the audio"
    assert left_out in caplog.text
    assert augmentation.voices.copies == 2 and not augmentation.voices.changes_speed
    stored, draws = torch.randn(6, 47, 40), drawn(augmentation)
    assert augmentation.waveforms(stored, draws) is stored
    assert not torch.equal(augmentation.features(stored.clone(), draws), stored)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"normalize_over": "utterance"}, "give --normalize_over chunk, or --augment False"),
        ({"noise_dir": "nowhere"}, "noise_dir: nowhere is not a folder"),
        ({"rir_dir": "nowhere"}, "rir_dir: nowhere is not a folder"),
        ({"augmentation": {"noise": {"minutes": 0}}}, "minutes is a number from 0.01 to"),
        ({"augmentation": {"noise": {"probability": 1.5}}}, "noise: probability is a number"),
        ({"augmentation": {"noise": {"noise_snr_db": [15, 0]}}}, "lower one first"),
        ({"augmentation": {"noise": {"probabilty": 0.5}}}, "probabilty"),
        ({"augmentation": {"noize": {"probability": 0.5}}}, "noize"),
        ({"augment": "maybe"}, "augment must be True or False"),
        ({"vad": "webrtc"}, "vad must be none or energy, not 'webrtc'"),
    ],
)
def test_wrong_settings(manifest_path, settings, message):
    settings = {"augmentation": SMALL} | settings
    yaml_path = str(ROOT / "hparams" / "vgg.yaml")
    with pytest.raises(InputError, match=message):
        hparams = load_hparams([yaml_path, "--device", "cpu", *as_arguments(settings)])[1]
        hparams["augmentation"].prepare(manifest_path)
