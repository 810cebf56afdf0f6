"""Directories of trained and verified models to their figures, and to what is compared."""

from pathlib import Path

from local.ablation.comparison import compare
from local.atomic import read_text
from local.evaluation.evaluate import Evaluator
from local.evaluation.summary import summary_rows
from local.scoring.score_files import read_scores
from local.scoring.trial_scores import read_trial_scores
from local.training.earlier_run import training_minutes

# verify.py writes it last.
LAST_FILE = "report.html"


def verification_dir(task, name):
    """Where the verification of a Task on the trials of a name is."""
    return task.out_dir / "verification" / name


def is_verified(task, name, trial_set):
    """Whether a Task has been verified on these very trials, and all was written.

    Arguments
    ---------
    task : local.ablation.plan.Task
    name : str
    trial_set : local.ablation.preparation.TrialSet
    """
    folder = verification_dir(task, name)
    if not (folder / LAST_FILE).is_file() or not (folder / "scores.txt").is_file():
        return False
    return read_scores(folder / "scores.txt")[0].digest() == trial_set.digest


def collect(plan, systems, trial_sets, finished, progress):
    """All that a table of the plan shows, as plain values.

    Arguments
    ---------
    plan : local.ablation.plan.Plan
    systems, trial_sets : dict
        From `local.ablation.preparation`.
    finished : list of local.ablation.plan.Task
        Trained and verified on all sets.
    progress : bool

    Returns
    -------
    results : dict
        reference, seeds; trial_sets: name -> num_trials, num_speakers, warnings; runs: name ->
        changes, num_parameters, macs_per_second, minutes (the mean), seeds, and trial_sets: name ->
        figure -> what `compare` gives.
    """
    sets, compared = {}, {}
    for name, trial_set in trial_sets.items():
        figures, facts, warnings = {}, {}, []
        for task in finished:
            evaluation = _evaluate(plan, task, name, trial_set, progress)
            summary = evaluation.summary
            keys = [key for key, _ in summary_rows(summary)]
            values = {key: summary[key] for key in keys}
            figures.setdefault(task.run, {})[task.seed] = values, evaluation.intervals.draws
            facts = {key: summary[key] for key in ("num_trials", "num_speakers", "num_draws")}
            warnings += [text for text in summary["warnings"] if text not in warnings]
        sets[name] = facts | {"warnings": warnings} if facts else {}
        compared[name] = compare(figures, plan.reference, plan.bootstrap_draws)
    return {
        "reference": plan.reference,
        "seeds": [int(seed) for seed in plan.seeds],
        "trial_sets": sets,
        "runs": {
            run: {
                "changes": plan.changes(run),
                "num_parameters": systems[run].num_parameters,
                "macs_per_second": systems[run].num_macs,
                "minutes": _minutes([task for task in finished if task.run == run]),
                "seeds": [int(task.seed) for task in finished if task.run == run],
                "trial_sets": {name: runs[run] for name, runs in compared.items() if run in runs},
            }
            for run in plan.runs
        },
    }


def _evaluate(plan, task, name, trial_set, progress):
    (scored,) = read_trial_scores([verification_dir(task, name) / "scores.txt"])
    evaluator = Evaluator(
        num_draws=plan.bootstrap_draws, speakers_path=trial_set.speakers_path, progress=progress
    )
    return evaluator.evaluate(scored)


def _minutes(tasks):
    minutes = [training_minutes(task.out_dir) for task in tasks]
    known = [number for number in minutes if number is not None]
    return sum(known) / len(known) if known else None


def last_words(console_path):
    """The last paragraph that a script printed: its message, if it failed."""
    text = read_text(console_path, max_bytes=10**9) if Path(console_path).is_file() else ""
    lines = text.rstrip().rpartition("\n\n")[2].splitlines()
    return "\n".join(lines[-5:]) or "it printed nothing"
