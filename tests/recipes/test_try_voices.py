"""recipes/try_voices.py: what its page answers, to whom, and to what bad recordings."""

import contextlib
import http.client
import io
import json
import os
import runpy
import shutil
import signal
import socket
import tempfile
import threading
import time
from functools import partial
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import write_voice
from exports import ROOT, make_model_dir
from serving import serving
from steered import free_port

from local.embeddings.recordings import embed_recordings
from local.errors import InputError, Problems
from local.evaluation.calibration import Calibration
from local.evaluation.decision import of_calibration, write_decision
from local.evaluation.pairs import compare, number_texts
from local.lists.trials import Trials
from local.model_files.model_dir import load_model
from local.report import page_server
from local.report.voices import page_files
from local.scoring.score_files import write_scores

SCRIPT = runpy.run_path(str(ROOT / "recipes" / "try_voices.py"))
WAV_BYTES = 44


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    folder = make_model_dir(tmp_path_factory.mktemp("made") / "model")
    calibration = Calibration({"score": 7.5}, -6.75, 0.5, (), {"num_trials": 90})
    write_decision(load_model(folder), of_calibration(calibration))
    return folder


@pytest.fixture(scope="module")
def model(model_dir):
    return load_model(model_dir)


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """The paths of two recordings of other rates and formats."""
    folder = tmp_path_factory.mktemp("voices")
    write_voice(folder / "one.wav", 120, seconds=2.7)
    write_voice(folder / "another.wav", 190, seconds=2.2, sample_rate=44100, seed=1)
    soundfile.write(folder / "two.ogg", *soundfile.read(folder / "another.wav"))
    return folder / "one.wav", folder / "two.ogg"


@pytest.fixture(scope="module")
def server(model):
    answer = partial(SCRIPT["answer"], model, None, 0.5)
    with serving(answer, page_files("<b>model</b>", "its calibration")) as server:
        yield server


def ask(server, method="POST", path="/compare", body=b"", host=None, **headers):
    """The status, the headers and the content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    host = host or f"127.0.0.1:{server.server_port}"
    headers = {"Host": host, "Origin": f"http://{host}"} | headers
    headers = {
        name.replace("_", "-"): value for name, value in headers.items() if value is not None
    }
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


def post(server, one, another, **headers):
    """The status of a comparison, and what it found."""
    status, _, content = ask(server, body=one + another, First_Bytes=str(len(one)), **headers)
    return status, json.loads(content)


def wav_bytes(samples, sample_rate=16000):
    file = io.BytesIO()
    soundfile.write(file, samples, sample_rate, format="WAV", subtype="PCM_16")
    return file.getvalue()


def test_it_says_what_compare_says(server, model, voices):
    problems = Problems()
    embedded = embed_recordings(model, list(map(str, voices)), "cpu", problems)
    results = compare(model, embedded, 0.5)
    status, found = post(server, *(path.read_bytes() for path in voices))
    (pair,) = results["pairs"]
    assert status == 200 and found["says"] == pair["says"]
    assert found["values"] == number_texts(pair) | {"threshold": "0.9000"}
    assert "LLR" in found["values"] and found["cautions"] == []
    headings = [picture["heading"] for picture in found["pictures"]]
    assert headings == ["Score", "The first recording", "The second recording"]
    assert "above the threshold" in found["pictures"][0]["alt"] or not pair["is_same"]
    assert found["pictures"][1]["alt"] == "Log-mel energies over 2.7 seconds"


def test_cautions_name_the_recording(server, voices):
    samples, rate = soundfile.read(voices[0])
    _, found = post(server, wav_bytes(samples), wav_bytes(40 * samples[: rate // 2]))
    assert all(text.startswith("The second recording ") for text in found["cautions"])
    assert "clipped" in found["cautions"][0] and "s of speech" in found["cautions"][1]


SILENCE = wav_bytes(np.zeros(16000))


@pytest.mark.parametrize(
    "one, another, message",
    [
        ("voice", b"<html>no audio</html>", "^The second recording can't be read as audio"),
        (b"RIFF", "voice", "^The first recording can't be read as audio"),
        ("voice", SILENCE, "^The second recording: is digital silence"),
        ("voice", SILENCE[:WAV_BYTES], "^The second recording "),
        ("voice", b"", "two recordings are needed, and one is missing"),
        (b"", "voice", "two recordings are needed, and one is missing"),
        (b"", b"", "two recordings are needed"),
    ],
)
def test_bad_recordings_are_named(server, voices, one, another, message):
    voice = voices[0].read_bytes()
    recordings = (voice if each == "voice" else each for each in (one, another))
    status, found = post(server, *recordings)
    assert status == 400 and list(found) == ["problem"]
    assert tempfile.gettempdir() not in found["problem"]
    with pytest.raises(InputError, match=message):
        raise InputError(found["problem"])


def test_long_and_large_ones_are_refused(server, voices, monkeypatch):
    voice = voices[0].read_bytes()
    hours = wav_bytes(np.zeros(301 * 1000), sample_rate=1000)
    assert post(server, voice, hours) == (
        400,
        {"problem": "The second recording has more than 300 s: cut out a part"},
    )
    monkeypatch.setattr(page_server, "MAX_BYTES", 2**20)
    for sizes in ((2**20 + 1, 9), (9, 2**20 + 1), (5 * 2**20, 5 * 2**20)):
        status, found = post(server, *map(bytes, sizes))
        assert (status, found) == (
            400,
            {"problem": "a recording has more than 1 MB: cut out a part"},
        )


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "1:2"]
)
def test_other_names_of_this_machine_get_nothing(server, voices, host):
    voice = voices[0].read_bytes()
    assert ask(server, "GET", "/", host=host)[0] == 403
    assert ask(server, body=2 * voice, First_Bytes=str(len(voice)), host=host)[0] == 403


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://127.0.0.1:1"])
def test_other_pages_may_not_ask(server, voices, origin):
    voice = voices[0].read_bytes()
    headers = {"First_Bytes": str(len(voice)), "Origin": origin}
    assert ask(server, body=2 * voice, **headers)[0] == 403
    port = server.server_port
    assert ask(server, "GET", "/", host=f"localhost:{port}", Origin=origin)[0] == 200


@pytest.mark.parametrize(
    "path, headers",
    [
        ("/", {}),
        ("/compare", {"First_Bytes": None}),
        ("/compare", {"First_Bytes": "-1"}),
        ("/compare", {"First_Bytes": "²"}),
        ("/compare", {"Content_Length": "many"}),
        ("/compare", {"Content_Length": "1" * 99}),
    ],
)
def test_other_requests_than_those_of_the_page(server, path, headers):
    headers = {"First_Bytes": "2", "Content_Length": "4"} | headers
    with contextlib.suppress(UnicodeEncodeError):
        status, _, content = ask(server, path=path, body=b"abcd", **headers)
        assert (status, json.loads(content)) == (400, {"problem": "this is no request of the page"})


def test_files(server):
    status, headers, page = ask(server, "GET", "/", Origin=None)
    assert status == 200 and b"&lt;b&gt;model&lt;/b&gt;" in page and b"<b>" not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    for path in ("/voices.js", "/tape.js", "/voices.css"):
        status, headers, _ = ask(server, "GET", path)
        assert status == 200 and headers["X-Content-Type-Options"] == "nosniff"
    for path in ("/voices.html", "/../report.css", "/etc/passwd", "/%2e", "/compare"):
        assert ask(server, "GET", path)[0] == 404


def test_nothing_is_kept(server, voices, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    voice = voices[0].read_bytes()
    assert post(server, voice, voices[1].read_bytes())[0] == 200
    assert post(server, voice, b"no audio")[0] == 400
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_get_each_their_answer():
    busy = threading.Lock()

    def answer(one, another):
        assert busy.acquire(blocking=False), "two at a time"
        time.sleep(0.01)
        busy.release()
        if b"1" in one:
            raise InputError(one.decode())
        return {"one": one.decode(), "another": another.decode()}

    with serving(answer) as server, ThreadPool(8) as pool:
        found = pool.map(lambda n: post(server, b"%d" % n, b"%d" % -n), range(24))
    for number, each in enumerate(found):
        one, another = str(number), str(-number)
        problem = 400, {"problem": one}
        assert each == (problem if "1" in one else (200, {"one": one, "another": another}))


def test_somebody_who_sends_nothing_holds_nobody_up(server, voices, capsys):
    with socket.create_connection(("127.0.0.1", server.server_port)) as silent:
        own = f"127.0.0.1:{server.server_port}"
        silent.sendall(
            f"POST /compare HTTP/1.0\r\nHost: {own}\r\nOrigin: http://{own}\r\n".encode()
        )
        silent.sendall(b"First-Bytes: 3\r\nContent-Length: 6\r\n\r\nabc")
        assert post(server, voices[0].read_bytes(), b"no audio")[0] == 400
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error, is_told",
    [(BrokenPipeError(), False), (TimeoutError(), False), (ZeroDivisionError(), True)],
)
def test_browsers_that_go_away_are_no_mistake(server, capsys, error, is_told):
    try:
        raise error
    except type(error):
        server.handle_error(None, ("127.0.0.1", 1))
    assert (type(error).__name__ in capsys.readouterr().err) == is_told


def test_scores_are_those_of_these_weights_and_plain_cosines(model, tmp_path):
    weights = Path(shutil.copy(model["path"], tmp_path))
    folder = tmp_path / "verification"
    trials_of = SCRIPT["verification_trials"]
    assert trials_of(weights) is None
    folder.mkdir()
    sides = np.array([0, 0]), np.array([1, 2])
    trials = Trials(["a/1", "a/2", "b/1"], *sides, np.array([True, False]), [])
    write_scores(folder / "scores.txt", trials, [0.75, 0.5])
    scores, is_client = trials_of(weights)
    assert scores.tolist() == [0.75, 0.5] and is_client.tolist() == [True, False]
    answer = SCRIPT["answer"](model, (scores, is_client), 0.5, *2 * [wav_bytes(speech())])
    assert "among those of clients and impostors" in answer["pictures"][0]["alt"]
    (folder / "cohort.csv").touch()
    assert trials_of(weights) is None
    (folder / "cohort.csv").unlink()
    os.utime(folder / "scores.txt", (1, 1))
    assert trials_of(weights) is None


def speech():
    return 0.1 * np.random.default_rng(0).standard_normal(40000)


def test_a_model_without_a_threshold(tmp_path):
    model = load_model(make_model_dir(tmp_path / "model"))
    model["threshold"] = None
    found = SCRIPT["answer"](model, None, 0.5, *2 * [wav_bytes(speech())])
    assert found["says"] == "no decision" and found["values"] == {"cosine": "1.0000"}
    assert found["pictures"][0]["alt"] == "The score of 1.000"


def test_a_port_that_is_taken(model_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"^port {port}: Address already in use: give another"):
            SCRIPT["main"](["--model_dir", str(model_dir), "--port", str(port)])


@pytest.fixture
def heeds_ctrl_c():
    """Tests that run in the background of a shell ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_is_its_end(model_dir, capsys, heeds_ctrl_c):
    port = free_port()

    def stop():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    SCRIPT["main"](["--model_dir", str(model_dir), "--port", str(port)])
    thread.join()
    assert f"http://127.0.0.1:{port}/ is the page" in capsys.readouterr().out
