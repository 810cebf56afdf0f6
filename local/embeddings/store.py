"""Embeddings kept for later: each utterance under a digest of all that its embedding depends on.

The folder of a model has files of up to 64 MB, `MODEL-PRECISION.NAME.npz`, which nobody changes:
what is new gets a file of its own. Unlike the shards of an interrupted run, they serve other lists
of utterances, in other batches, and on other devices, where an embedding is the same but for
rounding.
"""

import contextlib
import functools
import hashlib
import logging
import secrets
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import locked, replacing, writing
from local.embeddings.shards import SHARD_BYTES, digests, file_stamp
from local.errors import InputError

logger = logging.getLogger(__name__)

# Raise it whenever a change of the code gives the same model and audio another embedding.
_VERSION = 1
_KEY = np.dtype("V16")
# Seconds to wait for another run that is writing.
_PATIENCE = 600.0


class Found(NamedTuple):
    """What a store has of some utterances."""

    keys: list  # of bytes, one for each
    is_there: np.ndarray  # bool (num_utterances,)
    embeddings: np.ndarray  # float32 (num_utterances, embedding_size), 0 of what is missing
    levels: np.ndarray  # int8 (num_utterances,), see `local.embeddings.levels`

    def filled(self, rows, embeddings, levels):
        """The same with the embeddings of some rows, which are there from now on."""
        wide = self.embeddings
        if not wide.shape[1]:  # the first
            wide = np.zeros((len(self.keys), embeddings.shape[1]), np.float32)
        wide[rows], self.levels[rows], self.is_there[rows] = embeddings, levels, True
        return self._replace(embeddings=wide)


class Store:
    """The kept embeddings of a model.

    Arguments
    ---------
    folder : str or Path
    model : dict
        From `local.model_files.model_dir.load_model`.
    precision : str
        "fp32" or "bf16".
    """

    def __init__(self, folder, model, precision):
        self.folder = Path(folder)
        facts = _VERSION, *digests(model["path"], model["definition"])
        self._model = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        self._name = f"{self._model}-{precision}"
        self._facts = hashlib.sha256(repr((*facts, precision)).encode())

    def find(self, rows):
        """Looks for the embeddings of utterances: a Found.

        Arguments
        ---------
        rows : list of tuple
            (path, start, stop, ...) of each; size and time of the files count, too.

        Raises
        ------
        InputError
            If a file can't be read. One that is damaged is deleted.
        """
        keys = self._keys(rows)
        of_key = {key: row for row, key in enumerate(keys)}
        empty = np.zeros((len(keys), 0), np.float32)
        found = Found(keys, np.zeros(len(keys), bool), empty, np.zeros(len(keys), np.int8))
        for content in self._files():
            rows = np.array([of_key.get(key, -1) for key in content["keys"].tolist()], int)
            is_asked = rows >= 0
            values = content["embeddings"][is_asked], content["levels"][is_asked]
            found = found.filled(rows[is_asked], *values)
        if len(of_key) < len(keys):  # a recording that is there twice
            rows = [of_key[key] for key in keys]
            found = Found(keys, *(values[rows] for values in found[1:]))
        return found

    def _keys(self, rows):
        stamp, keys = functools.cache(file_stamp), []
        for row in rows:
            digest = self._facts.copy()
            digest.update(repr((row, stamp(row[0]))).encode())
            keys.append(digest.digest()[: _KEY.itemsize])
        return keys

    def _files(self):
        """Yields the arrays of each file that is whole."""
        for path in sorted(self.folder.glob(f"{self._name}.*.npz")):
            try:
                with np.load(path, allow_pickle=False) as archive:
                    content = dict(archive)
                _check(**content)
            except FileNotFoundError:  # another run has found it damaged
                continue
            except (OSError, MemoryError) as error:
                raise InputError(f"{path}: can't be read ({error}): mend or delete it") from error
            except Exception:  # whatever is wrong with the file, audio can be embedded again
                logger.warning(f"{path}: is damaged: what it had is embedded again")
                with contextlib.suppress(OSError):
                    path.unlink()
                continue
            yield content

    def check(self):
        """Makes the folder; raises an InputError if nothing can be written there."""
        with locked(self.folder, _PATIENCE):
            pass

    def add(self, found, embedded):
        """Keeps what was embedded because it was missing, and deletes what other weights gave.

        Arguments
        ---------
        found : Found
        embedded : local.embeddings.shards.Embedded
            Of the rows that were not there, in their order.

        Returns
        -------
        found : Found
            With these embeddings.
        failures : dict
            Row -> what is wrong with it.

        Raises
        ------
        InputError
            If the folder can't be written.
        """
        missing = np.flatnonzero(~found.is_there)
        good = np.delete(np.arange(len(missing)), list(embedded.failures))
        if len(good):
            rows, values = missing[good], (embedded.embeddings[good], embedded.levels[good])
            found = found.filled(rows, *values)
            self._write([found.keys[row] for row in rows.tolist()], *values)
        return found, {int(missing[row]): text for row, text in embedded.failures.items()}

    def _write(self, keys, embeddings, levels):
        size = max(1, SHARD_BYTES // embeddings[0].nbytes)
        with locked(self.folder, _PATIENCE), writing(self.folder):
            for path in self.folder.glob("*.npz"):
                if not path.name.startswith(f"{self._model}-"):
                    path.unlink(missing_ok=True)
            for first in range(0, len(keys), size):
                part = slice(first, first + size)
                columns = {"keys": np.frombuffer(b"".join(keys[part]), _KEY)}
                columns |= {"embeddings": embeddings[part], "levels": levels[part]}
                path = self.folder / f"{self._name}.{secrets.token_hex(8)}.npz"
                with replacing(path) as temporary, open(temporary, "wb") as file:
                    np.savez(file, **columns)


def _check(keys, embeddings, levels):
    kinds = [values.dtype for values in (keys, embeddings, levels)]
    is_sound = kinds == [_KEY, np.float32, np.int8] and embeddings.ndim == 2
    if not is_sound or not len(keys) == len(embeddings) == len(levels):
        raise ValueError("these are no embeddings")
