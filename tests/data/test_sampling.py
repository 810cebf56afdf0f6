from hypothesis import given
from hypothesis import strategies as st

from local.data.sampling import EndlessShuffle


def drawn(sampler, *epochs):
    """The batches of some epochs, one after the other."""
    batches = []
    for epoch in epochs:
        sampler.set_epoch(epoch)
        batches += list(sampler)
    return batches


@given(
    num_utterances=st.integers(1, 20),
    batch_size=st.integers(1, 7),
    batches_per_epoch=st.integers(1, 5),
)
def test_passes_are_permutations_and_batches_full(num_utterances, batch_size, batches_per_epoch):
    sampler = EndlessShuffle(num_utterances, batch_size, batches_per_epoch, seed=3)
    batches = drawn(sampler, *range(1, 12))
    assert all(len(batch) == batch_size for batch in batches)
    places = [place for batch in batches for place in batch]
    assert [draw for _, draw in places] == list(range(len(places)))
    for first in range(0, len(places) - num_utterances + 1, num_utterances):
        one_pass = [index for index, _ in places[first : first + num_utterances]]
        assert sorted(one_pass) == list(range(num_utterances))


def test_epochs_do_not_depend_on_what_was_run_before():
    in_order = drawn(EndlessShuffle(50, 4, 10, seed=1), 1, 2, 3)
    resumed = drawn(EndlessShuffle(50, 4, 10, seed=1), 3)
    assert resumed == in_order[20:]


def test_seeds_and_passes_differ():
    first_pass, second_pass = drawn(EndlessShuffle(30, 30, 2, seed=1), 1)
    other_seed, _ = drawn(EndlessShuffle(30, 30, 2, seed=2), 1)
    orders = [[index for index, _ in batch] for batch in (first_pass, second_pass, other_seed)]
    assert orders[0] != orders[1] and orders[0] != orders[2]


def test_processes_share_what_one_would_draw():
    alone = drawn(EndlessShuffle(30, 8, 5, seed=1), 1)
    parts = [
        drawn(EndlessShuffle(30, 4, 5, seed=1, rank=rank, num_processes=2), 1) for rank in (0, 1)
    ]
    assert [first + second for first, second in zip(*parts, strict=True)] == alone


def test_length_is_the_number_of_batches():
    sampler = EndlessShuffle(30, 8, 5, seed=1)
    assert len(sampler) == len(list(sampler)) == 5


def test_interrupted_epoch_goes_on():
    sampler = EndlessShuffle(30, 8, 5, seed=1)
    whole = drawn(sampler, 2)
    sampler.first_batch = 3
    assert drawn(sampler, 2) == whole[3:]
