"""Folders of noise and of impulse responses, with all that can be in them."""

import logging

import numpy as np
import pytest
import soundfile
from corpora import write_corpus

from local.augmentation.banks import find_kinds, folder_bank, folder_responses, speech_bank
from local.augmentation.made import KEPT_LEVEL
from local.data.manifests import prepare_training
from local.errors import InputError


def rng(seed=0):
    return np.random.default_rng(seed)


def write_noise(path, seconds=1.0, sample_rate=16000, num_channels=1, level=0.1, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = (int(seconds * sample_rate), num_channels)
    soundfile.write(path, level * rng(seed).standard_normal(shape), sample_rate)


def level_of(samples):
    return np.sqrt(np.mean(np.square(samples, dtype=np.float64)))


def test_pieces_have_one_level_and_fill_the_minutes(tmp_path):
    for number in range(6):
        write_noise(tmp_path / f"{number}.wav", 12.0, level=0.001 * 4**number, seed=number)
    bank = folder_bank(tmp_path, minutes=0.4, sample_rate=16000, rng=rng())
    assert bank.dtype == np.int16 and len(bank) == 5 * 5 * 16000  # until 24 s are there
    for piece in np.split(bank, 5):
        assert level_of(piece) == pytest.approx(KEPT_LEVEL, rel=0.01)
    assert np.array_equal(bank, folder_bank(tmp_path, 0.4, 16000, rng()))
    assert not np.array_equal(bank, folder_bank(tmp_path, 0.4, 16000, rng(1)))
    assert len(folder_bank(tmp_path, 1.2, 16000, rng())) == 6 * 12 * 16000  # all there is


def test_other_rates_and_channels_are_read_and_the_rest_left_out_with_a_warning(tmp_path, caplog):
    write_noise(tmp_path / "deep" / "stereo.flac", 1.0, 48000, num_channels=2)
    write_noise(tmp_path / "mono.wav", 0.5, 8000)
    write_noise(tmp_path / "silent.wav", level=0.0)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no audio at all")
    (tmp_path / "notes.txt").write_text("not even called audio")
    with caplog.at_level(logging.WARNING):
        bank = folder_bank(tmp_path, 1.0, 16000, rng())
    assert len(bank) == 24000 and level_of(bank) == pytest.approx(KEPT_LEVEL, rel=0.01)
    assert f"{tmp_path}: 3 recordings are left out: " in caplog.text


@pytest.mark.parametrize("read", [folder_bank, folder_responses])
def test_a_folder_without_anything_to_use(tmp_path, read):
    def call(folder):
        sizes = (1.0,) if read is folder_bank else (5, 0.5)
        return read(folder, *sizes, 16000, rng())

    with pytest.raises(InputError, match=r"has no audio \(.wav .flac"):
        call(tmp_path)
    (tmp_path / "text.wav").write_text("no audio at all")
    with pytest.raises(InputError, match=r"nothing that can be used: .*text.wav can't be read"):
        call(tmp_path)


def test_kinds_of_noise(tmp_path):
    with pytest.raises(InputError, match="noise_dir: .*none is not a folder"):
        find_kinds(tmp_path / "none")
    with pytest.raises(InputError, match="rir_dir: .*none is not a folder"):
        folder_responses(tmp_path / "none", 5, 0.5, 16000, rng())
    assert find_kinds(tmp_path) == {"noise": tmp_path}
    for name in ("speech", "music", "other"):
        (tmp_path / name).mkdir()
    assert find_kinds(tmp_path) == {
        "music": str(tmp_path / "music"),
        "babble": str(tmp_path / "speech"),
    }


def test_speech_is_of_the_training_utterances(tmp_path):
    settings = write_corpus(tmp_path)
    manifest = prepare_training(
        settings["train_labels_path"], settings["train_data_dir"], tmp_path / "train.csv"
    )
    bank = speech_bank(manifest.path, 1.0, 16000, rng())
    assert len(bank) == pytest.approx(16000 * manifest.seconds, abs=8)
    assert level_of(bank) == pytest.approx(KEPT_LEVEL, rel=0.01)
    assert len(speech_bank(manifest.path, 0.05, 16000, rng())) < 5 * 16000


@pytest.mark.parametrize("given", [".", "musan"])
def test_musan_as_it_unpacks(tmp_path, given):
    """Each recording is of its own level, by which it is known again."""
    folders = {"noise": "free-sound", "music": "fma", "speech": "librivox"}
    for number, (kind, source) in enumerate(folders.items()):
        path = tmp_path / "musan" / kind / source / f"{kind}-{source}-0000.wav"
        write_noise(path, 1.0 + number)
        (path.parent / "ANNOTATIONS").write_text("music-fma-0000 hiphop N artist\n")
        (path.parents[1] / "README").write_text("about\n")
    kinds = find_kinds(str(tmp_path / given))
    seconds = {
        kind: len(folder_bank(path, 1, 16000, rng())) / 16000 for kind, path in kinds.items()
    }
    assert seconds == {"noise": 1, "music": 2, "babble": 3}


# As they are called in RIRS_NOISES, which has lists beside them.
RESPONSE_FILES = [
    *(
        f"simulated_rirs/{size}room/Room001/Room001-0000{n}.wav"
        for size in "small large".split()
        for n in (1, 2)
    ),
    "real_rirs_isotropic_noises/air_type1_air_binaural_aula_carolina_0_1_3.wav",
    "real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_near_angla.wav",
    "real_rirs_isotropic_noises/RWCP_type4_rir_p50r.wav",
]
NOISE_FILES = [
    "pointsource_noises/noise-free-sound-0000.wav",
    "pointsource_noises/noise-sound-bible-0000.wav",
    "real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
    "real_rirs_isotropic_noises/RWCP_type5_noise_cirline_ofc.wav",
]


@pytest.fixture
def rirs_noises(tmp_path):
    folder = tmp_path / "RIRS_NOISES"
    for name in RESPONSE_FILES:
        write_response(folder / name, [[0.0] * 8, [0.5] * 8, [0.25] * 8])
    for number, name in enumerate(NOISE_FILES):
        write_noise(folder / name, 1.0, num_channels=1 + number, seed=number)
    for place in {(folder / name).parent for name in RESPONSE_FILES + NOISE_FILES}:
        (place / "rir_list").write_text("--rir-id 1 --room-id Room001 RIRS_NOISES/a.wav\n")
    return folder


def test_rirs_noises_are_impulse_responses_and_noise(rirs_noises, caplog):
    caplog.set_level(logging.INFO)
    responses = folder_responses(rirs_noises, 99, 0.1, 16000, rng())
    assert responses[:, :3].tolist() == [[1.0, 0.5, 0.0]] * len(RESPONSE_FILES)
    assert "4 files are noise by their names" in caplog.text and "point" in caplog.text
    assert len(folder_bank(rirs_noises, 1.0, 16000, rng())) == 16000 * len(NOISE_FILES)
    assert "7 files are impulse responses by their names" in caplog.text


@pytest.mark.parametrize(
    "read, place, message",
    [
        (
            folder_responses,
            "pointsource_noises",
            "2 files are noise by their names .*there are no im",
        ),
        (
            folder_bank,
            "simulated_rirs",
            "4 files are impulse responses by .*, and there are no noi",
        ),
    ],
)
def test_the_wrong_part_of_rirs_noises(rirs_noises, read, place, message):
    sizes = (1.0,) if read is folder_bank else (5, 0.5)
    with pytest.raises(InputError, match=f"{place}: {message}"):
        read(rirs_noises / place, *sizes, 16000, rng())


def test_the_first_of_several_microphones(tmp_path):
    """Their mean would have each direct path, at half the level."""
    write_response(tmp_path / "array.wav", [[0.5, 0], [0.25, 0], [0, 4.0], [0, 2.0]])
    (response,) = folder_responses(tmp_path, 1, 0.1, 16000, rng())
    assert response[:4].tolist() == [1.0, 0.5, 0.0, 0.0]


def write_response(path, samples, sample_rate=16000):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.array(samples), sample_rate, subtype="FLOAT")


def test_responses_begin_with_their_direct_path(tmp_path):
    write_response(tmp_path / "a.wav", [0.0, 0.01, -0.5, 0.25, 0.0, 0.125])
    write_response(tmp_path / "b.wav", [0.5])
    write_response(tmp_path / "long.wav", np.full(20_000, 0.3))
    write_response(tmp_path / "silent.wav", np.zeros(100))
    responses = folder_responses(tmp_path, 10, 0.5, 16000, rng())
    assert responses.shape == (3, 8000) and responses.dtype == np.float32
    assert (responses[:, 0] == 1).all()
    by_energy = sorted(responses.tolist(), key=lambda row: sum(map(abs, row)))
    assert by_energy[0][:2] == [1.0, 0.0]
    assert by_energy[1][:5] == pytest.approx([1.0, -0.5, 0.0, -0.25, 0.0], abs=1e-3)
    assert by_energy[2] == [1.0] * 8000
    assert len(folder_responses(tmp_path, 2, 0.5, 16000, rng())) <= 2


def test_responses_at_another_rate_in_stereo(tmp_path):
    stereo = np.zeros((4800, 2))
    stereo[480] = 0.8
    stereo[960] = 0.4
    write_response(tmp_path / "a.wav", stereo, 48000)
    (response,) = folder_responses(tmp_path, 1, 0.1, 16000, rng())
    assert response.argmax() == 0 and response[5:].argmax() == 155
    assert response[160] == pytest.approx(0.5, abs=0.01)
