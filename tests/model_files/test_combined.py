"""An ensemble of trained models, which other scripts take as one."""

import pytest
import torch
from exports import make_model_dir
from runs import run_apart

from local.errors import InputError
from local.model_files.combined import combine
from local.model_files.model_dir import load_model


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return [make_model_dir(folder / name, front_end=name) for name in ("vgg", "repvgg")]


@torch.no_grad()
def embeddings(folder, waveforms, lengths):
    model = load_model(folder)
    return model["extractor"].eval()(*model["features"](waveforms, lengths))


def test_an_embedding_is_that_of_each_member_at_unit_length(members, tmp_path):
    combine(members, tmp_path / "both")
    recordings = torch.randint(-3000, 3000, (2, 9000)), torch.tensor([9000, 5000])
    each = [embeddings(folder, *recordings) for folder in members]
    expected = torch.cat([torch.nn.functional.normalize(one) for one in each], dim=1)
    assert torch.allclose(embeddings(tmp_path / "both", *recordings), expected, atol=1e-6)


def test_the_same_models_make_the_same_ensemble_which_can_be_a_member(members, tmp_path):
    for folder in tmp_path / "one", tmp_path / "another":
        combine(members, folder)
    one, another = (load_model(tmp_path / name) for name in ("one", "another"))
    assert one["digest"] == another["digest"]
    assert one["step"] == 70 and one["threshold"] is None
    combine([tmp_path / "one", members[0]], tmp_path / "nested")
    nested = load_model(tmp_path / "nested")["extractor"]
    assert len(nested.members) == 2
    nested.stop_at("linear")
    assert nested(torch.randn(1, 50, 40)).shape == (1, 3 * 8)


def test_what_cannot_be_combined(members, tmp_path):
    vgg, repvgg = members
    other = make_model_dir(tmp_path / "other", num_mels=30, max_masked_mels=5)
    for given, message in (
        ([vgg], "an ensemble is of at least two models"),
        ([vgg, repvgg, vgg], f"{vgg}: is the same model as {vgg}"),
        ([vgg, other], f"{other}: its features are not those of {vgg}, .*num_mels 40 there, 30"),
        ([vgg, tmp_path], f"{tmp_path}: no trained model here"),
    ):
        with pytest.raises(InputError, match=message):
            combine(given, tmp_path / "both")
        assert not (tmp_path / "both").exists()


def test_the_script_runs_from_elsewhere_and_replaces_nothing(members, tmp_path):
    arguments = [*members, "--out_dir", "both"]
    code, printed = run_apart("combine_models.py", arguments, tmp_path)
    assert code == 0 and "--model_dir both --keep_calibration True" in printed
    code, printed = run_apart("combine_models.py", arguments, tmp_path)
    assert code == 1 and "both: exists already" in printed and "Traceback" not in printed
