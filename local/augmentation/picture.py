#!/usr/bin/env python3
"""Draws what each part of the augmentation does to a recording, as log-mel features.

    python local/augmentation/picture.py RECORDING PICTURE.png [--seed 0]

The strengths are fixed, so that each is seen.
"""

import argparse
import io
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch

from local import command_line
from local.atomic import replacing
from local.audio.reading import cut_chunk, read_audio
from local.augmentation.channel import Equalizer, Silence, Telephone
from local.augmentation.made import coloured_noise, kept, made_responses
from local.augmentation.masks import TimeMasks
from local.augmentation.noise import Noise
from local.augmentation.reverberation import Reverberation
from local.augmentation.voices import Voices
from local.errors import InputError
from local.features.log_mel import LogMel

SAMPLE_RATE = 16000
SECONDS = 2.0
COLUMNS = 5
NUM_COLOURS = 64  # so that the file is small


def panels(samples, rng):
    """(title, log-mel) of a chunk as it is, and after each part: int16 (samples,) -> pairs."""
    length = int(SECONDS * SAMPLE_RATE)
    log_mel = LogMel(normalization="none")
    voices = Voices(speeds=[1.1], warps=[1.1], probability=1.0)
    source = cut_chunk(samples, voices.num_samples(length, 1), rng)
    chunk = torch.from_numpy(source[:length].astype(np.float32))[None]

    def drawn(part, before):
        draws = torch.from_numpy(rng.random((1, part.num_draws)))
        draws[:, 0] = 0.0
        return part(before.clone(), draws)

    plain = log_mel(chunk)[0]
    yield "as it is", plain
    faster = voices.at_speeds(torch.from_numpy(source.astype(np.float32))[None], [1], length)
    yield "a voice: speed 1.1", log_mel(faster)[0]
    yield "a voice: warp 1.1", voices.warped(plain.clone(), np.array([2]))
    yield "silence", log_mel(drawn(Silence(1.0, share=(0.3, 0.3)), chunk))[0]
    rooms = Reverberation(1.0)
    limits = 0.5, (0.6, 0.6), (0, 0)
    rooms.set_responses(torch.from_numpy(made_responses(1, *limits, SAMPLE_RATE, rng)))
    yield "reverberation, T60 0.6 s", log_mel(drawn(rooms, chunk))[0]
    yield "equalizer", log_mel(drawn(Equalizer(1.0), chunk))[0]
    for kind, bank in (("noise", coloured_noise(3, 2**17, SAMPLE_RATE, rng)), ("babble", samples)):
        noise = Noise(1.0, noise_snr_db=(5, 5), babble_snr_db=(13, 13))
        noise.set_banks({kind: torch.from_numpy(np.resize(kept(bank), 2 * length + len(bank)))})
        yield f"{kind}, {noise.snr_db[kind][0]} dB", log_mel(drawn(noise, chunk))[0]
    yield "telephone", log_mel(drawn(Telephone(1.0), chunk))[0]
    yield "time masks", drawn(TimeMasks(1.0), plain)


def draw(pairs, path):
    """Writes a picture of (title, log-mel) pairs, low frequencies below."""
    from matplotlib.figure import Figure
    from PIL import Image

    pairs = list(pairs)
    rows = -(-len(pairs) // COLUMNS)
    figure = Figure(figsize=(2.4 * COLUMNS, 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS).flat
    for axis, (title, log_mel) in zip(axes, pairs, strict=False):
        axis.imshow(log_mel[0].numpy().T, origin="lower", aspect="auto", vmin=0, vmax=12)
        axis.set_title(title, fontsize=8)
    for axis in figure.axes:
        axis.set_axis_off()
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=80)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        Image.open(buffer).convert("RGB").quantize(NUM_COLOURS).save(file, "PNG", optimize=True)


def main(arguments):
    """Draws the recording that the command line names."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rng = np.random.default_rng(options.seed)
    samples = read_audio(options.recording, sample_rate=SAMPLE_RATE)
    if not samples.any():
        raise InputError(f"{options.recording} is silent: nothing would be seen")
    draw(panels(samples, rng), options.picture)


if __name__ == "__main__":
    command_line.run(main)
