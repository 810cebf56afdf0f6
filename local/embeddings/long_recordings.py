"""Features of any length to embeddings: the front end computes the states part by part."""

import torch

# A minute: in float32, activations of 100 MB for K = 128, and 0.8 GB for K = 1024.
MAX_FRAMES = 6000


def embed_any_length(extractor, features, num_frames):
    """The same as `extractor(features, num_frames)`, of long recordings by parts where that can be.

    It can't where a state depends on all of a recording, as those of ECAPA do. The arguments are as
    for `embed_by_parts`, the extractor also an `Ensemble`.
    """
    if hasattr(extractor, "members"):
        members = extractor.members.values()
        return extractor.join([embed_any_length(one, features, num_frames) for one in members])
    if features.shape[1] > MAX_FRAMES and hasattr(extractor.front_end, "context"):
        return embed_by_parts(extractor, features, num_frames, MAX_FRAMES)
    return extractor(features, num_frames)


def embed_by_parts(extractor, features, num_frames, part_frames=MAX_FRAMES):
    """The same as `extractor(features, num_frames)`, in the memory that a part needs.

    A state depends on no more than `context` frames on either side. With these around it, each part
    gives the same states as the whole does. Pooling then sees all of them.

    Arguments
    ---------
    extractor : local.models.embedding.EmbeddingExtractor
        In evaluation mode. Its front end has `context` and `frames_per_state`.
    features : torch.Tensor
        (batch, frames, num_features)
    num_frames : torch.Tensor
        (batch,), those of each recording.
    part_frames : int

    Returns
    -------
    embeddings : torch.Tensor
        (batch, embedding_size)
    """
    front_end = extractor.front_end
    each = front_end.frames_per_state
    step = -(-part_frames // each) * each
    margin = -(-front_end.context // each) * each
    parts = []
    for first in range(0, features.shape[1], step):
        start = max(0, first - margin)
        part = features[:, start : first + step + margin]
        lengths = (num_frames - start).clamp(0, part.shape[1])
        states, _ = front_end(part, lengths)
        skipped = (first - start) // each
        parts.append(states[:, skipped : skipped + step // each])
    num_states = -(-num_frames // each)
    return extractor.embed_states(torch.cat(parts, dim=1), num_states)
