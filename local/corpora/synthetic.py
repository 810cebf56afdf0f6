"""Settings to synthetic speakers, and these to their recordings."""

import random
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from local.corpora.espeak import EspeakVoice
from local.corpora.noise import NOISES, add_noise, set_level
from local.corpora.sentences import unique_sentences

VERSION = 1  # raise it when the same settings would give other bytes
SAMPLE_RATE = 16_000  # of the files, in hertz
WORDS_PER_MINUTE = (150, 180)
LEVELS_DBFS = (-32.0, -18.0)
# More noise or a wider spread (on espeak-ng's scale from 0 to 100) makes the task harder.
SNR_DB = (0.0, 20.0)
PITCH_SPREAD = 15

# Each voice keeps one accent. With fewer accents, voices are harder to tell apart.
ACCENTS = """
    en-us en en-gb-scotland en-gb-x-rp en-gb-x-gbclan en-gb-x-gbcwmd en-us-nyc en-029
    """.split()

# The voice variants of espeak-ng, except for those that sound nearly like another one (anikaRobot,
# Gene2, steph3 ...) and those whose sentences would be shorter than 2 or longer than 8 seconds.
VOICES = """
    Alex Andrea Andy Annie Denis Diogo Gene Hugo Jacky Lee Mario Michael Mike Nguyen Reed
    RicishayMax RicishayMax2 Storm Tweaky UniRobot adam anika announcer aunty belinda boris caleb
    croak david ed edward f1 f2 f3 f4 f5 grandma grandpa gustave ian iven iven3 iven4 john
    kaukovalta klatt klatt3 klatt4 linda m1 m2 m3 m5 m7 m8 marcelo max michel mike2 norbert pablo
    paul pedro quincy rob robosoft robosoft3 robosoft4 robosoft5 robosoft6 robosoft7 robosoft8
    sandro shelby steph travis victor whisper whisperf zac
    """.split()


@dataclass(frozen=True)
class Settings:
    """The settings of the demo corpus."""

    seed: int = 0
    train_speakers: int = 48
    trial_speakers: int = 16
    utterances: int = 12
    trials: int = 1000


@dataclass(frozen=True)
class Speaker:
    """A voice and what it says."""

    voice: str
    accent: str
    seed: int
    sentences: list


def describe(settings):
    """A dictionary of everything that decides the bytes of the corpus."""
    return asdict(settings) | {
        "min_snr": SNR_DB[0],
        "max_snr": SNR_DB[1],
        "pitch_spread": PITCH_SPREAD,
        "version": VERSION,
        "sample_rate": SAMPLE_RATE,
        "words_per_minute": WORDS_PER_MINUTE,
        "levels_dbfs": LEVELS_DBFS,
        "accents": ACCENTS,
        "voices": VOICES,
    }


def cast_speakers(settings):
    """The speakers of training, then those of the trials; no two say the same sentence."""
    rng = random.Random(settings.seed)
    voices = rng.sample(VOICES, settings.train_speakers + settings.trial_speakers)
    sentences = unique_sentences(len(voices) * settings.utterances, rng)
    return [
        Speaker(
            voice=voice,
            accent=rng.choice(ACCENTS),
            seed=rng.randrange(2**31),
            sentences=sentences[number :: len(voices)],
        )
        for number, voice in enumerate(voices)
    ]


def record_speaker(speaker, audio_dir):
    """Records all sentences of a Speaker as audio_dir/VOICE/NUMBER.wav.

    Returns the path of each, below the pathlib.Path `audio_dir` and without extension.
    """
    (audio_dir / speaker.voice).mkdir(parents=True)
    paths = [f"{speaker.voice}/{number:03d}" for number in range(len(speaker.sentences))]
    rng = np.random.default_rng(speaker.seed)
    with tempfile.TemporaryDirectory() as folder:
        voice = EspeakVoice(speaker.accent, speaker.voice, Path(folder), speaker.seed)
        for path, sentence in zip(paths, speaker.sentences, strict=True):
            samples = _record(voice, sentence, rng)
            soundfile.write(audio_dir / f"{path}.wav", samples, SAMPLE_RATE, subtype="PCM_16")
    return paths


def _record(voice, sentence, rng):
    from scipy.signal import resample_poly  # here, so that -h need not wait for it

    pitch = 50 + rng.integers(-PITCH_SPREAD, PITCH_SPREAD, endpoint=True)
    words_per_minute = rng.integers(*WORDS_PER_MINUTE, endpoint=True)
    speech = voice.speak(sentence, int(pitch), int(words_per_minute)) / 32768
    speech = resample_poly(speech, 320, 441)  # 22,050 to 16,000 Hz
    snr_db = rng.uniform(*SNR_DB)
    noisy = add_noise(speech, snr_db, rng.choice(list(NOISES)), SAMPLE_RATE, rng)
    return set_level(noisy, rng.uniform(*LEVELS_DBFS))
