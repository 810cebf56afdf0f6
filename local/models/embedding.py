"""The speaker embedding extractor: features to embeddings, apart from the classifier."""

import torch
from torch import nn

from local.models.precision import in_float32


class EmbeddingHead(nn.Module):
    """From the pooled vector to the embedding, in float32.

    Arguments
    ---------
    input_size : int
        Values of the pooled vector.
    embedding_size : int
        Values of an embedding.
    hidden_size : int
        Of the linear layer with ReLU before the last one; 0 for none.
    relu : bool
        Between the last linear layer and its batch norm, as in the original.

    Example
    -------
    >>> import torch
    >>> EmbeddingHead(20, embedding_size=400, hidden_size=400)(torch.rand(2, 20)).shape
    torch.Size([2, 400])
    """

    def __init__(self, input_size, embedding_size=400, hidden_size=400, relu=True):
        super().__init__()
        self.hidden = nn.Sequential()
        if hidden_size:
            self.hidden = nn.Sequential(nn.Linear(input_size, hidden_size), nn.ReLU())
            input_size = hidden_size
        self.linear = nn.Linear(input_size, embedding_size)
        self.activation = nn.ReLU() if relu else nn.Identity()
        self.norm = nn.BatchNorm1d(embedding_size)

    def up_to(self, layer):
        """The first layers alone, as a module.

        Arguments
        ---------
        layer : str
            "pooled" is the head's input, "hidden" comes behind the hidden linear
            layer and its ReLU, "linear" behind the last linear layer; "embedding" is all of it.

        Raises
        ------
        ValueError
            For another name, and for "hidden" where there is no such layer.
        """
        if layer == "hidden" and not self.hidden:
            raise ValueError("layer hidden: this model was trained with hidden_size 0")
        parts = {
            "pooled": nn.Identity(),
            "hidden": self.hidden,
            "linear": nn.Sequential(self.hidden, self.linear),
            "embedding": self,
        }
        if layer not in parts:
            raise ValueError(f"layer is one of {', '.join(parts)}, not {layer!r}")
        return parts[layer]

    def forward(self, pooled):
        return self.norm(self.activation(self.linear(self.hidden(pooled))))


class EmbeddingExtractor(nn.Module):
    """Features to embeddings: front end, pooling and head.

    The front end follows autocast; pooling and head cost little and are computed in float32.

    Arguments
    ---------
    front_end : torch.nn.Module
        See `VGG`.
    pooling, head : callable
        Size of the input -> module: `make_pooling` and `EmbeddingHead`, by `!name:` in YAML.

    Example
    -------
    >>> import torch
    >>> from local.models.pooling import Statistics
    >>> from local.models.vgg import VGG
    >>> extractor = EmbeddingExtractor(VGG([8, 16]), Statistics, EmbeddingHead)
    >>> extractor(torch.rand(2, 100, 80)).shape
    torch.Size([2, 400])
    """

    def __init__(self, front_end, pooling, head):
        super().__init__()
        self.front_end = front_end
        self.pooling = pooling(front_end.output_size)
        self.head = head(self.pooling.output_size)

    def fold(self):
        """Makes of the front end what computes the same faster, for use after the training.

        Only a front end with a method `fold` changes, such as `RepVGG`; then its weights are no
        longer those of a training. Returns itself.
        """
        if hasattr(self.front_end, "fold"):
            self.front_end.fold()
        return self

    def stop_at(self, layer):
        """Has a layer of the head for its embedding: see `EmbeddingHead.up_to`."""
        self.head = self.head.up_to(layer)

    def forward(self, features, lengths=None):
        """(batch, frames, num_features), (batch,) frames or None -> (batch, embedding_size)."""
        states, num_states = self.front_end(features, lengths)
        return self.embed_states(states, num_states)

    @in_float32
    def embed_states(self, states, num_states=None):
        """(batch, states, values), (batch,) states or None -> (batch, embedding_size)."""
        return self.head(self.pooling(states, num_states))


class SpeakerClassifier(nn.Module):
    """Cosines between an embedding and a learnt direction for each training speaker.

    A speaker may have several directions, sub-centres (https://doi.org/10.1007/978-3-030-58621-8_43),
    of which the nearest counts: recordings that are unlike his others have one of their own.

    Only training needs it. It computes what SpeechBrain's ECAPA_TDNN.Classifier does, but divides
    the products by the lengths of the directions, instead of making a copy of them at unit length:
    with 1,000,000 speakers that is most of the memory.

    Arguments
    ---------
    embedding_size : int
        Values of an embedding.
    num_speakers : int
        Training speakers.
    projection : bool
        A linear layer between the embedding and the cosines, as in the original.
    num_centres : int
        Directions of each speaker.

    Example
    -------
    >>> import torch
    >>> SpeakerClassifier(400, num_speakers=101, projection=True)(torch.rand(2, 400)).shape
    torch.Size([2, 101])
    """

    def __init__(self, embedding_size, num_speakers, projection=False, num_centres=1):
        super().__init__()
        if not isinstance(num_centres, int) or num_centres < 1:
            raise ValueError(f"num_centres is a whole number from 1 on, not {num_centres!r}")
        self.projection = nn.Identity()
        if projection:
            self.projection = nn.Linear(embedding_size, embedding_size)
        # (num_speakers, embedding_size), and with several centres (num_speakers, num_centres, ...).
        centres = (num_centres,) if num_centres > 1 else ()
        directions = torch.empty(num_speakers, *centres, embedding_size)
        nn.init.xavier_uniform_(directions.view(-1, embedding_size))
        self.directions = nn.Parameter(directions)

    @in_float32
    def forward(self, embeddings):
        """(batch, embedding_size) -> cosines: (batch, num_speakers)."""
        unit = nn.functional.normalize(self.projection(embeddings))
        directions = self.directions.view(-1, unit.shape[1])
        lengths = torch.linalg.vector_norm(directions, dim=1)
        cosines = nn.functional.linear(unit, directions) / lengths.clamp(min=1e-12)
        if self.directions.ndim == 2:
            return cosines
        return cosines.view(len(cosines), *self.directions.shape[:2]).amax(dim=2)
