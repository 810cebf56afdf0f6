"""Systems evaluated: what the summary holds, its notes, and how systems differ."""

import json
from dataclasses import replace

import numpy as np
import pytest
from test_intervals import make_trials

from local.errors import InputError
from local.evaluation.conditions import Grouping
from local.evaluation.evaluate import Evaluator, difference, same_trials
from local.evaluation.metrics import eer
from local.evaluation.summary import Costs, format_summary
from local.report.outputs import format_differences, format_results, metrics_of
from local.scoring.trial_scores import TrialScores


def make_system(name="system", num_speakers=12, shift=0.0, **options):
    trials, scores = make_trials(num_speakers, num_utterances=4, num_trials=600, **options)
    quality = {"seconds": np.linspace(1.0, 6.0, len(trials.utterances))}
    return TrialScores(name, trials, scores + shift, quality, {}, trials.utterances)


def evaluate(system, num_draws=50, **settings):
    return Evaluator(num_draws=num_draws, **settings).evaluate(system)


def test_a_summary_is_plain_and_complete():
    evaluation = evaluate(make_system(), grouping=Grouping({}, {}, (2, 4)))
    summary = json.loads(json.dumps(evaluation.summary, allow_nan=False))
    assert summary["num_speakers"] == 12 and summary["num_draws"] == 50
    assert summary["speakers_from"] == "the first folder"
    low, high = summary["intervals"]["eer_percent"]
    assert low < summary["eer_percent"] < high
    assert summary["intervals"].keys() == {
        *("eer_percent", "eer_hull_percent", "cllr", "min_cllr"),
        *("min_dcf_0.01", "act_dcf_0.01", "min_dcf_0.05", "act_dcf_0.05"),
    }
    assert "95 % intervals, of 50 draws of 12 speakers" in format_summary(summary)


def test_rows_of_conditions_are_those_of_their_trials():
    system = make_system()
    seconds, trials = system.quality["seconds"], system.trials
    chosen = np.minimum(seconds[trials.enrol], seconds[trials.test]) < 2.0
    tables = evaluate(system, grouping=Grouping({}, {}, (2, 4))).summary["conditions"]
    rows = {row["name"]: row for row in tables["shorter side"]}
    assert rows.keys() == {"below 2 s", "2 to 4 s", "from 4 s"}
    row = rows["below 2 s"]
    assert row["num_trials"] == np.count_nonzero(chosen)
    expected = 100 * eer(system.scores[chosen], trials.is_client[chosen])[0]
    assert row["eer_percent"] == pytest.approx(expected)
    assert len(row["intervals"]["cllr"]) == 2


def test_a_condition_without_a_class_has_only_counts():
    system = make_system()
    is_client = system.trials.is_client
    trials = replace(system.trials, condition_names=["c", "i"], condition=1 - is_client.astype(int))
    (rows,) = evaluate(system._replace(trials=trials)).summary["conditions"].values()
    assert [set(row) for row in rows] == [
        {"name", "num_trials", "num_clients", "num_impostors"}
    ] * 2


def test_too_few_speakers_are_noted():
    (note,) = evaluate(make_system(num_speakers=4)).summary["notes"]
    assert note.startswith("No intervals: the trials have 4 speakers")


def test_warnings_of_a_system_and_of_its_scores():
    system = make_system()._replace(warnings=("These trials chose the model.",))
    assert evaluate(system).summary["warnings"] == ["These trials chose the model."]
    collapsed = evaluate(system._replace(scores=np.full_like(system.scores, 0.5)))
    first, second = collapsed.summary["warnings"]
    assert first == "These trials chose the model." and second.startswith("All scores are equal")
    printed = format_results("out", [collapsed], {})
    assert f"WARNING: {first}" in printed and f"WARNING: {second}" in printed


def test_no_draws_need_no_notes():
    summary = Evaluator(num_draws=0).evaluate(make_system()).summary
    assert summary["notes"] == [] and summary["intervals"] == {}
    assert "interval" not in format_summary(summary)


def test_speakers_by_connection_are_noted():
    system = make_system(num_speakers=6)
    names = [f"u{number}" for number in range(len(system.trials.utterances))]
    system = system._replace(trials=replace(system.trials, utterances=names), examples=names)
    summary = evaluate(system).summary
    assert "that client trials connect" in summary["notes"][0]


def test_differences_are_of_the_same_draws():
    system = make_system("first")
    better = system._replace(name="second", scores=system.scores + 0.5 * system.trials.is_client)
    shifted = system._replace(name="third", scores=system.scores + 3.0)
    evaluations = [evaluate(s) for s in (system, better, shifted)]
    metrics = metrics_of(evaluations)
    assert list(metrics["systems"]) == ["first", "second", "third"]
    gain = metrics["differences"]["second - first"]["eer_percent"]
    expected = evaluations[1].summary["eer_percent"] - evaluations[0].summary["eer_percent"]
    assert gain["difference"] == pytest.approx(expected)
    low, high = gain["interval"]
    wide = np.diff(evaluations[0].summary["intervals"]["eer_percent"])[0]
    assert low < gain["difference"] < high < 0 and high - low < wide
    same = metrics["differences"]["third - first"]
    assert same["eer_percent"] == {"difference": 0.0, "interval": [0.0, 0.0]}
    assert same["cllr"]["difference"] > 0.0
    lines = format_differences(metrics).splitlines()
    assert lines[1] == "third - first: EER +0.000 points [+0.000, +0.000]"


def test_one_system_has_no_differences():
    evaluation = evaluate(make_system())
    assert metrics_of([evaluation]) is evaluation.summary
    assert format_differences(evaluation.summary) == ""


def test_other_trials_have_no_differences():
    evaluations = [evaluate(make_system(str(seed), seed=seed)) for seed in (0, 1)]
    assert difference(*evaluations) == {}
    assert "not the same trials" in format_differences(metrics_of(evaluations))


def test_the_reference_is_the_first_on_the_same_trials():
    systems = [make_system(f"{name} {seed}", seed=seed) for seed in (0, 1) for name in "ab"]
    metrics = metrics_of([evaluate(system) for system in systems])
    assert list(metrics["differences"]) == ["b 0 - a 0", "b 1 - a 1"]
    assert all(metrics["differences"].values())


def test_the_same_trials_in_other_tables_of_names():
    trials = make_system().trials
    order = np.random.default_rng(0).permutation(len(trials.utterances)).astype(np.int32)
    place = np.argsort(order).astype(np.int32)
    renamed = replace(
        trials,
        utterances=[trials.utterances[index] for index in order],
        enrol=place[trials.enrol],
        test=place[trials.test],
    )
    assert same_trials(trials, renamed)
    assert not same_trials(trials, replace(renamed, enrol=trials.enrol))


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"num_draws": -1}, "bootstrap_draws"),
        ({"num_draws": "many"}, "bootstrap_draws is a number from 0 on, not 'many'"),
        ({"costs": Costs(p_targets=(0.0,))}, "p_target must be between 0 and 1, got 0.0"),
        ({"costs": Costs(p_targets=("x",))}, "p_targets, c_miss or c_false_alarm"),
        ({"costs": Costs(p_targets=())}, "p_targets: expected different priors"),
        ({"costs": Costs(p_targets=(0.1, 0.1))}, r"not \[0.1, 0.1\]"),
        ({"costs": Costs(c_miss=0.0)}, "costs must be above 0"),
        ({"grouping": Grouping({}, {}, (4, 2))}, "duration_edges"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InputError, match=message):
        Evaluator(**settings).check()
