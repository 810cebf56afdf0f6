"""Embeddings to vectors whose scalar products are scores: PLDA, the back-end that is trained."""

import numpy as np

from local.errors import InputError

# Where embeddings of length 1 vary less in a direction, it is by rounding: some value is the same
# in all of them, for example, and no covariance could be inverted.
MIN_VARIANCE = 1e-10


class Plda:
    """Probabilistic linear discriminant analysis, trained by SpeechBrain.

    An embedding is a mean, the speaker's position in a subspace, and a residual with a full
    covariance. The score is the log-likelihood ratio of one position to two (Prince and Elder,
    "Probabilistic linear discriminant analysis for inferences about identity", 2007).

    Arguments
    ---------
    unit : np.ndarray
        float32 (num_utterances, num_values), embeddings of length 1.
    speakers : sequence of str
        Of the utterances.
    rank : int
        Of the subspace; at most num_values and one less than the number of speakers.

    Raises
    ------
    InputError
        If there are fewer than 3 speakers, or too few utterances for the residual's covariance.
    """

    def __init__(self, unit, speakers, rank):
        names, numbers = np.unique(speakers, return_inverse=True)
        self.basis = _varying_directions(unit)
        num_values = self.basis.shape[1]
        _check_size(unit, len(names), num_values)
        plda = _trained(unit @ self.basis, numbers, min(rank, len(names) - 1, num_values))
        self.mean = plda.mean
        # Scores are x' quadratic x + y' quadratic y + x' cross y + offset, as SpeechBrain's are.
        between = plda.F @ plda.F.T
        total = between + plda.Sigma
        inverse = np.linalg.inv(total)
        given_other = total - between @ inverse @ between
        conditional = np.linalg.inv(given_other)
        self.quadratic = 0.5 * (inverse - conditional)
        self.cross = inverse @ between @ conditional
        # The log-likelihood ratio of two embeddings at the mean.
        log_dets = np.linalg.slogdet([total, given_other]).logabsdet
        self.offset = 0.5 * (log_dets[0] - log_dets[1])

    def vectors(self, unit):
        """The vectors of embeddings of length 1, float32 (num_rows, num_values).

        Returns
        -------
        left, right : np.ndarray
            As enrolments and as tests, float32 (num_rows, rank + 2): see `dot_scores`.
        """
        centred = unit @ self.basis - self.mean
        own = np.einsum("uv,uv->u", centred @ self.quadratic, centred)[:, None] + 0.5 * self.offset
        one = np.ones_like(own)
        left = np.hstack([centred @ self.cross, own, one])
        right = np.hstack([centred, one, own])
        return left.astype(np.float32), right.astype(np.float32)


def _varying_directions(unit):
    """An orthogonal basis of the space that the embeddings fill: float64 (num_values, rank)."""
    covariance = np.cov(unit, rowvar=False, bias=True, dtype=np.float64)
    variances, directions = np.linalg.eigh(np.atleast_2d(covariance))
    return directions[:, variances > MIN_VARIANCE]


def _check_size(unit, num_speakers, num_varying):
    if num_varying == 0:
        raise InputError("all embeddings of the cohort are the same: PLDA can't be trained")
    if num_speakers < 3 or len(unit) < num_speakers + num_varying:
        size = unit.shape[1]
        raise InputError(
            f"PLDA of embeddings with {size} values needs a cohort with at least 3 speakers and "
            f"{size} more utterances than speakers: this one has {len(unit)} utterances of "
            f"{num_speakers} speakers; raise cohort_size"
        )


def _trained(values, speakers, rank):
    # Imported here, as it takes a second that only PLDA needs.
    from speechbrain.processing.PLDA_LDA import PLDA, StatObject_SB

    nothing = np.full(len(values), None)
    statistics = StatObject_SB(
        modelset=speakers,  # as numbers, which it finds much faster than names
        segset=nothing,
        start=nothing,
        stop=nothing,
        stat0=np.ones((len(values), 1)),
        stat1=values,
    )
    plda = PLDA(rank_f=rank)
    plda.plda(statistics)
    return plda
