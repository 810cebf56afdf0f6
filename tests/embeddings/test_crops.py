"""Where crops lie, and the means of what belongs together."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.data.manifest_files import read_manifest, write_manifest
from local.embeddings.crops import write_crops
from local.scoring.cosine import group_means


@pytest.fixture(scope="module")
def crops_of(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")

    def call(start, stop, rate, num_crops, crop_seconds):
        """The crops of one utterance, and how many there are said to be."""
        place = {"wav": "a.wav", "start": start, "stop": stop, "duration": (stop - start) / rate}
        write_manifest(folder / "all.csv", [{"ID": "a/1", "spk_id": "7"} | place])
        counts = write_crops(folder / "all.csv", folder / "crops.csv", num_crops, crop_seconds)
        return list(read_manifest(folder / "crops.csv")), counts.tolist()

    return call


def test_crops_of_a_part_of_a_file(crops_of):
    rows, counts = crops_of(1000, 5000, rate=2000, num_crops=2, crop_seconds=1.25)
    assert counts == [2]
    fixed = {"wav": "a.wav", "spk_id": "7", "duration": "1.25"}
    assert rows == [
        fixed | {"ID": "a/1#0", "start": "1000", "stop": "3500"},
        fixed | {"ID": "a/1#1", "start": "2500", "stop": "5000"},
    ]


@given(
    start=st.integers(0, 100_000),
    length=st.integers(1600, 500_000),
    rate=st.sampled_from([8000, 16000, 44100]),
    num_crops=st.integers(1, 12),
    crop_seconds=st.floats(0.1, 10.0),
)
def test_crops_go_evenly_from_beginning_to_end(
    crops_of, start, length, rate, num_crops, crop_seconds
):
    rows, counts = crops_of(start, start + length, rate, num_crops, crop_seconds)
    starts, stops = (np.array([int(row[key]) for row in rows]) for key in ("start", "stop"))
    assert counts == [len(rows)] and len({row["ID"] for row in rows}) == len(rows)
    assert starts[0] == start
    expected = min(length, crop_seconds * rate)
    np.testing.assert_allclose(stops - starts, expected, atol=1)
    np.testing.assert_allclose([float(row["duration"]) for row in rows], expected / rate, rtol=0.01)
    if length > expected + num_crops and num_crops > 1:
        assert len(rows) == num_crops and stops[-1] == start + length
        assert np.ptp(np.diff(starts)) <= 1
    else:
        assert len(rows) <= num_crops and (stops <= start + length).all()


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.sampled_from([(), (3,), (2, 2)]))
def test_means_are_those_of_a_loop(counts, shape):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((sum(counts), *shape)).astype(np.float32)
    means = group_means(values, np.array(counts))
    assert means.dtype == np.float32
    parts = np.split(values, np.cumsum(counts)[:-1])
    np.testing.assert_allclose(means, [part.mean(axis=0) for part in parts], atol=1e-6)
