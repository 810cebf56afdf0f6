import re

import pytest

from local.errors import InputError
from local.lists.labels import read_labels


def write(tmp_path, *lines):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def assert_problem(tmp_path, lines, message):
    with pytest.raises(InputError) as error:
        read_labels(write(tmp_path, *lines))
    assert str(error.value) == f"{tmp_path}/labels.txt{message}"


def test_names_speakers_and_lines(tmp_path):
    labels = read_labels(write(tmp_path, "a/ž.1 1 -1", "", "b/1 0 -1", "a/2 1 -1"))
    assert labels.names == ["a/ž.1", "b/1", "a/2"]
    assert list(labels.speakers) == [1, 0, 1]
    assert list(labels.lines) == [1, 3, 4]


@pytest.mark.parametrize("label", ["x", "1.0", "1e1", "+1", "1_0", "２", "--1"])
def test_label_that_is_no_number(tmp_path, label):
    message = f":2: label '{label}' is not a whole number"
    assert_problem(tmp_path, ["a 0 -1", f"b {label} -1"], message)


def test_negative_label(tmp_path):
    message = ":2: label -1 is negative: labels run from 0 to the number of speakers - 1"
    assert_problem(tmp_path, ["a 0 -1", "b -1 -1"], message)


def test_label_beyond_any_number_of_speakers(tmp_path):
    message = f":1: label {'9' * 30} is too large"
    assert_problem(tmp_path, [f"a {'9' * 30} -1", "b 0 -1"], message)


def test_third_field(tmp_path):
    message = ":2: the third field must be -1, not '1'"
    assert_problem(tmp_path, ["a 0 -1", "b 1 1"], message)


@pytest.mark.parametrize(
    "lines, place_and_gap",
    [
        (["a 0 -1", "b 2 -1"], ":2: the largest label is 2, but no line has label 1"),
        (["a 3 -1", "b 1 -1"], ":1: the largest label is 3, but no line has label 0, 2"),
        (["a 0 -1", "b 5 -1"], ":2: the largest label is 5, but no line has label 1, 2, 3, 4"),
        (["a 5 -1"], ":1: the largest label is 5, but no line has label 0, 1, 2, 3, 4"),
    ],
)
def test_gaps(tmp_path, lines, place_and_gap):
    message = f"{place_and_gap}: labels run from 0 to the number of speakers - 1 without gaps"
    assert_problem(tmp_path, lines, message)


def test_a_huge_gap_is_no_work(tmp_path):
    with pytest.raises(InputError, match="no line has label 1, 2, 3, 4, 5 and 99999999994 more"):
        read_labels(write(tmp_path, "a 0 -1", "b 100000000000 -1"))


def test_one_speaker(tmp_path):
    message = ": has only one speaker: training needs two or more"
    assert_problem(tmp_path, ["a 0 -1", "b 0 -1"], message)


def test_path_twice_with_one_label(tmp_path):
    message = ":4: 'a' is already on line 1: remove one of the two lines"
    assert_problem(tmp_path, ["a 0 -1", "b 1 -1", "", "a 0 -1"], message)


def test_path_twice_with_two_labels(tmp_path):
    message = ":3: 'a' has label 1 here and label 0 on line 1"
    assert_problem(tmp_path, ["a 0 -1", "b 1 -1", "a 1 -1"], message)


def test_all_problems_are_shown_together(tmp_path):
    path = write(tmp_path, "a 0 -1", "b x -1", "c -2 -1", "d", "e 1 0", "a 0 -1")
    with pytest.raises(InputError) as error:
        read_labels(path)
    assert re.findall(r"labels.txt:(\d)", str(error.value)) == ["2", "3", "4", "5", "6"]


def test_missing_and_empty_file(tmp_path):
    with pytest.raises(InputError, match="none.txt: can't be read"):
        read_labels(tmp_path / "none.txt")
    assert_problem(tmp_path, [], ": is empty: expected lines of 'PATH LABEL -1'")
