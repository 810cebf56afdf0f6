"""What SpeechBrain's inference interfaces call, around the recipe's own modules.

EncoderClassifier computes compute_features(wavs), mean_var_norm(feats, wav_lens),
embedding_model(feats, wav_lens) and classifier(embeddings). Frames behind the end of an utterance
must not count anywhere, and only samples tell exactly where it is: hence the second passes on, and
the third begins with the log-mel features.
"""

import torch


class ToInt16Scale(torch.nn.Module):
    """Samples from -1 to 1 on the scale of int16, on which the features are defined.

    Example
    -------
    >>> ToInt16Scale()(torch.tensor([[0.5, -1.0]]))
    tensor([[ 16384., -32768.]])
    """

    def forward(self, waveforms):
        return waveforms * 32768.0


class PassOn(torch.nn.Module):
    """Values as they are, whatever their lengths.

    Example
    -------
    >>> PassOn()(torch.tensor([[1.0, 2.0]]), torch.tensor([1.0]))
    tensor([[1., 2.]])
    """

    def forward(self, values, lengths=None):
        return values


class EmbeddingModel(torch.nn.Module):
    """Waveforms to embeddings: log-mel features and extractor.

    Arguments
    ---------
    features, extractor : torch.nn.Module
        As in the recipe.
    """

    def __init__(self, features, extractor):
        super().__init__()
        self.features = features
        self.extractor = extractor

    def forward(self, waveforms, relative_lengths=None):
        """Computes embeddings.

        Arguments
        ---------
        waveforms : torch.Tensor
            (batch, samples) on the scale of int16.
        relative_lengths : torch.Tensor, optional
            (batch,) of each utterance, 1 where it fills the batch.

        Returns
        -------
        embeddings : torch.Tensor
            (batch, 1, embedding_size)
        """
        if waveforms.ndim != 2:
            shape = tuple(waveforms.shape)
            raise ValueError(f"waveforms must be (batch, samples), of one channel, not {shape}")
        if relative_lengths is None:
            relative_lengths = torch.ones(len(waveforms), device=waveforms.device)
        num_samples = waveforms.shape[1]
        lengths = (relative_lengths * num_samples).round().long().clamp(1, num_samples)
        return self.extractor(*self.features(waveforms, lengths)).float().unsqueeze(1)


class CosineClassifier(torch.nn.Module):
    """The training's classifier for embeddings as `EmbeddingModel` gives them.

    Arguments
    ---------
    classifier : torch.nn.Module
        (batch, embedding_size) -> (batch, num_speakers)
    """

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, embeddings):
        """(batch, 1, embedding_size) -> cosines: (batch, 1, num_speakers); or both without 1."""
        cosines = self.classifier(embeddings.flatten(end_dim=-2))
        return cosines.unflatten(0, embeddings.shape[:-1])
