"""The utterances of speakers to the lists of a corpus: labels, client and impostor trials."""

from itertools import combinations
from math import comb, isqrt

from local.atomic import replacing


def choose_trials(utterances, count, rng, sexes=None):
    """Chooses client and impostor trials, spread evenly over the speakers.

    Arguments
    ---------
    utterances : dict
        Speaker -> list of the paths of the speaker's utterances.
    count : int
        How many trials of each kind; fewer come back where there are no more pairs.
    rng : random.Random
    sexes : dict, optional
        Speaker -> sex, of all speakers. Half of the impostor trials are then of speakers of one
        sex, as far as there are such pairs.

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
    clients = [_client_pairs(own) for own in utterances.values()]
    of_one_sex, others = [], []
    for first, second in combinations(utterances, 2):
        is_of_one_sex = sexes and sexes[first] == sexes[second]
        pairs = _impostor_pairs(utterances[first], utterances[second])
        (of_one_sex if is_of_one_sex else others).append(pairs)
    clients = _draw(clients, count, rng)
    impostors = _draw(of_one_sex, count - count // 2, rng)
    return clients, impostors + _draw(others, count - len(impostors), rng)


def write_lists(out_dir, training, clients, impostors):
    """Writes the three lists, each completely or not at all.

    They go into the existing folder `out_dir`, a pathlib.Path. `training` has a list of paths for
    each speaker, in the order of the labels; clients and impostors are pairs of paths. Returns the
    paths of train_labels.txt, valid_clients.txt and valid_impostors.txt.
    """
    labels = write_lines(out_dir / "train_labels.txt", _label_lines(training))
    return [labels, *write_trials(out_dir, clients, impostors)]


def write_trials(out_dir, clients, impostors):
    """Writes valid_clients.txt and valid_impostors.txt of pairs of paths; returns their paths."""
    lists = {"valid_clients.txt": clients, "valid_impostors.txt": impostors}
    return [
        write_lines(out_dir / name, (f"{enrol} {test}" for enrol, test in pairs))
        for name, pairs in lists.items()
    ]


def write_training(out_dir, training):
    """Writes train_labels.txt and speakers.txt, the speaker of each label; prints what is in them.

    `training` is a dictionary, speaker -> paths, in the order of the labels. Returns the path of
    train_labels.txt.
    """
    path = write_lines(out_dir / "train_labels.txt", _label_lines(training.values()))
    print(f"{path}: {sum(map(len, training.values())):,} utterances of {len(training):,} speakers")
    print(f"{write_speakers(out_dir, training)}: the speaker of each label")
    return path


def write_speakers(out_dir, training):
    """Writes speakers.txt, the speaker of each label, and returns its path."""
    lines = (f"{label} {speaker}" for label, speaker in enumerate(training))
    return write_lines(out_dir / "speakers.txt", lines)


def _label_lines(training):
    return (f"{path} {label} -1" for label, paths in enumerate(training) for path in paths)


def write_lines(path, lines):
    """Writes a text file, completely or not at all, and returns its path."""
    with replacing(path) as temporary:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.writelines(f"{line}\n" for line in lines)
    return path


def _client_pairs(utterances):
    """How many pairs a speaker's utterances have, and a function from a number to a pair."""

    def pair(number):
        later = (1 + isqrt(1 + 8 * number)) // 2
        return utterances[number - later * (later - 1) // 2], utterances[later]

    return comb(len(utterances), 2), pair


def _impostor_pairs(first, second):
    """The same for the pairs of an utterance of one speaker and one of another."""

    def pair(number):
        row, column = divmod(number, len(second))
        return first[row], second[column]

    return len(first) * len(second), pair


def _draw(groups, count, rng):
    shares = _even_shares([size for size, _ in groups], count, rng)
    return [
        pair(number)
        for (size, pair), share in zip(groups, shares, strict=True)
        for number in sorted(rng.sample(range(size), share))
    ]


def _even_shares(sizes, total, rng):
    """Divides a total among groups as evenly as their sizes allow."""
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
