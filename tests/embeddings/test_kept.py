"""Embeddings that are kept on the way: an interruption changes nothing but the time."""

import functools
import os

import numpy as np
import pytest
import torch
from corpora import write_voice

from local.data.manifests import prepare_recordings
from local.embeddings import embed, shards
from local.embeddings.kept import Computation, embed_kept, failures_of
from local.errors import Problems
from local.features.log_mel import LogMel
from local.lists.file_lists import Recordings
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.pooling import Statistics
from local.models.vgg import VGG

COMPUTATION = Computation("cpu", "fp32", batch_seconds=1.0, num_workers=0, progress=False)
NAMES = [f"u{number}" for number in range(7)]


class Setting:
    """A model, recordings, and a folder for the shards; counts what is embedded."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.model = {"sample_rate": 16000, "features": LogMel()}
        for key in ("path", "definition"):
            self.model[key] = folder / key
            self.model[key].write_text(key)
        self.draw_weights(0)
        for number, name in enumerate(NAMES):
            write_voice(folder / f"{name}.wav", 100 + number, seconds=0.2 + 0.02 * number)
        self.embedded, self.stop_at = [], None
        embed_batch = embed.embed_batch

        def counted(features, extractor, batch, device):
            if len(self.embedded) == self.stop_at:
                raise KeyboardInterrupt
            self.embedded.append(batch.indices)
            return embed_batch(features, extractor, batch, device)

        monkeypatch.setattr(embed, "embed_batch", counted)
        monkeypatch.setattr(shards, "SHARD_SECONDS", 0.0)  # a shard for each batch

    def draw_weights(self, seed):
        torch.manual_seed(seed)
        head = functools.partial(EmbeddingHead, embedding_size=6, hidden_size=0)
        self.model["extractor"] = EmbeddingExtractor(VGG([4, 8], batch_norm=True), Statistics, head)
        self.model["path"].write_text(str(seed))

    def run(self, names=NAMES, stop_at=None, shards="shards", **changes):
        """Embeds; returns what `embed_kept` does, and how many batches were computed."""
        self.embedded, self.stop_at = [], stop_at
        places = [("list", line) for line in range(len(names))]
        ids = [f"{name}-{line}" for line, name in enumerate(names)]
        problems = Problems()
        prepare_recordings(
            Recordings(ids, names, places), self.folder, self.folder / "all.csv", problems,
            progress=False,
        )  # fmt: skip
        problems.raise_if_any()
        computation = COMPUTATION._replace(**changes)
        folder = self.folder / shards
        return embed_kept(self.model, self.folder / "all.csv", folder, computation), len(
            self.embedded
        )

    def stop(self, stop_at):
        with pytest.raises(KeyboardInterrupt):
            self.run(stop_at=stop_at)


@pytest.fixture
def setting(tmp_path, monkeypatch):
    return Setting(tmp_path, monkeypatch)


def assert_same(found, expected):
    for one, other in zip(found[:4], expected[:4], strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("stop_at", [0, 1, 2])
def test_it_goes_on_where_it_was_stopped(setting, stop_at):
    expected, num_batches = setting.run(shards="whole")
    assert num_batches == 3 and len(np.unique(expected.embeddings, axis=0)) == len(NAMES)
    setting.stop(stop_at)
    found, num_computed = setting.run()
    assert num_computed == num_batches - stop_at
    assert_same(found, expected)
    assert setting.run()[1] == 0


def test_what_is_in_memory_when_it_is_stopped_is_written(setting, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_SECONDS", 1000.0)
    setting.stop(2)
    assert setting.run()[1] == 1


def test_what_decides_the_result_is_not_mixed(setting):
    """Neither a model, nor a list, nor settings, nor changed recordings."""
    _, num_batches = setting.run()
    setting.draw_weights(1)
    other, num_computed = setting.run()
    assert num_computed == num_batches
    assert_same(other, setting.run(shards="other model")[0])
    fewer, _ = setting.run(NAMES[1:])
    assert_same(fewer, setting.run(NAMES[1:], shards="fewer")[0])
    larger, num_computed = setting.run(batch_seconds=100.0)
    assert num_computed == 1
    assert_same(larger, setting.run(batch_seconds=100.0, shards="larger")[0])
    write_voice(setting.folder / "u0.wav", 300, seconds=0.2)
    changed, num_computed = setting.run()
    assert num_computed == 1  # its batch
    assert_same(changed, setting.run(shards="changed")[0])
    assert not np.array_equal(changed.embeddings[0], other.embeddings[0])


def test_a_recording_that_is_there_twice(setting):
    found, _ = setting.run(["u1", "u1", "u1"], batch_seconds=0.1)
    assert (found.embeddings == found.embeddings[0]).all() and found.embeddings.any()
    assert setting.run(["u1", "u1", "u1"], batch_seconds=0.1)[1] == 0


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", "flip"])
def test_damaged_shards_are_embedded_again(setting, damage):
    expected, _ = setting.run()
    path = sorted((setting.folder / "shards").iterdir())[1]
    data = path.read_bytes()
    middle = data.index(b"embeddings.npy") + 200
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    path.write_bytes(flipped if damage == "flip" else damage(data))
    found, num_computed = setting.run()
    assert num_computed == 1
    assert_same(found, expected)


def test_recordings_that_fail_are_tried_again(setting):
    """A disk may have been away. In a batch, the others are computed again, as if nothing were."""
    expected, num_batches = setting.run(shards="whole")
    reading, broken = embed.read_utterance, []

    def failing(path, *place):
        if os.path.basename(path) in broken:
            raise embed.InputError(f"{path}: is away")
        return reading(path, *place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embed, "read_utterance", failing)
        broken.extend(["u0.wav", "u6.wav"])
        found, _ = setting.run()
    assert sorted(found.failures) == [0, 6] and "is away" in found.failures[0]
    assert not found.embeddings[[0, 6]].any() and found.embeddings[1:6].any(axis=1).all()
    found, num_computed = setting.run()
    assert num_computed == 2 and not found.failures
    assert_same(found, expected)


def test_silence_is_found_and_kept(setting, caplog):
    for name, samples in {
        "u1": np.full(3200, 7),
        "u2": np.random.default_rng(0).integers(-20, 20, 3200),
        "u3": np.clip(np.random.default_rng(0).normal(0, 30000, 3200), -32768, 32767),
    }.items():
        embed_file(setting.folder / f"{name}.wav", samples)
    expected, _ = setting.run(shards="whole")
    setting.stop(1)
    found, _ = setting.run()
    assert_same(found, expected)
    manifest = setting.folder / "all.csv"
    with caplog.at_level("WARNING"):
        failures = failures_of(found, manifest)
    assert list(failures) == [1] and failures[1].endswith(
        "u1.wav is digital silence: all samples are the same"
    )
    assert "nearly silent" in caplog.text and ": u2-2\n" in caplog.text
    assert "clipped" in caplog.text and ": u3-3\n" in caplog.text
    assert not failures_of(found, manifest, may_be_silent=True)


def embed_file(path, samples):
    import soundfile

    soundfile.write(path, np.asarray(samples, np.int16), 16000, subtype="PCM_16")
