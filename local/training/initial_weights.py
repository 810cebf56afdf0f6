"""The weights of another model to those that a training starts with."""

import logging
from pathlib import Path

from local.errors import InputError
from local.machine import processes
from local.model_files.definition import plain, read
from local.model_files.model_dir import MODEL_FILE, MODEL_KEYS, load_model
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
    misfits = _misfits(extractor.state_dict(), weights)
    if misfits:
        rest = len(misfits) - _MAX_SHOWN
        raise InputError(
            f"init_from: {model_dir} is another network; give the settings of its {MODEL_FILE}.\n"
            + "\n".join(misfits[:_MAX_SHOWN])
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


def _misfits(here, there):
    """A line for each weight that two state dictionaries do not have in the same shape."""
    lines = []
    for name in dict.fromkeys([*here, *there]):
        shapes = [_shape(weights.get(name)) for weights in (here, there)]
        if shapes[0] != shapes[1]:
            lines.append(f"{name}: {shapes[0]} here, {shapes[1]} there")
    return lines


def _shape(weight):
    return "nothing" if weight is None else "x".join(map(str, weight.shape)) or "one number"


def _other_settings(definition_path, hyperparams_path):
    """A line for each setting of features and network that differs."""
    there, own = (plain(read(path)) for path in (definition_path, hyperparams_path))
    here = {key: own[name] for key, name in MODEL_KEYS.items()}
    for name, in_that, in_this in differences(there, here):
        yield f"{name} is {in_this} in this run, {in_that} in that one"
