"""A text list (labels, trials) to its lines, each split into the fields between blanks."""

import codecs
import os


def read_fields(path, layout, problems):
    """Yields the lines of a list, each split into its fields.

    Windows line ends, tabs, several blanks, blanks at either end, empty lines, a byte-order mark
    and a missing line end at the end of the file are all accepted. Only ASCII blanks separate
    fields: a name may hold a no-break space, for example.

    Arguments
    ---------
    path : str or Path
        UTF-8 text.
    layout : str
        The names of the fields, for example "PATH LABEL -1", which messages show. In
        "PATH PATH [CONDITION]" the last one is optional: the first line that fits decides for the
        whole file. In "MODEL PATH ..." the last one may occur any number of times.
    problems : local.errors.Problems
        Gets what is wrong: the file is missing, empty or no text, or a line has another number of
        fields. Such lines are left out.

    Yields
    ------
    line : int
        Counted from 1, empty lines included.
    fields : list of str
    """
    try:
        with open(path, "rb") as file:
            yield from _split_lines(file, path, layout, problems)
    except OSError as error:
        problems.add(path, None, f"can't be read ({error.strerror})")


def plain_name(name, folder):
    """A path of a list as it is written most simply, so that one file has one name.

    Arguments
    ---------
    name : str
    folder : str
        An absolute path, where relative names are looked up.

    Example
    -------
    >>> [plain_name(name, "/data") for name in ("s0/u0", "s0//u0", "./s0/../s1/u0", "/x/./u0")]
    ['s0/u0', 's0/u0', 's1/u0', '/x/u0']
    >>> plain_name("../data/s0/u0", "/data")
    's0/u0'
    """
    if "//" not in name and "./" not in name:
        return name
    path = os.path.join(folder, name)
    plain = os.path.normpath(path)
    if "../" in name:  # behind a link to a folder, it leads elsewhere
        real, expected = (os.path.realpath(os.path.dirname(p)) for p in (path, plain))
        if real != expected:
            return name
    return plain.removeprefix(f"{folder}/")


def is_text(name):
    """Whether the name of a file can stand in a list: some have bytes that are no UTF-8.

    Example
    -------
    >>> is_text("Müller"), is_text(b"M\\xfcller".decode(errors="surrogateescape"))
    (True, False)
    """
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _split_lines(file, path, layout, problems):
    names = layout.replace("[", "").replace("]", "").split()
    numbers = (len(names) - 1, len(names)) if layout.endswith("]") else (len(names),)
    is_open = names[-1] == "..."
    is_empty, reason = True, ""
    for line, raw in enumerate(file, 1):
        fields = _decode_fields(raw.removeprefix(codecs.BOM_UTF8) if line == 1 else raw)
        if fields is None:
            problems.add(path, line, "is not UTF-8 text: save the list as UTF-8")
            return
        if len(fields) in numbers or (is_open and len(fields) >= len(names) - 2):
            if len(numbers) > 1:  # the first line decides whether there is the optional field
                layout, numbers = " ".join(names[: len(fields)]), (len(fields),)
                reason = f" as on line {line}"
            yield line, fields
        elif fields:
            expected = f"{' or '.join(map(str, numbers))} fields{reason}, '{layout}'"
            hint = "" if len(fields) < numbers[-1] else " (a path can't hold blanks)"
            problems.add(path, line, f"expected {expected}, but found {len(fields)}{hint}")
        is_empty = is_empty and not fields
    if is_empty:
        problems.add(path, None, f"is empty: expected lines of '{layout}'")


def _decode_fields(raw):
    # UTF-16 without a byte-order mark may decode as UTF-8, but has zero bytes.
    if b"\0" in raw:
        return None
    try:
        return [field.decode() for field in raw.split()]
    except UnicodeDecodeError:
        return None
