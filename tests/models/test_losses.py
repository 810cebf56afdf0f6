"""Embeddings to cosines with the speakers, and these to the loss."""

import math

import pytest
import torch
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, AngularMargin, LogSoftmaxWrapper
from torch import nn

from local.models.embedding import SpeakerClassifier
from local.models.losses import MarginSoftmax


def test_classifier_gives_the_cosines_and_gradients_of_speechbrains():
    classifier, oracle = SpeakerClassifier(6, num_speakers=3), Classifier(6, out_neurons=3)
    oracle.load_state_dict({"weight": 3 * classifier.directions})
    classifier.directions.data *= 3
    embeddings = torch.randn(4, 6)
    cosines, expected = classifier(embeddings), oracle(embeddings.unsqueeze(1)).squeeze(1)
    assert torch.allclose(cosines, expected, atol=1e-6)
    assert torch.allclose(classifier(7 * embeddings), expected, atol=1e-6)
    factors = torch.randn(4, 3)
    (cosines * factors).sum().backward()
    (expected * factors).sum().backward()
    assert torch.allclose(classifier.directions.grad, oracle.weight.grad, atol=1e-6)


def test_the_nearest_of_several_centres_counts():
    classifier = SpeakerClassifier(6, num_speakers=4, projection=True, num_centres=3)
    embeddings = torch.randn(5, 6)
    cosines = classifier(embeddings)
    assert classifier.directions.shape == (4, 3, 6) and cosines.shape == (5, 4)
    for row, embedding in enumerate(classifier.projection(embeddings)):
        for speaker in range(4):
            centres = classifier.directions[speaker]
            found = [torch.cosine_similarity(embedding, centre, dim=0) for centre in centres]
            assert cosines[row, speaker].item() == pytest.approx(max(found).item(), abs=1e-6)


def test_only_the_nearest_centre_learns():
    classifier = SpeakerClassifier(2, num_speakers=1, num_centres=2)
    classifier.directions.data = torch.tensor([[[0.0, 2.0], [3.0, 0.0]]])
    classifier(torch.tensor([[1.0, 0.2]])).sum().backward()
    assert classifier.directions.grad[0, 1].any() and not classifier.directions.grad[0, 0].any()


@pytest.mark.parametrize("num_centres", [0, -1, 1.5])
def test_no_number_of_centres_is_refused(num_centres):
    with pytest.raises(ValueError, match="num_centres is a whole number from 1 on"):
        SpeakerClassifier(6, num_speakers=4, num_centres=num_centres)


@pytest.mark.parametrize("kind, margin", [("am", 0.4), ("aam", 0.2)])
def test_margin_softmax_equals_cross_entropy_with_the_margin(kind, margin):
    cosines = torch.tensor([[0.9, 0.1, -0.3], [0.2, 0.7, 0.0]])
    labels = torch.tensor([0, 2])
    logits = 30 * cosines.clone()
    for row, label in enumerate(labels):
        angle = math.acos(cosines[row, label])
        moved = math.cos(angle) - margin if kind == "am" else math.cos(angle + margin)
        logits[row, label] = 30 * moved
    expected = nn.functional.cross_entropy(logits, labels)
    assert torch.allclose(MarginSoftmax(kind, margin, 30.0)(cosines, labels), expected, atol=1e-4)


@pytest.mark.parametrize("kind, margins", [("am", AngularMargin), ("aam", AdditiveAngularMargin)])
def test_margin_softmax_and_its_gradient_are_speechbrains(kind, margins):
    cosines = (2 * torch.rand(50, 7) - 1).requires_grad_()
    labels = torch.arange(50) % 7
    loss = MarginSoftmax(kind, 0.3, 20.0)(cosines, labels)
    oracle = LogSoftmaxWrapper(margins(margin=0.3, scale=20.0))
    expected = oracle(cosines.unsqueeze(1), labels.unsqueeze(1))
    assert torch.allclose(loss, expected, atol=1e-5)
    gradients = [torch.autograd.grad(value, cosines)[0] for value in (loss, expected)]
    assert torch.allclose(*gradients, atol=1e-5)


@pytest.mark.parametrize(
    "schedule, step, factor",
    [
        ("constant", 0, 1.0),
        ("linear", 10, 0.0),
        ("linear", 30, 0.5),
        ("linear", 90, 1.0),
        ("exponential", 10, 0.0),
        ("exponential", 30, (1 - 1e-3**0.5) / (1 - 1e-3)),
        ("exponential", 50, 1.0),
        ("annealing", 0, 1 / 1001),
        ("annealing", 10_000, 1 / 251),
    ],
)
def test_margin_schedules(schedule, step, factor):
    loss = MarginSoftmax("am", 0.4, 30.0, schedule, rise_start=0.1, rise_stop=0.5)
    loss.set_step(step, 100)
    assert loss.subtract_margin.margin == pytest.approx(0.4 * factor)


def test_unknown_margin_settings_are_refused():
    with pytest.raises(ValueError, match="'arc'"):
        MarginSoftmax("arc")
    with pytest.raises(ValueError, match="'cosine'"):
        MarginSoftmax("am", schedule="cosine")


@pytest.mark.parametrize("kind", ["am", "aam"])
def test_inter_top_k_penalty_equals_a_loop(kind):
    cosines = (1.8 * torch.rand(20, 9) - 0.9).requires_grad_()
    labels = torch.arange(20) % 9
    logits = []
    for row, label in zip(cosines, labels.tolist(), strict=True):
        others = sorted((speaker for speaker in range(9) if speaker != label), key=row.__getitem__)
        moved = []
        for speaker, cosine in enumerate(row):
            change = 0.2 if speaker == label else -0.06 if speaker in others[-3:] else 0.0
            moved.append(cosine - change if kind == "am" else torch.cos(cosine.acos() + change))
        logits.append(30 * torch.stack(moved))
    expected = nn.functional.cross_entropy(torch.stack(logits), labels)
    loss = MarginSoftmax(kind, 0.2, 30.0, top_k=3)(cosines, labels)
    assert torch.allclose(loss, expected, atol=1e-4)
    gradients = [torch.autograd.grad(value, cosines)[0] for value in (loss, expected)]
    assert torch.allclose(*gradients, atol=1e-4)


def test_the_penalty_follows_the_schedule_and_few_speakers_all_get_it():
    cosines, labels = torch.tensor([[0.9, 0.1, -0.3], [0.2, 0.7, 0.0]]), torch.tensor([0, 2])
    loss = MarginSoftmax("am", 0.0, 10.0, "linear", rise_stop=0.5, top_k=5, top_k_penalty=0.1)
    assert torch.allclose(loss(cosines, labels), nn.functional.cross_entropy(10 * cosines, labels))
    loss.set_step(50, 100)
    raised = cosines + 0.1 * (1 - nn.functional.one_hot(labels, 3))
    assert torch.allclose(loss(cosines, labels), nn.functional.cross_entropy(10 * raised, labels))


def test_wrong_penalties_are_refused():
    for top_k in (-1, 2.5):
        with pytest.raises(ValueError, match="top_k is a whole number from 0 on"):
            MarginSoftmax(top_k=top_k)
    with pytest.raises(ValueError, match="top_k_penalty is a number from 0 to 1, not -0.1"):
        MarginSoftmax(top_k_penalty=-0.1)
