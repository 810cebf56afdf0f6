"""Ablations from end to end on a tiny corpus, and what they say of wrong input."""

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from corpora import TINY, as_arguments, write_corpus

from local.ablation.jobs import Job
from local.errors import InputError
from local.machine.signals import Stopped

ROOT = Path(__file__).resolve().parents[2]
# The second fails when its loss is no longer finite; the third is for later.
RUNS = """
runs:
    whole: {}
    broken: {lr: 1.0e+29, weight_decay: 0}
    later: {width: 16}
seeds: [5]
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"), num_speakers=7)


@pytest.fixture(scope="module")
def settings(corpus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    (folder / "ablate.yaml").write_text(f"base: {ROOT}/hparams/vgg.yaml\n{RUNS}")
    # The last five speakers have trials of their own.
    names = [f"s{speaker}/u" for speaker in range(2, 7)]
    pairs = [f"1 {n}.0 {n}.1\n1 {n}.2 {n}.3\n" for n in names]
    pairs += [f"0 {n}.0 {m}.1\n" for n in names for m in names if n < m]
    (folder / "trials.txt").write_text("".join(pairs))
    sets = f"{{validation: {{}}, others: {{trials: {folder / 'trials.txt'}}}}}"
    given = TINY | corpus | {"out_dir": str(folder / "out"), "trial_sets": sets}
    return given | {"number_of_epochs": 1}


def folder_of(settings):
    return Path(settings["out_dir"])


def ablate(settings, *options):
    yaml_path = folder_of(settings).parent / "ablate.yaml"
    main = runpy.run_path(str(ROOT / "recipes" / "ablate.py"))["main"]
    main([str(yaml_path), *as_arguments(settings), *options])


@pytest.fixture(scope="module")
def ended(settings):
    """What is said of two runs, of which one fails, with a training of each at once."""
    with pytest.raises(InputError) as caught:
        ablate(settings, "--only", "whole", "--only", "broken", "--jobs", "2")
    return str(caught.value)


def results(settings):
    return json.loads((folder_of(settings) / "ablation.json").read_text())


def test_a_run_that_fails_is_reported_and_the_others_go_on(settings, ended):
    assert ended.startswith("1 of 2 trainings failed:\nbroken, seed 5: The loss is")
    assert f"{settings['out_dir']}/broken/seed_5/console.txt" in ended
    runs = results(settings)["runs"]
    assert runs["whole"]["seeds"] == [5] and runs["broken"]["seeds"] == runs["later"]["seeds"] == []


def test_each_run_is_verified_on_all_trials(settings, ended):
    out_dir = folder_of(settings) / "whole" / "seed_5"
    found = results(settings)["runs"]["whole"]["trial_sets"]
    for name in ("validation", "others"):
        metrics = json.loads((out_dir / "verification" / name / "metrics.json").read_text())
        figures = found[name]
        assert figures["eer_percent"]["values"] == {"5": metrics["eer_percent"]}
        assert figures["cllr"]["mean"] == metrics["cllr"]
        assert figures["min_dcf_0.01"]["mean"] == metrics["min_dcf_0.01"]
    # Of five speakers, there are intervals, the same as in the report of the verification.
    interval = found["others"]["eer_percent"]["interval"]
    assert interval == metrics["intervals"]["eer_percent"]
    assert found["validation"]["eer_percent"]["interval"] is None


def test_tables_and_picture(settings, ended):
    folder = folder_of(settings)
    markdown = (folder / "ablation.md").read_text()
    run = results(settings)["runs"]["whole"]
    eer = run["trial_sets"]["others"]["eer_percent"]["mean"]
    line = next(line for line in markdown.splitlines() if line.startswith("| whole"))
    assert f"{run['num_parameters']:,}" in line and f"{eer:.2f}" in line and "1 of 1" in line
    assert "WARNING: one seed" in markdown and "--only broken" in markdown
    assert run["minutes"] > 0 and run["macs_per_second"] > 0
    assert (folder / "ablation.csv").read_text().count("\nwhole,") == 2 * 8
    page = (folder / "ablation.html").read_text()
    assert "data:image/svg+xml" in page and '<th scope="row">whole</th>' in page
    assert (folder / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_the_audio_is_examined_once(settings, ended):
    folder = folder_of(settings)
    shared = (folder / "manifests" / "train.audio.npz").stat()
    own = (folder / "whole" / "seed_5" / "manifests" / "train.audio.npz").stat()
    assert shared.st_ino == own.st_ino


def jobs_of(settings, patch, *options, status=0):
    """The names of the trainings, and the scripts, that an ablation would run."""
    started = []

    def run_jobs(jobs, slots, signals, on_look, on_end):
        for job in jobs:
            assert isinstance(job, Job)
            started.append((str(job.task), [Path(command[1]).name for command in job.commands]))
            on_end(job, status, [])

    module = sys.modules["local.ablation.jobs"]
    patch.setattr(module, "run_jobs", run_jobs)
    ablate(settings, *options)
    return started


@pytest.fixture
def copied(settings, ended, tmp_path):
    """The settings of the same ablation in another folder, with its results."""
    shutil.copytree(folder_of(settings).parent, tmp_path / "moved")
    return settings | {"out_dir": str(tmp_path / "moved" / "out")}


def test_what_is_finished_is_not_done_again(copied, monkeypatch):
    before = results(copied)
    assert jobs_of(copied, monkeypatch, "--only", "whole") == []
    assert results(copied) | {"command": ""} == before | {"command": ""}


def test_what_is_left_is_done(copied, monkeypatch, tmp_path):
    # Other trials under the name: the model is there, and is verified again.
    trials = tmp_path / "fewer.txt"
    text = (tmp_path / "moved" / "trials.txt").read_text()
    trials.write_text(text.replace("1 s6/u.0 s6/u.1\n", ""))
    changed = copied | {"trial_sets": f"{{others: {{trials: {trials}}}}}"}
    scripts = jobs_of(changed, monkeypatch, "--only", "whole", "--only", "later")
    both = ["train_vgg.py", "verify.py", "verify.py"]
    assert scripts == [("whole, seed 5", ["verify.py"]), ("later, seed 5", both[:2])]
    assert results(changed)["runs"]["whole"]["seeds"] == []


def test_a_signal_ends_it_with_the_status_for_another_start(settings, ended, monkeypatch):
    def run_jobs(jobs, slots, signals, on_look, on_end):
        signals.caught = 10

    monkeypatch.setattr(sys.modules["local.ablation.jobs"], "run_jobs", run_jobs)
    with pytest.raises(Stopped) as caught:
        ablate(settings, "--only", "later")
    assert caught.value.status == 75


def test_the_list_trains_nothing(settings, capsys, tmp_path):
    shutil.copy(folder_of(settings).parent / "ablate.yaml", tmp_path)
    ablate(settings | {"out_dir": str(tmp_path / "out")}, "--list", "--seeds", "[1, 2]")
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("#")][:2] == [
        "# whole, seed 1",
        "# broken, seed 1",
    ]
    assert len(lines) == 12 and "train_vgg.py" in lines[1] and "--seed 1" in lines[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"runs": "{whole: {width: 16}}"}, "whole, seed 5: width: 8 before, 16 now"),
        ({"lr": "0.5"}, "whole, seed 5: lr: 0.003 before, 0.5 now"),
        ({"runs": "{a: {pooling: x}}"}, "run a: .*pooling 'x' is unknown"),
        ({"trial_sets": "{a: {trials: no.txt}}"}, "trial set a: no.txt: can't be read"),
        ({"trial_sets": "{a: {score_nrm: z}}"}, "trial set a: score_nrm: .*has no such setting"),
        ({"runs": "{a: {train_labels_path: no.txt}}"}, "no.txt: can't be read"),
    ],
)
def test_mistakes_are_found_before_anything_is_trained(
    settings, ended, monkeypatch, changes, message
):
    with pytest.raises(InputError, match=message):
        jobs_of(settings | changes, monkeypatch)
