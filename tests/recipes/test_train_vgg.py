"""Each script from end to end on a tiny corpus, and what it says of wrong input."""

import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from corpora import EVERY_AUGMENTATION, TINY, as_arguments, write_corpus, write_voice
from runs import run_apart
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from local.errors import InputError
from local.lists.trials import read_trials
from local.model_files.model_dir import load_model
from local.report import outputs
from local.scoring.score_files import read_scores
from local.training.checkpoints import WholeCheckpointer
from local.training.selecting_brain import unwrapped

ROOT = Path(__file__).resolve().parents[2]

WEIGHTS_CONTENT = {"extractor", "classifier", "optimizer"}
WEIGHTS_CONTENT |= {"num_speakers", "step", "epoch", "eer_percent", "threshold", "trials_digest"}


def script(name):
    return str(ROOT / "recipes" / f"{name}.py")


def apart(name, yaml_name, settings, folder):
    """A script in a process that works in a folder: its exit code, what it printed."""
    arguments = [ROOT / "hparams" / yaml_name, *as_arguments(settings)]
    return run_apart(f"{name}.py", arguments, folder)


def train(settings):
    """Runs training in this process."""
    yaml_path = str(ROOT / "hparams" / "vgg.yaml")
    main = runpy.run_path(script("train_vgg"))["main"]
    main([yaml_path, "--noprogressbar", *as_arguments(TINY | settings)])


def verify(settings):
    """Runs a verification in this process, without pictures."""
    yaml_path = str(ROOT / "hparams" / "verify.yaml")
    main = runpy.run_path(script("verify"))["main"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outputs, "_pictures", lambda *_: [])
        main([yaml_path, "--noprogressbar", "--device", "cpu", *as_arguments(settings)])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("corpus"))


def trial_lists(corpus):
    return corpus["valid_clients"], corpus["valid_impostors"]


def trial_settings(corpus):
    return {name: path for name, path in corpus.items() if name.startswith("valid")}


@pytest.fixture(scope="module")
def trained(corpus, tmp_path_factory):
    """The out_dir of a training run from another working directory, and what it printed."""
    folder = tmp_path_factory.mktemp("elsewhere")
    code, printed = apart("train_vgg", "vgg.yaml", TINY | corpus | {"out_dir": "out"}, folder)
    assert code == 0, printed
    return folder / "out", printed


def test_training_says_where_the_model_is_and_what_to_do_next(trained):
    out_dir, printed = trained
    lowest = min(float(eer) for eer in re.findall(r"EER_percent: ([\d.e+-]+)", printed))
    last = re.search(r"Lowest EER on the trials: ([\d.]+) % after epoch", printed)
    assert float(last[1]) == pytest.approx(lowest, abs=0.01)
    assert str(sorted(out_dir.glob("model_*.pt"))[-1].name) in printed
    assert "verify.py" in printed and "--valid_clients" in printed
    assert len(re.findall(r"Epoch \d: [\d.e+]+ utterances a second", printed)) == 3


def test_training_leaves_logs_checkpoints_and_configuration(trained):
    out_dir, _ = trained
    lines = (out_dir / "train_log.txt").read_text().splitlines()
    assert len(lines) == 3
    for field in ("epoch", "updates", "lr", "train loss", "train accuracy_percent", "valid EER"):
        assert all(field in line for line in lines)
    assert 2 <= len(list((out_dir / "save").glob("CKPT*"))) <= 3
    for name in ("config.pkl", "model.yaml", "hyperparams.yaml", "log.txt"):
        assert (out_dir / name).stat().st_size
    events = EventAccumulator(str(out_dir / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars("EER_percent/valid")] == [1, 2, 3]


def test_weights_hold_all_that_the_original_promises(trained):
    out_dir, _ = trained
    for path in out_dir.glob("model_*.pt"):
        content = torch.load(path, weights_only=True)
        assert WEIGHTS_CONTENT == set(content)


def test_verification_of_client_and_impostor_files(trained, corpus, tmp_path):
    out_dir, _ = trained
    settings = trial_settings(corpus) | {"model_dir": str(out_dir), "output_dir": "verified"}
    code, printed = apart("verify", "verify.yaml", settings | {"device": "cpu"}, tmp_path)
    assert code == 0, printed
    metrics = json.loads((tmp_path / "verified" / "metrics.json").read_text())
    assert metrics["num_trials"] == 22 and metrics["num_clients"] == 6
    assert f"{metrics['eer_percent']:.3f} %" in printed
    assert "report.html" in printed
    assert (tmp_path / "verified" / "det.png").read_bytes().startswith(b"\x89PNG")
    trials, scores = read_scores(tmp_path / "verified" / "scores.txt")
    assert len(trials) == 22 and trials.is_client.sum() == 6 and np.abs(scores).max() <= 1.0001


def test_one_file_lists_give_the_same_scores(trained, corpus, tmp_path):
    out_dir, _ = trained
    lines = {"voxceleb": [], "kaldi": []}
    for name, number, label in (("clients", 1, "target"), ("impostors", 0, "nontarget")):
        for line in Path(corpus[f"valid_{name}"]).read_text().splitlines():
            lines["voxceleb"].append(f"{number} {line}\n")
            lines["kaldi"].append(f"{line} {label}\n")
    settings = trial_settings(corpus) | {"model_dir": str(out_dir)}
    verify(settings | {"output_dir": tmp_path / "files"})
    expected = (tmp_path / "files" / "scores.txt").read_text()
    for form, content in lines.items():
        (tmp_path / f"{form}.txt").write_text("".join(content))
        output_dir = tmp_path / form
        verify(settings | {"trials": tmp_path / f"{form}.txt", "output_dir": output_dir})
        assert (output_dir / "scores.txt").read_text() == expected


def test_validation_and_verification_agree(trained, corpus, tmp_path):
    out_dir, printed = trained
    verify(
        trial_settings(corpus)
        | {"model_dir": out_dir, "output_dir": tmp_path / "out", "batch_seconds": 2.0}
    )
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    best = re.search(r"Lowest EER on the trials: ([\d.]+)", printed)
    assert metrics["eer_percent"] == pytest.approx(float(best[1]), abs=0.005)


def final_state(out_dir):
    """The train log, and the weights of the newest checkpoint."""
    newest = WholeCheckpointer(out_dir / "save").find_checkpoint()
    weights = torch.load(newest.paramfiles["extractor"], weights_only=True)
    return (out_dir / "train_log.txt").read_text(), weights


@pytest.mark.parametrize("schedule", ["one_cycle", "plateau", "exponential"])
def test_resumed_run_ends_as_an_uninterrupted_one(corpus, tmp_path, monkeypatch, schedule):
    settings = corpus | {"lr_schedule": schedule, "pooling": "double_multi_head"}
    settings |= {"lr_schedules": {"plateau": {"patience": 1}}}
    settings |= {"optimizer": "sgd", "weight_decay": 0} if schedule == "exponential" else {}
    settings |= {"head_drop": 0.5, "number_of_epochs": 4}
    train(settings | {"out_dir": tmp_path / "whole"})

    from speechbrain.utils.epoch_loop import EpochCounter

    next_epoch = EpochCounter.__next__

    def interrupted(counter):
        if counter.current == 2:
            raise KeyboardInterrupt
        return next_epoch(counter)

    monkeypatch.setattr(EpochCounter, "__next__", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(settings | {"out_dir": tmp_path / "parts"})
    monkeypatch.undo()
    train(settings | {"out_dir": tmp_path / "parts"})

    expected_log, expected = final_state(tmp_path / "whole")
    log, weights = final_state(tmp_path / "parts")
    assert log == expected_log
    assert all(torch.equal(weights[name], expected[name]) for name in expected)


def test_training_over_is_left_as_it_is(trained, corpus, capsys):
    out_dir, _ = trained
    before = final_state(out_dir)[0]
    train(corpus | {"out_dir": out_dir})
    assert final_state(out_dir)[0] == before
    assert "Lowest EER on the trials: inf" not in (out_dir / "log.txt").read_text()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.compile's own imports
def test_weights_have_the_same_names_however_the_module_is_wrapped():
    linear = torch.nn.Linear(2, 2)
    for wrapped in (linear, torch.compile(linear), torch.nn.DataParallel(torch.compile(linear))):
        assert unwrapped(wrapped) is linear


@pytest.mark.parametrize("num_updates", [1, 2, 5])
def test_one_cycle_of_few_updates(corpus, tmp_path, num_updates):
    settings = {"number_of_epochs": 1, "validate_every": num_updates, "out_dir": tmp_path / "out"}
    train(corpus | settings)
    assert f"updates: {num_updates}," in (tmp_path / "out" / "train_log.txt").read_text()


def test_validation_every_so_many_updates_and_accumulation(corpus, tmp_path):
    settings = {"validate_every": 3, "grad_accumulation_factor": 2, "number_of_epochs": 2}
    train(corpus | settings | {"out_dir": tmp_path / "out"})
    log = (tmp_path / "out" / "train_log.txt").read_text()
    assert re.findall(r"updates: (\d+)", log) == ["3", "6"]


def test_early_stop(corpus, tmp_path):
    settings = {"lr": 1e-30, "stop_patience": 2, "number_of_epochs": 9, "lr_schedule": "plateau"}
    settings |= {"batch_norm": False}
    train(corpus | settings | {"out_dir": tmp_path / "out"})
    log = (tmp_path / "out" / "train_log.txt").read_text()
    assert 3 <= len(log.splitlines()) < 9


@pytest.mark.parametrize(
    "settings",
    [
        {"normalize_over": "utterance", "augment": False, "normalization": "cmvn"},
        {"max_memory_gb": 0, "num_workers": 1},
        {"precision": "bf16", "eval_precision": "bf16"},
        {"chunk_samples": 56000},
        {"max_masked_mels": 0, "projection": True, "embedding_relu": True, "hidden_size": 8},
        {"front_end": "repvgg", "classifier": "{num_centres: 2}", "loss": "{top_k: 5}"},
        {"front_end": "ecapa", "pooling": "attentive_statistics"},
        {"preset": ROOT / "hparams" / "presets" / "voxceleb.yaml", "pooling": "statistics"},
        EVERY_AUGMENTATION | {"precision": "bf16", "eval_precision": "fp32"},
    ],
)
def test_settings_train(corpus, tmp_path, settings):
    train(corpus | settings | {"out_dir": tmp_path / "out", "number_of_epochs": 1})
    assert list((tmp_path / "out").glob("model_*.pt"))


def test_preparation_alone(corpus, tmp_path):
    code, printed = apart("prepare", "vgg.yaml", corpus | {"out_dir": "out"}, tmp_path)
    assert code == 0, printed
    assert (tmp_path / "out" / "manifests" / "train.csv").is_file()
    assert "8 utterances of 2 speakers" in printed


# Wrong input. What can be wrong with lists and audio is tested with their modules.


def test_wrong_input_is_a_message_without_a_traceback(corpus, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("s0/u.0 0 -1\ns1/u.0 one -1\ns1/u.1 2\n")
    settings = TINY | corpus | {"train_labels_path": labels, "out_dir": tmp_path / "out"}
    code, printed = apart("train_vgg", "vgg.yaml", settings, tmp_path)
    assert code == 1 and "Traceback" not in printed
    assert f"{labels}:2" in printed and f"{labels}:3" in printed
    assert not list(tmp_path.glob("out/**/*.csv"))


def test_wrong_labels_and_wrong_trials_are_shown_together(corpus, tmp_path):
    settings = corpus | {"out_dir": tmp_path / "out"}
    settings |= {"train_labels_path": tmp_path / "none.txt", "valid_clients": tmp_path / "no.txt"}
    with pytest.raises(InputError, match=r"none\.txt: can't be read(.|\n)*no\.txt: can't be read"):
        train(settings)


def test_checkpoint_of_other_speakers_is_refused(trained, corpus, tmp_path):
    out_dir, _ = trained
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"s{speaker}/u.0 {speaker} -1\n" for speaker in range(3)))
    with pytest.raises(InputError, match="is of another model or number of speakers"):
        train(corpus | {"train_labels_path": labels, "out_dir": out_dir, "number_of_epochs": 5})


def test_one_chunk_for_a_batch_norm_is_refused(corpus, tmp_path):
    with pytest.raises(InputError, match="batch_size 1 leaves one chunk for a batch norm"):
        train(corpus | {"out_dir": tmp_path / "out", "batch_size": 1})


def test_longer_one_cycle_is_refused(trained, corpus):
    out_dir, _ = trained
    with pytest.raises(InputError, match="over 6 updates, which can't become 10"):
        train(corpus | {"out_dir": out_dir, "number_of_epochs": 5})


def test_loss_that_is_not_finite_ends_the_training(corpus, tmp_path):
    with pytest.raises(
        InputError, match=r"The loss is nan after \d+ updates. Lower the learning rate"
    ):
        train(corpus | {"out_dir": tmp_path / "out", "lr": 1e30, "lr_schedule": "plateau"})


def test_out_dir_that_cannot_be_written(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/out: can't be written"):
        train(corpus | {"out_dir": tmp_path / "file" / "out"})


def test_output_dir_that_cannot_be_written(trained, corpus, tmp_path):
    (tmp_path / "file").write_text("")
    settings = {"model_dir": trained[0], "output_dir": tmp_path / "file" / "out"}
    with pytest.raises(InputError, match="file/out.*: can't be written"):
        verify(trial_settings(corpus) | settings)


def test_model_dir_without_a_model(corpus, tmp_path):
    with pytest.raises(InputError, match="no trained model here"):
        verify(trial_settings(corpus) | {"model_dir": tmp_path, "output_dir": tmp_path / "out"})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change, message",
    [
        ({"widht": 3}, "widht"),
        ({"pooling": "mean"}, "'mean' is unknown: take one of attention"),
        ({"num_heads": 7}, "num_heads 7 does not divide"),
        ({"width": 12}, "multiple of 8"),
        ({"margin_kind": "arc"}, "'arc'"),
        ({"lr_schedule": "cosine"}, "lr_schedule .*'cosine'"),
        ({"normalize_over": "batch"}, "normalize_over .*'batch'"),
        ({"classifier": "{num_centres: 0}"}, "classifier: num_centres is a whole number from 1"),
    ],
)
def test_wrong_settings_are_named(corpus, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train(corpus | {"out_dir": tmp_path / "out"} | change)
    assert not (tmp_path / "out" / "save").exists()


def test_shared_speakers_are_warned_of(corpus, tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("".join(f"s{speaker}/u.0 {speaker} -1\n" for speaker in range(3)))
    train(
        corpus | {"train_labels_path": labels, "out_dir": tmp_path / "out", "number_of_epochs": 1}
    )
    warning = "1 training speaker seems to be in the trials too (s2)"
    assert warning in (tmp_path / "out" / "log.txt").read_text()
    first, *epochs = (tmp_path / "out" / "train_log.txt").read_text().splitlines()
    assert first.startswith(f"warning: {warning}") and len(epochs) == 1
    model = load_model(tmp_path / "out")
    assert model["trials_digest"] == read_trials(*trial_lists(corpus)).digest()


def test_very_short_and_other_rates_are_trained_on(corpus, tmp_path):
    audio = tmp_path / "audio"
    lines = []
    for speaker, rate in ((0, 8000), (1, 44100)):
        for index, seconds in enumerate((0.0005, 0.02, 0.3)):
            write_voice(audio / f"s{speaker}" / f"{index}.wav", 150, seconds, rate)
            lines.append(f"s{speaker}/{index} {speaker} -1\n")
    (tmp_path / "labels.txt").write_text("".join(lines))
    settings = {
        "train_data_dir": audio,
        "train_labels_path": tmp_path / "labels.txt",
        "min_seconds": 0.0001,
        "number_of_epochs": 1,
        "out_dir": tmp_path / "out",
    }
    train(corpus | settings)
    assert list((tmp_path / "out").glob("model_*.pt"))
