"""The page of recipes/try_voices.py in a headless Chromium that has a fake microphone."""

import io
import json
import runpy
from functools import partial
from urllib.parse import urlparse

import numpy as np
import pytest
import soundfile
from corpora import write_voice
from exports import ROOT, make_model_dir
from serving import serving

from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.pairs import compare, number_texts
from local.model_files.model_dir import load_model
from local.report.voices import log_mel_picture, page_files, score_picture

pytest.importorskip("selenium", reason="selenium is not installed")
from browser import CHROMEDRIVER, CHROMIUM, Reader, start_chromium
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER),
    reason="no Chromium here (on Debian: apt-get install chromium chromium-driver)",
)

EVIL = "<img src=x onerror=document.title=1>"
FOCUSABLE = "a[href], button, input, audio[controls]:not([hidden])"


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voices")
    write_voice(folder / "one.wav", 120, seconds=2.7)
    write_voice(folder / "two.wav", 190, seconds=2.2, seed=1)
    write_voice(folder / "microphone.wav", 150, seconds=20, sample_rate=48000, seed=2)
    return folder


@pytest.fixture(scope="module")
def chromium(voices):
    driver = start_chromium(
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={voices / 'microphone.wav'}",
    )
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def server():
    with serving(None, page_files("model_1.pt", "its calibration")) as server:
        yield server


@pytest.fixture(scope="module")
def found():
    """An answer with all that there can be in one."""
    pictures = [
        score_picture(0.75, 0.5),
        log_mel_picture("One", np.random.default_rng(0).random((200, 80)), 2.0),
    ]
    values = {"cosine": "0.7500", "LLR": "+2.00", "probability": "0.881", "threshold": "0.5000"}
    cautions = ["The first recording is clipped", EVIL]
    return {"says": "too close", "values": values, "cautions": cautions, "pictures": pictures}


@pytest.fixture
def reader(chromium, server, found):
    """At the width of a laptop, with the page open, whose server gives a made answer."""
    reader = Reader(chromium)
    reader.set_width(1200)
    reader.sent = []
    server.answer = lambda *recordings: reader.sent.append(recordings) or found
    reader.open_address(f"http://127.0.0.1:{server.server_port}/")
    return reader


def choose(reader, *paths):
    inputs = reader.driver.find_elements(By.TAG_NAME, "input")
    for field, path in zip(inputs, paths, strict=True):
        field.send_keys(str(path))


def ask(reader, *paths):
    """Compares two files, and waits for what is said."""
    choose(reader, *paths)
    reader.part("compare").click()
    reader.until(lambda: reader.text("problem") or tiles(reader))


def tiles(reader):
    """What is shown of the result: the name of each number -> its text."""
    shown = reader.part("result").find_elements(By.CLASS_NAME, "tile")
    return dict(tile.text.split("\n") for tile in shown)


def test_two_files_by_keyboard_alone(reader, server, voices, tmp_path):
    model = load_model(make_model_dir(tmp_path / "model"))
    server.answer = partial(
        runpy.run_path(str(ROOT / "recipes" / "try_voices.py"))["answer"], model, None, 0.5
    )
    paths = [str(voices / "one.wav"), str(voices / "two.wav")]
    choose(reader, *paths)
    reader.driver.execute_script("document.querySelector('input').focus()")
    focused = None
    while focused != reader.part("compare"):
        webdriver.ActionChains(reader.driver).send_keys(Keys.TAB).perform()
        focused = reader.driver.switch_to.active_element
        assert focused.tag_name != "body", "Compare can't be reached"
    focused.send_keys(Keys.ENTER)
    reader.until(lambda: tiles(reader))
    embedded = embed_recordings(model, paths, "cpu", Problems())
    (pair,) = compare(model, embedded, 0.5)["pairs"]
    expected = number_texts(pair) | {"threshold": "0.3750"}
    assert {name.lower(): value for name, value in tiles(reader).items()} == expected
    assert reader.text("result").splitlines()[0].lower() == pair["says"]
    images = reader.driver.find_elements(By.TAG_NAME, "img")
    reader.until(lambda: all(image.get_property("naturalWidth") for image in images))
    assert len(images) == 3 and all(image.accessible_name for image in images)


def test_what_the_microphone_hears_is_sent_as_wav(reader, voices):
    first, second = reader.driver.find_elements(By.CSS_SELECTOR, "fieldset")
    first.find_element(By.TAG_NAME, "input").send_keys(str(voices / "one.wav"))
    button = second.find_element(By.TAG_NAME, "button")
    remark = second.find_element(By.CLASS_NAME, "remark")
    button.send_keys(Keys.SPACE)
    reader.until(lambda: button.text == "Stop" and remark.text > "Recorded: 0.5")
    button.send_keys(Keys.SPACE)
    assert button.text == "Record"
    player = second.find_element(By.TAG_NAME, "audio")
    reader.until(lambda: player.get_property("readyState") >= 1)
    reader.part("compare").click()
    reader.until(lambda: tiles(reader))
    ((one, other),) = reader.sent
    assert one == (voices / "one.wav").read_bytes()
    samples, rate = soundfile.read(io.BytesIO(other))
    info = soundfile.info(io.BytesIO(other))
    assert (info.channels, info.format, info.subtype) == (1, "WAV", "PCM_16")
    shown = float(remark.text.removeprefix("Recorded: ").removesuffix(" s"))
    assert shown == pytest.approx(len(samples) / rate, abs=0.051)
    assert player.get_property("duration") == pytest.approx(len(samples) / rate, abs=0.01)
    assert 0.01 < samples.std() < 0.3


def test_one_recording_at_a_time(reader):
    buttons = reader.driver.find_elements(By.CSS_SELECTOR, "fieldset button")
    buttons[0].click()
    reader.until(lambda: buttons[0].text == "Stop")
    buttons[1].click()
    reader.until(lambda: [button.text for button in buttons] == ["Record", "Stop"])
    buttons[1].click()
    assert [button.text for button in buttons] == ["Record", "Record"]


def test_a_microphone_that_is_refused(reader):
    refuse = "navigator.mediaDevices.getUserMedia = () => Promise.reject(Error('Not allowed'))"
    reader.driver.execute_script(refuse)
    button = reader.driver.find_element(By.CSS_SELECTOR, "fieldset button")
    button.click()
    reader.until(lambda: reader.text("problem") == "The microphone can't be used: Not allowed")
    assert button.text == "Record"


def test_a_file_that_is_dropped(reader, voices):
    field = reader.driver.find_element(By.TAG_NAME, "input")
    place = field.rect
    where = {"x": place["x"] + place["width"] - 20, "y": place["y"] + 20}
    data = {"items": [], "files": [str(voices / "two.wav")], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        event = {"type": kind, "data": data} | where
        reader.driver.execute_cdp_cmd("Input.dispatchDragEvent", event)
    reader.until(lambda: field.get_property("value").endswith("two.wav"))
    assert reader.driver.find_element(By.TAG_NAME, "audio").is_displayed()


def test_problems_are_told_and_old_results_go(reader, server, voices):
    reader.part("compare").click()
    assert reader.text("problem") == "Give two recordings first."
    ask(reader, voices / "one.wav", voices / "two.wav")
    assert reader.text("problem") == "" and tiles(reader)
    reader.driver.find_element(By.TAG_NAME, "input").send_keys(str(voices / "two.wav"))
    assert not tiles(reader) and not reader.driver.find_elements(By.TAG_NAME, "img")

    def refuse(*recordings):
        raise InputError(EVIL)

    server.answer = refuse
    reader.part("compare").click()
    reader.until(lambda: reader.text("problem") == EVIL)
    assert not tiles(reader)
    assert reader.part("problem").get_attribute("role") == "alert"
    assert reader.part("result").get_attribute("aria-live") == "polite"


def test_a_server_that_does_not_answer(reader, voices):
    reader.driver.set_network_conditions(offline=True, latency=0, throughput=0)
    try:
        ask(reader, voices / "one.wav", voices / "two.wav")
    finally:
        reader.driver.delete_network_conditions()
    assert "does recipes/try_voices.py still run?" in reader.text("problem")


@pytest.fixture
def whole(reader, voices):
    ask(reader, voices / "one.wav", voices / "two.wav")
    return reader


def test_everything_has_a_name(whole):
    parts = whole.driver.find_elements(By.CSS_SELECTOR, f"{FOCUSABLE}, img, fieldset")
    assert len(parts) == 2 * 4 + 1 + 2
    assert [part.get_attribute("outerHTML") for part in parts if not part.accessible_name] == []


@pytest.mark.parametrize("width", [320, 1200])
def test_the_page_never_scrolls_sideways(whole, width):
    whole.set_width(width)
    sizes = "const page = document.scrollingElement; return [page.scrollWidth, page.clientWidth]"
    needed, there = whole.driver.execute_script(sizes)
    assert needed == there and width - 20 < there <= width
    buttons = whole.driver.find_elements(By.TAG_NAME, "button")
    assert min(button.rect["height"] for button in buttons) >= 44  # for thumbs


def test_no_request_elsewhere_no_script_and_no_complaint(whole, server):
    warnings = whole.driver.find_elements(By.CSS_SELECTOR, "#result .warning")
    assert warnings[1].text == EVIL and whole.driver.title == "Two voices"
    messages = [json.loads(entry["message"])["message"] for entry in whole.logs("performance")]
    addresses = [
        urlparse(message["params"]["request"]["url"])
        for message in messages
        if message["method"] == "Network.requestWillBeSent"
    ]
    own = f"127.0.0.1:{server.server_port}"
    assert {address.netloc for address in addresses if address.scheme == "http"} == {own}
    assert {address.scheme for address in addresses} <= {"http", "data", "blob"}
    assert whole.logs("browser") == []
