"""The weights that an attention pooling gave to the states of recordings."""

import torch

from local.errors import InputError


class AlignmentRecorder:
    """Notes the alignment of each batch that an extractor embeds.

    Arguments
    ---------
    extractor : local.models.embedding.EmbeddingExtractor

    Attributes
    ----------
    alignments : dict
        Row of the manifest -> float32 (states, heads), on the CPU.

    Raises
    ------
    InputError
        If its pooling has no attention.
    """

    def __init__(self, extractor):
        if not hasattr(extractor.pooling, "alignment"):
            raise InputError("alignment: the pooling of this model has no attention")
        self.alignments = {}
        self._batch = None
        extractor.pooling.register_forward_pre_hook(self._note)

    def _note(self, pooling, inputs):
        states, num_states = inputs
        alignment = pooling.alignment(states, num_states).to("cpu", torch.float32)
        self._batch = alignment, num_states.tolist()

    def after_batch(self, batch):
        """Keeps what was noted as that of a batch of `local.embeddings.embed.Utterances`."""
        for place, index in enumerate(batch.indices):
            alignment, num_states = self._batch
            self.alignments[index] = alignment[place, : num_states[place]].numpy().copy()
