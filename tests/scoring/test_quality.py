"""Quality measures of utterances: the file, and what the calibration sees of them."""

import numpy as np
import pytest

from local.errors import InputError
from local.lists.trials import Trials
from local.scoring.quality import (
    checked_measures,
    input_names,
    read_quality,
    trial_inputs,
    write_quality,
)

TRIALS = Trials(["a", "b"], np.array([0, 1]), np.array([1, 0]), np.array([True, False]), [])


@pytest.mark.parametrize("means", [{}, {"cohort_mean": [0.25, -0.1]}])
def test_measures_come_back_in_the_order_that_is_asked_for(tmp_path, means):
    write_quality(tmp_path / "quality.txt", ["b", "a"], {"seconds": [1.5, 2.25]} | means)
    quality = read_quality(tmp_path / "quality.txt", ["a", "b"])
    assert quality["seconds"].tolist() == [2.25, 1.5]
    assert [mean.tolist() for key, mean in quality.items() if key == "cohort_mean"] == [
        mean[::-1] for mean in means.values()
    ]


def test_inputs_by_hand():
    quality = {"seconds": np.array([np.e, np.e**3]), "cohort_mean": np.array([0.5, 0.25])}
    names = ["cohort_mean", "log_seconds"]
    inputs = trial_inputs(names, TRIALS, [0.7, 0.1], quality)
    assert input_names(names) == [
        *("score", "cohort_mean_lower", "cohort_mean_higher"),
        *("log_seconds_shorter", "log_seconds_longer"),
    ]
    np.testing.assert_allclose(inputs, [[0.7, 0.25, 0.5, 1, 3], [0.1, 0.25, 0.5, 1, 3]])


@pytest.mark.parametrize(
    "names, message",
    [
        ("snr", "'snr' is no quality measure; there are log_seconds, cohort_mean"),
        (["log_seconds", "log_seconds"], "a measure is given twice"),
    ],
)
def test_wrong_names(names, message):
    with pytest.raises(InputError, match=message):
        checked_measures(names)


@pytest.mark.parametrize(
    "lines, message",
    [
        (["a 1.0 -"], "quality.txt: has no line for 'b', which is in the trials"),
        (["a 1.0 -", "b 0 -"], "quality.txt:3: seconds '0' is not a number above 0"),
        (["a 1.0 -", "b nan -"], "quality.txt:3: seconds 'nan' is not"),
        (["a 1.0 -", "b x -"], "quality.txt:3: seconds 'x' is not"),
        (["a 1.0 0.5", "b 1.0 inf"], "quality.txt:3: cohort_mean 'inf' is not a finite number"),
        (["a 1.0 0.5", "b 1.0 -"], "quality.txt:3: cohort_mean must be a number on all lines"),
        (["a 1.0 -", "a 1.0 -"], "quality.txt:3: 'a' is there twice"),
        (["a 1.0"], "quality.txt:2: expected 3 fields"),
        (None, "quality.txt: no such file"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, lines, message):
    if lines is not None:
        text = "\n".join(["utterance seconds cohort_mean", *lines])
        (tmp_path / "quality.txt").write_text(text)
    with pytest.raises(InputError, match=message):
        read_quality(tmp_path / "quality.txt", ["a", "b"])
