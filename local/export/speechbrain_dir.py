"""A trained model to a directory that SpeechBrain's `foreign_class` loads without this recipe."""

import io
import re
import shutil

import torch
from ruamel.yaml import YAML
from speechbrain.dataio.encoder import CategoricalEncoder
from speechbrain.inference.interfaces import foreign_class

from local.errors import InputError
from local.export import interface
from local.export.bundle import PACKAGE, bundle
from local.export.drawn_voice import drawn_voice
from local.export.jinja import template
from local.model_files.definition import read_definition
from local.model_files.model_dir import MODEL_FILE
from local.models import embedding

LEAST_COSINE = 0.99999
# The tags of YAML that name something of this recipe: local.models.vgg, VGG.
_TAG = re.compile(rf"(?<=!)(new|name|apply):({PACKAGE}[\w.]*)\.(\w+)")
INTERFACE = {"pymodule_file": "custom_interface.py", "classname": "SpeakerVerification"}
CODE = '''"""The classes that hyperparams.yaml names, and SpeakerVerification, which is loaded by

    from speechbrain.inference.interfaces import foreign_class

    model = foreign_class(
        source=DIRECTORY, pymodule_file="custom_interface.py", classname="SpeakerVerification"
    )
"""

import sys
import types
{source}

# SpeechBrain runs this file without making it a module that can be imported. Here it becomes one,
# so that hyperparams.yaml finds the classes of this file, not those of a model loaded before.
_module = types.ModuleType(__name__)
vars(_module).update(globals())
sys.modules[__name__] = _module
'''


def write_speechbrain(trained, folder):
    """Writes custom_interface.py, hyperparams.yaml and the parameters as .ckpt files.

    Arguments
    ---------
    trained : local.export.trained.Trained
    folder : Path
        An empty directory.

    Raises
    ------
    InputError
        If the source of the model can't be brought together: see `local.export.bundle.bundle`.
    """
    model = io.StringIO()
    yaml = YAML()
    # Not the text as it is: SpeechBrain's parser might see in it what ours doesn't.
    yaml.dump(yaml.load(read_definition(trained.folder / MODEL_FILE)), model)
    model = model.getvalue()
    modules = {match[2] for match in _TAG.finditer(model)}
    source = bundle(modules | {interface.__name__, embedding.__name__})
    (folder / "custom_interface.py").write_text(CODE.replace("{source}", source), encoding="utf-8")
    (folder / "hyperparams.yaml").write_text(_hyperparams(model, trained), encoding="utf-8")
    torch.save(trained.model["extractor"].state_dict(), folder / "embedding_model.ckpt")
    if trained.classifier:
        torch.save(trained.classifier.state_dict(), folder / "classifier.ckpt")
        labels = CategoricalEncoder()
        labels.update_from_iterable(map(str, range(len(trained.classifier.directions))))
        labels.save(folder / "label_encoder.ckpt")


def _hyperparams(model, trained):
    renamed = _TAG.sub(r"\1:custom_interface.\3", model).rstrip()
    return template("hyperparams.yaml.j2").render(
        model=renamed, decision=trained.decision, classifier=trained.classifier
    )


def compare(trained, folder):
    """Embeds a drawn recording by SpeechBrain's interface, and by the recipe's own model.

    Returns
    -------
    cosine : float
        Between the two embeddings.
    embedding_size : int

    Raises
    ------
    InputError
        If it is not above `LEAST_COSINE`.
    """
    samples = torch.from_numpy(drawn_voice(trained.model["sample_rate"]))[None]
    exported = foreign_class(source=str(folder), run_opts={"device": "cpu"}, **INTERFACE)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    with torch.inference_mode():
        theirs = exported.encode_batch(samples / 32768.0)[0, 0]
        lengths = torch.tensor([samples.shape[1]])
        ours = trained.model["extractor"](*trained.model["features"](samples, lengths))[0]
    cosine = torch.cosine_similarity(theirs.double(), ours.double(), dim=0).item()
    if not cosine > LEAST_COSINE:
        raise InputError(
            f"{trained.model['path']}: the exported model's embedding is another one than the "
            f"model's own (cosine {cosine}): are there numbers that are not finite?"
        )
    return cosine, len(ours)
