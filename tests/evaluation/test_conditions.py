"""Groups of trials: by what lists and tables say, and by length."""

from dataclasses import replace

import numpy as np
import pytest

from local.errors import InputError
from local.evaluation.conditions import NO_GROUPING, Grouping, range_names
from local.evaluation.speakers import find_speakers
from local.lists.speaker_table import read_speaker_table
from local.lists.trials import Trials

UTTERANCES = ["anna/1", "anna/2", "bert/1", "carl/1", "carl/2", "dora/1"]
# anna-anna, carl-carl; anna-bert, bert-carl, anna-dora.
TRIALS = Trials(
    UTTERANCES,
    np.array([0, 3, 0, 2, 1]),
    np.array([1, 4, 2, 3, 5]),
    np.array([True, True, False, False, False]),
    [],
)
SEX = {"anna": "F", "bert": "M", "carl": "M", "dora": "F"}


def rows(grouping, trials=TRIALS, seconds=None):
    """(heading, name) -> the chosen trials."""
    found = grouping.conditions(trials, find_speakers(trials), seconds)
    return {(heading, name): np.flatnonzero(mask).tolist() for heading, name, mask in found}


def test_no_grouping_gives_nothing():
    assert rows(NO_GROUPING) == {}


def test_groups_of_speakers_by_hand():
    assert rows(Grouping({"sex": SEX}, {}, ())) == {
        ("sex", "same sex"): [0, 1, 3, 4],
        ("sex", "cross sex"): [0, 1, 2],
        ("sex", "F"): [0, 4],
        ("sex", "M"): [1, 3],
    }


def test_speakers_of_whom_nothing_is_known_are_in_no_group():
    known = {name: sex for name, sex in SEX.items() if name != "carl"}
    assert rows(Grouping({"sex": known}, {}, ())) == {
        ("sex", "same sex"): [0, 4],
        ("sex", "cross sex"): [0, 2],
        ("sex", "F"): [0, 4],
    }


def test_numbers_are_divided_by_edges():
    ages = {"anna": "17", "bert": "18", "carl": "59.5", "dora": "60"}
    found = rows(Grouping({"age": ages}, {"age": [18, 60]}, ()))
    assert found["age", "below 18"] == [0]
    assert found["age", "18 to 60"] == [1, 3]
    assert found["age", "cross age"] == [0, 1, 2, 4]
    assert ("age", "from 60") not in found


def test_columns_of_too_many_values_are_left_out(caplog):
    names = [f"s{index}" for index in range(30)]
    trials = Trials(
        [f"{name}/1" for name in names], np.arange(29), np.arange(1, 30), np.zeros(29, bool), []
    )
    table = {"nickname": {name: f"nick {name}" for name in names}, "sex": dict.fromkeys(names, "F")}
    with caplog.at_level("INFO"):
        found = rows(Grouping(table, {}, ()), trials)
    assert {heading for heading, _ in found} == {"sex"}
    assert "nickname is left out" in caplog.text


def test_a_table_of_other_speakers_is_refused():
    with pytest.raises(InputError, match=r"it knows \['x', 'y'\], they are \['anna', 'bert', "):
        rows(Grouping({"sex": {"x": "F", "y": "M"}}, {}, ()))


def test_a_column_with_edges_needs_numbers():
    with pytest.raises(InputError, match="column 'sex' is not all numbers.*'F'"):
        rows(Grouping({"sex": SEX}, {"sex": [1]}, ()))


def test_the_shorter_side_counts():
    seconds = np.array([1.0, 9.0, 2.0, 5.0, 6.0, 3.9])
    assert rows(Grouping({}, {}, (2, 4)), seconds=seconds) == {
        ("shorter side", "below 2 s"): [0, 2],
        ("shorter side", "2 to 4 s"): [3, 4],
        ("shorter side", "from 4 s"): [1],
    }


def test_one_length_is_no_table():
    assert rows(Grouping({}, {}, (2, 4)), seconds=np.full(6, 3.0)) == {}
    assert rows(Grouping({}, {}, ()), seconds=np.arange(6.0)) == {}


def test_conditions_of_the_lists():
    trials = Trials(
        *(getattr(TRIALS, name) for name in ("utterances", "enrol", "test")),
        TRIALS.is_client,
        [],
        ["near", "far"],
        np.array([0, 1, 1, 0, 0]),
    )
    assert rows(NO_GROUPING, trials) == {
        ("condition", "near"): [0, 3, 4],
        ("condition", "far"): [1, 2],
    }


def test_too_many_conditions_are_left_out(caplog):
    # As where a score file is given for trials.
    trials = replace(TRIALS, condition_names=[f"{n}" for n in range(21)], condition=np.arange(5))
    with caplog.at_level("INFO"):
        assert rows(NO_GROUPING, trials) == {}
    assert "there are too many" in caplog.text


def test_range_names():
    assert range_names([]) == ["all"]
    assert range_names([3]) == ["below 3", "from 3"]


@pytest.mark.parametrize(
    "grouping, message",
    [
        (Grouping({}, {}, (4, 2)), r"duration_edges: expected ascending numbers .*\(4, 2\)"),
        (Grouping({}, {"age": "old"}, ()), "age: expected ascending numbers"),
        (Grouping({}, {"age": 18}, ()), "age: expected ascending numbers .* not 18"),
        (Grouping({}, {"age": [1, "2"]}, ()), "age: expected"),
        (Grouping({}, {"age": [1, 1]}, ()), "age: expected"),
        (Grouping({}, {}, ("x",)), "duration_edges: expected"),
        (Grouping({}, 5, ()), r"group_edges: expected \{age: \[18, 60\]\}, not 5"),
    ],
)
def test_edges_must_ascend(grouping, message):
    with pytest.raises(InputError, match=message):
        grouping.check()


@pytest.mark.parametrize(
    "text",
    [
        "speaker,sex,age\nanna,F,31\nbert,M,\n",
        "speaker\tsex\tage\nanna\tF\t31\nbert\tM\t\n",
        "\ufeffspeaker,sex,age\r\nanna,F,31\r\n\r\nbert, M ,\r\n",
    ],
)
def test_tables_of_speakers(tmp_path, text):
    (tmp_path / "table").write_text(text, encoding="utf-8", newline="")
    expected = {"sex": {"anna": "F", "bert": "M"}, "age": {"anna": "31"}}
    assert read_speaker_table(tmp_path / "table") == expected


def test_a_table_separated_by_blanks(tmp_path):
    (tmp_path / "table").write_text("spk  sex\nanna F\nbert M")
    assert read_speaker_table(tmp_path / "table") == {"sex": {"anna": "F", "bert": "M"}}


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "expected a first line of columns"),
        (b"speaker\nanna\n", "expected a first line of columns"),
        (b"speaker,sex\nanna\nbert,M,x\n", "table:2: expected 2 columns, but found 1\n.*:3: "),
        (b"speaker,sex\nanna,F\nanna,M\n", "table:3: speaker 'anna' is there twice"),
        (b"\xff\xfe\xfa", r"can't be read \(not UTF-8 text\)"),
        (None, r"can't be read \(No such file"),
    ],
)
def test_a_wrong_table_of_speakers(tmp_path, content, message):
    if content is not None:
        (tmp_path / "table").write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_speaker_table(tmp_path / "table")
