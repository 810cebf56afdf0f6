"""A YAML file to what -h says of its settings."""

import re

# A setting in a YAML file: its key, its value and the comment after it.
_SETTING = re.compile(r"^([a-z]\w*): *(.*?)(?: +# (.*))?$")


def describe_settings(text):
    """The settings in the text of a YAML file that have plain values, one a line.

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
