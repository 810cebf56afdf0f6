import torch
from hypothesis import given
from hypothesis import strategies as st

from local.models.padding import Padding, length_mask

BATCHES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@given(lengths=BATCHES, padding=st.integers(0, 3), num_dims=st.integers(2, 4))
def test_all_that_mask_an_end_is_set_and_nothing_else(lengths, padding, num_dims):
    lengths, max_length = torch.tensor(lengths), max(lengths) + padding
    sequences = torch.randn(len(lengths), max_length, *[2] * (num_dims - 2))
    inside = length_mask(lengths, max_length)
    expected = sequences.clone()
    expected[~inside] = 7.0
    filled = Padding(lengths, max_length).fill_(sequences, 7.0)
    assert filled is sequences and torch.equal(filled, expected)


@given(lengths=BATCHES, padding=st.integers(0, 3))
def test_halved_padding_is_that_of_halved_lengths(lengths, padding):
    lengths, max_length = torch.tensor(lengths), max(lengths) + padding
    halved = Padding(lengths, max_length).halved()
    expected = Padding((lengths + 1) // 2, (max_length + 1) // 2)
    assert halved.shortest == expected.shortest
    assert torch.equal(halved.lengths, expected.lengths)
    assert torch.equal(halved.mask, expected.mask)


def test_gradients_of_the_padding_are_zero():
    sequences = torch.ones(2, 3, requires_grad=True)
    Padding(torch.tensor([3, 1]), 3).fill_(2 * sequences, 0.0).sum().backward()
    assert sequences.grad.tolist() == [[2.0, 2.0, 2.0], [2.0, 0.0, 0.0]]
