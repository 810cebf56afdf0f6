"""The number of utterances to the batches of an epoch, as numbers of utterances."""

import numpy as np
from torch.utils.data import Sampler

# An open epoch has no more batches than that: it would take days.
_OPEN_BATCHES = 2**24


class EndlessShuffle(Sampler):
    """One endless stream of shuffled utterances, cut into batches and epochs of a given length.

    The stream is pass after pass over all utterances, each pass in another order. Every place in
    it has a number, the draw. Which draws are in a batch follows from epoch, batch and process: a
    batch does not depend on what was run before, and all batches are full.

    Arguments
    ---------
    num_utterances : int
    batch_size : int
        Of each process.
    batches_per_epoch : int
        Of each process.
    seed : int
    is_open : bool
        Whether an epoch may be longer: it then has batches until it is left.
    rank, num_processes : int
        Each process takes its own part of every batch_size * num_processes draws: all of them
        together draw what one process with batches of that size would.

    Attributes
    ----------
    first_batch : int
        Where an epoch goes on after an interruption; 0 for all of it.

    Example
    -------
    >>> sampler = EndlessShuffle(num_utterances=5, batch_size=2, batches_per_epoch=2, seed=0)
    >>> [[draw for _, draw in batch] for batch in sampler]
    [[0, 1], [2, 3]]
    >>> sampler.set_epoch(2)
    >>> [[draw for _, draw in batch] for batch in sampler]
    [[4, 5], [6, 7]]
    """

    def __init__(
        self,
        num_utterances,
        batch_size,
        batches_per_epoch,
        seed,
        is_open=False,
        rank=0,
        num_processes=1,
    ):
        self.num_utterances = num_utterances
        self.batch_size = batch_size
        self.batches_per_epoch = batches_per_epoch
        self.seed = seed
        self.is_open = is_open
        self.rank = rank
        self.num_processes = num_processes
        self.epoch = 1
        self.first_batch = 0
        self._pass_number = None

    def set_epoch(self, epoch):
        """Called by the Brain before each epoch, which it counts from 1."""
        self.epoch = epoch

    def __len__(self):
        if self.is_open:
            raise TypeError("an open epoch has no length")
        return self.batches_per_epoch

    def __iter__(self):
        """Yields lists of (index of the utterance, draw)."""
        num_batches = _OPEN_BATCHES if self.is_open else self.batches_per_epoch
        end = self.epoch * num_batches
        for batch in range(end - num_batches + self.first_batch, end):
            start = (batch * self.num_processes + self.rank) * self.batch_size
            yield [(self._utterance(draw), draw) for draw in range(start, start + self.batch_size)]

    def _utterance(self, draw):
        pass_number, place = divmod(draw, self.num_utterances)
        if pass_number != self._pass_number:
            rng = np.random.default_rng((self.seed, pass_number))
            self._order = rng.permutation(self.num_utterances)
            self._pass_number = pass_number
        return int(self._order[place])
