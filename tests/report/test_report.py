"""The report as a file: what stands in it, what names can't do to it, what it links to."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from corpora import write_voice
from systems import drawn_scores, drawn_trials, make_system

from local.errors import InputError
from local.lists.trials import Trials
from local.report.report import write_report

EVIL = "a/<script>alert(1)</script>&\"'</title>{{ 1 }}"
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path id="a" d="M0,0"/></svg>'


class Page(HTMLParser):
    """The elements of a page: (tag, attributes, text within, without that of other elements)."""

    def __init__(self, path):
        super().__init__()
        self.elements = []
        self._open = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        self.elements.append([tag, dict(attributes), ""])
        if tag not in ("meta", "link", "input", "img"):
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag):
        assert self._open.pop()[0] == tag

    def handle_data(self, text):
        if self._open:
            self._open[-1][2] += text

    def all(self, tag, **wanted):
        return [
            (attributes, text.strip())
            for name, attributes, text in self.elements
            if name == tag and wanted.items() <= attributes.items()
        ]

    def texts(self, tag, **wanted):
        return [text for _, text in self.all(tag, **wanted)]

    def values(self, key):
        """(full value, text) of each number of this name."""
        return [
            (float(attributes["data-value"]), text)
            for attributes, text in self.all("span", **{"data-key": key})
            if "data-value" in attributes
        ]

    def data(self):
        return json.loads(self.texts("script", type="application/json")[0])


def report(folder, *systems, title="Verification", **parts):
    path = folder / "report.html"
    write_report(path, title, systems, **parts)
    return Page(path)


@pytest.fixture
def system():
    trials = drawn_trials(400)
    return make_system(trials, drawn_scores(trials))


def test_figures_are_those_of_the_summary(tmp_path, system):
    page = report(tmp_path, system)
    summary = system.summary
    for key in ("eer_percent", "eer_hull_percent"):
        assert page.values(key) == [(summary[key], f"{summary[key]:.3f} %")]
    for key in ("min_dcf_0.01", "act_dcf_0.05", "cllr", "min_cllr"):
        assert page.values(key) == [(summary[key], f"{summary[key]:.4f}")]
    assert page.values("num_trials") == [(400, "400")]
    assert f"at {summary['eer_threshold']:.4f}" in page.texts("span", **{"class": "at"})


def test_large_counts_and_unknown_speakers(tmp_path, system):
    summary = system.summary | {"num_speakers": None, "num_trials": 12_497_500}
    page = report(tmp_path, system._replace(summary=summary))
    assert page.values("num_trials") == [(12_497_500, "12,497,500")]
    assert page.texts("span", **{"data-key": "num_speakers"}) == ["–"]


def test_intervals_are_shown_where_they_are_known(tmp_path, system):
    intervals = {"eer_percent": [9.5, 12.25], "cllr": [0.4, 0.5]}
    summary = system.summary | {"intervals": intervals, "num_draws": 1000}
    page = report(tmp_path, system._replace(summary=summary))
    expected = {"9.500 to 12.250 %", "0.4000 to 0.5000"}
    assert expected == {text for text in page.texts("span", **{"class": "interval"}) if text}
    remarks = " ".join(page.texts("p"))
    assert "95 % interval" in remarks and "1,000 draws" in remarks and "over speakers" in remarks
    assert "95 % interval" not in " ".join(report(tmp_path, system).texts("p"))


def test_uncalibrated_scores_are_remarked(tmp_path, system):
    calibrated, other = system, make_system(system.trials, system.scores, is_calibrated=False)
    remark = "natural-log likelihood ratios, although they are not calibrated"
    assert remark not in " ".join(report(tmp_path, calibrated).texts("p"))
    page = report(tmp_path, calibrated, other)
    assert remark in " ".join(page.texts("p"))
    # Cllr and two actual costs, of the second system only.
    assert len([title for title, _ in page.all("span") if "title" in title]) == 3


def test_notes_and_details(tmp_path, system):
    system.summary["notes"].append("Few speakers.")
    system.summary["warnings"].append("All scores are <equal>.")
    page = report(tmp_path, system, details=[("Model", "model_1.pt")])
    assert "Few speakers." in page.texts("p") and "All scores are <equal>." in page.texts("p")
    assert page.texts("dt") == ["Model"] and page.texts("dd") == ["model_1.pt"]


def test_systems_stand_side_by_side(tmp_path, system):
    inverted = make_system(system.trials, -system.scores, name="inverted")
    page = report(tmp_path, system, inverted)
    assert page.values("eer_percent") == [
        (s.summary["eer_percent"], f"{s.summary['eer_percent']:.3f} %") for s in (system, inverted)
    ]
    assert page.texts("option") == ["cosine", "inverted"]
    assert "inverted: Clients with the lowest scores" in page.texts("h3")
    assert [data["name"] for data in page.data()["systems"]] == ["cosine", "inverted"]
    assert not report(tmp_path, system).all("select")


def test_conditions_with_a_class_missing(tmp_path, system):
    figures = {key: system.summary[key] for key in system.summary if "dcf" in key or "cllr" in key}
    whole = {"name": "same sex", "num_trials": 10, "num_clients": 4, "num_impostors": 6}
    whole |= figures | {"eer_percent": 12.5, "intervals": {"eer_percent": [10.0, 15.0]}}
    partial = {"name": "below 2 s", "num_trials": 7, "num_clients": 0, "num_impostors": 7}
    conditions = {"sex": [whole], "length": [partial]}
    page = report(tmp_path, system._replace(summary=system.summary | {"conditions": conditions}))
    assert [h for h in page.texts("h3") if "scores" not in h] == ["sex", "length"]
    assert page.values("eer_percent")[1:] == [(12.5, "12.500 %")]
    assert page.texts("span", **{"data-key": "eer_percent"})[-1] == "–"
    assert page.values("num_impostors")[1:] == [(6, "6"), (7, "7")]
    assert "10.000 to 15.000 %" in page.texts("span", **{"class": "interval"})


def test_a_condition_of_two_systems(tmp_path, system):
    def with_row(name, eer):
        row = {"name": "F", "num_trials": 2, "num_clients": 1, "num_impostors": 1}
        conditions = {"sex": [row | {"eer_percent": eer}, row | {"name": "M"}]}
        return make_system(system.trials, system.scores, name, conditions=conditions)

    page = report(tmp_path, with_row("first", 1.0), with_row("second", 2.0))
    assert page.texts("td", **{"class": "name"}) == ["first", "second", "first", "second"]
    assert [value for value, _ in page.values("eer_percent")[2:]] == [1.0, 2.0]


def test_names_are_text_and_nothing_else(tmp_path):
    trials = drawn_trials(8, names=[EVIL, "b"])
    conditions = {EVIL: [{"name": EVIL, "num_trials": 1, "num_clients": 0, "num_impostors": 1}]}
    summary = {"conditions": conditions, "notes": [EVIL]}
    system = make_system(trials, drawn_scores(trials), name=EVIL, **summary)
    page = report(
        tmp_path,
        *(system, system),
        title=EVIL,
        pictures=[(EVIL, EVIL, SVG)],
        details=[(EVIL, EVIL)],
    )
    assert len(page.all("script")) == 2
    assert page.texts("title") == page.texts("h1") == [EVIL]
    assert page.texts("dd") == page.texts("figcaption") == [EVIL]
    assert page.data()["systems"][0]["name"] == EVIL
    assert EVIL in page.texts("span") and EVIL in page.texts("h3")
    assert page.all("img")[0][0]["alt"] == EVIL


def test_nothing_is_fetched(tmp_path, system):
    page = report(tmp_path, system, pictures=[("DET", "a curve", SVG)])
    addresses = [
        attributes[name]
        for _, attributes, _ in page.elements
        for name in ("src", "href", "srcset", "action", "poster")
        if name in attributes
    ]
    assert addresses
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import", page.texts("style")[0])
    assert not re.search(r"fetch\(|XMLHttpRequest|https?:", page.texts("script")[1])


def test_hardest_errors_by_hand(tmp_path):
    names = ["a/1", "a/2", "b/1", "c/1"]
    pairs = np.array([[0, 1], [0, 2], [1, 2], [2, 3], [1, 0]])
    trials = Trials(names, *pairs.T, np.array([True, False, False, False, True]), [])
    scores = np.array([0.9, 0.3, 0.7, 0.7, 0.2], np.float32)
    page = report(tmp_path, make_system(trials, scores))
    shown = [
        float(attributes["data-value"]) for attributes, _ in page.all("span", **{"class": "score"})
    ]
    # Impostors from the highest, equal ones in the order of the trials; then clients.
    assert shown == [float(scores[trial]) for trial in (2, 3, 1, 4, 0)]
    sides = [text for text in page.texts("span") if text in names]
    assert sides == ["a/2", "b/1", "b/1", "c/1", "a/1", "b/1", "a/2", "a/1", "a/1", "a/2"]


def test_ten_of_each_class(tmp_path, system):
    equal = make_system(system.trials, np.zeros(400, np.float32))
    for each in (system, equal):
        assert len(report(tmp_path, each).all("li")) == 20


def test_players_are_linked_from_the_folder_of_the_report(tmp_path):
    name = "wav/änna #1?/50% <b>.wav"
    write_voice(tmp_path / name, 100.0, seconds=0.1)
    (tmp_path / "wav" / "old.sph").write_bytes(b"NIST_1A")
    trials = Trials(
        ["a", "b", "c", "d"], np.array([0, 0]), np.array([1, 2]), np.array([True, False]), []
    )
    audio = {
        "a": [tmp_path / name],
        "b": [tmp_path / "wav" / "old.sph"],
        "c": [tmp_path / "no.wav"],
    }
    (tmp_path / "results").mkdir()
    page = report(tmp_path / "results", make_system(trials, np.array([0.9, 0.1]), audio=audio))
    link = "../wav/%C3%A4nna%20%231%3F/50%25%20%3Cb%3E.wav"
    # Twice: once of each class. What browsers don't play, or is not there, is only named.
    assert [attributes["src"] for attributes, _ in page.all("audio")] == [link, link]
    assert page.all("audio")[0][0]["preload"] == "none"
    assert page.texts("a", href=link) == ["a", "a"]
    assert {"b", "c"} <= set(page.texts("span"))


def test_an_enrolment_model_has_three_players(tmp_path):
    paths = [tmp_path / f"{index}.wav" for index in range(5)]
    for path in paths[1:]:
        write_voice(path, 100.0, seconds=0.1)
    trials = Trials(["m", "t"], np.array([0, 0]), np.array([1, 1]), np.array([True, False]), [])
    page = report(tmp_path, make_system(trials, np.array([0.9, 0.1]), audio={"m": paths}))
    sources = [attributes["src"] for attributes, _ in page.all("audio")]
    assert sources == ["1.wav", "2.wav", "3.wav"] * 2


def test_a_million_trials_are_a_small_page(tmp_path):
    trials = drawn_trials(1_000_000)
    path = tmp_path / "report.html"
    write_report(path, "Verification", [make_system(trials, drawn_scores(trials))])
    assert path.stat().st_size < 250_000


def test_what_fails_leaves_the_old_report(tmp_path, system):
    report(tmp_path, system, title="old")
    broken = system._replace(summary=system.summary | {"cllr": object()})
    with pytest.raises(TypeError):
        report(tmp_path, broken, title="new")
    assert Page(tmp_path / "report.html").texts("title") == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there(tmp_path, system):
    with pytest.raises(InputError, match="report.html: can't be written"):
        report(tmp_path / "missing", system)


def test_train_log_gives_pictures(tmp_path, system):
    log = tmp_path / "train_log.txt"
    log.write_text("epoch: 1, updates: 100, lr: 1.57e-03 - train loss: 3.72\n")
    page = report(tmp_path, system, training_log=log)
    assert page.texts("figcaption") == ["Training loss", "Learning rate"]
    log.write_text("")
    page = report(tmp_path, system, training_log=log)
    assert not page.all("img") and "Training" not in page.texts("h2")
