"""A second run in a directory that an earlier one has used."""

import pytest
import torch
from speechbrain.utils.epoch_loop import EpochCounterWithStopper

from local.errors import InputError
from local.training.checkpoints import WholeCheckpointer
from local.training.earlier_run import check_earlier_run, is_finished

SETTINGS = """
sample_rate: 16000
normalization: cmn
lr: 1
log_mel: !new:local.features.LogMel
    normalization: !ref <normalization>
extractor: !new:local.models.vgg.VGG
    channels: [4, 8]
"""
MODEL = """
sample_rate: 16000
features: !new:local.features.LogMel
    normalization: cmn
extractor: !new:local.models.vgg.VGG
    channels: [4, 8]
"""


@pytest.fixture
def yaml_path(tmp_path):
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    return tmp_path / "settings.yaml"


@pytest.fixture
def out_dir(tmp_path):
    """Of a run that has begun."""
    out_dir = tmp_path / "out"
    WholeCheckpointer(out_dir / "save", {"model": torch.nn.Linear(2, 2)}).save_checkpoint()
    (out_dir / "model.yaml").write_text(MODEL)
    return out_dir


def test_the_same_settings_go_on(out_dir, yaml_path):
    check_earlier_run(out_dir, yaml_path, {"lr": 2})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"sample_rate": 8000}, "sample_rate: 16000 before, 8000 now"),
        ({"normalization": "cmvn"}, "features.normalization: cmn before, cmvn now"),
        ({"log_mel": {"num_mels": 64}}, "features.num_mels: missing before, 64 now"),
    ],
)
def test_a_setting_that_gives_the_weights_another_meaning_is_refused(
    out_dir, yaml_path, changes, message
):
    with pytest.raises(InputError, match=message):
        check_earlier_run(out_dir, yaml_path, changes)


@pytest.mark.parametrize("name", ["model_00000800.pt", "train_log.txt", "tensorboard"])
def test_what_would_be_mixed_with_a_new_run_is_refused(tmp_path, yaml_path, name):
    check_earlier_run(tmp_path, yaml_path, {})
    (tmp_path / "save").mkdir()
    (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=f"{name} of an earlier run"):
        check_earlier_run(tmp_path, yaml_path, {})


def test_a_run_is_finished_after_its_last_epoch(tmp_path):
    def counter(limit, limit_to_stop=10):
        return EpochCounterWithStopper(limit, limit_to_stop, limit_warmup=0, direction="min")

    assert not is_finished(tmp_path, counter(2))
    running = counter(2, limit_to_stop=1)
    checkpointer = WholeCheckpointer(tmp_path / "save", {"epoch_counter": running})
    for eer_percent, in_epoch in ((5.0, 1), (5.0, 2)):
        next(running)
        checkpointer.save_checkpoint(end_of_epoch=False)
        assert not is_finished(tmp_path, counter(2))
        running.update_metric(eer_percent)
        checkpointer.save_checkpoint()
        assert not is_finished(tmp_path, counter(4)) or running.should_stop
        assert is_finished(tmp_path, counter(in_epoch))
    assert running.should_stop and is_finished(tmp_path, counter(4))
