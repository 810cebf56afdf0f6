"""Score files there and back; whichever way they are read, the outcome is the same."""

import os
import re
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.errors import InputError
from local.lists import columns
from local.lists.trials import Trials
from local.scoring import score_files
from local.scoring.score_files import read_scores, write_scores


def make_trials(utterances, pairs, is_client=None, **conditions):
    enrol, test = np.array(pairs, dtype=np.int32).reshape(-1, 2).T
    if is_client is None:
        is_client = np.arange(len(enrol)) % 2 == 0
    return Trials(utterances, enrol, test, np.array(is_client, bool), [], **conditions)


def write_file(tmp_path, text):
    path = tmp_path / "scores.txt"
    path.write_bytes(text.encode())
    return path


def only_at_once():
    """Lets reading fail where it would go line by line."""
    refuse = AssertionError("read line by line")
    return patch.object(score_files, "_read_line_by_line", side_effect=refuse)


def only_line_by_line():
    return patch.object(score_files, "_read_at_once", return_value=None)


def outcome(path):
    """All that reading gives, in a form that can be compared."""
    try:
        trials, scores = read_scores(path)
    except InputError as error:
        return str(error)
    sides = [(array.dtype, array.tolist()) for array in (trials.enrol, trials.test)]
    kinds = trials.is_client.dtype, trials.is_client.tolist()
    condition = None if trials.condition is None else trials.condition.tolist()
    names = trials.utterances, trials.places, trials.condition_names
    return sides, kinds, condition, names, scores.dtype, scores.tobytes()


def test_score_lines(tmp_path):
    path = tmp_path / "scores.txt"
    trials = make_trials(["anna/1", "jürgen/ä.2", "anna/2"], [(0, 1), (2, 0)], [False, True])
    write_scores(path, trials, [0.25, -1.5])
    lines = ["anna/1 jürgen/ä.2 nontarget 0.25", "anna/2 anna/1 target -1.5"]
    assert path.read_text(encoding="utf-8") == "\n".join(lines) + "\n"
    read, scores = read_scores(path)
    assert read.utterances == ["anna/1", "jürgen/ä.2", "anna/2"] and read.places == []
    assert (read.enrol.tolist(), read.test.tolist()) == ([0, 2], [1, 0])
    assert (read.is_client.tolist(), scores.tolist()) == ([False, True], [0.25, -1.5])
    assert (read.condition_names, read.condition) == ([], None)
    assert read.enrol.dtype == read.test.dtype == np.int32
    assert read.is_client.dtype == bool and scores.dtype == np.float32


def test_conditions_are_a_fifth_field(tmp_path):
    path = tmp_path / "scores.txt"
    conditions = {"condition_names": ["far", "near"], "condition": np.array([1, 0, 1], np.int32)}
    trials = make_trials(["a", "b", "c"], [(0, 1), (0, 2), (1, 2)], **conditions)
    write_scores(path, trials, [0.5, 0.25, 1.0])
    lines = ["a b target 0.5 near", "a c nontarget 0.25 far", "b c target 1 near"]
    assert path.read_text().splitlines() == lines
    for way in (only_at_once, only_line_by_line):
        with way():
            read, _ = read_scores(path)
        assert read.condition_names == ["near", "far"]
        assert read.condition.tolist() == [0, 1, 0] and read.condition.dtype == np.int32


def test_names_are_numbered_as_they_are_mentioned(tmp_path):
    text = "b a target 1\na c nontarget 0\nd b nontarget 0\nc e target 1\n"
    with only_at_once():
        trials, _ = read_scores(write_file(tmp_path, text))
    assert trials.utterances == ["b", "a", "c", "d", "e"]
    assert (trials.enrol.tolist(), trials.test.tolist()) == ([0, 1, 3, 2], [1, 2, 0, 4])


@pytest.mark.parametrize("name", ['quo"te', "a,b", "no\u00a0break", "NA", "null", "#", "1", "\\"])
def test_names_are_any_text_without_blanks(tmp_path, name):
    path = tmp_path / "scores.txt"
    write_scores(path, make_trials([name, "b", "c"], [(0, 1), (2, 0)]), [0.5, 0.25])
    with only_at_once():
        assert read_scores(path)[0].utterances == [name, "b", "c"]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2))
# The largest and the smallest float32, and the one whose text lies between two in float64.
@example([float(np.finfo(np.float32).max), 2.0**-149, 7.038531e-26, -7.038531e-26, -0.0])
def test_scores_come_back_exactly(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("scores") / "scores.txt"
    pairs = [(0, 1 + index % 2) for index in range(len(values))]
    write_scores(path, make_trials(["a", "b", "c"], pairs), values)
    for way in (only_at_once, only_line_by_line):
        with way():
            assert read_scores(path)[1].tobytes() == np.array(values, np.float32).tobytes()


def test_many_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(score_files, "TRIALS_PER_BLOCK", 7)
    monkeypatch.setattr(columns, "BYTES_PER_BLOCK", 1000)
    rng = np.random.default_rng(0)
    names = [f"speaker{i % 9}/{i}" for i in range(60)]
    enrol, test = rng.integers(0, 60, 500), rng.integers(1, 60, 500)
    pairs = np.stack([enrol, (enrol + test) % 60], axis=1)
    condition = {"condition_names": ["x", "y"], "condition": rng.integers(0, 2, 500, np.int32)}
    trials = make_trials(names, pairs, pairs.sum(axis=1) % 3 == 0, **condition)
    scores = rng.standard_normal(500).astype(np.float32)
    path = tmp_path / "scores.txt"
    write_scores(path, trials, scores)
    with only_at_once():
        read, read_back = read_scores(path)
    np.testing.assert_array_equal(read_back, scores)
    np.testing.assert_array_equal(read.is_client, trials.is_client)
    for side in ("enrol", "test"):
        assert [read.utterances[i] for i in getattr(read, side)] == [
            names[i] for i in getattr(trials, side)
        ]
    assert [read.condition_names[i] for i in read.condition] == [
        trials.condition_names[i] for i in trials.condition
    ]
    with only_line_by_line():
        line_by_line = outcome(path)
    assert line_by_line == outcome(path)


NAMES = ["a", "b/1", "ä.2", 'q"', "'", "#", "\\", "NA", "null", "nan", "1", "no\u00a0break"]
NAMES += ["\ufeffx", "\x85", "\u2028", "\x1c", "\0", "target"]
NUMBERS = ["0.5", "-1e-3", "1", "+.5", "5.", "1_0", "1E5", "-0", "1e-400", "\u0663", "7.038531e-26"]
WRONG_NUMBERS = ["nan", "-inf", "1e39", "1e400", "3.40282357e38", "0x1", "0,5", "x", "NULL", ""]
ODD_BLANKS, ODD_ENDS = (
    ["  ", "\t", "\v", "\u00a0", "\r"],
    ["\r\n", "\n\n", "\r", " \n", "\n \n", ""],
)


@st.composite
def score_file_bytes(draw):
    """A score file that is right, has a few odd things, or some bytes in the wrong place."""

    def one_of(usual, odd):
        is_odd = oddness and draw(st.integers(0, 9)) < oddness
        return draw(st.sampled_from(odd if is_odd else usual))

    oddness = draw(st.sampled_from([0, 0, 1, 2]))
    conditions = draw(st.sampled_from([[], ["far", "near"]]))
    text = one_of([""], ["\ufeff", "\n", " ", "\n\ufeff"])
    for _ in range(draw(st.integers(0, 6))):
        names = [one_of(NAMES[:12], [*NAMES, ""]) for _ in range(2)]
        label = one_of(["target", "nontarget"], ["1", "Target", "client", ""])
        fields = [*names, label, one_of(NUMBERS[:3], NUMBERS + WRONG_NUMBERS)]
        fields += [draw(st.sampled_from(conditions))] if conditions else []
        fields = fields[: one_of([None], [3, 4, -1])]
        text += fields[0] + "".join(one_of([" "], ODD_BLANKS) + field for field in fields[1:])
        text += one_of(["\n"], ODD_ENDS)
    content = text.encode()
    if draw(st.booleans()) and oddness == 2:
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(max_size=3)) + content[place:]
    return content


@settings(max_examples=150)
@given(score_file_bytes(), st.sampled_from([columns.BYTES_PER_BLOCK, 50]))
def test_both_ways_of_reading_agree(tmp_path_factory, content, bytes_per_block):
    path = tmp_path_factory.getbasetemp() / "scores.txt"
    path.write_bytes(content)
    with patch.object(columns, "BYTES_PER_BLOCK", bytes_per_block):
        either_way = outcome(path)
    with only_line_by_line():
        assert either_way == outcome(path)


def test_other_line_ends_and_blanks_are_fine(tmp_path):
    path = write_file(tmp_path, "\ufeffa\tb  target 0.5 \r\n\r\nb c nontarget -1e-3")
    trials, scores = read_scores(path)
    assert trials.utterances == ["a", "b", "c"]
    assert (trials.enrol.tolist(), trials.test.tolist()) == ([0, 1], [1, 2])
    assert trials.is_client.tolist() == [True, False]
    np.testing.assert_array_equal(scores, np.array([0.5, -1e-3], np.float32))


def test_a_pipe_is_read_once():
    reading_end, writing_end = os.pipe()
    os.write(writing_end, b"a b target 1\na c nontarget 0\n")
    os.close(writing_end)
    assert read_scores(f"/dev/fd/{reading_end}")[1].tolist() == [1.0, 0.0]
    os.close(reading_end)


@pytest.mark.parametrize(
    "line, message",
    [
        ("a b 0.5", ":2: expected 4 fields as on line 1, 'ENROL TEST target|nontarget SCORE', but"),
        ("a b target 0.5 x", ":2: expected 4 fields as on line 1, 'ENROL"),
        ("a b client 0.5", ":2: label 'client' is neither 'target' nor 'nontarget'"),
        ("a b 1 0.5", ":2: label '1' is neither 'target' nor 'nontarget'"),
        ("a b target high", ":2: score 'high' is not a finite number"),
        ("a b target nan", ":2: score 'nan' is not a finite number"),
        ("a b target -inf", ":2: score '-inf' is not a finite number"),
        ("a b target 1e39", ":2: score '1e39' is not a finite number"),
        ("a c nontarget 0.1", ": has only impostor trials: both classes are needed"),
        ("a b target 0.5", ":2: 'a b' is a client trial here and an impostor trial on "),
        ("b a target 0.5", ":2: 'b a' is a client trial here and an impostor trial on "),
        ("c c target 0.5", ":2: both sides of the trial are 'c'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, message):
    path = write_file(tmp_path, f"a b nontarget 0.5\n{line}\n")
    with pytest.raises(InputError) as error:
        read_scores(path)
    assert str(error.value).startswith(f"{path}{message}")


def test_all_wrong_lines_are_shown_together(tmp_path):
    path = write_file(tmp_path, "a b target x\na b target 0.5\na b maybe 1\n")
    with pytest.raises(InputError) as error:
        read_scores(path)
    places = [text.split(": ")[0] for text in str(error.value).splitlines()]
    assert places == [f"{path}:1", f"{path}:3"]


def test_lines_without_labels_or_scores(tmp_path):
    path = write_file(tmp_path, "a b 0.5\n")
    with pytest.raises(InputError) as error:
        read_scores(path)
    layout = "'ENROL TEST target|nontarget SCORE [CONDITION]'"
    assert str(error.value) == f"{path}:1: expected 4 or 5 fields, {layout}, but found 3"


def test_no_file_and_an_empty_file(tmp_path):
    with pytest.raises(InputError, match="scores.txt: can't be read"):
        read_scores(tmp_path / "scores.txt")
    (tmp_path / "scores.txt").touch()
    with pytest.raises(InputError, match="scores.txt: is empty"):
        read_scores(tmp_path / "scores.txt")


@pytest.mark.parametrize(
    "scores, message",
    [
        ([0.5], "one score for each of 2 trials, got an array of shape (1,)"),
        ([[0.5, 1.0]], "one score for each of 2 trials, got an array of shape (1, 2)"),
        ([0.5, np.nan], "the score of trial 2 is nan, which is not finite"),
        ([1e39, 0.5], "the score of trial 1 is inf, which is not finite"),
    ],
)
def test_a_failing_write_leaves_the_old_file(tmp_path, scores, message):
    path = write_file(tmp_path, "old")
    with pytest.raises(ValueError, match=re.escape(message)):
        write_scores(path, make_trials(["a", "b"], [(0, 1), (1, 0)]), scores)
    assert [file.name for file in tmp_path.iterdir()] == ["scores.txt"]
    assert path.read_text() == "old"


def test_a_folder_that_is_not_there(tmp_path):
    path = tmp_path / "missing" / "scores.txt"
    with pytest.raises(InputError) as error:
        write_scores(path, make_trials(["a", "b"], [(0, 1)]), [0.5])
    assert str(error.value) == f"{path}: can't be written (No such file or directory)"
