"""What every corpus writes: training labels, client trials and impostor trials."""

from dataclasses import dataclass
from math import isqrt

from local.atomic import replacing


def choose_trials(utterances, count, rng):
    """Chooses client and impostor trials, spread evenly over the speakers.

    Arguments
    ---------
    utterances : dict
        Speaker -> list of the paths of the speaker's utterances.
    count : int
        How many trials of each kind; fewer come back where there are no more pairs.
    rng : random.Random
        Source of the choices.

    Returns
    -------
    clients, impostors : list of (str, str)
        Pairs of paths; no pair occurs twice, in either order, and no utterance meets itself.

    Example
    -------
    >>> import random
    >>> utterances = {"anna": ["anna/1", "anna/2"], "bert": ["bert/1"]}
    >>> choose_trials(utterances, 10, random.Random(0))
    ([('anna/1', 'anna/2')], [('anna/1', 'bert/1'), ('anna/2', 'bert/1')])
    """
    speakers = list(utterances.values())
    clients = [_ClientPairs(own) for own in speakers]
    impostors = [
        _ImpostorPairs(first, second)
        for number, first in enumerate(speakers)
        for second in speakers[number + 1 :]
    ]
    return _draw(clients, count, rng), _draw(impostors, count, rng)


def write_lists(out_dir, training, clients, impostors):
    """Writes the three lists, each at once or not at all.

    Arguments
    ---------
    out_dir : pathlib.Path
        An existing folder.
    training : list of list of str
        For each label, from 0, the paths of the speaker's utterances.
    clients, impostors : list of (str, str)
        Pairs of paths.

    Returns
    -------
    files : list of pathlib.Path
        The files: train_labels.txt, valid_clients.txt and valid_impostors.txt.
    """
    labels = [f"{path} {label} -1" for label, paths in enumerate(training) for path in paths]
    lists = {
        "train_labels.txt": labels,
        "valid_clients.txt": [f"{enrol} {test}" for enrol, test in clients],
        "valid_impostors.txt": [f"{enrol} {test}" for enrol, test in impostors],
    }
    return [write_lines(out_dir / name, lines) for name, lines in lists.items()]


def write_lines(path, lines):
    """Writes a text file, at once or not at all, and returns its path."""
    with replacing(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")
    return path


@dataclass(frozen=True)
class _ClientPairs:
    """The n (n - 1) / 2 pairs of a speaker's n utterances, numbered without listing them."""

    utterances: list

    def __len__(self):
        return len(self.utterances) * (len(self.utterances) - 1) // 2

    def __getitem__(self, number):
        later = (1 + isqrt(1 + 8 * number)) // 2
        earlier = number - later * (later - 1) // 2
        return self.utterances[earlier], self.utterances[later]


@dataclass(frozen=True)
class _ImpostorPairs:
    """The pairs of an utterance of one speaker and one of another."""

    first: list
    second: list

    def __len__(self):
        return len(self.first) * len(self.second)

    def __getitem__(self, number):
        row, column = divmod(number, len(self.second))
        return self.first[row], self.second[column]


def _draw(groups, count, rng):
    shares = _even_shares([len(group) for group in groups], count, rng)
    return [
        group[number]
        for group, share in zip(groups, shares, strict=True)
        for number in sorted(rng.sample(range(len(group)), share))
    ]


def _even_shares(sizes, total, rng):
    """Shares a total out among groups as evenly as their sizes allow."""
    shares = [0] * len(sizes)
    while True:
        open_groups = [group for group, size in enumerate(sizes) if shares[group] < size]
        if not open_groups or not total:
            return shares
        if total < len(open_groups):
            open_groups = rng.sample(open_groups, total)
        each = total // len(open_groups)
        for group in open_groups:
            given = min(each, sizes[group] - shares[group])
            shares[group] += given
            total -= given
