"""What the scripts in recipes/ have in common: -h, hyperparameters, errors as messages."""

import json
import logging
import os
import re
import signal
import sys
import time
from pathlib import Path

from local.atomic import read_text
from local.errors import InputError, tell_torchrun
from local.machine.signals import CTRL_C_STATUS, Stopped

PATIENCE_SECONDS = 3.0
# Old settings that are still understood: key -> its new key, and the new form of each value.
RENAMED_SETTINGS = {"features": ("train_on", {"audio": "audio", "stored": "features"})}

# A setting of a YAML file: its key, its value, and the comment behind it.
_SETTING = re.compile(r"^([a-z]\w*): *(.*?)(?: +# (.*))?$")


def answer_help(doc, yaml_path):
    """Prints what a script takes and ends the process, if it was asked for -h or --help.

    Called before the imports that take seconds.

    Arguments
    ---------
    doc : str
        The script's docstring.
    yaml_path : str or Path
        Its default hyperparameters, listed if the command line names no other file.
    """
    arguments = sys.argv[1:]
    if not {"-h", "--help"} & set(arguments):
        return
    given = [argument for argument in arguments if argument.endswith((".yaml", ".yml"))]
    path = Path(given[0] if given else yaml_path)
    print(f"{doc.strip()}\n\nSettings of {path.name}; each can be given as --key value:\n")
    print(describe_settings(path.read_text(encoding="utf-8")))
    print(
        "\nAlso --preset FILE (settings of that file; those of the command line come after) and"
        "\nSpeechBrain's run options, for example --device cuda:0 or --noprogressbar."
    )
    sys.exit(0)


def describe_settings(text):
    """The settings of a YAML file that hold plain values, a line each.

    Example
    -------
    >>> print(describe_settings("seed: 1  # of everything random\\nmodel: !new:torch.nn.ReLU\\n"))
      --seed 1                                   of everything random
    """
    lines = []
    for line in text.splitlines():
        match = _SETTING.match(line)
        if match and match[2] and not match[2].startswith(("!new", "!name", "!apply")):
            option = f"--{match[1]} {match[2]}"
            lines.append(f"  {option:<42} {match[3] or ''}".rstrip())
    return "\n".join(lines)


def load_hparams(arguments, repeatable=None):
    """Reads the command line `FILE.yaml [--preset FILE.yaml] [--key value ...]`.

    Arguments
    ---------
    arguments : list of str
    repeatable : str, optional
        A key that may have several values, which are then a list.

    Returns
    -------
    yaml_path : str
    hparams : dict
        The loaded hyperparameters, objects built.
    run_opts : speechbrain.utils.run_opts.RunOptions
    overrides : dict
        What the preset and the command line changed.

    Raises
    ------
    InputError
        If a file is missing or is no YAML, or a key does not exist.
    """
    import speechbrain as sb
    from hyperpyyaml import load_hyperpyyaml
    from hyperpyyaml.core import recursive_update

    # SpeechBrain says in each run that pictures, of which there are none, can't be saved.
    train_logger = logging.getLogger("speechbrain.utils.train_logger")
    train_logger.addFilter(lambda record: "torchvision" not in record.getMessage())
    arguments, presets = split_off(arguments, "preset")
    if repeatable:
        arguments, values = split_off(arguments, repeatable, many=True)
        if values:
            value = values[0] if len(values) == 1 else json.dumps(values)
            arguments += [f"--{repeatable}", value]
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the first argument is the hyperparameters' YAML file; -h says more")
    yaml_path, run_opts, override_text = sb.parse_arguments(arguments)
    overrides = {}
    for path in presets:
        recursive_update(overrides, _read_settings(read_text(path), path))
    recursive_update(overrides, _read_settings(override_text, "the command line"))
    text = read_text(yaml_path)
    for name in run_opts.overridden_args & _read_settings(text, yaml_path).keys():
        overrides[name] = run_opts[name]
    hparams = _build(load_hyperpyyaml, yaml_path, text, overrides)
    return yaml_path, hparams, run_opts, overrides


def split_off(arguments, key, many=False):
    """Takes `--key VALUE` and `--key=VALUE` out of the arguments.

    Arguments
    ---------
    arguments : list of str
    key : str
    many : bool
        Takes `--key VALUE VALUE ...`, too, up to the next option.

    Returns
    -------
    rest, values : list of str

    Example
    -------
    >>> split_off(["a.yaml", "--files", "1.wav", "2.wav", "--device", "cpu"], "files", many=True)
    (['a.yaml', '--device', 'cpu'], ['1.wav', '2.wav'])
    """
    rest, values = [], []
    remaining = list(arguments)
    while remaining:
        argument = remaining.pop(0)
        if argument == f"--{key}":
            values.append(remaining.pop(0) if remaining else "")
            while many and remaining and not remaining[0].startswith("-"):
                values.append(remaining.pop(0))
        elif argument.startswith(f"--{key}="):
            values.append(argument.removeprefix(f"--{key}="))
        else:
            rest.append(argument)
    return rest, values


def _read_settings(text, source):
    """YAML text to a dictionary; tags such as !ref and !new are kept."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        settings = YAML().load(text) or {}
    except YAMLError as error:
        raise InputError(f"{source}: is not valid YAML: {error}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{source}: expected --key value, but found {text!r}")
    for old, (new, values) in RENAMED_SETTINGS.items():
        if old in settings:
            value = settings.pop(old)
            settings[new] = values.get(value, value)
    return settings


def _build(load_hyperpyyaml, yaml_path, text, overrides):
    try:
        return load_hyperpyyaml(text, overrides)
    except (KeyError, ValueError, TypeError, ImportError, AttributeError) as error:
        # hyperpyyaml's own messages name the key or the class.
        message = error.args[0] if error.args else error
        raise InputError(f"{yaml_path}: {message}") from error


def run(main):
    """Calls a script's `main(arguments)` and ends the process.

    An InputError becomes its message and exit status 1, a run that was Stopped its message and
    status, Ctrl-C a line and 130. Other exceptions are our own mistakes, and keep their traceback.
    Of several processes, one says what ended all of them.
    """
    try:
        main(sys.argv[1:])
    except InputError as error:
        _end(1, str(error), is_shared=True)
    except Stopped as stopped:
        if not _rank():
            print(f"\n{stopped}", file=sys.stderr)
        tell_torchrun(str(stopped))
        _leave_processes()
        sys.exit(stopped.status)
    except KeyboardInterrupt:
        message = "Stopped. The same command goes on from what is finished."
        _end(CTRL_C_STATUS, message, is_shared=True)
    except Exception as error:
        if _rank() is None:
            raise
        if _is_of_others(error):
            _wait_for_the_end()
            _end(1, "The connection to another process is lost; its message says why.")
        sys.excepthook(*sys.exc_info())
        _end(1, f"{type(error).__name__}: {error}. This ends all processes.")
    _leave_processes()


def _leave_processes():
    if _rank() is not None:
        from local.machine import processes

        processes.leave_processes()


def _rank():
    """The number of this process among those that torchrun started; None for one by itself."""
    return int(os.environ["RANK"]) if "RANK" in os.environ else None


def _end(status, message, is_shared=False):
    """Prints a message and ends the process; at once, as the others can't go on without it.

    Arguments
    ---------
    is_shared : bool
        Whether the first process probably says the same.
    """
    rank = _rank()
    if rank is None:
        print(f"\n{message}", file=sys.stderr)
        sys.exit(status)
    if rank > 0 or not is_shared:
        message = f"[process {rank}] {message}"
    if rank > 0 and is_shared:
        _wait_for_the_end()
    tell_torchrun(message)
    print(f"\n{message}", file=sys.stderr, flush=True)
    # Not sys.exit, which may wait for the group: it waits for this process.
    logging.shutdown()
    os._exit(status)


def _wait_for_the_end():
    """Time in which torchrun ends this process, when it sees that another one has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(PATIENCE_SECONDS)


def _is_of_others(error):
    """Whether the exchange between processes failed, and not what this one did by itself."""
    import torch

    text = str(error)
    return isinstance(error, torch.distributed.DistError) or "gloo" in text or "NCCL" in text
