"""Utterances as several crops, whose embeddings are averaged."""

import numpy as np

from local.data.manifest_files import read_manifest, write_manifest


def write_crops(manifest_path, crops_path, num_crops, crop_seconds):
    """Writes a manifest of crops, spread evenly over each utterance.

    Arguments
    ---------
    manifest_path, crops_path : str or Path
    num_crops : int
        Of each utterance, from its beginning to its end; they overlap if it is short. An utterance
        that is no longer than a crop is one crop by itself.
    crop_seconds : float

    Returns
    -------
    counts : np.ndarray
        int (num_utterances,): the number of crops of each, in the order of the manifest.
    """
    crops, counts = [], []
    for row in read_manifest(manifest_path):
        start, stop, seconds = int(row["start"]), int(row["stop"]), float(row["duration"])
        length = min(stop - start, round(crop_seconds * (stop - start) / seconds))
        firsts = np.unique(np.linspace(start, stop - length, num_crops).round().astype(int))
        counts.append(len(firsts))
        for index, first in enumerate(firsts):
            place = {"start": int(first), "stop": int(first) + length}
            duration = seconds * length / (stop - start)
            crops.append(row | place | {"ID": f"{row['ID']}#{index}", "duration": duration})
    write_manifest(crops_path, crops)
    return np.array(counts)
