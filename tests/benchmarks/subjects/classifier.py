"""Classifier, loss, backward pass and update, up to a million speakers."""

import resource

import torch
from processes import apart
from speechbrain.lobes.models.ECAPA_TDNN import Classifier
from speechbrain.nnet.losses import AdditiveAngularMargin, LogSoftmaxWrapper
from tables import Row, Table, against
from timing import Times, interleaved

from local.machine import runtime
from local.models.embedding import SpeakerClassifier
from local.models.losses import MarginSoftmax

BATCH_SIZE, EMBEDDING_SIZE = 64, 256
MARGIN, SCALE = 0.2, 30.0
MAX_GIGABYTES = 16.0


def measure(options):
    """Beside SpeechBrain's classifier and its margin softmax with one-hot targets."""
    sizes = (100,) if options.quick else (6000, 100_000, 1_000_000)
    rows = []
    for num_speakers in sizes:
        (ours, gigabytes), (theirs, their_gigabytes) = (
            apart(measured, steps, options.device, num_speakers, quick=options.quick)
            for steps in (of_recipe, of_speechbrain)
        )
        what = f"{num_speakers:,} speakers"
        ratio = their_gigabytes / gigabytes if gigabytes else None
        is_largest = num_speakers == sizes[-1]
        target = f"under {MAX_GIGABYTES:g} GB" if is_largest else ""
        met = gigabytes < MAX_GIGABYTES if is_largest else None
        rows += [
            against(f"{what}: the recipe", *ours, ours.median),
            against("SpeechBrain", *theirs, ours.median),
            Row("memory: the recipe", gigabytes, "GB", target=target, met=met),
            Row("SpeechBrain", their_gigabytes, "GB", times_ours=ratio),
        ]
    title = f"Classifier and loss: a step of {BATCH_SIZE} embeddings of {EMBEDDING_SIZE} values"
    return Table(title, rows, "Memory is the peak over what the process had before.")


def measured(steps, device, num_speakers):
    """(Times of a step, peak memory in GB)."""
    runtime.keep_freed_memory()
    torch.manual_seed(0)
    before = peak_gigabytes(device)
    step = steps(device, num_speakers)
    times: Times = interleaved({"step": step}, rounds=5, warm_up=2)["step"]
    return times, peak_gigabytes(device) - before


def peak_gigabytes(device):
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def of_recipe(device, num_speakers):
    classifier = SpeakerClassifier(EMBEDDING_SIZE, num_speakers).to(device)
    margin_softmax = MarginSoftmax("aam", MARGIN, SCALE)
    optimizer = torch.optim.Adam(classifier.parameters(), fused=True)
    return lambda: train_step(
        lambda embeddings, labels: margin_softmax(classifier(embeddings), labels),
        optimizer,
        device,
        num_speakers,
    )


def of_speechbrain(device, num_speakers):
    classifier = Classifier(EMBEDDING_SIZE, out_neurons=num_speakers).to(device)
    margin_softmax = LogSoftmaxWrapper(AdditiveAngularMargin(margin=MARGIN, scale=SCALE))
    optimizer = torch.optim.Adam(classifier.parameters())
    return lambda: train_step(
        lambda embeddings, labels: margin_softmax(
            classifier(embeddings.unsqueeze(1)), labels.unsqueeze(1)
        ),
        optimizer,
        device,
        num_speakers,
    )


def train_step(loss_of, optimizer, device, num_speakers):
    embeddings = torch.randn(BATCH_SIZE, EMBEDDING_SIZE, device=device, requires_grad=True)
    loss = loss_of(embeddings, torch.randint(num_speakers, (BATCH_SIZE,), device=device))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()
