"""What holds for every front end, folding, and SpeechBrain's networks."""

import copy
import functools

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
from speechbrain.lobes.models.ResNet import ResNet
from torch import nn

from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.front_ends import FRONT_ENDS, make_front_end
from local.models.library import Ecapa, ResNet34, pad_with_zeros
from local.models.padding import Padding
from local.models.pooling import make_pooling
from local.models.repvgg import RepBlock, RepVGG
from local.models.size import num_macs, num_parameters


def extractor_of(front_end, embedding_size=12):
    return EmbeddingExtractor(
        front_end,
        functools.partial(make_pooling, name="statistics"),
        functools.partial(EmbeddingHead, embedding_size=embedding_size, hidden_size=0, relu=False),
    )


@torch.no_grad()
def randomised(network):
    """The network in evaluation mode, with batch norms of all sorts that keep the scale."""
    network.train()
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
            module.weight.uniform_(0.5, 1.5)
            module.bias.uniform_(-0.5, 0.5)
    network(torch.randn(4, 60, 80))
    return network.eval()


def padded(lengths):
    """Features (batch, the longest, 80) that are 0 behind the ends."""
    return Padding(lengths, int(lengths.max())).fill_(
        torch.randn(len(lengths), int(lengths.max()), 80), 0.0
    )


def furthest(values, expected):
    """The largest difference, as a share of the largest value."""
    return (values - expected).abs().max() / expected.abs().max()


@pytest.mark.parametrize("name", FRONT_ENDS)
@torch.no_grad()
def test_embedding_is_the_same_alone_and_in_any_batch(name):
    extractor = randomised(extractor_of(make_front_end(name, width=16)))
    lengths = torch.tensor([93, 64, 17, 64, 5, 1])
    features = padded(lengths)
    together = extractor(features, lengths)
    rows = zip(features, lengths, strict=True)
    alone = torch.cat([extractor(row[None, :length]) for row, length in rows])
    assert alone.std(dim=0).min() > 0.01
    assert furthest(together, alone) < 1e-5


@pytest.mark.parametrize("lengths", [None, torch.tensor([60, 31, 8, 2])])
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_every_parameter_gets_a_finite_gradient(name, lengths):
    extractor = extractor_of(make_front_end(name, width=8))
    extractor(torch.randn(4, 60, 80), lengths).square().sum().backward()
    for what, parameter in extractor.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), what


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_sizes_are_what_a_front_end_says(name):
    with torch.device("meta"):
        front_end = make_front_end(name, num_features=40, width=16)
        states, num_states = front_end(torch.empty(2, 347, 40))
    num_expected = -(-347 // front_end.frames_per_state)
    assert states.shape == (2, num_expected, front_end.output_size) and num_states is None


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_weights_are_drawn_by_the_seed_alone(name):
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(make_front_end(name, width=8).state_dict())
    assert all(torch.equal(drawn[0][key], drawn[1][key]) for key in drawn[0])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"name": "resnet"}, "front_end 'resnet' is unknown: take one of vgg, repvgg, resnet34"),
        ({"name": "repvgg", "width": 100}, "width 100 can't be halved 3 times.* multiple of 8"),
        ({"name": "resnet34", "width": 4}, "width 4 can't be halved 3 times"),
        ({"name": "ecapa", "width": 100}, "width 100 of ecapa is no multiple of 8"),
        ({"name": "ecapa", "width": 0}, "width 0 of ecapa"),
        ({"name": "vgg", "num_blocks": 11}, "num_blocks is a whole number from 1 to 10"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_front_end(**settings)


@torch.no_grad()
def test_tiny_repvgg_has_the_published_size_and_folding_makes_it_smaller():
    """6.83 and 6.26 million parameters, 5.17 and 4.65 GMAC for two seconds."""
    extractor = extractor_of(RepVGG(width=256), embedding_size=256)
    convs = [len(block.branches) > 1 for block in extractor.front_end.blocks]
    assert len(convs) == 34 and extractor.pooling.output_size == 2 * 2560
    assert num_parameters(extractor) == pytest.approx(6.83e6, rel=2e-3)
    assert num_macs(extractor, 200, 80) == pytest.approx(5.17e9, rel=2e-3)
    extractor.fold()
    assert num_parameters(extractor) == pytest.approx(6.26e6, rel=2e-3)
    assert num_macs(extractor, 200, 80) == pytest.approx(4.65e9, rel=2e-3)


@pytest.mark.parametrize("in_channels, stride, num_branches", [(6, 1, 3), (4, 1, 2), (6, 2, 2)])
@torch.no_grad()
def test_a_block_is_the_relu_of_the_sum_of_its_branches(in_channels, stride, num_branches):
    block = RepBlock(in_channels, 6, stride).eval()
    assert len(block.branches) == num_branches
    images = torch.randn(2, in_channels, 9, 12)
    expected = 0
    for layer, norm in block.branches:
        norm.running_mean.normal_()
        norm.bias.normal_()
        values = images
        if isinstance(layer, nn.Conv2d):
            size = layer.kernel_size[0]
            values = nn.functional.conv2d(images, layer.weight, stride=stride, padding=size // 2)
        expected = expected + norm(values)
    assert furthest(block(images, None)[0], expected.relu()) < 1e-6
    block.fold()
    assert furthest(block(images, None)[0], expected.relu()) < 1e-6


@torch.no_grad()
def test_folded_embeddings_are_those_of_training_form_also_of_padded_batches():
    extractor = randomised(extractor_of(RepVGG(width=32)))
    lengths = torch.tensor([120, 77, 9, 1])
    batches = [(padded(lengths), lengths), (torch.randn(2, 50, 80), None)]
    before = [extractor(*batch) for batch in batches]
    folded = copy.deepcopy(extractor).fold()
    for batch, expected in zip(batches, before, strict=True):
        assert furthest(folded(*batch), expected) < 1e-5
    # What differs is rounding.
    extractor, batches = extractor.double(), [(batch[0].double(), batch[1]) for batch in batches]
    before = [extractor(*batch) for batch in batches]
    for batch, expected in zip(batches, before, strict=True):
        assert furthest(copy.deepcopy(extractor).fold()(*batch), expected) < 1e-12
    convs = [module for module in folded.front_end.modules() if next(module.children(), 0) == 0]
    assert {type(conv) for conv in convs} == {nn.Conv2d} and len(convs) == 34
    assert all(conv.weight.is_contiguous(memory_format=torch.channels_last) for conv in convs)
    again = {key: value.clone() for key, value in folded.state_dict().items()}
    folded.fold()
    assert all(torch.equal(value, again[key]) for key, value in folded.state_dict().items())


@torch.no_grad()
def test_folding_leaves_no_parameter_out():
    block = randomised(RepVGG(width=8)).blocks[1]
    images = torch.randn(1, 1, 7, 9)
    for name, value in block.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        changed, plain = copy.deepcopy(block), copy.deepcopy(block)
        changed.state_dict()[name].add_(0.5)
        plain.fold()
        folded = copy.deepcopy(changed)
        folded.fold()
        assert value.numel() and furthest(folded(images, None)[0], changed(images, None)[0]) < 1e-5
        assert not torch.equal(folded.branches[0].weight, plain.branches[0].weight) or (
            not torch.equal(folded.branches[0].bias, plain.branches[0].bias)
        ), name


@torch.no_grad()
def test_only_front_ends_that_fold_change():
    extractor = randomised(extractor_of(make_front_end("ecapa", width=8)))
    before = copy.deepcopy(extractor.state_dict())
    assert extractor.fold() is extractor
    assert all(torch.equal(value, before[key]) for key, value in extractor.state_dict().items())


def seen(network, layer, features):
    """What a layer of a network gives."""
    values = []
    with layer.register_forward_hook(lambda *call: values.append(call[-1])):
        network(features)
    return values[0]


@torch.no_grad()
def test_resnet34_is_speechbrains():
    oracle = randomised(ResNet(80, channels=[4, 8, 16, 32]))
    front_end = ResNet34(width=32).eval()
    ours, theirs = front_end.layers.state_dict(), oracle.state_dict()
    assert len(ours) < len(theirs)
    values = dict(zip(ours, theirs.values(), strict=False))  # those behind the layers come later
    front_end.layers.load_state_dict(values)
    features = torch.randn(2, 51, 80)
    expected = seen(oracle, oracle.layer4, features).transpose(1, 2).flatten(start_dim=2)
    assert furthest(front_end(features)[0], expected) < 1e-5


@torch.no_grad()
def test_ecapa_is_speechbrains():
    oracle = ECAPA_TDNN(80, channels=[16] * 4 + [48])
    pad_with_zeros(oracle)
    randomised(oracle)
    front_end = Ecapa(width=16).eval()
    weights = {}
    for name, value in oracle.state_dict().items():
        first, _, rest = name.partition(".")
        place, _, layer = rest.partition(".")
        if first == "mfa":
            weights[f"last.{rest}"] = value
        elif first == "blocks":
            weights[f"blocks.{int(place) - 1}.{layer}" if int(place) else f"first.{layer}"] = value
    front_end.load_state_dict(weights)
    features = torch.randn(2, 51, 80)
    expected = seen(oracle, oracle.mfa, features).transpose(1, 2)
    assert furthest(front_end(features)[0], expected) < 1e-5
