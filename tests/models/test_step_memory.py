"""What a step is said to hold, beside what torch allocates for it."""

import copy
import gc
from functools import partial

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from local.models.embedding import EmbeddingExtractor, EmbeddingHead, SpeakerClassifier
from local.models.front_ends import make_front_end
from local.models.losses import MarginSoftmax
from local.models.pooling import make_pooling
from local.models.step_memory import step_memory

ADAM = partial(torch.optim.Adam, lr=0.1)
SGD = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
SHAPE = (4, 90, 80)


def network(name):
    extractor = EmbeddingExtractor(
        make_front_end(name, width=32),
        partial(make_pooling, name="double_multi_head", num_heads=4),
        partial(EmbeddingHead, embedding_size=16, hidden_size=0, relu=False),
    )
    return extractor, SpeakerClassifier(16, num_speakers=3000), MarginSoftmax(top_k=2)


def allocated(extractor, classifier, loss, make_optimizer, dtype, num_parts):
    """The most bytes that a second update holds, as torch's profiler counts them."""
    optimizer = make_optimizer([*extractor.parameters(), *classifier.parameters()])
    features, labels = torch.randn(SHAPE), torch.zeros(len(SHAPE) + 1, dtype=torch.long)

    def update():
        for _ in range(num_parts):
            with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
                value = loss(classifier(extractor(features)), labels)
            value.backward()
        optimizer.step()
        optimizer.zero_grad()

    update()
    gc.collect()
    held = [features, labels, *extractor.state_dict().values(), *classifier.state_dict().values()]
    held += [tensor for state in optimizer.state.values() for tensor in state.values()]
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True, acc_events=True) as found:
        update()
    now = highest = sum(tensor.nbytes for tensor in held)
    for event in found.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            highest = max(highest, now)
    return highest


@pytest.mark.parametrize(
    "name, make_optimizer, dtype, num_parts",
    [
        ("vgg", ADAM, torch.float32, 1),
        ("vgg", SGD, torch.bfloat16, 2),
        ("ecapa", ADAM, torch.bfloat16, 1),
    ],
)
def test_it_is_what_torch_allocates(name, make_optimizer, dtype, num_parts):
    extractor, classifier, loss = network(name)
    before = copy.deepcopy(extractor.state_dict())
    memory = step_memory(extractor, classifier, loss, make_optimizer, SHAPE, dtype, num_parts)
    torch.testing.assert_close(extractor.state_dict(), before, rtol=0, atol=0)
    expected = allocated(extractor, classifier, loss, make_optimizer, dtype, num_parts)
    assert memory.highest == pytest.approx(expected, rel=0.03)


def test_what_grows_with_the_chunks_and_what_does_not():
    parts = network("vgg")
    one, two, average = (
        step_memory(*parts, ADAM, (num_chunks, 90, 80), torch.float32, average=average)
        for num_chunks, average in ((4, False), (8, False), (4, True))
    )
    assert two.activations == pytest.approx(2 * one.activations, rel=0.05)
    assert one.weights == two.weights and one.optimizer == two.optimizer
    extractor_bytes = sum(tensor.nbytes for tensor in parts[0].state_dict().values())
    assert average.weights - one.weights == extractor_bytes
    assert average.highest - one.highest == extractor_bytes
    num_values = sum(p.numel() for module in parts[:2] for p in module.parameters())
    assert one.gradients == 4 * num_values
    assert one.optimizer == pytest.approx(8 * num_values, rel=0.01)
