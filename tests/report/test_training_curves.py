"""The curves of a training, from whole and from broken logs."""

import xml.etree.ElementTree as ElementTree

import pytest

from local.report.training_curves import read_train_log, training_figures, training_pictures

LOG = """\
epoch: 1, updates: 100, lr: 1.57e-03 - train loss: 3.72, train accuracy_percent: 16.95 \
- valid EER_percent: 43.86
epoch: 2, updates: 200, lr: 3.00e-03 - train loss: 7.03e-01, train accuracy_percent: 55.95 \
- valid EER_percent: 22.00
"""


def test_train_log_gives_curves(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text(LOG)
    figures = training_figures(read_train_log(log))
    expected = ["Training loss", "Training accuracy [%]", "EER in validation [%]", "Learning rate"]
    assert list(figures) == expected
    lines = {title: figure.axes[0].lines[0].get_xydata() for title, figure in figures.items()}
    assert lines["Training loss"].tolist() == [[1.0, 3.72], [2.0, 0.703]]
    assert lines["EER in validation [%]"].tolist() == [[1.0, 43.86], [2.0, 22.0]]
    assert lines["Learning rate"].tolist() == [[1.0, 1.57e-3], [2.0, 3e-3]]


def test_epochs_that_come_again_or_lack_a_value(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text(
        "epoch: 2, lr: 1.0 - train loss: nan\n"
        "epoch: 1, lr: 2.0 - train loss: 3.5\n"
        "Epoch loaded: 2 - test EER_percent: 1.0\n"
        "epoch: 2, lr: 4.0 - train loss: inf\n"
    )
    assert read_train_log(log) == {1: {"lr": 2.0, "train loss": 3.5}, 2: {"lr": 4.0}}
    figures = training_figures(read_train_log(log))
    assert list(figures) == ["Training loss", "Learning rate"]
    assert figures["Training loss"].axes[0].lines[0].get_xydata().tolist() == [[1.0, 3.5]]


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe\x00", b"epoch: one, lr: x\n\n - ,: "])
def test_logs_without_numbers_give_no_picture(tmp_path, content):
    log = tmp_path / "train_log.txt"
    if content is not None:
        log.write_bytes(content)
    assert training_pictures(log) == []


def test_pictures_are_svg_and_say_what_they_show(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text(LOG)
    pictures = training_pictures(log)
    assert len(pictures) == 4
    for heading, alt, svg in pictures:
        assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
        assert alt == f"{heading}: a curve over 2 epochs"
    assert training_pictures(log) == pictures


def test_the_lowest_eer_is_marked(tmp_path):
    log = tmp_path / "train_log.txt"
    log.write_text(LOG)
    axes = training_figures(read_train_log(log))["EER in validation [%]"].axes[0]
    assert axes.lines[1].get_xydata().tolist() == [[2.0, 22.0]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "lowest: 22.00 %, epoch 2"
    ]
