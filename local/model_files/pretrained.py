"""The model that scripts take if none is given: it is in this repository."""

from pathlib import Path

from local.errors import InputError
from local.model_files.model_dir import load_model, weight_files

ROOT = Path(__file__).resolve().parents[2]


def load_given(model_dir, is_default):
    """The model of a directory, as `load_model` returns it.

    Arguments
    ---------
    model_dir : str or Path
    is_default : bool
        Whether nobody gave it: it is then found from any working directory.
    """
    path = ROOT / model_dir if is_default else Path(model_dir)
    if is_default and not weight_files(path):
        raise InputError(
            f"{path}: there is no pretrained model here: give --model_dir, the out_dir of "
            "recipes/train_vgg.py or an exported model"
        )
    return load_model(path)
