"""What holds for each part: the rows that are not chosen, types, devices, strange chunks."""

import pytest
import torch
from drawn_chunks import chunks, uniform

from local.augmentation.channel import Equalizer, Gain, Silence, Telephone
from local.augmentation.drawing import level
from local.augmentation.masks import TimeMasks
from local.augmentation.mixup import Mixup
from local.augmentation.noise import Noise
from local.augmentation.reverberation import Reverberation


def noise(probability):
    part = Noise(probability)
    generator = torch.Generator().manual_seed(0)
    banks = (torch.randint(-3000, 3000, (100_000,), generator=generator) for _ in range(2))
    part.set_banks({kind: bank.short() for kind, bank in zip(part.snr_db, banks, strict=False)})
    return part


def reverberation(probability):
    part = Reverberation(probability)
    decay = torch.exp(-torch.arange(400) / 60)
    part.set_responses(torch.randn(3, 400, generator=torch.Generator().manual_seed(0)) * decay)
    return part


WAVEFORM_PARTS = {
    "mixup": Mixup,
    "silence": Silence,
    "reverberation": reverberation,
    "equalizer": Equalizer,
    "noise": noise,
    "telephone": Telephone,
    "gain": Gain,
}
KEEP_LEVEL = ("mixup", "reverberation", "equalizer", "telephone")


@pytest.mark.parametrize("name", WAVEFORM_PARTS)
@pytest.mark.parametrize("num_samples", [8000, 777, 1])
def test_only_chosen_rows_change_and_length_and_type_stay(name, num_samples):
    part = WAVEFORM_PARTS[name](probability=0.5)
    draws = uniform(part, batch_size=6)
    draws[:, 0] = torch.tensor([0.1, 0.4, 0.6, 0.9, 0.2, 0.7])
    for dtype in (torch.float64, torch.float32):
        before = chunks(6, num_samples).to(dtype)
        after = part(before.clone(), draws)
        assert after.shape == before.shape and after.dtype == dtype
        assert after.isfinite().all()
        assert torch.equal(after[[2, 3, 5]], before[[2, 3, 5]])
        if num_samples > 1:
            assert (after[[0, 1, 4]] != before[[0, 1, 4]]).any(dim=1).all()


@pytest.mark.parametrize("name", WAVEFORM_PARTS)
def test_a_chunk_does_not_depend_on_the_others_of_its_batch(name):
    part = WAVEFORM_PARTS[name](probability=1.0)
    draws = uniform(part, batch_size=6)
    together = part(chunks(6), draws)
    apart = torch.cat([part(chunks(6)[:2], draws[:2]), part(chunks(6)[2:], draws[2:])])
    assert torch.allclose(together, apart, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize("name", WAVEFORM_PARTS)
def test_never_means_never(name):
    part = WAVEFORM_PARTS[name](probability=0.0)
    assert torch.equal(part(chunks(), uniform(part)), chunks())


@pytest.mark.parametrize("name", KEEP_LEVEL)
def test_level_stays(name):
    part = WAVEFORM_PARTS[name](probability=1.0)
    if name == "mixup":
        part.share = [1.0, 1.0]
    before = chunks() * torch.tensor([0.1, 1.0, 2.0, 10.0])[:, None]
    after = part(before.clone(), uniform(part))
    assert torch.allclose(level(after), level(before), rtol=1e-6)


@pytest.mark.parametrize("name", WAVEFORM_PARTS)
def test_silent_and_clipped_chunks(name):
    part = WAVEFORM_PARTS[name](probability=1.0)
    for waveforms in (torch.zeros(4, 8000), 32767 * chunks().sign().float()):
        after = part(waveforms.clone(), uniform(part))
        assert after.isfinite().all()
        assert after.any() == waveforms.any()


@pytest.mark.parametrize("name", [*WAVEFORM_PARTS, "time_masks"])
def test_no_value_is_read_from_the_device(name):
    """On a device without values, reading one is an error."""
    part = (WAVEFORM_PARTS | {"time_masks": TimeMasks})[name](probability=1.0).to("meta")
    shape = (4, 98, 80) if name == "time_masks" else (4, 8000)
    after = part(torch.empty(shape, device="meta"), uniform(part))
    assert after.shape == shape and after.device.type == "meta"
