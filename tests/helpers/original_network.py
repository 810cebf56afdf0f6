"""A network with the parameters and the forward pass of the original code, for tests.

Written from its description in plain torch, in the most direct way: loops over heads, nothing
masked, one utterance or utterances of one length at a time.
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
            images = nn.MaxPool2d(2, stride=2, ceil_mode=True)(images)
        states = [images[:, :, place].flatten(start_dim=1) for place in range(images.shape[2])]
        return torch.stack(states, dim=1)


class Attention(nn.Module):
    def __init__(self, num_values):
        super().__init__()
        self.att = nn.Parameter(torch.empty(num_values, 1))

    def forward(self, states):
        weights = torch.softmax(states @ self.att, dim=1)
        return (weights * states).sum(dim=1)


class MHA(nn.Module):
    def __init__(self, num_values, num_heads):
        super().__init__()
        self.query = nn.Parameter(torch.empty(num_values // num_heads, num_heads))

    def heads(self, states):
        """The vector of each head: (batch, heads, values of a head)."""
        head_size, num_heads = self.query.shape
        vectors = []
        for head in range(num_heads):
            own = states[:, :, head * head_size : (head + 1) * head_size]
            scores = own @ self.query[:, head] / math.sqrt(num_heads)
            weights = torch.softmax(scores, dim=1).unsqueeze(2)
            vectors.append((weights * own).sum(dim=1))
        return torch.stack(vectors, dim=1)

    def forward(self, states):
        return self.heads(states).flatten(start_dim=1)


class DoubleMHA(nn.Module):
    def __init__(self, num_values, num_heads):
        super().__init__()
        self.utteranceAttention = MHA(num_values, num_heads)
        self.headsAttention = Attention(num_values // num_heads)

    def forward(self, states):
        return self.headsAttention(self.utteranceAttention.heads(states))


class Predictions(nn.Module):
    def __init__(self, embedding_size, num_speakers):
        super().__init__()
        self.W = nn.Parameter(torch.empty(embedding_size, num_speakers))


class OriginalNetwork(nn.Module):
    """With random weights; `embed` and `cosines` are what training and verification compute."""

    def __init__(
        self,
        pooling="DoubleMHA",
        num_blocks=4,
        width=16,
        num_heads=4,
        hidden_size=7,
        embedding_size=6,
        num_speakers=5,
        seed=0,
    ):
        super().__init__()
        values = width * math.ceil(80 / 2**num_blocks)
        self.front_end = FrontEnd(num_blocks, width)
        if pooling == "Attention":
            self.poolingLayer = Attention(values)
        else:
            self.poolingLayer = {"MHA": MHA, "DoubleMHA": DoubleMHA}[pooling](values, num_heads)
        pooled = values // num_heads if pooling == "DoubleMHA" else values
        self.fc1 = nn.Linear(pooled, hidden_size)
        self.b1 = nn.BatchNorm1d(hidden_size)
        self.fc2 = nn.Linear(hidden_size, embedding_size)
        self.b2 = nn.BatchNorm1d(embedding_size)
        self.preLayer = nn.Linear(embedding_size, embedding_size)
        self.b3 = nn.BatchNorm1d(embedding_size)
        self.predictionLayer = Predictions(embedding_size, num_speakers)
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
        """(batch, frames, 80) -> (batch, embedding_size)."""
        pooled = self.poolingLayer(self.front_end(features))
        return self.b2(torch.relu(self.fc2(torch.relu(self.fc1(pooled)))))

    @torch.no_grad()
    def cosines(self, embeddings):
        """(batch, embedding_size) -> (batch, num_speakers)."""
        rows = self.preLayer(embeddings).unsqueeze(2)
        return torch.cosine_similarity(rows, self.predictionLayer.W.unsqueeze(0), dim=1)


def checkpoint_of(network, prefix="", **settings):
    """What the original code saves of a network, after a step of its optimizer."""
    optimizer = torch.optim.Adam(network.parameters())
    sum(parameter.sum() for parameter in network.parameters()).mul(0.0).backward()
    optimizer.step()
    return {
        "model": {prefix + name: value for name, value in network.state_dict().items()},
        "optimizer": optimizer.state_dict(),
        "settings": argparse.Namespace(**settings),
        "epoch": 3,
        "step": 1200,
    }
