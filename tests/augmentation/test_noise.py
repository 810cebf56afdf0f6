import numpy as np
import pytest
import torch
from drawn_chunks import chunks, uniform

from local.augmentation.noise import Noise


def bank(seed, num_samples=100_000):
    rng = np.random.default_rng(seed)
    return torch.from_numpy((2000 * rng.standard_normal(num_samples)).astype(np.int16))


def make_noise(kinds=("noise", "music", "babble"), **settings):
    noise = Noise(probability=1.0, **settings)
    noise.set_banks({kind: bank(seed) for seed, kind in enumerate(kinds)})
    return noise


def snr_db(before, after):
    return 10 * torch.log10(before.square().mean(1) / (after - before).square().mean(1))


def test_signal_to_noise_ratio_is_as_asked():
    limits = {"noise": (0, 15), "music": (20, 21), "babble": (-5, -4)}
    noise = make_noise(**{f"{kind}_snr_db": values for kind, values in limits.items()})
    for place, kind in ((0.1, "babble"), (0.4, "noise"), (0.9, "music")):
        draws = uniform(noise)
        draws[:, 1] = place
        draws[:, 2] = torch.tensor([0.0, 0.2, 0.5, 0.999])
        low, high = limits[kind]
        found = snr_db(chunks(), noise(chunks(), draws))
        expected = low + (high - low) * draws[:, 2]
        assert torch.allclose(found, expected, rtol=0, atol=0.1)


def test_shares_of_the_kinds():
    noise = make_noise(babble_share=0.2)
    uniform = torch.linspace(0, 1, 1001)[:-1].double()
    counts = torch.bincount(noise._kinds(uniform))
    assert counts.tolist() == pytest.approx([400, 400, 200], abs=1)
    for share, expected in ((0.0, [500, 500]), (1.0, [0, 0, 1000])):
        noise.babble_share = share
        counts = torch.bincount(noise._kinds(uniform)).tolist()
        assert counts == pytest.approx(expected, abs=1)
    for kinds in (("babble",), ("noise",)):
        assert not make_noise(kinds)._kinds(uniform).any()


def test_noise_is_a_piece_of_the_bank_and_babble_the_sum_of_several():
    noise = make_noise(("noise", "babble"), babble_speakers=[2, 3])
    draws = uniform(noise, batch_size=2)
    draws[:, 1] = torch.tensor([0.9, 0.1])  # noise, babble
    draws[:, 3] = torch.tensor([0.9, 0.1])  # one piece, two pieces
    before = chunks(batch_size=2)
    added = noise(before.clone(), draws) - before
    for row, kind, count in ((0, "noise", 1), (1, "babble", 2)):
        samples = getattr(noise, kind).double()
        starts = (draws[row, 4 : 4 + count] * (len(samples) - 7999)).long().tolist()
        expected = sum(samples[start : start + 8000] for start in starts)
        ratio = added[row] / expected
        assert torch.allclose(added[row], ratio.median() * expected, atol=1e-6)


def test_silence_stays_silent_and_silent_noise_adds_nothing():
    noise = make_noise(("noise",))
    assert not noise(torch.zeros(4, 8000), uniform(noise)).any()
    noise.set_banks({"noise": torch.zeros(10_000, dtype=torch.int16)})
    assert torch.equal(noise(chunks(), uniform(noise)), chunks())


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"probability": 1.5}, "noise: probability is a number from 0 to 1, not 1.5"),
        ({"babble_share": -1}, "noise: babble_share is a number from 0 to 1, not -1"),
        ({"noise_snr_db": [15, 0]}, r"noise: noise_snr_db is a range .* not \[15, 0\]"),
        ({"babble_speakers": [0, 3]}, "noise: babble_speakers is a range .* whole numbers from 1"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        Noise(**settings)
