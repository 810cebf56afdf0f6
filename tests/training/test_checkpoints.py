import random

import numpy as np
import pytest
import torch

from local.errors import InputError
from local.training.checkpoints import TrainingData, WholeCheckpointer
from local.training.random_states import RandomStates


def test_random_states_come_back(tmp_path):
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item(), torch.randn(3).tolist()

    checkpointer = WholeCheckpointer(tmp_path, {"random_states": RandomStates()})
    checkpointer.save_checkpoint()
    expected = draw()
    assert draw() != expected
    checkpointer.recover_if_possible()
    assert draw() == expected


def test_random_state_of_a_gpu_is_asked_for_where_it_is_used(tmp_path, monkeypatch):
    """On another, asking would take memory, also if the network is on the CPU."""
    asked = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "get_rng_state", lambda device: asked.append(device) or torch.ByteTensor([7])
    )
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: asked.append(device))
    for device, expected in (("cuda:1", ["cuda:1"] * 2), ("cpu", [])):
        asked.clear()
        on_gpu = WholeCheckpointer(tmp_path / device, {"random_states": RandomStates(device)})
        on_gpu.save_checkpoint()
        on_gpu.recover_if_possible()
        assert asked == expected
    # A run that began on a GPU may go on without one.
    on_cpu = WholeCheckpointer(tmp_path / "cuda:1", {"random_states": RandomStates("cpu")})
    on_cpu.recover_if_possible()
    assert not asked


def test_other_training_data_is_warned_of(tmp_path, caplog):
    manifest = tmp_path / "train.csv"
    manifest.write_text("a")
    WholeCheckpointer(tmp_path, {"data": TrainingData(manifest)}).save_checkpoint()
    WholeCheckpointer(tmp_path, {"data": TrainingData(manifest)}).recover_if_possible()
    assert "training utterances" not in caplog.text
    manifest.write_text("b")
    WholeCheckpointer(tmp_path, {"data": TrainingData(manifest)}).recover_if_possible()
    assert "training utterances are not those" in caplog.text


def test_interrupted_checkpoint_is_not_taken_for_one(tmp_path):
    good = torch.nn.Linear(2, 2)
    checkpointer = WholeCheckpointer(tmp_path, {"model": good})
    saved = checkpointer.save_checkpoint(meta={"eer_percent": 1.0})
    assert saved.path.is_dir() and saved.paramfiles["model"].is_file()

    def fails(_, path):
        path.write_text("half")
        raise OSError("no space left")

    checkpointer.add_recoverable("zzz", object(), custom_save_hook=fails)
    with pytest.raises(InputError, match="can't be written"):
        checkpointer.save_checkpoint(meta={"eer_percent": 0.5})
    assert list(tmp_path.iterdir()) == [saved.path]
    assert [found.path for found in checkpointer.list_checkpoints()] == [saved.path]


def test_two_newest_and_the_best_checkpoint_are_kept(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path, {"model": torch.nn.Linear(2, 2)})
    for epoch, eer_percent in enumerate([9.0, 5.0, 7.0, 6.0, 8.0], 1):
        meta = {"eer_percent": eer_percent, "epoch": epoch}
        checkpointer.save_and_clear_up(meta, end_of_epoch=True)
    kept = {found.meta["epoch"] for found in checkpointer.list_checkpoints()}
    assert kept == {2, 4, 5}
    assert checkpointer.find_checkpoint(min_key="eer_percent").meta["epoch"] == 2
    assert checkpointer.find_checkpoint().meta["epoch"] == 5


def test_what_an_interruption_left_is_cleared_away(tmp_path):
    (tmp_path / "partial+123").mkdir()
    (tmp_path / "partial+123" / "model.ckpt").write_text("half")
    assert (
        WholeCheckpointer(tmp_path, {"model": torch.nn.Linear(2, 2)}).recover_if_possible() is None
    )
    assert list(tmp_path.iterdir()) == []


def remove_file(path):
    (path / "model.ckpt").unlink()


def shorten_file(path):
    (path / "model.ckpt").write_bytes((path / "model.ckpt").read_bytes()[:-1])


def remove_digests(path):
    (path / "digests.json").unlink()


def empty_digests(path):
    (path / "digests.json").write_text("")


@pytest.mark.parametrize("damage", [remove_file, shorten_file, remove_digests, empty_digests])
def test_damaged_checkpoint_is_set_aside(tmp_path, damage, caplog):
    model = torch.nn.Linear(2, 2)
    checkpointer = WholeCheckpointer(tmp_path, {"model": model})
    first = checkpointer.save_checkpoint()
    weight = model.weight.clone()
    torch.nn.init.zeros_(model.weight)
    second = checkpointer.save_checkpoint()
    damage(second.path)
    assert checkpointer.recover_if_possible().path == first.path
    assert torch.equal(model.weight, weight)
    assert f"damaged+{second.path.name}: is damaged" in caplog.text
    assert checkpointer.recover_if_possible().path == first.path


def test_only_damaged_checkpoints_are_refused(tmp_path):
    checkpointer = WholeCheckpointer(tmp_path, {"model": torch.nn.Linear(2, 2)})
    remove_file(checkpointer.save_checkpoint().path)
    with pytest.raises(InputError, match="every checkpoint is damaged"):
        checkpointer.recover_if_possible()
    # It is not forgotten: the next run doesn't begin anew without a word.
    with pytest.raises(InputError, match="every checkpoint is damaged"):
        checkpointer.recover_if_possible()


def test_checkpoint_of_another_model_is_refused(tmp_path):
    WholeCheckpointer(tmp_path, {"model": torch.nn.Linear(2, 2)}).save_checkpoint()
    with pytest.raises(InputError, match="is of another model"):
        WholeCheckpointer(tmp_path, {"model": torch.nn.Linear(2, 3)}).recover_if_possible()
