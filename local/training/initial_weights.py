"""The weights of another model to those that a training starts with."""

import logging
from pathlib import Path

from ruamel.yaml import YAML

from local.errors import InputError
from local.machine import processes
from local.model_files.definition import read_definition
from local.model_files.model_dir import MODEL_FILE, MODEL_KEYS, load_model
from local.model_files.weights import misfits
from local.training.earlier_run import differences, has_checkpoint

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
        logger.info(
            f"Training starts with front end, pooling and embedding of {model['path']}; the "
            "classifier of the training speakers is new."
        )
        own_settings = Path(out_dir) / "hyperparams.yaml"
        for setting in _other_settings(Path(model_dir) / MODEL_FILE, own_settings):
            logger.warning(f"init_from: {setting}")


def _other_settings(definition_path, hyperparams_path):
    """A line for each setting of features and network that differs."""
    yaml = YAML()
    there = yaml.load(read_definition(definition_path))
    own = yaml.load(Path(hyperparams_path).read_text(encoding="utf-8"))
    here = {key: own[name] for key, name in MODEL_KEYS.items()}
    for name, in_that, in_this in differences(there, here):
        yield f"{name} is {in_this} in this run, {in_that} in that one"
