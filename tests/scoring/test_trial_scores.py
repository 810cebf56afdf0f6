"""Scores with what belongs to them: names of systems, and what lies beside a score file."""

import numpy as np
import pytest

from local.data.manifest_files import read_manifest, write_manifest
from local.errors import InputError
from local.lists.enrolment import Enrolment, single_utterances
from local.lists.trials import Trials
from local.scoring.quality import write_quality
from local.scoring.score_files import write_scores
from local.scoring.trial_scores import (
    CHOSEN,
    distinct_names,
    from_model,
    read_trial_scores,
    with_warnings,
    write_trial_scores,
)

TRIALS = Trials(
    ["anna/1", "anna/2", "bert/1"], *np.array([[0, 0], [1, 2]]), np.array([True, False]), []
)


def write_rows(path):
    rows = [
        {"ID": name, "duration": 1.5 + index, "wav": f"/audio/{name}.flac", "start": 0, "stop": 9}
        for index, name in enumerate(TRIALS.utterances)
    ]
    write_manifest(path, [row | {"spk_id": ""} for row in rows])
    return list(read_manifest(path))


def test_a_score_file_by_itself(tmp_path):
    write_scores(tmp_path / "scores.txt", TRIALS, [0.5, -0.25])
    (system,) = read_trial_scores([str(tmp_path / "scores.txt")])
    assert system.name == "scores" and system.scores.tolist() == [0.5, -0.25]
    assert system.quality == {} and system.audio == {}
    assert system.examples == system.trials.utterances == TRIALS.utterances


def test_what_lies_beside_a_score_file(tmp_path):
    write_scores(tmp_path / "scores.txt", TRIALS, [0.5, -0.25])
    quality = {"seconds": [1.0, 2.0, 3.0], "cohort_mean": [0.1, 0.2, 0.3]}
    write_quality(tmp_path / "quality.txt", TRIALS.utterances, quality)
    write_rows(tmp_path / "utterances.csv")
    (system,) = read_trial_scores([str(tmp_path / "scores.txt")])
    assert system.quality["seconds"].tolist() == [1.0, 2.0, 3.0]
    assert system.quality["cohort_mean"] == pytest.approx([0.1, 0.2, 0.3])
    assert system.audio["bert/1"] == ["/audio/bert/1.flac"]


def test_quality_of_other_utterances_is_refused(tmp_path):
    write_scores(tmp_path / "scores.txt", TRIALS, [0.5, -0.25])
    write_quality(tmp_path / "quality.txt", ["else"], {"seconds": [1.0]})
    with pytest.raises(InputError, match="quality.txt.*anna/1"):
        read_trial_scores([str(tmp_path / "scores.txt")])


def test_a_file_given_twice_is_refused():
    with pytest.raises(InputError, match="a file is given twice: a, b, a"):
        read_trial_scores(["a", "b", "a"])


@pytest.mark.parametrize("path", [".", "/", ".."])
def test_a_folder_in_place_of_a_score_file(path):
    with pytest.raises(InputError, match="is a folder: give the score file in it"):
        read_trial_scores([path])


@pytest.fixture
def warnings_of(tmp_path):
    """What `with_warnings` says, in memory and beside the scores, of files of a model directory."""

    def call(digest=None, **manifests):
        for name, rows in manifests.items():
            path = tmp_path / "model" / "manifests" / f"{name}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            fields = ("ID", "wav", "spk_id")
            fixed = {"duration": 1.0, "start": 0, "stop": 9}
            write_manifest(path, [fixed | dict(zip(fields, row, strict=True)) for row in rows])
        rows = write_rows(tmp_path / "utterances.csv")
        arguments = single_utterances(TRIALS), np.zeros(2), rows
        scored = from_model("cosine", *arguments)
        (scored,) = with_warnings([scored], [tmp_path], tmp_path / "model", digest)
        write_trial_scores(tmp_path, scored)
        (read,) = read_trial_scores([str(tmp_path / "scores.txt")])
        assert read.warnings == scored.warnings
        return scored.warnings

    return call


def test_the_trials_that_chose_the_model(warnings_of):
    assert warnings_of(TRIALS.digest()) == (CHOSEN,)
    # Others remove what was written.
    assert warnings_of() == warnings_of(TRIALS.subset(TRIALS.is_client).digest()) == ()


def test_some_of_the_recordings_that_chose_the_model(warnings_of):
    rows = [("x/anna/1", "/audio/anna/1.flac", ""), ("carl/1", "/audio/carl/1.flac", "")]
    assert warnings_of(valid=rows[1:]) == ()
    (warning,) = warnings_of(valid=rows)
    assert warning.startswith("1 of 3 recordings are also in the trials that chose the model")


def test_speakers_of_the_training(warnings_of):
    rows = [("bert/9", "/other/bert/9.wav", "0"), ("dora/1", "/other/dora/1.wav", "1")]
    (warning,) = warnings_of(train=rows)
    assert warning.startswith("1 training speaker seems to be in the trials too (bert)")


def test_single_utterances_of_a_model(tmp_path):
    scores = np.array([0.5, -0.25], np.float32)
    system = from_model("cosine", single_utterances(TRIALS), scores, write_rows(tmp_path / "u.csv"))
    assert system.quality["seconds"].tolist() == [1.5, 2.5, 3.5]
    assert "cohort_mean" not in system.quality
    assert system.audio["anna/2"] == ["/audio/anna/2.flac"]
    assert system.examples == TRIALS.utterances


def test_enrolled_models(tmp_path):
    trials = Trials(["m", "bert/1"], np.array([0]), np.array([1]), np.array([False]), [])
    enrolment = Enrolment(trials, TRIALS.utterances, [], [[0, 1], [2]])
    means = np.array([0.1, 0.2], np.float32)
    arguments = enrolment, np.zeros(1, np.float32), write_rows(tmp_path / "u.csv"), means
    system = from_model("cosine", *arguments)
    assert system.quality["seconds"].tolist() == [4.0, 3.5]
    assert system.quality["cohort_mean"] is means
    assert system.audio["m"] == ["/audio/anna/1.flac", "/audio/anna/2.flac"]
    assert system.examples == ["anna/1", "bert/1"]


@pytest.mark.parametrize(
    "paths, names",
    [
        (["a/b/scores.txt", "a/c/scores.txt"], ["b", "c"]),
        (["a/scores.txt", "a/llrs.txt"], ["scores", "llrs"]),
        (["x/a/1/s.txt", "x/b/2/s.txt"], ["a/1", "b/2"]),
        (["a/s.txt", "a/b/s.txt"], ["a/s.txt", "b"]),
        (["/r/vgg_0.5/s.txt"], ["s"]),
        (["/r/vgg_0.5.txt", "/r/vgg_0.6.txt"], ["vgg_0.5", "vgg_0.6"]),
    ],
)
def test_names_of_systems(paths, names):
    assert distinct_names(paths) == names
