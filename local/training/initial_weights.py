"""The weights of another model to those that a training starts with."""

import logging
from pathlib import Path

import torch
from ruamel.yaml import YAML

from local.errors import InputError
from local.machine import processes
from local.model_files.definition import read_definition
from local.model_files.differences import differences
from local.model_files.model_dir import MODEL_FILE, MODEL_KEYS, best_weights, load_model
from local.model_files.weights import misfits
from local.training.checkpoints import WholeCheckpointer
from local.training.earlier_run import has_checkpoint

_MAX_SHOWN = 4

logger = logging.getLogger(__name__)


def load_initial_weights(model_dir, extractor, out_dir):
    """Gives an extractor the weights of a trained model; a run that goes on is left as it is.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run, or an exported model.
    extractor : torch.nn.Module
        Changed in place: front end, pooling and embedding.
    out_dir : str or Path
        Of this run, with its resolved settings: where those of features and network differ from
        the model's, though the weights fit, a warning says so.

    Raises
    ------
    InputError
        If there is no model, or it is another network.
    """
    if has_checkpoint(out_dir):
        return
    model = load_model(model_dir)
    if hasattr(model["extractor"], "members"):
        raise InputError(f"init_from: {model_dir} is an ensemble: give one of its models")
    weights = model["extractor"].state_dict()
    lines = misfits(extractor.state_dict(), weights)
    if lines:
        rest = len(lines) - _MAX_SHOWN
        raise InputError(
            f"init_from: {model_dir} is another network; give the settings of its {MODEL_FILE}.\n"
            + "\n".join(lines[:_MAX_SHOWN])
            + (f"\n... and {rest} more" if rest > 0 else "")
        )
    extractor.load_state_dict(weights)
    if processes.rank() == 0:
        logger.info(f"Training starts with front end, pooling and embedding of {model['path']}")
        own_settings = Path(out_dir) / "hyperparams.yaml"
        for setting in _other_settings(Path(model_dir) / MODEL_FILE, own_settings):
            logger.warning(f"init_from: {setting}")


def make_classifier(make, num_classes, model_dir, has_same_speakers, out_dir):
    """A new classifier or, for the speakers of a trained model, one that goes on with the model's.

    Arguments
    ---------
    make : callable
        num_speakers to a `local.models.embedding.SpeakerClassifier`.
    num_classes : int
        The speakers, and their other voices that count as speakers. Where the model had more of
        these, its classifier keeps them.
    model_dir : str or Path or None
    has_same_speakers : callable
        Whether the model was trained on the same speakers.
    out_dir : str or Path
        Of this run; if it goes on, its classifier will be loaded.

    Raises
    ------
    InputError
        If the settings of the classifier are wrong.
    """
    state = None
    if has_checkpoint(out_dir):
        num_classes = max(num_classes, _num_rows(out_dir))
    elif model_dir:
        state = best_weights(model_dir)[1].get("classifier")
        reason = "" if state else "that model has none"
        if state and not has_same_speakers():
            reason = "that model was trained on other speakers, or it is not known on which"
        if not reason:
            classifier, state, reason = _going_on(make, num_classes, state)
        if reason:
            _tell(f"The classifier of the training speakers is new: {reason}")
        else:
            _tell(f"The classifier goes on, too: {len(state['directions'])} classes")
            return classifier
    return _made(make, num_classes)


def _going_on(make, num_classes, state):
    """A classifier with this state, what it has, and why it doesn't fit ("" if it does)."""
    rows = state["directions"]
    classifier = _made(make, max(num_classes, len(rows)))
    own = classifier.state_dict()
    # Speakers come first, and their other voices behind them.
    if own["directions"].shape[1:] == rows.shape[1:]:
        state = state | {"directions": torch.cat([rows, own["directions"][len(rows) :]])}
    reason = "; ".join(misfits(own, state))
    if not reason:
        classifier.load_state_dict(state)
    return classifier, state, reason


def _made(make, num_classes):
    try:
        return make(num_speakers=num_classes)
    except ValueError as error:
        raise InputError(f"classifier: {error}") from error


def _num_rows(out_dir):
    newest = WholeCheckpointer(Path(out_dir) / "save").find_checkpoint()
    state = torch.load(newest.paramfiles["classifier"], map_location="cpu", weights_only=True)
    return len(state["directions"])


def _tell(message):
    if processes.rank() == 0:
        logger.info(message)


def _other_settings(definition_path, hyperparams_path):
    """A line for each setting of features and network that differs."""
    yaml = YAML()
    there = yaml.load(read_definition(definition_path))
    own = yaml.load(Path(hyperparams_path).read_text(encoding="utf-8"))
    here = {key: own[name] for key, name in MODEL_KEYS.items()}
    for name, in_that, in_this in differences(there, here):
        yield f"{name} is {in_this} in this run, {in_that} in that one"
