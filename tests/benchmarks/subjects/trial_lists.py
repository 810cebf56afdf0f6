"""Three lists of the sizes of VoxCeleb1-O, -E and -H, from the files to the report."""

import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from tables import Row, Table

from local.data.manifest_files import write_manifest
from local.evaluation.evaluate import Evaluator
from local.report.outputs import write_outputs
from local.scoring.systems import System
from local.scoring.trial_lists import read_trial_lists, score_lists
from local.scoring.trial_scores import write_trial_scores
from subjects.evaluation import within

# The name of a list -> its speakers, utterances and trials.
SIZES = {"o": (40, 4708, 37_611), "e": (1251, 145_375, 579_818), "h": (1190, 138_137, 550_894)}
NUM_DRAWS, NUM_VALUES, MAX_SECONDS = 1000, 256, 15.0


def measure(options):
    """The embeddings are at hand, and known to be those of the audio."""
    sizes = {name: (10, 100, 2000) for name in SIZES} if options.quick else SIZES
    num_draws = 20 if options.quick else NUM_DRAWS
    seconds = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [write_list(folder / f"{name}.txt", *size) for name, size in sizes.items()]

        def timed(what, call):
            wall, used = time.perf_counter(), time.process_time()
            result = call()
            seconds[what] = time.perf_counter() - wall, time.process_time() - used
            return result

        lists = timed("lists read", lambda: read_trial_lists(paths, None, None, None, folder))
        embeddings = write_made_up(folder / "utterances.csv", lists.merged.utterances)
        systems = timed("trials scored", partial(score, lists, embeddings, folder))
        evaluator = Evaluator(num_draws=num_draws)
        evaluations = timed("evaluated", lambda: list(map(evaluator.evaluate, systems)))
        folders = [trial_list.folder for trial_list in lists.lists]
        outputs = folder, evaluations, evaluator.costs, (), None, folders
        timed("report and pictures", partial(write_outputs, *outputs))
    walls, used = zip(*seconds.values(), strict=True)
    rows = [within("all", sum(walls), MAX_SECONDS), Row("time of the processor", sum(used))]
    rows += [Row(what, wall) for what, (wall, _) in seconds.items()]
    num_trials = " + ".join(f"{size[-1]:,}" for size in sizes.values())
    return Table(f"{num_trials} trials, {num_draws:,} draws of the speakers for each list", rows)


def score(lists, embeddings, folder):
    systems = score_lists(System(), lists, embeddings, folder / "utterances.csv")
    for system, trial_list in zip(systems, lists.lists, strict=True):
        write_trial_scores(trial_list.folder, system)
    return systems


def write_list(path, num_speakers, num_utterances, num_trials):
    """Trials at random, of which half are of clients; the lists share utterances."""
    rng = np.random.default_rng(num_trials)
    names = [
        f"id{10001 + i % num_speakers}/v{i // 5000}/{i:06d}.wav" for i in range(num_utterances)
    ]
    each = num_utterances // num_speakers
    speaker, step = rng.integers([[0], [1]], num_speakers, (2, num_trials))
    step[::2] = 0
    first, other = rng.integers(each, size=(2, num_trials))
    other = np.where(first == other, (first + 1) % each, other)
    enrol, test = (
        (numbers * num_speakers + of).tolist()
        for numbers, of in ((first, speaker), (other, (speaker + step) % num_speakers))
    )
    with open(path, "w") as file:
        for one, two, is_impostor in zip(enrol, test, (step > 0).tolist(), strict=True):
            file.write(f"{1 - is_impostor} {names[one]} {names[two]}\n")
    return path


def write_made_up(path, utterances):
    """A manifest of utterances; returns embeddings that tell their speakers apart."""
    fixed = {"duration": 8.0, "start": 0, "stop": 128_000, "spk_id": ""}
    write_manifest(path, (fixed | {"ID": name, "wav": f"/{name}"} for name in utterances))
    rng = np.random.default_rng(0)
    speakers = np.array([int(name[2:7]) - 10001 for name in utterances])
    centres = rng.standard_normal((speakers.max() + 1, NUM_VALUES), np.float32)
    noise = rng.standard_normal((len(utterances), NUM_VALUES), np.float32)
    return centres[speakers] + 1.8 * noise
