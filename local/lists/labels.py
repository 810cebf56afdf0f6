"""The training label file, `PATH LABEL -1` a line, to its utterances and their speakers."""

import itertools
import re
from array import array
from dataclasses import dataclass

from local.errors import Problems
from local.lists.fields import read_fields

LAYOUT = "PATH LABEL -1"
_MAX_LISTED = 5


@dataclass(frozen=True)
class Labels:
    """The utterances of a label file."""

    path: str  # or Path, of the label file
    names: list  # the path of each utterance, without extension
    speakers: array  # the label of each utterance, from 0 to the number of speakers - 1
    lines: array  # the line of each utterance, from 1


def read_labels(path):
    """Reads and checks a label file.

    Arguments
    ---------
    path : str or Path

    Returns
    -------
    labels : Labels

    Raises
    ------
    InputError
        With all problems: a missing or empty file, a wrong number of fields, a third field other
        than -1, a label that isn't a whole number from 0 on, a repeated path; and, if there are
        none of these, a gap in the labels, or only one speaker.
    """
    problems = Problems()
    labels = Labels(path, [], array("q"), array("q"))
    for line, (name, label, third) in read_fields(path, LAYOUT, problems):
        problem = _label_problem(label)
        if not problem and third != "-1":
            problem = f"the third field must be -1, not '{third}'"
        if problem:
            problems.add(path, line, problem)
            continue
        labels.names.append(name)
        labels.speakers.append(int(label))
        labels.lines.append(line)
    _check_repeats(labels, problems)
    if not problems:
        _check_speakers(labels, problems)
    problems.raise_if_any()
    return labels


def _label_problem(label):
    if label.isascii() and label.isdigit():
        # int() and array() have their limits, and no corpus has so many speakers.
        return f"label {label} is too large" if len(label) > 18 else None
    if re.fullmatch("-[0-9]+", label):
        return f"label {label} is negative: labels run from 0 to the number of speakers - 1"
    return f"label '{label}' is not a whole number"


def _check_repeats(labels, problems):
    first = {}
    for index, name in enumerate(labels.names):
        earlier = first.setdefault(name, index)
        if earlier != index:
            problems.add(labels.path, labels.lines[index], _repeat_problem(labels, earlier, index))


def _repeat_problem(labels, earlier, index):
    name, line = labels.names[index], labels.lines[earlier]
    here, there = labels.speakers[index], labels.speakers[earlier]
    if here == there:
        return f"'{name}' is already on line {line}: remove one of the two lines"
    return f"'{name}' has label {here} here and label {there} on line {line}"


def _check_speakers(labels, problems):
    speakers = set(labels.speakers)
    largest = max(speakers)
    num_missing = largest + 1 - len(speakers)
    if num_missing:
        problems.add(
            labels.path,
            labels.lines[labels.speakers.index(largest)],
            f"the largest label is {largest}, but {_missing(speakers, num_missing)}: "
            "labels run from 0 to the number of speakers - 1 without gaps",
        )
    elif len(speakers) == 1:
        problems.add(labels.path, None, "has only one speaker: training needs two or more")


def _missing(speakers, num_missing):
    missing = (str(label) for label in itertools.count() if label not in speakers)
    listed = list(itertools.islice(missing, min(num_missing, _MAX_LISTED)))
    rest = f" and {num_missing - len(listed)} more" if num_missing > len(listed) else ""
    return f"no line has label {', '.join(listed)}{rest}"
