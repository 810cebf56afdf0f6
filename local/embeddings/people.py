"""A file of people: their names, each with the mean embedding of the utterances that enrolled it.

It is an `.npz` that `numpy.load` reads, with four arrays: `names` (text), `embeddings` (float32, a
row for each name), `num_utterances` (int64) and `model` (text, the digest of the model). It may be
a stranger's: see `docs/security.md`.
"""

import contextlib
import io
import os
import zipfile
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import numpy as np

from local.atomic import folder_beside, replacing
from local.errors import InputError

# Seconds to wait for another process that changes the same file, which takes it milliseconds.
_PATIENCE = 60.0
_MAX_UTTERANCES = 10**9
# numpy writes headers of 128 bytes.
_MAX_HEADER_CHARACTERS = 1000


class People(NamedTuple):
    """Enrolled people, each name once."""

    names: list  # of str
    embeddings: np.ndarray  # float32 (num_people, embedding_size), means over the utterances
    num_utterances: np.ndarray  # int64 (num_people,)
    model: str  # the digest of the model that embedded them

    def extended(self, names, embeddings):
        """These people with more utterances; a new name comes behind the others.

        The embedding of a name is the mean of all utterances that it ever got. Each counts the same
        however long it is, and is as the network gives it, not of unit length. So it does not
        matter in which portions or order they come, but for rounding.

        Arguments
        ---------
        names : list of str
            Of each utterance.
        embeddings : np.ndarray
            float32 (num_utterances, embedding_size)

        Example
        -------
        >>> people = nobody("").extended(["anna", "anna"], np.array([[1.0, 0.0], [3.0, 0.0]]))
        >>> people = people.extended(["boris", "anna"], np.array([[5.0, 5.0], [5.0, 3.0]]))
        >>> people.names, people.embeddings.tolist(), people.num_utterances.tolist()
        (['anna', 'boris'], [[3.0, 1.0], [5.0, 5.0]], [3, 1])
        """
        self.check_size(embeddings)
        size, width = len(self.names), embeddings.shape[1]
        number = {name: row for row, name in enumerate(self.names)}
        rows = [number.setdefault(name, len(number)) for name in names]
        sums, totals = np.zeros((len(number), width)), np.zeros(len(number), np.int64)
        totals[:size] = self.num_utterances
        sums[:size] = self.embeddings.reshape(size, width) * totals[:size, None].astype(float)
        np.add.at(sums, rows, embeddings)
        np.add.at(totals, rows, 1)
        means = (sums / totals[:, None]).astype(np.float32)
        return People(list(number), means, totals, self.model)

    def check_size(self, embeddings):
        """Raises an InputError if embeddings of this model have another size than the people's."""
        here, there = self.embeddings.shape[1], embeddings.shape[1]
        if self.names and here != there:
            raise InputError(
                f"the file of people has embeddings of {here} values, and the model, by whose "
                f"digest it goes, of {there}: it is damaged"
            )

    def without(self, names):
        """These people but for some; raises an InputError for a name that is not among them."""
        known, names = set(self.names), set(names)
        for name in names - known:
            similar = "".join(f" (do you mean {n}?)" for n in get_close_matches(name, known, 1))
            raise InputError(f"there is no '{name}' among the people{similar}; --list shows them")
        rows = [row for row, name in enumerate(self.names) if name not in names]
        kept = [self.names[row] for row in rows]
        return People(kept, self.embeddings[rows], self.num_utterances[rows], self.model)


def nobody(model):
    """The People of a model, by its digest, before the first is enrolled."""
    return People([], np.zeros((0, 0), np.float32), np.zeros(0, np.int64), model)


def is_name(name):
    """Whether a text can be the name of a person: it has characters, and all can be printed.

    A stranger's file could otherwise send commands to the terminal that shows its names.
    """
    return bool(name) and name.isprintable() and name == name.strip()


def read_people(path, model=None):
    """Reads a file of people.

    Arguments
    ---------
    path : str or Path
    model : dict, optional
        From `local.model_files.model_dir.load_model`: the one that should have embedded them.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or of another model.
    """
    try:
        people = _read(path)
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file of people: recipes/enrol.py makes it"
        ) from error
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged file raises whatever its bytes lead to
        raise InputError(f"{path}: is damaged, or no file of people ({error})") from error
    if model is not None and people.model != model["digest"]:
        raise InputError(
            f"{path}: has the people of another model than {model['path']}, whose embeddings can't "
            "be compared with theirs: give their model (--model_dir), or enrol them anew"
        )
    return people


def _read(path):
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        is_plain = all(entry.compress_type == zipfile.ZIP_STORED for entry in entries)
        # So that a file takes no more memory than it is long.
        if not is_plain or sum(entry.file_size for entry in entries) > os.path.getsize(path):
            raise ValueError("it is compressed")
        arrays = [_array(archive.read(f"{name}.npy")) for name in People._fields]
    kinds = "".join(array.dtype.kind for array in arrays)
    names, embeddings, num_utterances, model = arrays
    shapes = names.shape, embeddings.shape[:1], num_utterances.shape
    if kinds != "UfiU" or embeddings.ndim != 2 or model.ndim or set(shapes) != {(len(names),)}:
        raise ValueError("its arrays don't fit together")
    names = names.tolist()
    if len(set(names)) < len(names) or not all(map(is_name, names)):
        raise ValueError("a name is there twice, or is none")
    with np.errstate(over="ignore"):
        embeddings = embeddings.astype(np.float32)
    if not np.isfinite(embeddings).all() or not embeddings.any(axis=1).all():
        raise ValueError("an embedding is zero or not finite")
    if (num_utterances < 1).any() or (num_utterances > _MAX_UTTERANCES).any():
        raise ValueError("somebody has no utterances, or more than anybody has")
    return People(names, embeddings, num_utterances.astype(np.int64), str(model))


def _array(content):
    """The array in the bytes of a `.npy` file, which has no other size than its header says."""
    file = io.BytesIO(content)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("its arrays are not of the format 1.0")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file, _MAX_HEADER_CHARACTERS)
    values = np.frombuffer(content, dtype, offset=file.tell())  # raises for objects
    return values.reshape(shape, order="F" if is_fortran else "C")


@contextlib.contextmanager
def changing(path, model=None):
    """A block that changes a file of people, while no other process does.

    Arguments
    ---------
    path : str or Path
    model : dict, optional
        With it, the file may be missing: the first people then make it.

    Yields
    ------
    people : People
    write : callable
        Takes the People to write, whole or not at all.

    Raises an InputError as `read_people`, and if the file can't be written.
    """
    path = Path(path)
    with folder_beside(path, _PATIENCE) as folder:
        is_new = model is not None and not path.exists()
        people = nobody(model["digest"]) if is_new else read_people(path, model)

        def write(people):
            arrays = people._replace(names=np.array(people.names, str))._asdict()
            with replacing(path, folder=folder) as temporary, open(temporary, "wb") as file:
                np.savez(file, **arrays)

        yield people, write
