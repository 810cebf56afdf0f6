"""Lists that are read all at once: as line by line, or not at all."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.lists import columns
from local.lists.columns import read_plain_trials
from local.lists.trials import read_trial_list

NAMES = ["a", "b/1", "ä.2", 'q"', "'", "1", "0", "target", "no\u00a0break", "\ufeffx", "#", ""]
BLANKS, ENDS = [" ", " ", " ", " ", "  ", "\t"], ["\n", "\n", "\n", "\n", "\r\n", "\n\n", " \n", ""]


@st.composite
def trial_lists(draw):
    """A list that is right, or has a few odd things."""
    is_kaldi, has_condition = draw(st.booleans()), draw(st.booleans())
    is_odd = draw(st.booleans())
    labels = ["target", "nontarget"] if is_kaldi else ["1", "0"]
    text = draw(st.sampled_from(["", "\ufeff", "\n"])) if is_odd else ""
    for _ in range(draw(st.integers(0, 6))):
        names = NAMES if is_odd else NAMES[:6]
        fields = [draw(st.sampled_from(names)) for _ in range(2)]
        label = draw(st.sampled_from([*labels, "x"] if is_odd else labels))
        fields.insert(2 if is_kaldi else 0, label)
        fields += [draw(st.sampled_from(["near", "far"]))] if has_condition else []
        text += draw(st.sampled_from(BLANKS if is_odd else BLANKS[:1])).join(fields)
        text += draw(st.sampled_from(ENDS if is_odd else ENDS[:1]))
    return text.encode()


@settings(max_examples=150)
@given(trial_lists(), st.sampled_from([columns.BYTES_PER_BLOCK, 50]))
def test_both_ways_of_reading_agree(tmp_path_factory, content, bytes_per_block):
    path = tmp_path_factory.getbasetemp() / "trials.txt"
    path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "BYTES_PER_BLOCK", bytes_per_block)
        found = read_plain_trials(path)
    if found is None:
        return
    expected = read_trial_list(path)  # which finds no problem
    assert (found.utterances, found.places) == (expected.utterances, expected.places)
    assert found.condition_names == expected.condition_names
    for name in ("enrol", "test", "is_client", "condition"):
        one, other = getattr(found, name), getattr(expected, name)
        assert np.array_equal(one, other) and getattr(one, "dtype", 0) == getattr(other, "dtype", 0)


def test_usual_lists_are_read_at_once_and_others_are_not(tmp_path, caplog):
    path = tmp_path / "trials.txt"
    usual = "1 a b\n0 c a\n1 b a\n"
    path.write_text(usual)
    trials = read_plain_trials(path)
    assert [line for _, line in trials.places] == [1, 1, 2]
    assert f"{path}:3: the pair is already on line 1" in caplog.text
    others = [
        "",
        "1 a b\n",
        "1 a b\n0 b a\n",
        "1 a a\n0 a b\n",
        "1  a b\n0 a c\n",
        "1 a b\n\n0 a c\n",
    ]
    for text in others:
        path.write_text(text)
        assert read_plain_trials(path) is None
    assert read_plain_trials(tmp_path) is read_plain_trials(tmp_path / "none.txt") is None


def test_a_pipe_is_left_to_the_other_way():
    reading_end, writing_end = os.pipe()
    os.write(writing_end, b"1 a b\n0 a c\n")
    os.close(writing_end)
    path = f"/dev/fd/{reading_end}"
    assert read_plain_trials(path) is None and len(read_trial_list(path)) == 2
    os.close(reading_end)
