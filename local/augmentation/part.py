"""What all parts of the augmentation have in common."""

import torch

from local.augmentation.drawing import beside, check_probability, chosen


class Part(torch.nn.Module):
    """Changes some rows of a batch, chosen by numbers that were drawn on the CPU.

    A subclass defines `change`.

    Arguments
    ---------
    name : str
        In the settings.
    probability : float
        Of each row to be changed.
    num_values : int
        Numbers that `change` needs for a row.
    """

    def __init__(self, name, probability, num_values):
        super().__init__()
        check_probability(f"{name}: probability", probability)
        self.probability = probability
        self.num_draws = 1 + int(num_values)

    def forward(self, batch, draws):
        """Changes a batch in place.

        Arguments
        ---------
        batch : torch.Tensor
            (batch, ...), of floating-point numbers, on any device.
        draws : torch.Tensor
            float64 (batch, num_draws), uniform from 0 to below 1, on the CPU.

        Returns
        -------
        batch : torch.Tensor
            The same.
        """
        rows = chosen(draws[:, 0], self.probability)
        if len(rows):
            places = beside(rows, batch)
            batch.index_copy_(0, places, self.change(batch[places], draws[rows, 1:]))
        return batch

    def change(self, rows, draws):
        """The chosen rows, which it may change in place, and their numbers to changed rows."""
        raise NotImplementedError
