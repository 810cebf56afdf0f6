"""Embedded recordings to what a model says of each pair of them."""

import itertools
import math

import numpy as np

from local.evaluation.decision import read_decision
from local.evaluation.metrics import bayes_threshold
from local.lists.enrolment import single_utterances
from local.lists.trials import Trials
from local.scoring.systems import System

# With odds below 3 to 1 for either answer, there is none.
CLEAR_LOG_ODDS = math.log(3.0)


def score_pairs(names, embeddings):
    """All pairs as indices, (num_pairs, 2), and their scores, float32 (num_pairs,)."""
    pairs = np.array(list(itertools.combinations(range(len(names)), 2)), np.int32)
    is_client = np.zeros(len(pairs), bool)  # not known, and nothing that scores depend on
    trials = Trials(names, *pairs.T, is_client, [(name, None) for name in names])
    scores, _ = System().score(single_utterances(trials), embeddings)
    return pairs.tolist(), scores


def judge(scores, decision, p_target):
    """What a model says of scores: a list of dictionaries of plain values, as --json prints them.

    They have cosine, llr, probability (of one speaker), is_same and says, the sentence; what is not
    known is None. Numbers have the digits of the score files of recipes/verify.py.
    """
    threshold, least_llr = decision.threshold_at(p_target), bayes_threshold(p_target)
    llrs = decision.llrs(scores)
    found = []
    for index, score in enumerate(scores):
        llr, probability = None, None
        is_same = None if threshold is None else bool(score >= threshold)
        if llrs is not None:
            llr = float(str(llrs[index]))
            is_same = llr >= least_llr
            probability = 1.0 / (1.0 + math.exp(min(least_llr - llr, 700.0)))
        values = {"cosine": float(str(score)), "llr": llr, "probability": probability}
        found.append(values | {"is_same": is_same, "says": sentence(is_same, llr, least_llr)})
    return found


def sentence(is_same, llr, least_llr):
    """A decision in words.

    Arguments
    ---------
    is_same : bool or None
    llr : float or None
    least_llr : float
        From which on it is one speaker.

    Example
    -------
    >>> sentence(True, 3.14, least_llr=0.0), sentence(False, -0.2, least_llr=0.0)
    ('probably the same speaker (LLR +3.1)', 'too close to call, rather two speakers (LLR -0.2)')
    """
    if is_same is None:
        return "no decision"
    who = "the same speaker" if is_same else "two speakers"
    if llr is None:
        return f"taken for {who}"
    is_clear = abs(llr - least_llr) >= CLEAR_LOG_ODDS
    return f"{'probably' if is_clear else 'too close to call, rather'} {who} (LLR {llr:+.1f})"


def probability_text(probability):
    """Three digits, and never certainty.

    Example
    -------
    >>> probability_text(0.5), probability_text(1e-9), probability_text(0.9999)
    ('0.500', '<0.001', '>0.999')
    """
    if 0.0005 <= probability < 0.9995:
        return f"{probability:.3f}"
    return "<0.001" if probability < 0.5 else ">0.999"


def number_texts(pair):
    """The numbers of a pair that `judge` has found, as people read them: their names -> text.

    Example
    -------
    >>> number_texts({"cosine": 0.75, "llr": 2.0, "probability": 0.881})
    {'cosine': '0.7500', 'LLR': '+2.00', 'probability': '0.881'}
    >>> number_texts({"cosine": 0.75, "llr": None, "probability": None})
    {'cosine': '0.7500'}
    """
    texts = {"cosine": f"{pair['cosine']:.4f}"}
    if pair["llr"] is not None:
        texts |= {
            "LLR": f"{pair['llr']:+.2f}",
            "probability": probability_text(pair["probability"]),
        }
    return texts


def compare(model, embedded, p_target):
    """All that is known of EmbeddedRecordings and their pairs, as a dictionary of plain values."""
    decision = read_decision(model)
    pairs, scores = score_pairs(embedded.names, embedded.embeddings)
    of_pairs = [
        {"one": embedded.names[one], "another": embedded.names[another]} | judged
        for (one, another), judged in zip(pairs, judge(scores, decision, p_target), strict=True)
    ]
    keys = "recording", "speech_seconds", "cautions"
    seconds = [round(each, 2) for each in embedded.seconds]
    facts = embedded.names, seconds, embedded.cautions
    return {
        "model": str(model["path"]),
        "threshold": decision.threshold_at(p_target),
        "threshold_from": decision.where,
        "p_target": p_target if decision.calibration else None,
        "recordings": [dict(zip(keys, each, strict=True)) for each in zip(*facts, strict=True)],
        "pairs": of_pairs,
    }
