import random
import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from local.corpora import demo
from local.corpora.espeak import SAMPLE_RATE, EspeakVoice
from local.corpora.noise import NOISES, add_noise, rms
from local.corpora.sentences import unique_sentences
from local.corpora.synthetic import ACCENTS, VOICES, Settings, cast_speakers
from local.errors import InputError

VGG_YAML = Path(__file__).resolve().parents[2] / "hparams" / "vgg.yaml"
TINY = Settings(train_speakers=2, trial_speakers=2, utterances=3)
TINY_OPTIONS = ["--train_speakers", "2", "--trial_speakers", "2", "--utterances", "3"]


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def relative_contents(folder):
    return {path.relative_to(folder): data for path, data in contents(folder).items()}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    assert demo.make_corpus(folder, TINY)
    return folder


def read_lines(path):
    return [line.split() for line in path.read_text().splitlines()]


def test_labels_are_in_the_documented_format(corpus):
    lines = read_lines(corpus / "train_labels.txt")
    assert Counter(label for _, label, _ in lines) == {"0": 3, "1": 3}
    assert {end for *_, end in lines} == {"-1"}
    assert len({name for name, *_ in lines}) == 6
    assert all((corpus / "audio" / f"{name}.wav").is_file() for name, *_ in lines)


def test_trials_are_of_other_speakers(corpus):
    clients = read_lines(corpus / "valid_clients.txt")
    impostors = read_lines(corpus / "valid_impostors.txt")
    assert (len(clients), len(impostors)) == (6, 9)  # 2 x 3 pairs, and 3 x 3
    assert all(Path(enrol).parent == Path(test).parent for enrol, test in clients)
    assert all(Path(enrol).parent != Path(test).parent for enrol, test in impostors)
    heard = {name for pair in clients + impostors for name in pair}
    assert all((corpus / "audio" / f"{name}.wav").is_file() for name in heard)
    training = {Path(name).parent for name, *_ in read_lines(corpus / "train_labels.txt")}
    assert training.isdisjoint(Path(name).parent for name in heard)


def test_recordings_are_speech_of_the_length_and_level_promised(corpus):
    files = sorted(corpus.glob("audio/*/*.wav"))
    assert len(files) == 12
    for file in files:
        info = soundfile.info(file)
        samples, _ = soundfile.read(file)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 2.0 <= info.duration <= 8.0
        assert -32.1 <= 20 * np.log10(rms(samples)) <= -17.9
        assert np.abs(samples).max() < 0.995
        assert syllables_stand_out(samples)


def syllables_stand_out(samples):
    """Speech, even in noise, comes and goes: the loud moments are well above the faint ones."""
    moments = samples[: len(samples) // 800 * 800].reshape(-1, 800)
    power = np.sort((moments**2).mean(axis=1))
    tenth = len(power) // 10
    return power[-tenth:].mean() > 2 * power[:tenth].mean()


def test_same_bytes_for_the_same_seed_with_any_number_of_processes(corpus, tmp_path):
    demo.make_corpus(tmp_path / "again", TINY, workers=2)
    assert relative_contents(tmp_path / "again") == relative_contents(corpus)


def test_other_bytes_for_another_seed(corpus, tmp_path):
    options = [str(tmp_path / "other"), *TINY_OPTIONS, "--seed", "1", "--workers", "1"]
    assert demo.main(options) == 0
    ours, others = relative_contents(corpus), relative_contents(tmp_path / "other")
    assert set(ours.values()).isdisjoint(others.values())


def test_second_call_does_nothing(corpus, capsys):
    before = contents(corpus)
    (corpus / "audio" / "mine").touch()  # would be gone if the corpus were made again
    assert demo.main([str(corpus), *TINY_OPTIONS]) == 0
    assert "already there" in capsys.readouterr().out
    (corpus / "audio" / "mine").unlink()
    assert contents(corpus) == before


def test_corpus_of_other_settings_is_replaced(tmp_path):
    options = [str(tmp_path / "corpus"), *TINY_OPTIONS, "--workers", "1"]
    assert demo.main(options) == 0
    assert demo.main([*options, "--utterances", "2"]) == 0
    assert len(list(tmp_path.glob("corpus/audio/*/*.wav"))) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_interrupted_corpus_leaves_nothing(tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "write_lists", stop)
    with pytest.raises(KeyboardInterrupt):
        demo.make_corpus(tmp_path / "corpus", TINY)
    assert list(tmp_path.iterdir()) == []


def test_another_process_may_be_faster(corpus, tmp_path, monkeypatch):
    write_lists = demo.write_lists

    def finish_elsewhere_first(*arguments):
        shutil.copytree(corpus, tmp_path / "corpus")
        (tmp_path / "corpus" / "mine").touch()
        write_lists(*arguments)

    monkeypatch.setattr(demo, "write_lists", finish_elsewhere_first)
    assert not demo.make_corpus(tmp_path / "corpus", TINY)
    assert (tmp_path / "corpus" / "mine").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """The commands that are started in place of making a corpus, in an empty folder."""
    commands = []

    def start(command, **_):
        commands.append(command[1:])
        return SimpleNamespace(returncode=len(commands) - 1, stderr=b"no espeak-ng\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo.subprocess, "run", start)
    return commands


def test_missing_corpus_of_the_default_settings_is_made(commands, capsys):
    settings = YAML(typ="safe").load(re.sub("!.*", "", VGG_YAML.read_text()))
    demo.make_if_missing(settings)
    assert commands == [[demo.__file__, Path("data/demo")]]
    assert "data/demo is missing: making the demo corpus" in capsys.readouterr().out
    with pytest.raises(InputError, match="^no espeak-ng$"):
        demo.make_if_missing(settings)


def test_no_corpus_is_made_for_other_settings_or_where_something_is(commands):
    for name in demo.DEFAULT_SETTINGS:
        demo.make_if_missing(demo.DEFAULT_SETTINGS | {name: "elsewhere"})
    Path("data/demo/audio").mkdir(parents=True)
    demo.make_if_missing(demo.DEFAULT_SETTINGS)
    assert commands == []


def test_folder_with_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("all my work")
    assert demo.main([str(tmp_path), *TINY_OPTIONS]) == 1
    message = f"{tmp_path} holds something else than a demo corpus; name a new folder\n"
    assert capsys.readouterr().err == message
    assert (tmp_path / "thesis.txt").read_text() == "all my work"


def test_place_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert demo.main([str(tmp_path / "file" / "corpus"), *TINY_OPTIONS]) == 1
    assert "the demo corpus can't be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, message",
    [
        (["--train_speakers", "70"], "86 speakers asked for, but there are "),
        (["--trial_speakers", "1"], "--trial_speakers 1: the smallest is 2"),
        (["--utterances", "1"], "--utterances 1: the smallest is 2"),
        (["--trials", "0"], "--trials 0: the smallest is 1"),
    ],
)
def test_settings_that_cannot_be_met(tmp_path, capsys, options, message):
    assert demo.main([str(tmp_path / "corpus"), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "corpus").exists()


def test_missing_espeak_is_explained(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    assert demo.main([str(tmp_path / "corpus"), *TINY_OPTIONS]) == 1
    assert "python -m pip install espeakng-loader" in capsys.readouterr().err


def test_enough_voices_that_all_sound_different(tmp_path):
    default = Settings()
    assert default.train_speakers >= 48 and default.trial_speakers >= 16
    assert default.train_speakers + default.trial_speakers <= len(VOICES)
    sounds = [speak(tmp_path, "en-us", voice) for voice in VOICES]
    assert all(rms(sound / 32768) > 0.005 and np.abs(sound).max() < 32700 for sound in sounds)
    assert len({sound.tobytes() for sound in sounds}) == len(VOICES)


def test_accents_sound_different(tmp_path):
    assert len({speak(tmp_path, accent, "f1").tobytes() for accent in ACCENTS}) == len(ACCENTS)


def speak(folder, accent, variant):
    sound = EspeakVoice(accent, variant, folder, 0).speak("Father has had his bath.", 50, 170)
    return sound.astype(np.float64)


def test_speech_does_not_depend_on_what_was_spoken_before(tmp_path):
    alone = EspeakVoice("en", "f2", tmp_path, 0).speak("Are you there?", 50, 170)
    EspeakVoice("en-us", "whisper", tmp_path, 1).speak("Something else.", 50, 170)
    again = EspeakVoice("en", "f2", tmp_path, 0).speak("Are you there?", 50, 170)
    np.testing.assert_array_equal(alone, again)


def test_rate_and_pitch_change_the_speech(tmp_path):
    voice = EspeakVoice("en", "klatt", tmp_path, 0)
    slow = voice.speak("Are you there, my dear?", 50, 120)
    fast = voice.speak("Are you there, my dear?", 50, 240)
    assert len(slow) > 1.3 * len(fast) > 0.3 * SAMPLE_RATE
    low, high = (voice.speak("Are you there?", pitch, 170) for pitch in (20, 80))
    assert median_pitch(high) > 1.2 * median_pitch(low)


def median_pitch(samples):
    """Median over frames of the lag, in hertz, at which the autocorrelation is highest."""
    frames = np.lib.stride_tricks.sliding_window_view(samples / 32768, 1024)[::256]
    loud = frames[rms_of_rows(frames) > 0.5 * rms_of_rows(frames).max()]
    shortest, longest = SAMPLE_RATE // 400, SAMPLE_RATE // 50
    lags = [
        shortest + np.argmax(np.correlate(frame, frame, "full")[1023:][shortest:longest])
        for frame in loud
    ]
    return SAMPLE_RATE / np.median(lags)


def rms_of_rows(rows):
    return np.sqrt((rows**2).mean(axis=1))


@pytest.mark.parametrize(
    "accent, variant, message",
    [("en-us", "nobody", "no voice variant 'nobody'"), ("xx-yy", "f1", "no voice 'xx-yy\\+f1'")],
)
def test_unknown_voice_is_refused(tmp_path, accent, variant, message):
    with pytest.raises(InputError, match=message):
        EspeakVoice(accent, variant, tmp_path, 0)


def test_espeak_data_may_lie_deep(tmp_path):
    """espeak-ng cuts paths of more than 160 characters; the installed package may lie deeper."""
    import espeakng_loader

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (deep / "espeak-ng-data").symlink_to(espeakng_loader.get_data_path())
    assert len(speak_with_data(deep / "espeak-ng-data", tmp_path)) > SAMPLE_RATE // 2


def speak_with_data(data_path, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("espeakng_loader.get_data_path", lambda: str(data_path))
        return EspeakVoice("en", "f1", folder, 0).speak("Good morning.", 50, 170)


def test_no_sentence_twice_and_no_voice_twice():
    speakers = cast_speakers(Settings())
    sentences = [sentence for speaker in speakers for sentence in speaker.sentences]
    assert len(set(sentences)) == len(sentences) == 64 * 12
    assert len({speaker.voice for speaker in speakers}) == 64


def test_sentences_read_well():
    for sentence in unique_sentences(200, random.Random(1)):
        assert sentence.startswith("The ") and sentence.endswith(".")
        assert "  " not in sentence and "\n" not in sentence
        assert 10 <= len(sentence.split()) <= 22


@given(
    snr_db=st.floats(-10, 60),
    kind=st.sampled_from(sorted(NOISES)),
    length=st.integers(400, 5000),
    seed=st.integers(0, 100),
)
def test_noise_has_the_ratio_asked_for(snr_db, kind, length, seed):
    rng = np.random.default_rng(seed)
    speech = rng.uniform(-0.1, 0.1, length)
    noisy = add_noise(speech, snr_db, kind, 16000, rng)
    assert len(noisy) == length
    assert 20 * np.log10(rms(speech) / rms(noisy - speech)) == pytest.approx(snr_db, abs=1e-6)


def test_kinds_of_noise_have_their_spectra():
    speech = np.ones(32000)
    power = {}
    for kind in NOISES:
        noise = add_noise(speech, 0.0, kind, 16000, np.random.default_rng(0)) - speech
        power[kind] = np.abs(np.fft.rfft(noise)) ** 2  # bins of half a hertz
    octaves = {
        kind: bins[4000:8000].mean() / bins[2000:4000].mean() for kind, bins in power.items()
    }
    assert octaves["white"] == pytest.approx(1.0, rel=0.1)
    assert octaves["pink"] == pytest.approx(0.5, rel=0.1)
    assert octaves["babble"] == pytest.approx(0.5, rel=0.1)
    assert np.argmax(power["hum"]) in (100, 120)
