import torch
from speechbrain.utils.autocast import fwd_default_precision

from local.models.precision import in_float32


class Product(torch.nn.Module):
    def forward(self, values, lengths=None):
        return values @ values.T, lengths


def test_computes_as_speechbrains_decorator_does():
    class Ours(Product):
        forward = in_float32(Product.forward)

    class Theirs(Product):
        forward = fwd_default_precision(Product.forward)

    values, lengths = torch.randn(3, 4), torch.tensor([4, 2, 1])
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        for is_on in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=is_on):
                ours, theirs = (kind()(values.to(dtype), lengths) for kind in (Ours, Theirs))
            assert ours[0].dtype == theirs[0].dtype and torch.equal(ours[0], theirs[0])
            assert ours[1] is lengths
    with torch.autocast("cpu", torch.bfloat16):
        assert Product()(values)[0].dtype == torch.bfloat16
        assert Ours()(values)[0].dtype == torch.float32


def test_calls_without_a_second_tensor():
    assert in_float32(Product.forward)(Product(), torch.eye(2))[1] is None
