#!/usr/bin/env python3
"""Compares systems: trains each with several seeds, verifies them, and says what differs.

    python recipes/ablate.py hparams/ablate.yaml [--list] [--only RUN] [--key value ...]

    python recipes/ablate.py hparams/ablations/poolings.yaml --out_dir results/poolings ...

Each run is an ordinary training in out_dir/RUN/seed_N. What is finished is not done again, what
was interrupted goes on. With --list, nothing is trained: the commands are printed.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from local import command_line

if __name__ == "__main__":
    command_line.answer_help(__doc__, ROOT / "hparams" / "ablate.yaml")

import logging
import shlex

from local.ablation import jobs, preparation, results
from local.ablation.plan import read_plan
from local.ablation.progress import Progress
from local.atomic import lock_folder, locked
from local.corpora import demo
from local.errors import InputError
from local.machine.signals import Stopped, StopSignals
from local.report.ablation import write_ablation

SCRIPTS = {name: str(ROOT / "recipes" / f"{name}.py") for name in ("train_vgg", "verify")}
VERIFY_YAML = ROOT / "hparams" / "verify.yaml"
# Seconds to wait for a training that was told to stop a moment ago.
PATIENCE = 120.0


def training_command(task):
    """The command that trains a Task."""
    return [sys.executable, SCRIPTS["train_vgg"], *task.arguments]


class Ablation:
    """A plan, and what is known before anything is trained.

    Raises an InputError for whatever is wrong with settings, lists or recordings.
    """

    def __init__(self, plan):
        self.plan = plan
        self.systems = preparation.load_systems(plan)
        preparation.check_earlier(plan, self.systems)
        demo.make_if_missing(self.systems[plan.reference].hparams)
        self.manifests = preparation.prepare_data(plan, self.systems)
        self.trial_sets = preparation.prepare_trial_sets(plan, self.systems, VERIFY_YAML)
        self.device = self.systems[plan.reference].device

    def left(self, task):
        """What is left to do for a Task: whether to train it, and the trials to verify it on."""
        is_trained = preparation.is_trained(task, self.systems)
        sets = self.trial_sets.items()
        return not is_trained, [n for n, s in sets if not results.is_verified(task, n, s)]

    def job(self, task):
        """The Job that does what is left; None if that is nothing."""
        is_untrained, names = self.left(task)
        commands = []
        if is_untrained:
            with locked(task.out_dir, PATIENCE):
                preparation.share(self.manifests[task.run], task.out_dir / "manifests")
            commands.append([*training_command(task), "--noprogressbar"])
        commands += [self._verification(task, name) for name in names]
        return jobs.Job(task, commands, task.out_dir / "console.txt") if commands else None

    def _verification(self, task, name):
        folder, trial_set = results.verification_dir(task, name), self.trial_sets[name]
        # Of other trials, or not finished; embeddings that are on the way have another folder.
        for path in (folder / "scores.txt", folder / results.LAST_FILE):
            path.unlink(missing_ok=True)
        preparation.share(trial_set.manifest.parent, folder)
        options = ["--model_dir", str(task.out_dir), "--output_dir", str(folder), "--noprogressbar"]
        options += ["--device", self.device] if self.device else []
        return [sys.executable, SCRIPTS["verify"], *trial_set.arguments, *options]

    def run(self, signals):
        """Does what is left; returns (Task, what it said last) of each that failed."""
        tasks = self.plan.chosen_tasks()
        todo = [job for job in map(self.job, tasks) if job]
        slots = jobs.environments(self.plan.jobs, len(todo), self.device)
        progress = Progress(len(tasks), len(tasks) - len(todo), self.share)
        failed = []

        def end(job, status, going):
            state = "stopped" if signals.caught else "FAILED" if status else "finished"
            if state == "FAILED":
                failed.append((job.task, results.last_words(job.console_path)))
            progress.end(job.task, state, going)

        jobs.run_jobs(todo, slots, signals, progress.look, end)
        progress.close()
        return failed

    def share(self, task):
        """How much of a training is done, from 0 to 1: of the epochs that it may have."""
        log = task.out_dir / "train_log.txt"
        num_done = log.read_text(encoding="utf-8").count("epoch: ") if log.is_file() else 0
        return min(1.0, num_done / self.systems[task.run].hparams["number_of_epochs"])

    def write_table(self, command):
        """Writes and prints the table of all that is finished."""
        with locked(self.plan.out_dir / "table", PATIENCE):
            finished = [task for task in self.plan.tasks() if self.left(task) == (False, [])]
            collected = results.collect(
                self.plan, self.systems, self.trial_sets, finished, sys.stderr.isatty()
            )
            print(write_ablation(self.plan.out_dir, collected, command))


def main(arguments):
    """Trains and verifies all that a plan has, and writes the table."""
    is_list = "--list" in arguments
    plan = read_plan([a for a in arguments if a != "--list"], ROOT / "hparams" / "ablate.yaml")
    if is_list:
        for task in plan.chosen_tasks():
            print(f"# {task}\n{shlex.join(training_command(task))}")
        return
    logging.basicConfig(format="%(message)s")
    logging.disable(logging.INFO)  # what SpeechBrain says of each run that is looked at
    if plan.task is None:
        lock_folder(plan.out_dir)
    ablation = Ablation(plan)
    with StopSignals() as signals:
        failed = ablation.run(signals)
        if signals.caught:
            raise Stopped(signals.caught, "Stopped. The same command goes on with what is left.")
    ablation.write_table(shlex.join(["python", "recipes/ablate.py", *arguments]))
    if failed:
        lines = [f"{task}: {words}\n({task.out_dir}/console.txt)" for task, words in failed]
        raise InputError(
            f"{len(failed)} of {len(plan.chosen_tasks())} trainings failed:\n" + "\n".join(lines)
        )


if __name__ == "__main__":
    command_line.run(main)
