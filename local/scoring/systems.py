"""Embeddings of trials and of a cohort to scores: back-end, enrolment and score normalisation."""

import logging
from typing import NamedTuple

import numpy as np

from local.errors import InputError
from local.lists.enrolment import by_utterances
from local.scoring.backends import Plda
from local.scoring.cosine import dot_scores, group_means, unit_length
from local.scoring.score_norm import KINDS, cohort_statistics, normalise

logger = logging.getLogger(__name__)


class Cohort(NamedTuple):
    """Other speakers' utterances."""

    embeddings: np.ndarray  # float32 (num_utterances, embedding_size)
    speakers: list  # the name of each utterance's speaker


class System(NamedTuple):
    """How scores come from embeddings."""

    backend: str = "cosine"  # or "plda"
    plda_rank: int = 100  # see `local.scoring.backends.Plda`
    subtract_mean: bool = False  # whether the cohort's mean is subtracted from all embeddings
    score_norm: str = "none"  # or a kind of `local.scoring.score_norm.normalise`
    top_n: int = 300  # nearest members of the cohort, for "as": 2 at least
    # What scores are compared with: "utterances" of the cohort, or the means of its "speakers".
    cohort_kind: str = "utterances"
    # Of a model: the mean of its utterances' "embeddings" (each of length 1), or of their "scores".
    enrol_mean: str = "embeddings"

    def check(self):
        """Raises an InputError if a setting is unknown or outside its range."""
        choices = {
            "backend": ("cosine", "plda"),
            "score_norm": KINDS,
            "cohort_kind": ("utterances", "speakers"),
            "enrol_mean": ("embeddings", "scores"),
        }
        for name, known in choices.items():
            if getattr(self, name) not in known:
                value = getattr(self, name)
                raise InputError(f"{name} is one of {', '.join(known)}, not {value!r}")
        for name in ("plda_rank", "top_n"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a number from 1 on, not {value!r}")
        if self.score_norm == "as" and self.top_n == 1:
            raise InputError("top_n must be at least 2: a single score has no deviation")

    def needs_cohort(self):
        return self.backend == "plda" or self.subtract_mean or self.score_norm != "none"

    def describe(self):
        """A name for tables and legends.

        Example
        -------
        >>> System(subtract_mean=True, score_norm="as").describe()
        'cosine, mean subtracted, as-norm'
        """
        parts = [self.backend]
        parts += ["mean subtracted"] if self.subtract_mean else []
        parts += [f"{self.score_norm}-norm"] if self.score_norm != "none" else []
        return ", ".join(parts)

    def score(self, enrolment, embeddings, cohort=None):
        """Scores the trials of an enrolment.

        Arguments
        ---------
        enrolment : local.lists.enrolment.Enrolment
        embeddings : np.ndarray
            float32 (num_utterances, embedding_size), of `enrolment.utterances`.
        cohort : Cohort, optional
            Needed if `needs_cohort` says so.

        Returns
        -------
        scores : np.ndarray
            float32 (num_trials,)
        cohort_means : np.ndarray or None
            float32 (num_sides,): the mean score of each side of the trials against the cohort, or
            against its nearest members where these normalise the scores. None without a cohort.

        Raises
        ------
        InputError
            If the cohort is too small.
        """
        if self.subtract_mean and len(cohort.speakers) == 1:
            raise InputError("the cohort is one utterance, which is its own mean: it needs more")
        mean = cohort.embeddings.mean(axis=0) if self.subtract_mean else np.float32(0.0)
        unit = unit_length(embeddings - mean, enrolment.utterances)
        vectors, members = _cosine_vectors, None
        if cohort is not None:
            cohort_unit = unit_length(cohort.embeddings - mean, cohort.speakers)
            members = self._members(cohort_unit, cohort.speakers)
            if self.backend == "plda":
                vectors = Plda(cohort_unit, cohort.speakers, self.plda_rank).vectors
        return self._score(enrolment, unit, vectors, members)

    def _score(self, enrolment, unit, vectors, members):
        """The scores, and the mean of each side's scores against the cohort (or None)."""
        counts = np.array([len(utterances) for utterances in enrolment.members])
        utterances = np.concatenate(enrolment.members)
        trials, trials_each, rows = enrolment.trials, None, unit
        if self.enrol_mean == "scores":
            trials, trials_each = by_utterances(enrolment)
        else:
            rows = unit_length(group_means(unit[utterances], counts), trials.utterances)
        left, right = vectors(rows)
        scores, means = dot_scores(left, right, trials.enrol, trials.test), None
        if members is not None:
            statistics = self._statistics(left, vectors(members)[1])
            means = statistics.mean
            if self.score_norm != "none":
                scores = normalise(scores, trials, self.score_norm, statistics)
        if trials_each is not None:
            scores = group_means(scores, trials_each)
            means = None if means is None else group_means(means[utterances], counts)
        return scores, means

    def _members(self, cohort_unit, speakers):
        """What scores are compared with: float32 (cohort_size, embedding_size), of length 1."""
        if self.cohort_kind == "utterances":
            return cohort_unit
        names, number = np.unique(speakers, return_inverse=True)
        by_speaker = cohort_unit[np.argsort(number, kind="stable")]
        return unit_length(group_means(by_speaker, np.bincount(number)), names)

    def _statistics(self, left, cohort_right):
        is_adaptive = self.score_norm == "as"
        if is_adaptive and len(cohort_right) < self.top_n:
            logger.warning(
                "The cohort has %d members, fewer than top_n (%d): all of them are taken",
                len(cohort_right),
                self.top_n,
            )
        return cohort_statistics(left, cohort_right, self.top_n if is_adaptive else None)


def _cosine_vectors(unit):
    """Those of enrolments and of tests, as `Plda.vectors` gives them."""
    return unit, unit
