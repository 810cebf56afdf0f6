"""The README.md of an exported model: a Hugging Face model card, filled in from the run."""

import json
from pathlib import Path

from local.atomic import read_text
from local.data.manifest_files import read_manifest
from local.data.overlap import overlap_warning
from local.errors import InputError
from local.evaluation.summary import summary_rows
from local.export.jinja import template
from local.model_files.model_dir import MODEL_FILE, weight_files
from local.models.size import num_parameters

MANIFEST_FILE = "manifests/train.csv"
VALID_MANIFEST_FILE = "manifests/valid.csv"
METRICS_FILE = "verification/metrics.json"
# Settings that are paths, of which the card has the last part, and what it calls them.
PATHS = {
    "train_labels_path": "labels",
    "train_data_dir": "audio",
    "init_from": "began with the weights of",
}
# The settings of a training that a reader wants to know, besides those of the network.
SETTINGS = """
    loss optimizer lr_schedule number_of_epochs validate_every batch_size chunk_samples
    normalize_over max_masked_mels average_decay seed
""".split()


def write_card(folder, name, trained, embedding_size, results):
    """Writes README.md, and leaves out what is not known.

    Arguments
    ---------
    folder : Path
        Where everything else of the export is.
    name : str
        What the directory will be called.
    trained : local.export.trained.Trained
    embedding_size : int
    results : dict
        From `read_results`.
    """
    num_speakers = trained.classifier and len(trained.classifier.directions)
    card = template("model_card.md.j2").render(
        trained.model,
        name=name,
        decision=trained.decision,
        embedding_size=embedding_size,
        num_parameters=num_parameters(trained.model["extractor"]),
        num_speakers=num_speakers,
        weights_name=weight_files(folder)[-1].name,
        has_onnx=(folder / "model.onnx").exists(),
        data=training_data(trained.folder / MANIFEST_FILE, num_speakers, trained.settings),
        definition=(trained.folder / MODEL_FILE).read_text(encoding="utf-8").rstrip(),
        settings=training_settings(trained.settings),
        results=results,
        warnings=warnings_of(trained.folder, results),
    )
    (folder / "README.md").write_text(card, encoding="utf-8")


def warnings_of(model_dir, results):
    """Why the figures of a model may mislead: each reason once."""
    manifests = [model_dir / MANIFEST_FILE, model_dir / VALID_MANIFEST_FILE]
    found = [overlap_warning(*manifests)] if all(path.is_file() for path in manifests) else []
    for summary in results.values():
        found += summary.get("warnings", [])
    return [warning for warning in dict.fromkeys(found) if warning]


def training_data(manifest_path, num_speakers, settings):
    """What is known of the training data: (what, value) rows.

    Directories and files are given by their names alone, not by where they are.
    """
    rows = []
    if manifest_path.is_file():
        speakers, num_utterances, seconds = set(), 0, 0.0
        for row in read_manifest(manifest_path):
            speakers.add(row["spk_id"])
            num_utterances += 1
            seconds += float(row["duration"])
        rows += [
            ("speakers", f"{len(speakers):,}"),
            ("utterances", f"{num_utterances:,}"),
            ("hours", f"{seconds / 3600:,.1f}" if seconds >= 360 else f"{seconds / 3600:.3f}"),
        ]
    elif num_speakers:
        rows.append(("speakers", f"{num_speakers:,}"))
    for key, what in PATHS.items():
        if settings.get(key):
            rows.append((what, f"`{Path(settings[key]).name}`"))
    return rows


def training_settings(settings):
    """(what, value) rows of those of `SETTINGS` that the training had.

    Example
    -------
    >>> training_settings({"opt_class": {"class": "!name:torch.optim.Adam", "lr": 0.1}, "seed": 1})
    [('optimizer', 'Adam (lr 0.1)'), ('seed', '1')]
    """
    chosen = "sgd" if settings.get("optimizer") == "sgd" else "opt_class"
    settings = settings | {"optimizer": settings.get(chosen)}
    given = {key: settings[key] for key in SETTINGS if settings.get(key) is not None}
    return [(key, _described(value)) for key, value in given.items()]


def _described(value):
    if not isinstance(value, dict):
        return str(value)
    arguments = [f"{key} {_described(item)}" for key, item in value.items() if key != "class"]
    name = value.get("class", "").rpartition(".")[2]
    return f"{name} ({', '.join(arguments)})"


def read_results(model_dir, metrics_path=None):
    """The figures of verification, of one system, of several, or of several lists.

    Arguments
    ---------
    model_dir : str or Path
    metrics_path : str or Path, optional
        A metrics.json of recipes/verify.py, if not the one in model_dir.

    Returns
    -------
    results : dict
        For the name of each system or list ("" of a single one) its summary, with (what, value)
        rows for the card under "rows". Empty if no file is named and none is in model_dir.

    Raises
    ------
    InputError
        If the file can't be read, or holds no figures of a verification.
    """
    path = Path(metrics_path or Path(model_dir) / METRICS_FILE)
    if not metrics_path and not path.exists():
        return {}
    try:
        metrics = json.loads(read_text(path))
        systems = metrics.get("systems") or metrics.get("lists") or {"": metrics}
        return {name: summary | {"rows": _rows(summary)} for name, summary in systems.items()}
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: is no metrics.json of recipes/verify.py ({error!r})") from error


def _rows(summary):
    rows = [("trials", f"{summary['num_trials']:,}")]
    for key, what in summary_rows(summary):
        if key == "eer_percent" or key.startswith("min_dcf"):
            decimals, unit = (2, " %") if key == "eer_percent" else (3, "")
            interval = summary.get("intervals", {}).get(key)
            rows.append((what, _figure(summary[key], interval, decimals, unit)))
    return rows


def _figure(value, interval, decimals, unit):
    text = f"{value:.{decimals}f}{unit}"
    if interval:
        low, high = interval
        text += f" [{low:.{decimals}f}, {high:.{decimals}f}]"
    return text
