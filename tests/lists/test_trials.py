import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.errors import InputError
from local.lists.trials import read_trial_list, read_trials

NOT_VOXCELEB = "is neither 1 nor 0 (a line is '1 PATH PATH' or 'PATH PATH target')"
NOT_KALDI = "is neither 'target' nor 'nontarget', as on the first line"


@pytest.fixture
def files(tmp_path):
    """Writes a client and an impostor file, returns their paths."""

    def write(clients, impostors):
        paths = tmp_path / "clients.txt", tmp_path / "impostors.txt"
        for path, text in zip(paths, (clients, impostors), strict=True):
            path.write_text(text, encoding="utf-8")
        return paths

    return write


def write_list(tmp_path, text):
    path = tmp_path / "trials.txt"
    path.write_text(text, encoding="utf-8")
    return path


def assert_problems(function, *messages):
    with pytest.raises(InputError) as error:
        function()
    assert str(error.value) == "\n".join(messages)


def test_clients_and_impostors(files):
    clients, impostors = files("a/1 a/2\nb/ž b/2\n", "a/2 b/ž\n\na/1 c.d/1")
    trials = read_trials(clients, impostors)
    assert trials.utterances == ["a/1", "a/2", "b/ž", "b/2", "c.d/1"]
    assert trials.enrol.tolist() == [0, 2, 1, 0]
    assert trials.test.tolist() == [1, 3, 2, 4]
    assert trials.is_client.tolist() == [True, True, False, False]
    places = [(clients, 1), (clients, 1), (clients, 2), (clients, 2), (impostors, 3)]
    assert trials.places == places
    assert len(trials) == 4
    assert trials.enrol.dtype == trials.test.dtype == np.int32
    assert trials.is_client.dtype == bool


@pytest.mark.parametrize(
    "text",
    [
        "1 a b\n0 a c\n1 c d\n",
        "a b target\na c nontarget\nc d target\n",
        "1\ta  b\r\n0 a c \r\n1 c d",
    ],
    ids=["VoxCeleb", "Kaldi", "tabs and Windows line ends"],
)
def test_trial_list(tmp_path, text):
    trials = read_trial_list(write_list(tmp_path, text))
    assert trials.utterances == ["a", "b", "c", "d"]
    assert trials.enrol.tolist() == [0, 0, 2]
    assert trials.test.tolist() == [1, 2, 3]
    assert trials.is_client.tolist() == [True, False, True]


def test_kaldi_list_with_names_that_are_numbers(tmp_path):
    trials = read_trial_list(write_list(tmp_path, "1 2 target\n0 2 nontarget\n"))
    assert trials.utterances == ["1", "2", "0"]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(10, 19), st.booleans()), min_size=1).filter(
        lambda rows: len({is_client for _, _, is_client in rows}) == 2
    )
)
def test_a_list_is_read_as_it_stands_or_conflicts_are_found(tmp_path_factory, rows):
    text = "".join(f"{int(is_client)} u{a} u{b}\n" for a, b, is_client in rows)
    path = write_list(tmp_path_factory.getbasetemp(), text)
    conflicts = {(a, b) for a, b, label in rows if (a, b, not label) in rows}
    if conflicts:
        with pytest.raises(InputError, match="is an? (client|impostor) trial here and"):
            read_trial_list(path)
    else:
        trials = read_trial_list(path)
        names = trials.utterances
        sides = [(names[a], names[b]) for a, b in zip(trials.enrol, trials.test, strict=True)]
        assert sides == [(f"u{a}", f"u{b}") for a, b, _ in rows]
        assert trials.is_client.tolist() == [is_client for _, _, is_client in rows]
        assert len(set(names)) == len(names)


@pytest.mark.parametrize("line, num_fields", [("a", 1), ("a b c", 3)])
def test_wrong_number_of_fields(files, line, num_fields):
    clients, impostors = files(f"a b\n{line}\n", "a c\n")
    with pytest.raises(InputError) as error:
        read_trials(clients, impostors)
    expected = f"{clients}:2: expected 2 fields as on line 1, 'PATH PATH', but found {num_fields}"
    assert str(error.value).startswith(expected)


def test_one_utterance_on_both_sides(files):
    clients, impostors = files("a b\n", "a c\n\nc c\n")
    message = f"{impostors}:3: both sides of the trial are 'c'"
    assert_problems(lambda: read_trials(clients, impostors), message)


@pytest.mark.parametrize("impostor", ["a b", "b a"])
def test_client_pair_that_is_an_impostor_pair(files, impostor):
    clients, impostors = files("c d\na b\n", f"a c\n{impostor}\n")
    message = f"'{impostor}' is an impostor trial here and a client trial on {clients}:2"
    assert_problems(lambda: read_trials(clients, impostors), f"{impostors}:2: {message}")


def test_both_labels_for_a_pair_in_one_list(tmp_path):
    path = write_list(tmp_path, "0 a b\n1 a c\n1 b a\n")
    message = f"{path}:3: 'b a' is a client trial here and an impostor trial on {path}:1"
    assert_problems(lambda: read_trial_list(path), message)


def test_conditions_of_clients_and_impostors(files):
    clients, impostors = files("a b far\nc d near\n", "a c near\nb d loud\n")
    trials = read_trials(clients, impostors)
    assert trials.condition_names == ["far", "near", "loud"]
    assert trials.condition.tolist() == [0, 1, 1, 2]
    assert trials.condition.dtype == np.int32
    assert trials.utterances == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    "text",
    ["1 a b far\n0 a c near\n", "a b target far\na c nontarget near\n", "\n1 a b far\n0 a c near"],
    ids=["VoxCeleb", "Kaldi", "after an empty line"],
)
def test_conditions_of_a_trial_list(tmp_path, text):
    trials = read_trial_list(write_list(tmp_path, text))
    assert (trials.enrol.tolist(), trials.test.tolist()) == ([0, 0], [1, 2])
    assert (trials.is_client.tolist(), trials.condition.tolist()) == ([True, False], [0, 1])
    assert trials.condition_names == ["far", "near"]


def test_no_conditions(files, tmp_path):
    for trials in (
        read_trials(*files("a b\n", "a c\n")),
        read_trial_list(write_list(tmp_path, "1 a b\n0 a c\n")),
    ):
        assert (trials.condition_names, trials.condition) == ([], None)


@pytest.mark.parametrize(
    "text, message",
    [
        ("1 a b far\n0 a c\n", "4 fields as on line 1, 'LABEL PATH PATH CONDITION', but found 3"),
        ("1 a b\n0 a c far\n", "3 fields as on line 1, 'LABEL PATH PATH', but found 4"),
    ],
)
def test_the_first_line_decides_whether_there_are_conditions(tmp_path, text, message):
    path = write_list(tmp_path, text)
    with pytest.raises(InputError) as error:
        read_trial_list(path)
    assert str(error.value).startswith(f"{path}:2: expected {message}")


@pytest.mark.parametrize("clients_have", [True, False])
def test_conditions_in_one_of_two_files(files, clients_have):
    texts = ("a b far\na d far\n", "a c\nb c\n")
    clients, impostors = files(*(texts if clients_have else texts[::-1]))
    without, other = (impostors, clients) if clients_have else (clients, impostors)
    message = f"has no conditions, but {other} has: both must have them, or neither"
    assert_problems(lambda: read_trials(clients, impostors), f"{without}: {message}")


def test_lines_with_conditions_are_checked_as_others(files):
    clients, impostors = files("a b far\n", "c c near\nb a near\n")
    messages = (
        f"{impostors}:1: both sides of the trial are 'c'",
        f"{impostors}:2: 'b a' is an impostor trial here and a client trial on {clients}:1",
    )
    assert_problems(lambda: read_trials(clients, impostors), *messages)


@pytest.mark.parametrize("again", ["a b", "b a"])
def test_repeated_pair_is_warned_of_and_kept(files, caplog, again):
    clients, impostors = files(f"a b\na c\n{again}\n", "a d\n")
    with caplog.at_level(logging.WARNING):
        trials = read_trials(clients, impostors)
    assert len(trials) == 4
    warning = f"{clients}:3: the pair is already on line 1; each repeat counts as a trial of "
    assert warning in caplog.text


def test_no_warning_without_repeats(files, caplog):
    read_trials(*files("a b\na c\n", "a d\n"))
    assert not caplog.records


@pytest.mark.parametrize("label, name", [("1", "client"), ("0", "impostor")])
def test_trials_of_one_class(tmp_path, label, name):
    path = write_list(tmp_path, f"{label} a b\n{label} a c\n")
    message = f"{path}: has only {name} trials: both classes are needed"
    assert_problems(lambda: read_trial_list(path), message)


@pytest.mark.parametrize(
    "text, message",
    [
        ("x a b\n0 a c\n", f":1: label 'x' {NOT_VOXCELEB}"),
        ("1 a b\n0 a c\na d target\n", f":3: label 'a' {NOT_VOXCELEB}"),
        ("a b target\n0 a c\na d nontarget", f":2: label 'c' {NOT_KALDI}"),
    ],
)
def test_unknown_label(tmp_path, text, message):
    path = write_list(tmp_path, text)
    assert_problems(lambda: read_trial_list(path), f"{path}{message}")


def test_missing_and_empty_files_are_both_shown(files, tmp_path):
    _, impostors = files("", "")
    clients = tmp_path / "none.txt"
    messages = (
        f"{clients}: can't be read (No such file or directory)",
        f"{impostors}: is empty: expected lines of 'PATH PATH [CONDITION]'",
    )
    assert_problems(lambda: read_trials(clients, impostors), *messages)


def test_empty_list(tmp_path):
    path = write_list(tmp_path, "\n")
    message = f"{path}: is empty: expected lines of 'LABEL PATH PATH [CONDITION]'"
    assert_problems(lambda: read_trial_list(path), message)


def test_one_file_given_for_both(files):
    clients, _ = files("a b\n", "a c\n")
    message = f"{clients}: is given as the client file and as the impostor file"
    assert_problems(lambda: read_trials(clients, clients), message)


def test_first_ten_problems_and_the_count_of_the_rest(files):
    clients, impostors = files("a b\n" + "a a\n" * 12, "a c\n")
    with pytest.raises(InputError) as error:
        read_trials(clients, impostors)
    lines = str(error.value).split("\n")
    assert lines[0].startswith(f"{clients}:2: ")
    assert len(lines) == 11
    assert lines[-1] == "... and 2 more problems like these"
