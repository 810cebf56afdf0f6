"""Scored trials to all that is reported: figures, their intervals, and those of conditions."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from local.errors import InputError
from local.evaluation.conditions import NO_GROUPING, Grouping
from local.evaluation.intervals import MIN_SPEAKERS, Intervals, find_intervals, interval
from local.evaluation.metrics import DetectionCurve, detection_curve
from local.evaluation.speakers import CONNECTED, find_speakers
from local.evaluation.summary import DEFAULT_COSTS, Costs, count, summarise
from local.evaluation.warnings import score_warnings
from local.lists.trials import Trials


class Evaluation(NamedTuple):
    """A system with its figures."""

    name: str
    trials: Trials
    scores: np.ndarray  # (num_trials,)
    curve: DetectionCurve
    summary: dict  # plain values, as in metrics.json
    intervals: Intervals
    audio: dict  # as in `local.scoring.trial_scores.TrialScores`


class Evaluator(NamedTuple):
    """How systems are evaluated."""

    costs: Costs = DEFAULT_COSTS
    num_draws: int = 1000  # of the speakers, for the intervals; 0: no intervals
    grouping: Grouping = NO_GROUPING  # the conditions to report apart
    speakers_path: str | None = None  # see `local.evaluation.speakers.find_speakers`
    progress: bool = False  # whether to show progress bars

    def check(self):
        """Raises an InputError if a setting is outside its range."""
        self.costs.check()
        self.grouping.check()
        if not isinstance(self.num_draws, int) or self.num_draws < 0:
            raise InputError(f"bootstrap_draws is a number from 0 on, not {self.num_draws!r}")

    def evaluate(self, system, is_calibrated=False):
        """The Evaluation of all trials and of each condition.

        Arguments
        ---------
        system : local.scoring.trial_scores.TrialScores
        is_calibrated : bool
            Whether the scores are log-likelihood ratios.
        """
        trials, scores = system.trials, system.scores
        speakers = find_speakers(replace(trials, utterances=system.examples), self.speakers_path)
        conditions = self.grouping.conditions(trials, speakers, system.quality.get("seconds"))
        curve, summary, intervals = self._judge(trials, scores, speakers)
        summary |= {
            "num_speakers": len(np.unique(speakers.of_utterance)),
            "speakers_from": speakers.source,
            "num_draws": intervals.num_draws(),
            "is_calibrated": is_calibrated,
            "conditions": self._tables(trials, scores, speakers, conditions),
        }
        summary["warnings"] = [*system.warnings, *score_warnings(scores, summary["eer_percent"])]
        summary["notes"] = _notes(summary, self.num_draws)
        return Evaluation(system.name, trials, scores, curve, summary, intervals, system.audio)

    def _judge(self, trials, scores, speakers):
        curve = detection_curve(scores, trials.is_client)
        intervals = find_intervals(
            curve, trials, scores, speakers, self.costs, self.num_draws, self.progress
        )
        summary = summarise(scores, trials.is_client, curve, self.costs)
        return curve, summary | {"intervals": intervals.limits()}, intervals

    def _tables(self, trials, scores, speakers, conditions):
        """The heading of a table -> its rows."""
        tables = {}
        for heading, name, mask in conditions:
            subset = trials.subset(mask)
            row = {"name": name} | count(subset.is_client)
            if 0 < row["num_clients"] < row["num_trials"]:
                row |= self._judge(subset, scores[mask], speakers)[1]
            tables.setdefault(heading, []).append(row)
        return tables


def _notes(summary, num_draws):
    notes = []
    if summary["speakers_from"] == CONNECTED:
        notes.append(
            "The names of the utterances don't tell the speakers: utterances that client trials "
            "connect count as one speaker. A file can name the speakers: --speakers FILE."
        )
    if num_draws and not summary["num_draws"]:
        notes.append(
            f"No intervals: the trials have {summary['num_speakers']} speakers. At least "
            f"{MIN_SPEAKERS} are needed, with trials of both classes in most draws of them."
        )
    return notes


def difference(evaluation, reference):
    """How the figures of an Evaluation differ from those of another on the same trials.

    Returns
    -------
    differences : dict
        The name of a figure -> {"difference": ..., "interval": [low, high]}, where both systems
        are compared in each draw of speakers. Empty if the trials are not the same.
    """
    draws, others = evaluation.intervals.draws, reference.intervals.draws
    if not same_trials(evaluation.trials, reference.trials):
        return {}
    return {
        name: {
            "difference": evaluation.summary[name] - reference.summary[name],
            "interval": interval(draws[name] - others[name]),
        }
        for name in draws
        if name in others
    }


def same_trials(trials, others):
    """Whether two lists have the same pairs in the same order."""
    if len(trials) != len(others) or (trials.is_client != others.is_client).any():
        return False
    index = {name: number for number, name in enumerate(trials.utterances)}
    renumbered = np.array([index.get(name, -1) for name in others.utterances])
    return all(
        np.array_equal(side, renumbered[other])
        for side, other in ((trials.enrol, others.enrol), (trials.test, others.test))
    )
