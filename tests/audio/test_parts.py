"""Parts and channels of recordings, wherever an utterance can be named."""

import numpy as np
import pytest
import soundfile
import torch

from local.audio.parts import WHOLE, Part, split_part
from local.audio.reading import read_audio
from local.audio.table import AUDIO, Audio, examine_audio
from local.data.chunks import ChunkDataset
from local.data.manifest_files import place_of, read_manifest
from local.data.manifests import prepare_training, prepare_trials
from local.embeddings.embed import WholeUtterances, write_crops
from local.errors import InputError
from local.features.extraction import FeatureExtractor, Job
from local.features.files import feature_kind
from local.features.log_mel import LogMel
from local.lists.trials import read_trial_list
from recipes import pack_audio

RATE = 16000


@pytest.fixture
def call(tmp_path):
    """A call of two channels, whose samples count up, and down from -1."""
    samples = np.arange(RATE, dtype=np.int16)
    soundfile.write(tmp_path / "call.wav", np.stack([samples, -1 - samples], axis=1), RATE)
    return tmp_path


def examine(folder, *names):
    return list(examine_audio(names, str(folder), folder / "table.npz", progress=False))


def write_labels(folder, *names):
    lines = (f"{name} {label} -1\n" for label, name in enumerate(names))
    (folder / "labels.txt").write_text("".join(lines))


def prepare(folder, *names, data_dir=None, **options):
    write_labels(folder, *names)
    manifest = folder / "train.csv"
    place = folder / "labels.txt", data_dir or folder, manifest
    prepare_training(*place, progress=False, **options)
    return list(read_manifest(manifest))


@pytest.mark.parametrize(
    "name, recording, part",
    [
        ("a/b.wav#t=1.5,20", "a/b.wav", Part("1.5", "20")),
        ("b#t=0.25", "b", Part("0.25")),
        ("b#t=.5,1.&channel=2", "b", Part(".5", "1.", 2)),
        ("#1;x#channel=12", "#1;x", Part(channel=12)),
    ],
)
def test_names_of_parts(name, recording, part):
    assert split_part(name) == (recording, part)
    assert part.name(recording) == name


@pytest.mark.parametrize(
    "name",
    "b b#1 b#t b#t= b#t=1,2.wav b#t=-1,2 b#t=1,2,3 b#t=1e3 b#t=١ b#channel=0 b#channel=x #t=1 "
    "b#channel=2&t=1,2 b#t=1&channel b#".split(),
)
def test_other_names_mean_what_they_meant(name):
    assert split_part(name) == (name, WHOLE)


def test_a_part_is_read_from_its_first_to_its_last_sample(call):
    names = "call", "call#t=0.25,0.5", "call.wav#t=0.25&channel=2", "call#channel=1"
    rows = prepare(call, *names)
    assert [row["ID"] for row in rows] == list(names)
    assert [row["duration"] for row in rows] == ["1.0", "0.25", "0.75", "1.0"]
    whole, middle, end, first = (
        read_audio(*place_of(row)[:3], RATE, place_of(row)[3]) for row in rows
    )
    assert not whole[1:].any()  # the mean of both
    assert len(middle) == 4000 and len(end) == 12000
    assert end.tolist() == list(range(-4001, -16001, -1))
    assert first.tolist() == list(range(16000))


def test_manifests_without_channels_are_as_before(call):
    assert "channel" not in prepare(call, "call", "call#t=0,0.5")[0]
    row = {"wav": "a.wav", "start": "3", "stop": "9"}
    assert place_of(row) == ("a.wav", 3, 9, 0)


def test_one_channel_is_not_counted_as_averaged(call):
    write_labels(call, "call#channel=1", "call#channel=2")
    manifest = prepare_training(call / "labels.txt", call, call / "m.csv", progress=False)
    assert manifest.num_downmixed == 0


@pytest.mark.parametrize(
    "name, message",
    [
        ("call#t=0.5,1.25", "call.wav ends at 1 s, before 1.25 s"),
        ("call#t=1", "call.wav ends at 1 s, before 1 s"),
        ("call#t=0.5,0.5", "call.wav: the part from 0.5 to 0.5 s has no samples"),
        ("call#channel=3", "call.wav has no channel 3: it has 2"),
        ("other#t=0,1", "there is no audio file {folder}/other (tried the extensions .wav"),
        ("call#t=x", "there is no audio file {folder}/call#t=x (tried"),
        ("call#t=0.2,0.25", "call.wav is too short: 0.05 s"),
    ],
)
def test_parts_that_are_not_there(call, name, message):
    with pytest.raises(InputError) as raised:
        prepare(call, "call", name)
    assert str(raised.value).startswith(f"{call}/labels.txt:2: ")
    assert message.format(folder=call) in str(raised.value)


def test_the_same_part_twice(call):
    with pytest.raises(InputError, match=r"labels.txt:3: .*call.wav is already on line 1"):
        prepare(call, "call#t=0.5,1", "call#t=0.25,1", "call.wav#t=.5")


def test_a_file_with_such_a_name_is_found_where_there_is_no_recording(call):
    soundfile.write(call / "a#t=0,0.5.flac", np.zeros(100), RATE)
    assert examine(call, "a#t=0,0.5")[0].path == f"{call}/a#t=0,0.5.flac"


def test_a_recording_of_many_parts_is_checked_once(call, monkeypatch):
    checked = []
    kind = AUDIO._replace(check=lambda path: checked.append(path) or AUDIO.check(path))
    names = [f"call#t=0.{number:03}" for number in range(600)]
    table = call / "table.npz"
    for _ in range(2):
        audios = list(examine_audio(names, str(call), table, progress=False, kind=kind))
    assert checked == [f"{call}/call.wav"]
    assert [audio.start for audio in audios[:3]] == [0, 16, 32]
    assert isinstance(audios[0], Audio) and audios[3].info.num_samples == RATE - 48


def test_chunks_come_from_the_part_and_the_channel(call):
    prepare(call, "call#t=0.25,0.5&channel=2", "call#t=0.5&channel=1")
    for in_memory in (False, True):
        data = ChunkDataset(call / "train.csv", RATE, 1000, seed=1, in_memory=in_memory)
        second, first = (data[index, 0]["samples"] for index in (0, 1))
        assert -8000 <= second.min() and second.max() <= -4001
        assert 8000 <= first.min() and (np.diff(first) == 1).all()


def test_trials_embedding_and_crops(call):
    (call / "trials").write_text("1 call#channel=1 call#t=0,0.5&channel=1\n0 call#channel=1 call\n")
    trials = read_trial_list(call / "trials")
    prepare_trials(trials, call, call / "valid.csv", progress=False)
    utterances = WholeUtterances(call / "valid.csv", RATE)
    assert [len(utterances[index][1]) for index in range(3)] == [16000, 8000, 16000]
    assert utterances[1][1].tolist() == list(range(8000))
    write_crops(call / "valid.csv", call / "crops.csv", num_crops=2, crop_seconds=0.25)
    crops = WholeUtterances(call / "crops.csv", RATE)
    assert crops[1][1].tolist() == list(range(12000, 16000))


def test_a_channel_that_is_gone_is_an_error_when_it_is_read(call):
    (row, *_) = prepare(call, "call#channel=2", "call")
    soundfile.write(call / "call.wav", np.zeros(RATE), RATE)
    with pytest.raises(InputError, match="has no channel 2: make its manifest again"):
        read_audio(*place_of(row)[:3], RATE, channel=2)


def test_features_of_a_part_are_in_a_file_of_their_own(call):
    name = "call#t=0.25,0.75&channel=2"
    extractor = FeatureExtractor(LogMel(), RATE, min_seconds=0.1, dtype="float32")
    for _ in range(2):
        job = Job.make(str(call), name, name, str(call / "features"), ".npy")
        outcome = extractor.extract(job)
    assert outcome == "kept"
    samples = torch.arange(-4001, -12001, -1, dtype=torch.int16)
    expected = extractor.log_mel.log_mel(samples[None])[0][0]
    assert np.array_equal(np.load(call / "features" / f"{name}.npy"), expected.numpy())
    kind = feature_kind(extractor.log_mel.num_mels, RATE // extractor.log_mel.hop)
    (audio,) = examine_audio([name], str(call / "features"), call / "t.npz", False, kind)
    assert (audio.start, audio.info.num_samples) == (0, len(expected))


def test_parts_of_packed_audio(call):
    soundfile.write(call / "mono.wav", np.arange(RATE, dtype=np.int16), RATE)
    names = "call#t=0.25,0.5&channel=2", "mono"
    write_labels(call, *names)
    options = ["--out_dir", str(call / "packed"), "--noprogressbar"]
    pack_audio.main([str(call), *options, "--lists", str(call / "labels.txt")])
    rows = prepare(call, *names, "mono.wav#t=0.5,0.75", data_dir=call / "packed")
    packed = [read_audio(*place_of(row)[:3]) for row in rows]
    assert packed[0].tolist() == list(range(-4001, -8001, -1))
    assert packed[2].tolist() == list(range(8000, 12000))
    with pytest.raises(InputError, match="channels of 'mono' are packed as their mean: pack with"):
        prepare(call, "mono", "mono#channel=1", data_dir=call / "packed")
    with pytest.raises(InputError, match=r"labels.txt:2: .* ends at 1 s, before 2 s"):
        prepare(call, "mono", "mono#t=0,2", data_dir=call / "packed")
