"""Random chunks out of audio files, as one worker process reads them."""

import tempfile
from pathlib import Path

import numpy as np
import soundfile
from made_up import write_noise
from speechbrain.dataio import audio_io
from speechbrain.dataio.dataset import DynamicItemDataset
from speechbrain.utils.data_pipeline import provides, takes
from tables import Table, compared
from timing import interleaved

from local.data.chunks import ChunkDataset
from local.data.manifests import prepare_training

SAMPLE_RATE = 16000


def measure(options):
    """Utterances of 8 s as WAV and FLAC, chunks of 1.5 s."""
    num_files, num_samples = (4, 8000) if options.quick else (200, 24000)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for extension in ("wav", "flac"):
            folder = Path(name) / extension
            manifest_path = make_corpus(folder, extension, num_files)
            calls = readers(folder, extension, manifest_path, num_samples)
            turns = {
                f"{extension}: {what}": lambda read=read: [read(i) for i in range(num_files)]
                for what, read in calls.items()
            }
            times = interleaved(turns, rounds=9, quick=options.quick)
            each = {
                what: time._replace(median=time.median / num_files) for what, time in times.items()
            }
            target = {"wav": 1.5, "flac": 1.0}[extension]
            rows += compared(each, {f"{extension}: SpeechBrain, DynamicItemDataset": target})
    return Table("Reading chunks: time an utterance, in one worker", rows)


def make_corpus(folder, extension, num_files):
    """Audio of noise and its manifest."""
    with_labels = []
    for index in range(num_files):
        write_noise(folder / f"{index}.{extension}", seconds=8.0, seed=index)
        with_labels.append(f"{index} {index % 2} -1\n")
    (folder / "labels.txt").write_text("".join(with_labels))
    manifest_path = folder / "train.csv"
    prepare_training(folder / "labels.txt", folder, manifest_path, progress=False)
    return manifest_path


def readers(folder, extension, manifest_path, num_samples):
    """What to compare: functions of the number of an utterance."""
    rng = np.random.default_rng(0)
    recipe = ChunkDataset(manifest_path, SAMPLE_RATE, num_samples, seed=0)
    speechbrain = speechbrain_dataset(manifest_path, num_samples, rng)
    paths = [str(folder / f"{index}.{extension}") for index in range(len(recipe))]
    sizes = [soundfile.info(path).frames for path in paths]

    def whole_file(index):
        samples, _ = soundfile.read(paths[index], dtype="int16")
        first = rng.integers(len(samples) - num_samples + 1)
        return samples[first : first + num_samples]

    def bare_read(index):
        first = rng.integers(sizes[index] - num_samples + 1)
        if extension == "wav":
            return np.fromfile(paths[index], np.int16, num_samples, offset=44 + 2 * first)
        with soundfile.SoundFile(paths[index]) as file:
            file.seek(first)
            return file.read(num_samples, dtype="int16")

    limit = "bytes at a known place" if extension == "wav" else "seek and decode alone"
    return {
        "the recipe": lambda index: recipe[index, index],
        "SpeechBrain, DynamicItemDataset": lambda index: speechbrain[index],
        "whole file with soundfile, then cut": whole_file,
        f"limit: {limit}": bare_read,
    }


def speechbrain_dataset(manifest_path, num_samples, rng):
    """Random chunks by SpeechBrain's own means, as its VoxCeleb recipe has them."""
    data = DynamicItemDataset.from_csv(manifest_path, output_keys=["sig", "spk_id"])

    @takes("wav", "duration")
    @provides("sig")
    def audio_pipeline(wav, duration):
        start = int(rng.integers(int(duration * SAMPLE_RATE) - num_samples + 1))
        signal, _ = audio_io.load(wav, frame_offset=start, num_frames=num_samples)
        return signal.squeeze(0)

    data.add_dynamic_item(audio_pipeline)
    return data
