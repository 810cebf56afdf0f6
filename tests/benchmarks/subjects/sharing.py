"""A validation that several processes share."""

import dataclasses
import multiprocessing
import os
import tempfile
from pathlib import Path

import torch
from tables import Row, Table, against
from timing import interleaved

from local.data.manifests import prepare_trials
from local.embeddings.embed import (
    batches_by_length,
    embed_share,
    padded_seconds,
    utterance_loader,
)
from local.evaluation.metrics import eer
from local.machine import processes
from local.machine.rows import gather_rows
from local.scoring.cosine import cosine_scores
from subjects.training import recipe_features, recipe_network
from subjects.validation import BATCH_SECONDS, SAMPLE_RATE, make_corpus


def measure(options):
    """One core a process, on a CPU; where there are fewer cores, the work of each process."""
    num_utterances = 8 if options.quick else 400
    counts = [1, *(count for count in (2, 4, 8) if count <= len(os.sched_getaffinity(0)))]
    with tempfile.TemporaryDirectory() as name:
        _, trials = make_corpus(Path(name), num_utterances, options.quick)
        manifest_path = Path(name) / "valid.csv"
        prepare_trials(trials, name, manifest_path, progress=False)
        width = 8 if options.quick else 128
        groups = {count: Group(count, manifest_path, trials, width) for count in counts}
        calls = {count: group.validate for count, group in groups.items()}
        times = interleaved(calls, rounds=7, quick=options.quick)
        for group in groups.values():
            group.end()
        durations = utterance_loader(manifest_path, SAMPLE_RATE, BATCH_SECONDS).dataset.durations()
    alone = times[1].median
    rows = [against("1 process", *times[1], alone)]
    for count in counts[1:]:
        row = against(f"{count} processes", *times[count], alone)
        limit = 1.2 / count
        met = row.times_ours <= limit
        rows.append(dataclasses.replace(row, target=f"at most {limit:.2f}", met=met))
    rows += [share_of_work(durations, count) for count in (2, 4, 8)]
    title = f"Validation of {num_utterances} utterances, {len(trials):,} trials, one core a process"
    return Table(title, rows)


def share_of_work(durations, count):
    """The largest share of the work, beside an even one."""
    batches = batches_by_length(durations, BATCH_SECONDS)
    costs = padded_seconds(batches, durations)
    largest = max(sum(costs[i] for i in share) for share in processes.shares(costs, count))
    ratio = largest * count / sum(costs)
    what = f"{count} processes: the largest share of {len(batches)} batches"
    return Row(what, ratio, "of an even one", target="at most 1.2", met=ratio <= 1.2)


class Group:
    """Processes that wait for a call, and validate then together."""

    def __init__(self, num_processes, manifest_path, trials, width):
        context = multiprocessing.get_context("fork")
        store = manifest_path.with_name(f"group{num_processes}")
        pipes = [context.Pipe() for _ in range(num_processes)]
        self.pipes = [own for own, _ in pipes]
        self.processes = [
            context.Process(
                target=work, args=(rank, num_processes, store, theirs, manifest_path, trials, width)
            )
            for rank, (_, theirs) in enumerate(pipes)
        ]
        for process in self.processes:
            process.start()
        self._wait()

    def validate(self):
        for pipe in self.pipes:
            pipe.send(True)
        self._wait()

    def _wait(self):
        for pipe in self.pipes:
            pipe.recv()

    def end(self):
        for pipe in self.pipes:
            pipe.send(False)
        for process in self.processes:
            process.join()


def work(rank, num_processes, store, pipe, manifest_path, trials, width):
    """What one process of a Group does."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=num_processes
    )
    features, extractor = recipe_features(), recipe_network(width)
    loader = utterance_loader(manifest_path, SAMPLE_RATE, BATCH_SECONDS)
    pipe.send("ready")
    while pipe.recv():
        share = embed_share(features, extractor, loader, "cpu", "fp32", progress=False)
        embeddings = gather_rows(*share, len(loader.dataset), "cpu")
        processes.on_first(lambda e=embeddings: eer(cosine_scores(e, trials), trials.is_client))
        pipe.send("done")
