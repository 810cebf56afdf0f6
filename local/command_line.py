"""What all scripts do with a command line: -h, settings from it, errors to messages."""

import errno
import logging
import os
import signal
import sys
import time
from difflib import get_close_matches
from pathlib import Path

from local.atomic import read_text
from local.errors import InputError, tell_torchrun
from local.machine.memory import what_was_tried
from local.machine.signals import CTRL_C_STATUS, Stopped
from local.settings.arguments import (
    check_device,
    check_run_options,
    read_settings,
    split_off,
    split_settings,
    without_usage,
)
from local.settings.description import describe_settings
from local.settings.rules import RULES, check

# torchrun takes about this long to end the other processes when one has ended.
PATIENCE_SECONDS = 3.0
# What the making of objects raises for wrong settings, and for a model that is too large.
_OF_SETTINGS = (LookupError, ValueError, TypeError, ImportError, AttributeError)
_OF_SETTINGS += (ArithmeticError, RuntimeError, MemoryError)

TERMINATED_STATUS = 128 + signal.SIGTERM
LOST_CONNECTION = """The connection to another process is lost, or it no longer answers: see what
that one says. Of NCCL, NCCL_DEBUG=INFO shows more."""
# A disk that is full or read-only, missing permissions: no mistakes in the code.
_REFUSALS = (
    errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EIO,
)  # fmt: skip


def answer_help(doc, yaml_path, has_run_options=True):
    """If the command line has -h or --help, prints what a script takes and ends the process.

    Scripts call it before the imports that take seconds.

    Arguments
    ---------
    doc : str
        The script's docstring.
    yaml_path : str or Path
        Its hyperparameters, whose settings are listed if the command line names no other file.
    has_run_options : bool
        As for `load_hparams`.
    """
    arguments = sys.argv[1:]
    if not {"-h", "--help"} & set(arguments):
        return
    path = Path(next((one for one in arguments if one.endswith((".yaml", ".yml"))), yaml_path))
    print(f"{doc.strip()}\n\nSettings of {path.name}; each can be given as --key value:\n")
    print(describe_settings(path.read_text(encoding="utf-8")))
    print("\nAlso --preset FILE: settings from that file, which the command line overrides.")
    if has_run_options:
        print("SpeechBrain's run options, too, for example --device cuda:0 or --noprogressbar.")
    sys.exit(0)


def load_hparams(arguments, repeatable=(), has_run_options=True):
    """Reads the command line `FILE.yaml [--preset FILE.yaml] [--key value ...]`.

    A preset overrides the file, and the command line the preset. The last of several values of a
    key counts.

    Arguments
    ---------
    arguments : list of str
    repeatable : sequence of str
        Keys that may have several values, which then become a list.
    has_run_options : bool
        Whether SpeechBrain's options are taken, too. Without them it isn't imported, which takes
        most of a second, and a setting `device` is checked here.

    Returns
    -------
    yaml_path : str
    hparams : dict
        The loaded hyperparameters, objects built.
    run_opts : speechbrain.utils.run_opts.RunOptions or None
    overrides : dict
        What the presets and the command line changed.

    Raises
    ------
    InputError
        If a file is missing or is not YAML, a key does not exist, or an option has no effect here.
    """
    from hyperpyyaml.core import recursive_update

    arguments, presets = split_off(arguments, "preset")
    if not arguments or arguments[0].startswith("-"):
        raise InputError("the first argument has to be the YAML file of hyperparameters; see -h")
    yaml_path, *options = arguments
    text = read_text(yaml_path)
    defaults = read_settings(text, yaml_path)
    given, options = split_settings(options, defaults, repeatable)
    run_opts, unknown = None, [option.removeprefix("--").partition("=")[0] for option in options]
    if has_run_options:
        run_opts, unknown = _run_options(yaml_path, options)
    overrides = {}
    for path in presets:
        recursive_update(overrides, read_settings(read_text(path), path))
    for name, value in given:
        recursive_update(overrides, {name: value})
    for name in [*overrides, *unknown]:
        if name not in defaults:
            similar = get_close_matches(name, defaults, 1)
            hint = "".join(f" (do you mean {key}?)" for key in similar)
            raise InputError(f"{name}: {yaml_path} has no such setting{hint}; -h lists them")
    check(defaults | overrides, defaults)
    hparams = _build(yaml_path, text, overrides)
    # Once more: a !ref may have brought another value.
    check({name: hparams[name] for name in RULES if name in hparams}, {})
    check_device(hparams.get("device"))
    return yaml_path, hparams, run_opts, overrides


def _run_options(yaml_path, options):
    """SpeechBrain's options, and the names of those that it doesn't know either."""
    import speechbrain as sb

    # SpeechBrain warns in each run that it can't log pictures. The recipe logs none.
    train_logger = logging.getLogger("speechbrain.utils.train_logger")
    train_logger.addFilter(lambda record: "torchvision" not in record.getMessage())
    _, run_opts, unknown = without_usage(sb.parse_arguments, [yaml_path, *options])
    check_run_options(run_opts)
    return run_opts, [line.partition(":")[0] for line in unknown.splitlines()]


def _build(yaml_path, text, overrides):
    from hyperpyyaml import load_hyperpyyaml
    from ruamel.yaml.error import YAMLError

    try:
        return load_hyperpyyaml(text, overrides)
    except (YAMLError, *_OF_SETTINGS) as error:
        # The messages of hyperpyyaml name the key or the class.
        message = error.args[0] if isinstance(error, KeyError) and error.args else error
        message = " ".join(str(message).split())
        raise InputError(f"{yaml_path}: {message or type(error).__name__}") from error


def run(main):
    """Calls a script's `main(arguments)` and ends the process.

    An InputError, and what the system refuses, is shown as its message, with exit status 1;
    Stopped as its message, with its status; Ctrl-C as one line, with status 130, and SIGTERM with
    143. Other exceptions are mistakes in the code and keep their traceback. If there are several
    processes, only one of them says what ended them all.
    """
    if _rank() is None:  # torchrun ends processes that wait for one that failed: at once
        signal.signal(signal.SIGTERM, _terminate)
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
    except KeyboardInterrupt as stop:
        status = TERMINATED_STATUS if isinstance(stop, _Terminated) else CTRL_C_STATUS
        message = "Stopped. The same command continues from what is finished."
        _end(status, message, is_shared=True)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _REFUSALS:
            _end(1, f"{error.filename or 'writing'}: {error.strerror}")
        if tried := what_was_tried(error):
            _end(1, f"Out of memory: {tried}. Smaller batches take less: -h lists their settings.")
        if _rank() is None:
            raise
        if _is_lost_connection(error):
            _wait_for_torchrun()
            _end(1, f"{type(error).__name__}: {error}\n{LOST_CONNECTION}")
        sys.excepthook(*sys.exc_info())
        _end(1, f"{type(error).__name__}: {error}. This ends all processes.")
    _leave_processes()


class _Terminated(KeyboardInterrupt):
    """SIGTERM, with the same cleaning up as after Ctrl-C."""


def _terminate(number, frame):
    signal.signal(number, signal.SIG_DFL)  # a second one ends the process at once
    raise _Terminated


def _leave_processes():
    if _rank() is not None:
        from local.machine import processes

        processes.leave_processes()


def _rank():
    """The number of this process among those that torchrun started; None without torchrun."""
    return int(os.environ["RANK"]) if "RANK" in os.environ else None


def _end(status, message, is_shared=False):
    """Prints a message and ends the process without waiting for others, which may wait for it.

    Where the message `is_shared`, all processes probably have it, and the first one shows it.
    """
    rank = _rank()
    if rank is None:
        print(f"\n{message}", file=sys.stderr)
        sys.exit(status)
    if rank > 0 or not is_shared:
        message = f"[process {rank}] {message}"
    if rank > 0 and is_shared:
        _wait_for_torchrun()
    tell_torchrun(message)
    print(f"\n{message}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    # sys.exit might wait for the process group, which waits for this process.
    logging.shutdown()
    os._exit(status)


def _wait_for_torchrun():
    """Gives torchrun the time to end this process because of another one that has ended."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(PATIENCE_SECONDS)


def _is_lost_connection(error):
    """Whether an exchange between processes failed, and so the fault is another process's."""
    import torch

    text = str(error)
    return isinstance(error, torch.distributed.DistError) or any(
        mark in text for mark in ("gloo", "NCCL", "pair closure")
    )
