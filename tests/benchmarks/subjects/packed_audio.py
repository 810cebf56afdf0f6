"""Random chunks out of packed audio, beside single files and other packed formats.

Everything is in the system's cache: what a disk makes of one large file and of many small ones is
not measured, only what opening them costs.
"""

import importlib.util
import io
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from made_up import write_noise
from tables import Row, Table, compared
from timing import interleaved, timed

from local.audio.packed import PackedAudio
from local.audio.packed_index import read_index
from local.audio.packing import pack_audio
from local.audio.reading import cut_chunk, read_chunk
from local.errors import Problems
from local.features.files import read_features, write_features
from local.lists.file_lists import Recordings

SAMPLE_RATE = 16000
NUM_SAMPLES = 8 * SAMPLE_RATE
CHUNK = 24000
NUM_FRAMES, CHUNK_FRAMES, NUM_MELS = 798, 150, 80
FORMATS = {"wav": "WAV", "flac": "FLAC", "ogg": "Ogg Vorbis"}
TARGETS = {
    "WAV, a file each": 1.5,
    "FLAC, a file each": 10.0,
    "Ogg Vorbis, a file each": 10.0,
    "limit: numpy.memmap of a flat file": 0.7,
}


def measure(options):
    """Utterances of 8 s, chunks of 1.5 s, in one process."""
    num_files = 4 if options.quick else 300
    with tempfile.TemporaryDirectory() as name:
        corpus = Corpus(Path(name), num_files)
        calls = {"packed, the recipe": corpus.packed} | corpus.single_files()
        calls |= {
            "packed, by pyarrow alone": corpus.by_pyarrow(),
            "limit: numpy.memmap of a flat file": corpus.by_memmap(),
            "log-mel of float16, a .npy each": corpus.features,
        }
        # Not in the order in which they were written.
        order = np.random.default_rng(0).permutation(num_files).tolist()
        turns = {
            what: lambda call=call: [call(number) for number in order]
            for what, call in calls.items()
        }
        turns |= corpus.sequential_formats()
        times = interleaved(turns, rounds=9, quick=options.quick)
        packing = corpus.packing_rows()
    each = {what: time._replace(median=time.median / num_files) for what, time in times.items()}
    return Table(
        "Packed audio: time an utterance, for a chunk of 1.5 s out of 8 s, in one process",
        compared(each, TARGETS) + packing,
        "Formats of tar files have no chunks: they are read in order, whole utterances.",
    )


class Corpus:
    """The same noise in all formats, and what reads a chunk of utterance number so and so."""

    def __init__(self, folder, num_files):
        self.folder = folder
        self.names = [str(number) for number in range(num_files)]
        self.rng = np.random.default_rng(0)
        for extension in FORMATS:
            for number in range(num_files):
                write_as(folder / extension / f"{number}.{extension}", number)
        self.packing_seconds = {
            extension: timed(partial(self.pack, extension)) for extension in ("wav", "flac")
        }
        index = read_index(folder / "packed_wav")
        self.places = [index[name] for name in self.names]
        log_mel = self.rng.normal(8.0, 2.0, (NUM_FRAMES, NUM_MELS))
        for name in self.names:
            write_features(self.feature_path(name), log_mel)

    def pack(self, extension):
        places = [("list", line) for line in range(len(self.names))]
        recordings = Recordings(self.names, self.names, places)
        source, target = self.folder / extension, self.folder / f"packed_{extension}"
        pack_audio(recordings, source, target, Problems(), progress=False)

    def first(self):
        return int(self.rng.integers(NUM_SAMPLES - CHUNK + 1))

    def packed(self, number):
        """As `read_chunk` does it."""
        path, start, *_ = self.places[number]
        with PackedAudio.open(path) as file:
            file.seek(start + self.first())
            samples = np.empty(CHUNK, np.int16)
            file.buffer_read_into(samples)
            return samples

    def single_files(self):
        return {
            f"{what}, a file each": partial(self.single_file, extension)
            for extension, what in FORMATS.items()
        }

    def single_file(self, extension, number):
        path = str(self.folder / extension / f"{number}.{extension}")
        return read_chunk(path, 0, NUM_SAMPLES, CHUNK, self.rng)

    def by_pyarrow(self):
        """What other programs do, who map the file and let pyarrow find the row."""
        table = pa.ipc.open_file(pa.memory_map(self.places[0].path)).read_all()
        column = table.column("samples")

        def read(number):
            chunk = column[number].values.slice(self.first(), CHUNK)
            return chunk.to_numpy().copy()

        return read

    def by_memmap(self):
        path = self.folder / "flat"
        with open(path, "wb") as file:
            for name in self.names:
                soundfile.read(self.folder / "wav" / f"{name}.wav", dtype="int16")[0].tofile(file)
        samples = np.memmap(path, np.int16, mode="r")

        def read(number):
            first = number * NUM_SAMPLES + self.first()
            return np.array(samples[first : first + CHUNK])

        return read

    def feature_path(self, name):
        return self.folder / f"{name}.npy"

    def features(self, number):
        first = int(self.rng.integers(NUM_FRAMES - CHUNK_FRAMES + 1))
        return read_features(self.feature_path(number), first, first + CHUNK_FRAMES)

    def sequential_formats(self):
        """Those of them that are installed."""
        formats = {"lhotse": self.by_lhotse, "webdataset": self.by_webdataset}
        return {
            f"{name}, of WAV, in order": make()
            for name, make in formats.items()
            if importlib.util.find_spec(name)
        }

    def by_webdataset(self):
        import webdataset

        path = str(self.folder / "webdataset.tar")
        with webdataset.TarWriter(path) as writer:
            for name in self.names:
                wav = (self.folder / "wav" / f"{name}.wav").read_bytes()
                writer.write({"__key__": name, "wav": wav})

        def read_all():
            for item in webdataset.WebDataset(path, shardshuffle=False):
                samples, _ = soundfile.read(io.BytesIO(item["wav"]), dtype="int16")
                cut_chunk(samples, CHUNK, self.rng)

        return read_all

    def by_lhotse(self):
        from lhotse import CutSet, Recording

        folder = self.folder / "shar"
        folder.mkdir()
        paths = [self.folder / "wav" / f"{name}.wav" for name in self.names]
        cuts = CutSet.from_cuts(Recording.from_file(path).to_cut() for path in paths)
        cuts.to_shar(folder, {"recording": "wav"})

        def read_all():
            for cut in CutSet.from_shar(in_dir=folder):
                offset = self.first() / SAMPLE_RATE
                cut.truncate(offset=offset, duration=CHUNK / SAMPLE_RATE).load_audio()

        return read_all

    def packing_rows(self):
        return [
            Row(f"to pack an utterance of {FORMATS[extension]}", seconds / len(self.names))
            for extension, seconds in self.packing_seconds.items()
        ]


def write_as(path, seed):
    write_noise(path.with_suffix(".wav"), NUM_SAMPLES / SAMPLE_RATE, seed, SAMPLE_RATE)
    if path.suffix != ".wav":
        samples, _ = soundfile.read(path.with_suffix(".wav"), dtype="int16")
        soundfile.write(path, samples, SAMPLE_RATE)
        path.with_suffix(".wav").unlink()
