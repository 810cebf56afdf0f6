"""The features of whole utterances to those of chunks."""

import torch

from local.models.padding import beside


def cut_features(features, num_frames, starts, chunk_frames):
    """Cuts a chunk out of the features of each utterance.

    Arguments
    ---------
    features : torch.Tensor
        (batch, frames, num_features).
    num_frames : torch.Tensor
        (batch,) of each utterance, on the CPU. One shorter than a chunk is repeated.
    starts : torch.Tensor
        (batch,) from 0 to 1, on the CPU; see `local.data.chunks.Chunks`.
    chunk_frames : int

    Returns
    -------
    chunks : torch.Tensor
        (batch, chunk_frames, num_features).

    Example
    -------
    >>> features = torch.arange(6.0).view(1, 6, 1)
    >>> cut_features(features, torch.tensor([5]), torch.tensor([0.99]), chunk_frames=2).flatten()
    tensor([3., 4.])
    """
    last = (num_frames - chunk_frames).clamp(min=0)
    first = (starts * (last + 1)).long().clamp(max=last)
    frames = first[:, None] + torch.arange(chunk_frames, device=last.device)
    frames = beside(frames % num_frames[:, None], features)
    return features.gather(1, frames[:, :, None].expand(-1, -1, features.shape[2]))
