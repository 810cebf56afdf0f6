"""Command lines and YAML files to settings and their values."""

import argparse
import contextlib
import io
import re

from local.errors import InputError
from local.settings.rules import is_text, shown, tag_of

# Old settings that are still understood: key -> its new key, and the new form of each value.
RENAMED_SETTINGS = {"features": ("train_on", {"audio": "audio", "stored": "features"})}


def split_off(arguments, key, many=False):
    """Separates `--key VALUE` and `--key=VALUE` from the other arguments.

    Arguments
    ---------
    arguments : list of str
    key : str
    many : bool
        Whether the key may have several values, up to the next option.

    Returns
    -------
    rest, values : list of str

    Example
    -------
    >>> split_off(["a.yaml", "--files", "1.wav", "2.wav", "--device", "cpu"], "files", many=True)
    (['a.yaml', '--device', 'cpu'], ['1.wav', '2.wav'])
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    nargs = "*" if many else 1
    parser.add_argument(f"--{key}", action="extend", nargs=nargs, default=[], dest="values")
    found, rest = without_usage(parser.parse_known_args, arguments)
    return rest, found.values


def split_paths(arguments, flags=()):
    """Separates what stands by itself, behind the YAML file, from options, each with one value.

    Arguments
    ---------
    arguments : list of str
    flags : sequence of str
        Settings that are true or not: `--json` is the same as `--json True`.

    Returns
    -------
    rest, paths : list of str

    Example
    -------
    >>> split_paths(["a.yaml", "1.wav", "--json", "--device", "cpu", "2.wav"], flags=["json"])
    (['a.yaml', '--json', 'True', '--device', 'cpu'], ['1.wav', '2.wav'])
    """
    rest, paths, waiting = arguments[:1], [], arguments[1:]
    while waiting:
        option = waiting.pop(0)
        if not option.startswith("--"):
            paths.append(option)
            continue
        rest.append(option)
        if option[2:] in flags and not {*map(str.lower, waiting[:1])} & {"true", "false"}:
            rest.append("True")
        elif "=" not in option:
            rest += waiting[:1]
            del waiting[:1]
    return rest, paths


def without_usage(parse, arguments):
    """What a parser makes of arguments; its error, without pages of usage, as an InputError."""
    try:
        with contextlib.redirect_stderr(io.StringIO()) as said:
            return parse(arguments)
    except SystemExit as end:
        raise InputError(said.getvalue().rpartition("error: ")[2].strip()) from end


def split_settings(options, defaults, repeatable=()):
    """Separates the settings of a YAML file, `--key VALUE` and `--key=VALUE`, from other options.

    Unlike SpeechBrain, it leaves values as they are written, also where they hold an `=`.

    Arguments
    ---------
    options : list of str
    defaults : dict
        What the YAML file has for each setting.
    repeatable : sequence of str
        Settings that may have several values, which then become a list.

    Returns
    -------
    given : list of (str, object)
        Names and values, in order; a setting may come several times.
    others : list of str
    """
    given, others, repeated = [], [], {name: [] for name in repeatable}
    for name, values, arguments in _groups(options):
        name, new_values = RENAMED_SETTINGS.get(name, (name, {}))
        if name not in defaults:
            others += arguments
            continue
        if not values:
            raise InputError(f"--{name}: has no value")
        is_list = name in repeated
        if len(values) > 1 and not is_list and is_text(name, defaults[name]):
            raise InputError(f"--{name} {' '.join(values)}: put a value with blanks in quotes")
        for value in values if is_list else [" ".join(values)]:
            default = "" if len(values) > 1 and is_list else defaults[name]
            value = _from_argument(name, new_values.get(value, value), default)
            before = repeated[name] if is_list else []
            given.append((name, [*before, value] if before else value))
            before.append(value)
    return given, others


def _groups(options):
    """Yields (name, values, arguments) of each option with the values behind it."""
    groups = []
    for option in options:
        if option.startswith("--") or not groups:
            groups.append([])
        groups[-1].append(option)
    for arguments in groups:
        first, *values = arguments
        name, equals, value = first.partition("=")
        name = name[2:] if first.startswith("--") else ""
        yield name, [value, *values] if equals else values, arguments


def _from_argument(name, argument, default):
    """The value that an argument of the command line gives a setting.

    Text is taken as it is written, and all else as YAML. Two things stay special in text: `null`
    where that is what the YAML file has, and SpeechBrain's `!ref <SETTING>`.

    Arguments
    ---------
    name, argument : str
    default : object
        What the YAML file has for the setting.
    """
    if not is_text(name, default) or argument.startswith("!ref "):
        return _from_yaml(name, argument)
    if default is None and argument == "null":
        return None
    return _quoted(name, argument)


def _from_yaml(name, argument):
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        value = YAML().load(argument)
    except (YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"--{name} {shown(argument)}: is not valid YAML: {reason}") from error
    if tag_of(value) or isinstance(value, bool | list | dict):
        return value
    for kind in (int, float):  # ruamel's own kinds remember the digits, which may be too many
        if isinstance(value, kind):
            return kind(value)
    return value


def _quoted(name, text):
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if not text:
        raise InputError(f"--{name} has an empty value")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"--{name} {ascii(text)}: is not UTF-8 text") from error
    if re.search("<[^>]*>", text):
        raise InputError(f"--{name} {text}: can't have < and >, which name other settings")
    # In quotes, it is text for everyone who reads the YAML that is made of it.
    return DoubleQuotedScalarString(text)


def as_tuple(setting):
    """The values of a setting: those of a list, none for null, or the one value.

    Example
    -------
    >>> as_tuple(["a.txt", "b.txt"]), as_tuple("a.txt"), as_tuple(None)
    (('a.txt', 'b.txt'), ('a.txt',), ())
    """
    return tuple(setting) if isinstance(setting, list) else () if setting is None else (setting,)


def check_run_options(run_opts):
    """Raises an InputError if one of SpeechBrain's options has no effect, or no such device."""
    if "nonfinite_patience" in run_opts.overridden_args:
        raise InputError("--nonfinite_patience: training ends at the first loss that is not finite")
    check_device(run_opts.device)


def check_device(name):
    """Raises an InputError if torch has no device of this name; None is any."""
    if name is None:
        return
    import torch

    try:
        device = torch.device(name)
        if device.type == "cuda":  # without a context on the GPU, which another process may take
            is_there = (device.index or 0) < torch.cuda.device_count()
        else:
            is_there = torch.ones(1, device=device).item() == 1
    except (RuntimeError, NotImplementedError, AssertionError):
        is_there = False
    if not is_there:
        raise InputError(
            f"--device {name}: there is no such device here; cpu always works "
            f"(GPUs that torch can use: {torch.cuda.device_count()})"
        )


def read_settings(text, source):
    """The dictionary in a YAML text, with tags such as !ref and !new."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        settings = YAML().load(text) or {}
    except YAMLError as error:
        reason = str(error).partition("\n\nTo suppress")[0]
        raise InputError(f"{source}: is not valid YAML: {reason}") from error
    if not isinstance(settings, dict):
        raise InputError(f"{source}: expected --key value, but found {text!r}")
    for old, (new, values) in RENAMED_SETTINGS.items():
        if old in settings:
            value = settings.pop(old)
            settings[new] = values.get(value, value)
    return settings
