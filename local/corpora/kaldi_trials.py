"""The file `trials` of a Kaldi data directory to the utterances, or models, that it compares."""

from typing import NamedTuple

import numpy as np

from local.corpora.kaldi_dirs import DataDir, read_models, read_speakers
from local.corpora.lists import write_lines, write_trials
from local.lists.trials import Trials, read_trial_list

TRIALS, MODELS, SPEAKERS = "kaldi_trials.txt", "kaldi_models.txt", "kaldi_speakers.txt"


class Evaluation(NamedTuple):
    """Trials, and what their sides are."""

    trials: Trials  # of IDs of utterances, or of models and utterances
    enrol: DataDir
    test: DataDir
    enrolled: dict  # ID of a first side -> IDs of its utterances
    tested: list  # IDs of the utterances on second sides
    are_models: bool  # whether first sides are models
    speakers: dict  # ID of a side -> speaker

    def fit_speakers(self):
        """Whether both sides have one speaker in all client trials, and two in all others."""
        of_side = [self.speakers[name] for name in self.trials.utterances]
        _, numbers = np.unique(of_side, return_inverse=True)
        are_same = numbers[self.trials.enrol] == numbers[self.trials.test]
        return bool((are_same == self.trials.is_client).all())


def read_evaluation(test, enrol, problems):
    """Reads the trials of a data directory.

    Arguments
    ---------
    test : local.corpora.kaldi_dirs.DataDir
        It has `trials`, and the utterances on their second sides.
    enrol : DataDir
        It has the utterances on first sides or, if the first of them isn't one, the models, which
        are the speakers of its spk2utt.
    problems : local.errors.Problems
        Gets what is wrong in the files.

    Returns an Evaluation. Raises an InputError if the trials can't be read.
    """
    trials = read_trial_list(test.folder / "trials")
    speakers = read_speakers(test, problems)
    are_models = trials.utterances[trials.enrol[0]] not in enrol.utterances
    if are_models:
        known = read_models(enrol, problems)
        speakers = {name: name for name in known} | speakers
    else:
        known = {name: [name] for name in enrol.utterances}
        speakers = speakers if enrol is test else read_speakers(enrol, problems) | speakers
    what = "model" if are_models else "utterance"
    enrolled = _sides(trials, trials.enrol, known, f"{what} in {enrol.folder}", problems)
    tested = _sides(trials, trials.test, test.utterances, f"utterance in {test.folder}", problems)
    enrolled = {name: list(dict.fromkeys(known[name])) for name in enrolled}
    return Evaluation(trials, enrol, test, enrolled, tested, are_models, speakers)


def _sides(trials, side, known, what, problems):
    """The names on one side of trials; `problems` gets those that are not known."""
    names = []
    for index in np.unique(side):
        name = trials.utterances[index]
        if name in known:
            names.append(name)
        else:
            problems.add(*trials.places[index], f"'{name}' is no {what}")
    return names


def write_evaluation(out_dir, evaluation, enrol_names, test_names):
    """Writes the lists of an Evaluation.

    Arguments
    ---------
    out_dir : Path
    evaluation : Evaluation
    enrol_names, test_names : dict
        ID of an utterance -> its name in lists.

    Returns
    -------
    options : dict
        Setting of verify.py -> the path of a list.
    pairs : list of Path
        Of client and impostor trials to choose a model by: those of the first utterances of models.
    """
    trials, models = evaluation.trials, {}
    for name, own in evaluation.enrolled.items():
        models[name] = [enrol_names[utterance] for utterance in own]
    firsts = {name: own[0] for name, own in models.items()}
    first_sides = {name: name for name in models} if evaluation.are_models else firsts
    options = {"trials": write_lines(out_dir / TRIALS, _lines(trials, first_sides, test_names))}
    print(f"{options['trials']}: {len(trials):,} trials, {trials.is_client.sum():,} of clients")
    for name in (MODELS, SPEAKERS):
        (out_dir / name).unlink(missing_ok=True)  # of an earlier run
    if evaluation.are_models:
        lines = (" ".join([model, *own]) for model, own in models.items())
        options["enrol_models"] = write_lines(out_dir / MODELS, lines)
        print(f"{options['enrol_models']}: {len(models):,} enrolment models")
    if evaluation.fit_speakers():
        speakers = evaluation.speakers
        sides = {path: speakers[name] for name, path in (*first_sides.items(), *test_names.items())}
        lines = (f"{path} {speaker}" for path, speaker in sides.items())
        options["speakers"] = write_lines(out_dir / SPEAKERS, lines)
        print(f"{options['speakers']}: the speaker of each side")
    else:
        print(f"{evaluation.test.folder}: names speakers that don't fit the trials")
    clients = dict.fromkeys(_pairs(trials, firsts, test_names, True))
    impostors = dict.fromkeys(_pairs(trials, firsts, test_names, False))
    pairs = write_trials(out_dir, clients, impostors)
    print(f"{pairs[0]}, {pairs[1].name}: the same in two files, to choose a model by")
    return options, pairs


def _pairs(trials, first_sides, test_names, is_client):
    """Yields the (name, name) of client or impostor trials."""
    chosen = trials.subset(trials.is_client == is_client)
    for enrol, test in zip(chosen.enrol.tolist(), chosen.test.tolist(), strict=True):
        yield first_sides[trials.utterances[enrol]], test_names[trials.utterances[test]]


def _lines(trials, first_sides, test_names):
    """Yields the lines of a list of all trials, in their order."""
    conditions = [""] * len(trials)
    if trials.condition is not None:
        conditions = [f" {trials.condition_names[index]}" for index in trials.condition]
    columns = trials.enrol.tolist(), trials.test.tolist(), trials.is_client.tolist(), conditions
    for enrol, test, is_client, condition in zip(*columns, strict=True):
        first, second = first_sides[trials.utterances[enrol]], test_names[trials.utterances[test]]
        yield f"{int(is_client)} {first} {second}{condition}"
