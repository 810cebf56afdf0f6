"""A model directory to all that is known of the model: weights, threshold, the run that made it."""

import collections
import logging
import shutil
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML, YAMLError

from local.atomic import read_text
from local.errors import InputError
from local.evaluation.decision import GIVEN, VALIDATED, Decision, read_decision, write_decision
from local.model_files.definition import sketching, yaml_events
from local.model_files.model_dir import (
    MODEL_FILE,
    SETTINGS_FILE,
    load_model,
    save_weights,
    to_plain,
)
from local.model_files.weights import check_tensors, load_weights
from local.models.embedding import SpeakerClassifier

# Settings of a training have some 5,000.
MAX_SETTINGS_BYTES = 50_000

logger = logging.getLogger(__name__)

# What an export keeps of the weights. The optimizer, two thirds of the file, serves only the
# training that made it.
KEPT = (
    "extractor",
    "classifier",
    "num_speakers",
    "step",
    "epoch",
    "eer_percent",
    "threshold",
    "trials_digest",
)


class Trained(NamedTuple):
    """A model directory that was read."""

    folder: Path
    model: dict  # from `local.model_files.model_dir.load_model`, in evaluation mode
    weights: dict  # what the newest weights hold of `KEPT`
    decision: Decision  # with a threshold
    settings: dict  # of the training; empty if they are not known
    classifier: SpeakerClassifier | None  # of the training speakers, if the weights hold one


def read_trained(model_dir, threshold=None):
    """Reads a model directory.

    Arguments
    ---------
    model_dir : str or Path
        The out_dir of a training run, or what else `load_model` takes.
    threshold : float, optional
        The cosine from which on two recordings are of one speaker, in place of the model's own:
        see `local.evaluation.decision`.

    Raises
    ------
    InputError
        If there is no model, its weights or settings can't be read, or the threshold is not
        known or not a cosine.
    """
    model = load_model(model_dir)
    model["extractor"].eval()
    content = load_weights(model["path"])
    weights = {key: content[key] for key in KEPT if key in content}
    decision = _decision(threshold, model)
    classifier = _make_classifier(
        weights.get("classifier"), weights.get("num_speakers"), model["path"]
    )
    return Trained(Path(model_dir), model, weights, decision, read_settings(model_dir), classifier)


def _decision(threshold, model):
    if threshold is not None:
        if isinstance(threshold, bool | str) or not -1 <= threshold <= 1:
            raise InputError(f"threshold: is a cosine, from -1 to 1, not {threshold!r}")
        return Decision(float(threshold), GIVEN)
    decision = read_decision(model)
    if decision.threshold is None:
        raise InputError(
            f"{model['path']}: holds no threshold for decisions: give --threshold, or let "
            "recipes/verify.py find one on trials, with --keep_calibration True"
        )
    return decision


def _make_classifier(state, num_speakers, path):
    """The classifier of the speakers; those who are other voices of them are left out."""
    if state is None or state == {}:
        return None
    check_tensors(state, path)
    try:
        if num_speakers and num_speakers < len(state["directions"]):
            state = state | {"directions": state["directions"][:num_speakers].clone()}
        num_speakers, *centres, embedding_size = state["directions"].shape
        has_projection = any(key.startswith("projection") for key in state)
        with sketching():  # without its memory: the weights bring theirs
            classifier = SpeakerClassifier(embedding_size, num_speakers, has_projection, *centres)
        classifier.load_state_dict(state, assign=True)
    except (KeyError, AttributeError, TypeError, ValueError, RuntimeError):
        logger.warning(f"{path}: its classifier is not one of this recipe, and is left out")
        return None
    return classifier.requires_grad_(False).eval()


def read_settings(model_dir):
    """The settings of a training as plain Python types; an empty dictionary if there are none.

    Raises
    ------
    InputError
        If hyperparams.yaml can't be read, or holds no settings.
    """
    path = Path(model_dir) / SETTINGS_FILE
    if not path.exists():
        return {}
    try:
        text = read_text(path, max_bytes=MAX_SETTINGS_BYTES)
        collections.deque(yaml_events(text, path), maxlen=0)  # raises for what can't be read
        settings = to_plain(YAML().load(text))
    except (YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: is damaged ({error})") from error
    if not isinstance(settings, dict):
        raise InputError(f"{path}: holds no settings")
    return settings


def write_model_dir(trained, folder):
    """Writes model.yaml, the weights and what decides, as `load_model` and others read them."""
    shutil.copyfile(trained.folder / MODEL_FILE, folder / MODEL_FILE)
    save_weights(folder, trained.weights)
    decision, kept = trained.decision, trained.decision.calibration
    if kept:  # without the path of its scores, which is nobody else's business
        facts = {key: fact for key, fact in kept.learnt_on.items() if key != "scores"}
        decision = decision._replace(calibration=kept._replace(learnt_on=facts))
    if decision.where != VALIDATED:  # which the weights hold
        write_decision(trained.model, decision, folder)
