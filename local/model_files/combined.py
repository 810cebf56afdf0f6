"""Several model directories in, one out whose model is an ensemble of theirs."""

import io

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.tag import Tag

from local.atomic import new_directory
from local.errors import InputError
from local.model_files.definition import read_definition
from local.model_files.differences import differences
from local.model_files.model_dir import MODEL_FILE, load_model, save_weights

ENSEMBLE = "!new:local.models.ensemble.Ensemble"


def combine(model_dirs, out_dir):
    """Makes a model directory of several, whole or not at all.

    Arguments
    ---------
    model_dirs : list of str or Path
        Of trained or exported models, for the same features; of each, the best weights are taken.
    out_dir : str or Path
        A new or empty folder. Its model has no threshold: see `recipes/verify.py`.

    Raises
    ------
    InputError
        If there are fewer than two models, one is given twice or has other features than the
        first, one can't be read, or the folder can't be written.
    """
    if len(model_dirs) < 2:
        raise InputError("an ensemble is of at least two models: give their directories")
    models = {f"member_{number}": load_model(path) for number, path in enumerate(model_dirs, 1)}
    digests = [model["digest"] for model in models.values()]
    for number, digest in enumerate(digests):
        if digest in digests[:number]:
            first = model_dirs[digests.index(digest)]
            raise InputError(f"{model_dirs[number]}: is the same model as {first}")
    weights = {
        f"members.{member}.{name}": values
        for member, model in models.items()
        for name, values in model["extractor"].state_dict().items()
    }
    definition = io.StringIO()
    YAML().dump(_definition(models, model_dirs), definition)
    with new_directory(out_dir) as folder:
        (folder / MODEL_FILE).write_text(definition.getvalue(), encoding="utf-8")
        step = max(model["step"] for model in models.values())
        save_weights(folder, {"extractor": weights, "step": step})
        load_model(folder)  # a model that can't be loaded gets no name


def _definition(models, model_dirs):
    """Of the ensemble: what a model.yaml says. The models by their names, and where each is."""
    yaml = YAML()
    found = [yaml.load(read_definition(model["definition"])) for model in models.values()]
    extractors = CommentedMap()
    for name, one in zip(models, found, strict=True):
        extractors[name] = one.pop("extractor")
    extractors.yaml_set_ctag(Tag(suffix=ENSEMBLE))
    for path, rest in zip(model_dirs, found, strict=True):
        changes = [
            f"{name} {old} there, {new} here" for name, old, new in differences(found[0], rest)
        ]
        if changes:
            raise InputError(
                f"{path}: its features are not those of {model_dirs[0]}, and an ensemble computes "
                f"them once: {'; '.join(changes)}"
            )
    return found[0] | {"extractor": extractors}
