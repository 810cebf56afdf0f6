"""A trained model as a directory that SpeechBrain's inference interfaces load without this recipe.

The source of the model's classes travels in hyperparams.yaml: see `hyperparams.yaml.j2`.
"""

import json

import torch
from speechbrain.dataio.encoder import CategoricalEncoder

from local.errors import InputError
from local.export import interface
from local.export.bundle import bundle, bundle_name
from local.export.drawn_voice import drawn_voice
from local.export.jinja import template
from local.export.trained import make_classifier
from local.export.yaml_text import block_text, flow_text, named_modules, with_module
from local.model_files.model_dir import MODEL_FILE

LEAST_COSINE = 0.99999


def write_speechbrain(trained, folder):
    """Writes hyperparams.yaml, config.json and the parameters as .ckpt files.

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
    (folder / "hyperparams.yaml").write_text(_hyperparams(trained), encoding="utf-8")
    model = interface.EmbeddingModel(trained.model["features"], trained.model["extractor"])
    torch.save(model.state_dict(), folder / "embedding_model.ckpt")
    if trained.classifier:
        classifier = interface.CosineClassifier(make_classifier(trained))
        torch.save(classifier.state_dict(), folder / "classifier.ckpt")
        labels = CategoricalEncoder()
        labels.update_from_iterable(map(str, range(trained.classifier["num_speakers"])))
        labels.save(folder / "label_encoder.ckpt")
    # By this, the Hugging Face Hub knows a model of SpeechBrain.
    config = json.dumps({"speechbrain_interface": "SpeakerRecognition"}, indent=2)
    (folder / "config.json").write_text(config + "\n", encoding="utf-8")


def _hyperparams(trained):
    model = block_text(trained.folder / MODEL_FILE, ["features", "extractor"])
    classifier = flow_text(trained.classifier) if trained.classifier else ""
    source = bundle(named_modules(model + classifier) | {interface.__name__})
    name = bundle_name(source)
    return template("hyperparams.yaml.j2").render(
        module=name,
        source=source.rstrip(),
        sample_rate=trained.model["sample_rate"],
        model=with_module(model, name).rstrip(),
        classifier=with_module(classifier, name),
        num_speakers=trained.classifier and trained.classifier["num_speakers"],
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
    from speechbrain.inference.speaker import SpeakerRecognition

    samples = torch.from_numpy(drawn_voice(trained.model["sample_rate"]))[None]
    exported = SpeakerRecognition.from_hparams(source=str(folder), run_opts={"device": "cpu"})
    with torch.inference_mode():
        theirs = exported.encode_batch(samples / 32768.0)[0, 0]
        ours = trained.model["extractor"](*trained.model["features"](samples))[0]
    cosine = torch.cosine_similarity(theirs.double(), ours.double(), dim=0).item()
    if not cosine > LEAST_COSINE:
        raise InputError(
            f"{trained.model['path']}: the exported model's embedding is another one than the "
            f"model's own (cosine {cosine}): are there numbers that are not finite?"
        )
    return cosine, len(ours)
