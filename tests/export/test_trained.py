import torch
from exports import NUM_SPEAKERS, make_model_dir, write_weights

from local.export.trained import read_trained, write_model_dir
from local.model_files.weights import load_weights


def test_the_classifier_is_of_the_speakers_without_their_other_voices(tmp_path):
    folder = make_model_dir(tmp_path / "model")
    everyone = read_trained(folder).classifier.directions
    assert len(everyone) == NUM_SPEAKERS
    write_weights(folder, num_speakers=NUM_SPEAKERS - 1)
    trained = read_trained(folder)
    assert torch.equal(trained.classifier.directions, everyone[:-1])
    # To train on, all of them are needed.
    (tmp_path / "export").mkdir()
    write_model_dir(trained, tmp_path / "export")
    (path,) = (tmp_path / "export").glob("model_*.pt")
    assert len(load_weights(path)["classifier"]["directions"]) == NUM_SPEAKERS
