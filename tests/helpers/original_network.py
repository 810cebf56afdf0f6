"""A network with the parameters and the forward pass of the original code, for tests.

Written from its description in plain torch, in the most direct way: loops over heads, nothing
masked, utterances of one length at a time.
"""

import argparse
import math

import torch
from torch import nn


class FrontEnd(nn.Module):
    def __init__(self, num_blocks, width):
        super().__init__()
        self.num_blocks = num_blocks
        in_channels = 1
        for block in range(1, num_blocks + 1):
            channels = width // 2 ** (num_blocks - block)
            setattr(self, f"conv{block}1", nn.Conv2d(in_channels, channels, 3, padding=1))
            setattr(self, f"conv{block}2", nn.Conv2d(channels, channels, 3, padding=1))
            in_channels = channels

    def forward(self, features):
        """(batch, frames, 80) -> (batch, states, values)."""
        images = features.unsqueeze(1)
        for block in range(1, self.num_blocks + 1):
            for conv in (1, 2):
                images = torch.relu(getattr(self, f"conv{block}{conv}")(images))
            images = nn.functional.max_pool2d(images, 2, ceil_mode=True)
        return images.transpose(1, 2).flatten(start_dim=2)


class Attention(nn.Module):
    def __init__(self, num_values, num_heads=None):
        super().__init__()
        self.att = nn.Parameter(torch.empty(num_values, 1))
        self.output_size = num_values

    def forward(self, states):
        return (torch.softmax(states @ self.att, dim=1) * states).sum(dim=1)


class MHA(nn.Module):
    def __init__(self, num_values, num_heads):
        super().__init__()
        self.query = nn.Parameter(torch.empty(num_values // num_heads, num_heads))
        self.output_size = num_values

    def heads(self, states):
        """The vector of each head: (batch, heads, values of a head)."""
        head_size, num_heads = self.query.shape
        vectors = []
        for head, own in enumerate(states.split(head_size, dim=2)):
            scores = own @ self.query[:, head] / math.sqrt(num_heads)
            vectors.append((torch.softmax(scores, dim=1).unsqueeze(2) * own).sum(dim=1))
        return torch.stack(vectors, dim=1)

    def forward(self, states):
        return self.heads(states).flatten(start_dim=1)


class DoubleMHA(nn.Module):
    def __init__(self, num_values, num_heads):
        super().__init__()
        self.utteranceAttention = MHA(num_values, num_heads)
        self.headsAttention = Attention(num_values // num_heads)
        self.output_size = num_values // num_heads

    def forward(self, states):
        return self.headsAttention(self.utteranceAttention.heads(states))


class OriginalNetwork(nn.Module):
    """With random weights, 7 hidden units, embeddings of 6 values and 5 training speakers."""

    def __init__(self, pooling="DoubleMHA", num_blocks=4, width=16, num_heads=4, seed=0):
        super().__init__()
        self.front_end = FrontEnd(num_blocks, width)
        pooling_class = {"Attention": Attention, "MHA": MHA, "DoubleMHA": DoubleMHA}[pooling]
        self.poolingLayer = pooling_class(width * math.ceil(80 / 2**num_blocks), num_heads)
        self.fc1, self.b1 = nn.Linear(self.poolingLayer.output_size, 7), nn.BatchNorm1d(7)
        self.fc2, self.b2 = nn.Linear(7, 6), nn.BatchNorm1d(6)
        self.preLayer, self.b3 = nn.Linear(6, 6), nn.BatchNorm1d(6)
        self.predictionLayer = nn.ParameterDict({"W": torch.empty(6, 5)})
        self._draw(torch.Generator().manual_seed(seed))
        self.eval()

    @torch.no_grad()
    def _draw(self, generator):
        """Weights that keep values at about their size, and batch norms that have seen data."""
        for name, value in self.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 2.0, generator=generator)
            elif value.is_floating_point():
                inputs = value[0].numel() if value.ndim == 4 else max(value.shape)
                value.normal_(0.0, math.sqrt(2 / inputs), generator=generator)

    @torch.no_grad()
    def embed(self, features):
        """(batch, frames, 80) -> (batch, 6)."""
        pooled = self.poolingLayer(self.front_end(features))
        return self.b2(torch.relu(self.fc2(torch.relu(self.fc1(pooled)))))

    @torch.no_grad()
    def cosines(self, embeddings):
        """(batch, 6) -> (batch, 5)."""
        rows = self.preLayer(embeddings).unsqueeze(2)
        return torch.cosine_similarity(rows, self.predictionLayer["W"].unsqueeze(0), dim=1)


def checkpoint_of(network, prefix="", **settings):
    """What the original code saves: the model, its optimizer, its settings and how far it is."""
    return {
        "model": {prefix + name: value for name, value in network.state_dict().items()},
        "optimizer": torch.optim.Adam(network.parameters()).state_dict(),
        "settings": argparse.Namespace(**settings),
        "epoch": 3,
        "step": 1200,
    }
