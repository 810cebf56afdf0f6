import random
from collections import Counter
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from local.corpora.lists import choose_trials, write_lists

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=6)


def speakers_of(sizes):
    return {
        f"s{speaker}": [f"s{speaker}/{number}" for number in range(size)]
        for speaker, size in enumerate(sizes)
    }


def speaker(name):
    return name.split("/")[0]


@given(sizes=SIZES, count=st.integers(0, 60), seed=st.integers(0, 9))
def test_trials_are_different_pairs_of_the_right_kind(sizes, count, seed):
    utterances = speakers_of(sizes)
    clients, impostors = choose_trials(utterances, count, random.Random(seed))
    names = [name for own in utterances.values() for name in own]
    pairs = list(combinations(names, 2))
    num_clients = sum(speaker(first) == speaker(second) for first, second in pairs)
    assert len(clients) == min(count, num_clients)
    assert len(impostors) == min(count, len(pairs) - num_clients)
    assert all(speaker(enrol) == speaker(test) for enrol, test in clients)
    assert all(speaker(enrol) != speaker(test) for enrol, test in impostors)
    chosen = {frozenset(pair) for pair in clients + impostors}
    assert len(chosen) == len(clients) + len(impostors)
    assert chosen <= {frozenset(pair) for pair in pairs}


def test_trials_are_spread_evenly_over_speakers():
    utterances = speakers_of([50, 10, 10, 2])
    clients, impostors = choose_trials(utterances, 61, random.Random(0))
    assert Counter(speaker(enrol) for enrol, _ in clients) == {
        "s0": 20,
        "s1": 20,
        "s2": 20,
        "s3": 1,
    }
    pairs = Counter((speaker(enrol), speaker(test)) for enrol, test in impostors)
    assert sorted(pairs.values()) == [10, 10, 10, 10, 10, 11]


def test_fewer_trials_than_speakers():
    clients, impostors = choose_trials(speakers_of([5] * 20), 7, random.Random(0))
    assert len({speaker(enrol) for enrol, _ in clients}) == 7
    assert len({(speaker(enrol), speaker(test)) for enrol, test in impostors}) == 7


def test_many_utterances_need_no_list_of_all_pairs():
    utterances = {"a": range(10**6), "b": range(10**6, 2 * 10**6)}
    clients, impostors = choose_trials(utterances, 1000, random.Random(0))
    assert len(set(clients)) == len(set(impostors)) == 1000
    assert all((enrol < 10**6) == (test < 10**6) for enrol, test in clients)


def test_lists_are_written_in_the_documented_format(tmp_path):
    write_lists(tmp_path, [["a/1", "a/2"], ["ä/1"]], [("c/1", "c/2")], [("c/1", "d/1")])
    texts = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert texts == {
        "train_labels.txt": "a/1 0 -1\na/2 0 -1\nä/1 1 -1\n",
        "valid_clients.txt": "c/1 c/2\n",
        "valid_impostors.txt": "c/1 d/1\n",
    }
