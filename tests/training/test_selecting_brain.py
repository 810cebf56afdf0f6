import copy

import pytest
import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from local.training.selecting_brain import follow, moving_average


def test_moving_average_is_that_of_torch():
    """Bit by bit, with the counters of batch norms; AveragedModel waits for the GPU."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    ours, theirs = moving_average(model), moving_average(model)
    for decay in (0.1, 0.7, 0.995):
        model(torch.randn(8, 3))
        with torch.no_grad():
            model[0].weight += torch.randn(4, 3)
        follow(ours, model, decay)
        theirs.multi_avg_fn = get_ema_multi_avg_fn(decay)
        theirs.update_parameters(model)
    expected = theirs.state_dict()
    assert ours.state_dict().keys() == expected.keys() and int(ours.n_averaged) == 3
    for name, value in ours.state_dict().items():
        assert torch.equal(value, expected[name]), name
    assert not torch.equal(ours.module[0].weight, model[0].weight)


def test_moving_average_of_another_module_is_refused():
    average = moving_average(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError):
        follow(average, copy.deepcopy(torch.nn.Linear(2, 2, bias=False)), 0.5)
