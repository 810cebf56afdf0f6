import pytest
from exports import make_model_dir

from local.errors import InputError
from local.model_files import pretrained
from local.model_files.pretrained import load_given


def test_the_default_is_found_from_anywhere_and_a_given_one_from_here(monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(pretrained, "ROOT", tmp_path)
    with pytest.raises(InputError, match="there is no pretrained model here: give --model_dir"):
        load_given("pretrained", is_default=True)
    model_dir = make_model_dir(tmp_path / "pretrained")
    assert load_given("pretrained", is_default=True)["path"].parent == model_dir
    with pytest.raises(InputError, match="^pretrained: no trained model here"):
        load_given("pretrained", is_default=False)
