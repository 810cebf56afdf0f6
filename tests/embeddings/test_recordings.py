import numpy as np
import pytest
from corpora import write_coloured_noise
from exports import make_model_dir, own_embeddings

from local.embeddings.recordings import EmbeddedRecordings, embed_named
from local.errors import InputError, Problems
from local.lists.file_lists import Recordings
from local.model_files.model_dir import load_model


def test_what_lists_name_is_known_by_its_id(tmp_path):
    model_dir, audio = make_model_dir(tmp_path / "model", width=8), tmp_path / "audio"
    audio.mkdir()
    files = [audio / f"u.{number}.wav" for number in range(3)]
    for seed, path in enumerate(files):
        write_coloured_noise(path, seed, seconds=2.5 - seed)
    ids, names = ["anna", "nobody", "boris", "again"], ["u.0", "u.9", str(files[2]), "./u.0"]
    recordings = Recordings(ids, names, [(name, None) for name in names])
    problems = Problems()
    embedded = embed_named(load_model(model_dir), recordings, audio, "cpu", problems)
    assert embedded.names == ["anna", "boris"]
    expected = own_embeddings(model_dir, [files[0], files[2]]).numpy()
    np.testing.assert_allclose(embedded.embeddings, expected, atol=1e-4)
    assert embedded.caution_lines() == [
        f"Caution: boris has {embedded.seconds[1]:.2f} s of speech: with less than 2 s, scores are "
        "much less sure"
    ]
    with pytest.raises(InputError, match="there is no audio file .*u.9") as raised:
        problems.raise_if_any()
    raised.match("u.0: is given twice")


def test_of_many_cautions_some_are_shown():
    names = [f"u{number}" for number in range(12)]
    embedded = EmbeddedRecordings(names, None, None, [["is clipped"]] * 12)
    lines = embedded.caution_lines()
    assert lines[0] == "Caution: u0 is clipped" and len(lines) == 11
    assert lines[-1] == "... and 2 more such cautions"
