"""A finished training to what it tells its user."""

import shlex
from pathlib import Path

from local.model_files.model_dir import best_weights


def closing_words(out_dir, counter, trials, root):
    """Where the best model is and what to do with it.

    Arguments
    ---------
    out_dir : str or Path
        Of the training.
    counter : speechbrain.utils.epoch_loop.EpochCounterWithStopper
        At its end.
    trials : dict
        The settings of the trials, by their names in `hparams/verify.yaml`.
    root : Path
        Where the recipe is.
    """
    options = {"model_dir": out_dir, "output_dir": Path(out_dir, "verification")} | trials
    command = ["python", f"{root}/recipes/verify.py", f"{root}/hparams/verify.yaml"]
    command += [str(part) for key, value in options.items() for part in (f"--{key}", value)]
    return (
        f"Lowest EER on the trials: {counter.best_score:.2f} % after epoch {counter.best_limit}.\n"
        f"The model: {best_weights(out_dir)[0]}\n"
        f"Verify with: {shlex.join(command)}"
    )
