"""The report in a headless Chromium: what its controls show, and whether everybody gets at it."""

import json
import math
from urllib.parse import urlparse

import numpy as np
import pytest
from corpora import write_voice
from systems import drawn_scores, drawn_trials, make_system

from local.evaluation.metrics import bayes_threshold, curve_act_dcf, curve_min_dcf
from local.lists.trials import Trials
from local.report.report import write_report

pytest.importorskip("selenium", reason="selenium is not installed")
from browser import CHROMEDRIVER, CHROMIUM, Reader, start_chromium
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.select import Select

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="no Chromium here (on Debian: apt-get install chromium chromium-driver)",
)

NAMES = ["anna/1 #?.wav", "anna/2", "bert/ü%", "carl/1"]
PAIRS = np.array([[0, 1], [0, 2], [1, 2], [2, 3], [1, 0]])
# Equal scores, and rates of 50 % and a third.
FEW = np.array([0.9, 0.3, 0.7, 0.7, 0.5], np.float32)
IS_CLIENT = np.array([True, False, False, False, True])
SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 400 300"><path d="M0,0L9,9"/></svg>'


@pytest.fixture(scope="module")
def chromium():
    driver = start_chromium()
    yield driver
    driver.quit()


@pytest.fixture
def reader(chromium):
    """At the width of a laptop; the page is open with what the test wants."""
    reader = Reader(chromium)
    reader.set_width(1200)
    return reader


@pytest.fixture
def opened(reader, tmp_path):
    """Writes a report of systems, and opens it."""

    def open_report(*systems, **parts):
        path = tmp_path / "report.html"
        write_report(path, "Verification", systems, **parts)
        reader.open(path)
        return reader

    return open_report


@pytest.fixture(scope="module")
def few():
    trials = Trials(NAMES, *PAIRS.T, IS_CLIENT, [])
    return make_system(trials, FEW)


@pytest.fixture(scope="module")
def drawn():
    """Of so many trials that the slider has not all thresholds."""
    trials = drawn_trials(20_000)
    return make_system(trials, drawn_scores(trials), name="drawn")


@pytest.fixture(scope="module")
def conditions():
    row = {"name": "same sex: F", "num_trials": 12_345, "num_clients": 345, "num_impostors": 12_000}
    figures = ("eer_percent", "cllr", "min_cllr", "min_dcf_0.01", "act_dcf_0.01")
    values = dict.fromkeys(figures, 12.3456)
    return {"sex": [row | values | {"intervals": {name: [1.0, 20.0] for name in figures}}]}


@pytest.fixture
def whole(opened, drawn, few, conditions, tmp_path):
    """A report with all that there can be in one, and its reader."""
    log = tmp_path / "train_log.txt"
    log.write_text("epoch: 1, lr: 1.0 - train loss: 3.72\nepoch: 2, lr: 0.5 - train loss: 2.0\n")
    audio = {name: [tmp_path / f"{name}-{'long' * 30}.wav"] for name in NAMES}
    for (path,) in audio.values():
        write_voice(path, 100.0, seconds=0.2)
    summary = few.summary | {"conditions": conditions, "is_calibrated": False}
    summary |= {"intervals": {"eer_percent": [1.0, 2.0]}, "num_draws": 10, "notes": ["A note."]}
    return opened(
        *(few._replace(summary=summary, audio=audio), drawn),
        pictures=[("DET curve", "a curve", SVG), ("Scores", "two heaps", SVG)],
        details=[("Command", "python recipes/verify.py " + "--some_setting value " * 20)],
        training_log=log,
    )


def cost_at(system, index, p_target, c_miss=1.0, c_false_alarm=1.0):
    """By the formula, in Python."""
    none, all_ = c_miss * p_target, c_false_alarm * (1.0 - p_target)
    miss, false_alarm = system.curve.miss[index], system.curve.false_alarm[index]
    return (none * miss + all_ * false_alarm) / min(none, all_)


def test_keys_move_the_slider_and_the_numbers(opened, few):
    reader = opened(few)
    slider = reader.part("slider")
    slider.send_keys(Keys.HOME)
    for index, threshold in enumerate(few.curve.thresholds):
        assert reader.value("now-threshold") == float(threshold)
        assert reader.value("now-miss") == few.curve.miss[index]
        assert reader.value("now-false-alarm") == few.curve.false_alarm[index]
        assert reader.value("now-cost") == pytest.approx(cost_at(few, index, 0.01), abs=1e-9)
        assert slider.get_attribute("aria-valuetext") == f"{threshold:.4f}"
        slider.send_keys(Keys.ARROW_RIGHT)
    # At the end, where none is accepted.
    assert reader.text("now-miss") == "100.000 %"
    assert reader.text("now-miss-count") == "2 of 2 clients rejected"
    assert reader.text("now-false-alarm-count") == "0 of 3 impostors accepted"
    slider.send_keys(Keys.ARROW_LEFT)
    assert reader.text("now-miss") == "50.000 %"


def test_the_point_of_the_curve_moves(opened, few):
    reader = opened(few)
    slider = reader.part("slider")
    places = []
    for key in (Keys.HOME, Keys.ARROW_RIGHT, Keys.END):
        slider.send_keys(key)
        point = reader.part("det-point")
        places.append((float(point.get_attribute("cx")), float(point.get_attribute("cy"))))
    assert places[0] == (100.0, 100.0) and places[2] == (0.0, 0.0)
    assert 50.0 < places[1][0] < 100.0


@pytest.mark.parametrize("which", ["few", "drawn"])
def test_numbers_at_the_buttons_are_those_of_the_summary(opened, request, which):
    system = request.getfixturevalue(which)
    reader = opened(system)
    summary = system.summary
    reader.press("eer")
    [(eer_percent, _)] = reader.in_table("eer_percent")
    rates = [100.0 * reader.value(f"now-{name}") for name in ("miss", "false-alarm")]
    assert eer_percent == pytest.approx(summary["eer_percent"], abs=1e-9)
    assert min(rates) - 1e-9 <= eer_percent <= max(rates) + 1e-9
    assert reader.value("now-threshold") == summary["eer_threshold"]
    for p_target in summary["p_targets"]:
        for key, row in ((f"min_dcf_{p_target}", "best"), (f"act_dcf_{p_target}", "bayes")):
            reader.press(key)
            [(cost, text)] = reader.in_table(key)
            for name in ("now", row):
                assert reader.value(f"{name}-cost") == pytest.approx(summary[key], abs=1e-9)
                assert reader.text(f"{name}-cost") == text
            assert cost == pytest.approx(summary[key], abs=1e-9)
            threshold = summary[f"{key}_threshold"]
            assert reader.value(f"{row}-threshold") == pytest.approx(threshold, abs=1e-9)
            assert reader.part("prior").get_attribute("value") == str(p_target)


def test_prior_and_costs(opened, drawn):
    reader = opened(drawn)
    reader.press("eer")
    index = np.searchsorted(drawn.curve.thresholds, drawn.summary["eer_threshold"])
    for prior, c_miss, c_false_alarm in ((0.3, 1.0, 1.0), (0.9, 2.5, 1.0), (0.002, 10.0, 0.5)):
        costs = prior, c_miss, c_false_alarm
        for name, number in zip(("prior", "c-miss", "c-false-alarm"), costs, strict=True):
            reader.enter(name, str(number))
        expected = cost_at(drawn, index, *costs)
        assert reader.value("now-cost") == pytest.approx(expected, abs=1e-9)
        assert reader.text("now-cost") == f"{expected:.4f}"
        lowest, threshold = curve_min_dcf(drawn.curve, *costs)
        assert reader.value("best-cost") == pytest.approx(lowest, abs=1e-9)
        assert reader.value("best-threshold") == threshold
        assert reader.value("bayes-threshold") == pytest.approx(bayes_threshold(*costs), abs=1e-9)
        log_odds = float(reader.part("log-odds").get_attribute("value"))
        assert log_odds == pytest.approx(math.log(prior / (1.0 - prior)), abs=0.006)
    reader.press("minimum")
    assert reader.value("now-cost") == reader.value("best-cost")


def test_rates_at_a_bayes_threshold_between_the_points_are_about_right(opened, drawn, few):
    reader = opened(drawn)
    reader.enter("prior", "0.2")
    expected, _ = curve_act_dcf(drawn.curve, 0.2)
    assert reader.value("bayes-cost") == pytest.approx(expected, abs=0.02)
    assert reader.text("bayes-cost").startswith("≈ ")
    assert reader.part("about").is_displayed()
    reader = opened(few)
    reader.enter("prior", "0.4")
    assert reader.value("bayes-cost") == pytest.approx(curve_act_dcf(few.curve, 0.4)[0], abs=1e-9)
    assert not reader.part("about").is_displayed()


def test_log_odds_move_the_prior(opened, few):
    reader = opened(few)
    reader.enter("prior", "0.5")
    reader.part("log-odds").send_keys(Keys.ARROW_RIGHT)
    # 1 / (1 + exp(-0.01)) with three digits.
    assert reader.part("prior").get_attribute("value") == "0.502"
    assert reader.value("bayes-threshold") == pytest.approx(math.log(0.498 / 0.502), abs=1e-9)
    reader.part("log-odds").send_keys(Keys.END)
    assert reader.part("prior").get_attribute("value") == "0.999899"


@pytest.mark.parametrize("text", ["0", "1", "-0.5", "", "2"])
def test_a_prior_that_is_none_is_told(opened, few, text):
    reader = opened(few)
    before = reader.value("now-cost")
    reader.enter("prior", text or Keys.DELETE)
    assert "between 0 and 1" in reader.text("problem")
    assert reader.part("prior").get_attribute("aria-invalid") == "true"
    assert reader.value("now-cost") == before
    reader.enter("prior", "0.25")
    assert reader.text("problem") == ""
    assert reader.value("now-cost") != before


def test_another_system_is_chosen(opened, few, drawn):
    reader = opened(few, drawn)
    Select(reader.part("system")).select_by_visible_text("drawn")
    assert reader.value("now-threshold") == drawn.summary["eer_threshold"]
    reader.press("min_dcf_0.05")
    key = "min_dcf_0.05"
    assert reader.value("now-cost") == pytest.approx(drawn.summary[key], abs=1e-9)
    assert reader.text("now-cost") == reader.in_table(key)[1][1]
    Select(reader.part("system")).select_by_visible_text("cosine")
    assert reader.value("now-threshold") == few.summary["eer_threshold"]


def test_halves_are_rounded_as_in_the_table(opened):
    # Rates of 1/64 are 1.5625 %: with three digits, 1.562 in the table.
    is_client = np.arange(128) % 2 == 0
    trials = Trials(["a", "b"], *np.tile([[0], [1]], 128), is_client, [])
    scores = np.where(is_client, 1.0, 0.0)
    scores[[0, 1]] = 0.0, 1.0
    reader = opened(make_system(trials, scores))
    reader.press("eer")
    assert reader.in_table("eer_percent") == [(1.5625, "1.562 %")]
    assert reader.text("now-miss") == reader.text("now-false-alarm") == "1.562 %"


FOCUSABLE = "a[href], button, input, select, audio[controls], [tabindex='0']"


def test_tab_reaches_all_and_shows_where_it_is(whole):
    number = "return [...document.querySelectorAll(arguments[0])].indexOf(document.activeElement)"
    count = len(whole.driver.find_elements(By.CSS_SELECTOR, FOCUSABLE))
    body = whole.driver.find_element(By.TAG_NAME, "body")
    reached = set()
    # A player takes several presses.
    for _ in range(10 * count):
        webdriver.ActionChains(whole.driver).send_keys(Keys.TAB).perform()
        at = whole.driver.execute_script(number, FOCUSABLE)
        if at == -1 or at in reached and len(reached) == count:
            break
        focused = whole.driver.switch_to.active_element
        assert at in reached or focused == body or has_outline(whole, focused), at
        reached.add(at)
    assert reached == set(range(count))


def has_outline(reader, part):
    if part.tag_name == "audio":  # the browser's own, within it
        return True
    style = "const style = getComputedStyle(arguments[0]); return style.outlineStyle"
    return reader.driver.execute_script(style, part) != "none"


def test_everything_has_a_name(whole):
    unnamed = [
        part.get_attribute("outerHTML")
        for part in whole.driver.find_elements(By.CSS_SELECTOR, f"{FOCUSABLE}, img, svg")
        if not part.accessible_name
    ]
    assert unnamed == []
    output = whole.part("now")
    assert (output.tag_name, output.get_attribute("aria-live")) == ("output", "polite")


@pytest.mark.parametrize("width", [360, 1200])
def test_the_page_never_scrolls_sideways(whole, width):
    whole.set_width(width)
    # Without the vertical scroll bar.
    sizes = "const page = document.scrollingElement; return [page.scrollWidth, page.clientWidth]"
    needed, there = whole.driver.execute_script(sizes)
    assert needed == there and width - 20 < there <= width
    outside = """return [...document.querySelectorAll("body *")]
        .filter((part) => !part.closest(".scroll"))
        .filter((part) => part.getBoundingClientRect().right > arguments[0])
        .map((part) => part.outerHTML)"""
    assert whole.driver.execute_script(outside, there) == []


def test_no_request_and_no_complaint(whole):
    for name in ("slider", "prior"):
        whole.part(name).send_keys(Keys.ARROW_RIGHT)
    requests = [
        message["params"]["request"]["url"]
        for message in (
            json.loads(entry["message"])["message"] for entry in whole.logs("performance")
        )
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert {urlparse(url).scheme for url in requests} <= {"file", "data"}
    assert [url for url in requests if url.startswith("file:")] == [whole.driver.current_url]
    assert whole.logs("browser") == []


def test_audio_plays_or_says_that_it_is_not_there(opened, few, tmp_path):
    audio = {name: [tmp_path / "wav" / f"{name}.wav"] for name in NAMES[:3]}
    for (path,) in audio.values():
        write_voice(path, 100.0, seconds=0.2)
    reader = opened(few._replace(audio=audio))
    audio["bert/ü%"][0].unlink()
    players = reader.driver.find_elements(By.TAG_NAME, "audio")
    lost = [player for player in players if "bert" in player.get_attribute("src")]
    assert 0 < len(lost) < len(players)
    reader.driver.execute_script(
        "for (const player of arguments[0]) { player.preload = 'auto'; player.load(); }", players
    )
    kept = [player for player in players if player not in lost]
    reader.until(lambda: all(player.get_property("readyState") >= 1 for player in kept))
    assert all(abs(player.get_property("duration") - 0.2) < 1e-3 for player in kept)
    remark = "not reachable from here"
    reader.until(lambda: len(reader.driver.find_elements(By.TAG_NAME, "audio")) == len(kept))
    shown = reader.driver.find_elements(By.XPATH, f"//*[text()='{remark}']")
    assert len(shown) == len(lost)


def test_names_run_no_script(opened, tmp_path):
    evil = "<img src=x onerror=alert(1)></script><script>alert(1)</script>"
    trials = Trials([evil, "b"], np.array([0, 0]), np.array([1, 1]), np.array([True, False]), [])
    system = make_system(trials, np.array([0.9, 0.1]), name=evil, notes=[evil])
    reader = opened(system, system, details=[(evil, evil)])
    with pytest.raises(WebDriverException, match="no such alert"):
        _ = reader.driver.switch_to.alert
    assert Select(reader.part("system")).options[0].text == evil
    assert reader.logs("browser") == []
