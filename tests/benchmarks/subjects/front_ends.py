"""The front ends beside that of hparams/vgg.yaml: training steps, embeddings, folding."""

import copy
from functools import partial

import torch
from tables import Table, compared
from timing import interleaved

from local.machine import runtime
from local.models.embedding import EmbeddingExtractor, EmbeddingHead
from local.models.front_ends import FRONT_ENDS, make_front_end
from local.models.pooling import make_pooling
from subjects.training import bare_step

WIDTH = 128


def measure(options):
    """A step with 64 chunks of 1.5 s, and embedding recordings of 3 s one by one.

    On one core, or on a GPU.
    """
    torch.set_num_threads(1)
    device, width = options.device, 8 if options.quick else WIDTH
    precision = runtime.fast_precision(device)
    features = torch.randn(2 if options.quick else 64, 147, 80, device=device)
    networks = {name: network(name, width) for name in FRONT_ENDS}
    steps = {f"{name}: step": bare_step(networks[name], precision, features) for name in networks}
    rows = compared(interleaved(steps, rounds=7, quick=options.quick))
    recording = torch.randn(1, 297, 80, device=device)
    embedding = partial(embed, precision=precision, features=recording)
    folded = copy.deepcopy(networks["repvgg"]).fold()
    calls = {f"{name}: embedding": embedding(networks[name]) for name in networks}
    calls["repvgg folded: embedding"] = embedding(folded)
    rows += compared(interleaved(calls, rounds=15, at_once=5, quick=options.quick))
    where = "one core" if device == "cpu" else device
    title = f"Front ends of width {width} in {precision}, {where}"
    return Table(title, rows, "Networks: ready features; `times ours` is beside vgg.")


def network(name, width):
    return EmbeddingExtractor(
        make_front_end(name, width=width),
        partial(make_pooling, name="statistics"),
        partial(EmbeddingHead, embedding_size=256, hidden_size=0, relu=False),
    )


def embed(extractor, precision, features):
    """The embedding of features, as a function without arguments."""
    device = features.device
    extractor.to(device)
    autocast = runtime.autocast(precision, device)

    @torch.inference_mode()
    def call():
        extractor.eval()
        with autocast:
            embeddings = extractor(features)
        return embeddings.cpu()

    return call
