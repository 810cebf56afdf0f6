import pytest
from corpora import write_voice

from local.augmentation.picture import main
from local.errors import InputError


def test_a_picture_of_any_recording(tmp_path):
    for name, seconds, sample_rate in (("short", 0.05, 16000), ("other_rate", 3.0, 44100)):
        write_voice(tmp_path / f"{name}.wav", 150, seconds, sample_rate)
        main([str(tmp_path / f"{name}.wav"), str(tmp_path / f"{name}.png")])
        content = (tmp_path / f"{name}.png").read_bytes()
        assert content.startswith(b"\x89PNG") and len(content) < 200_000


def test_no_recording(tmp_path):
    with pytest.raises(InputError, match="nothing.wav"):
        main([str(tmp_path / "nothing.wav"), str(tmp_path / "a.png")])
