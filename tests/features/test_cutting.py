import torch

from local.features.cutting import cut_features


def test_cut_features_reaches_first_and_last_place():
    features = torch.arange(10.0).view(1, 10, 1).expand(2, -1, -1)
    starts = torch.tensor([0.0, 1.0])
    chunks = cut_features(features, torch.tensor([10, 7]), starts, chunk_frames=3)
    assert chunks[:, :, 0].tolist() == [[0.0, 1.0, 2.0], [4.0, 5.0, 6.0]]


def test_features_shorter_than_a_chunk_are_repeated():
    features = torch.arange(10.0).view(1, 10, 1)
    chunk = cut_features(features, torch.tensor([3]), torch.tensor([0.9]), chunk_frames=7)
    assert chunk.flatten().tolist() == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]
