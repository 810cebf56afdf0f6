"""The text lists of the recipe (labels, trials): lines of fields separated by blanks."""

import codecs


def read_fields(path, layout, problems):
    """Goes through the lines of a list, each split into its fields.

    Windows line ends, tabs, several blanks, blanks at either end, empty lines, a byte-order mark
    and a last line without its end are all fine. Only ASCII blanks separate fields: a name may
    hold, for example, a no-break space.

    Arguments
    ---------
    path : str or Path
        UTF-8 text.
    layout : str
        The names of the fields, for example "PATH LABEL -1": says how many there must be, and is
        shown where there are not.
    problems : local.errors.Problems
        Gets what is wrong: no such file, nothing in it, no text, another number of fields. Lines
        with a problem are left out.

    Yields
    ------
    line : int
        Counted from 1, empty lines included.
    fields : list of str
        As many as in `layout`.

    Example
    -------
    >>> import tempfile
    >>> from local.errors import Problems
    >>> path = tempfile.mkdtemp() + "/labels.txt"
    >>> with open(path, "w") as file:
    ...     _ = file.write("anna/1 0 -1\\n\\nbert/1\\t1 -1")
    >>> list(read_fields(path, "PATH LABEL -1", Problems()))
    [(1, ['anna/1', '0', '-1']), (3, ['bert/1', '1', '-1'])]
    """
    try:
        with open(path, "rb") as file:
            yield from _split_lines(file, path, layout, problems)
    except OSError as error:
        problems.add(path, None, f"can't be read ({error.strerror})")


def _split_lines(file, path, layout, problems):
    num_expected = len(layout.split())
    is_empty = True
    for line, raw in enumerate(file, 1):
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        fields = _decode_fields(raw)
        if fields is None:
            problems.add(path, line, "is not UTF-8 text: save the list as UTF-8")
            return
        if len(fields) == num_expected:
            yield line, fields
        elif fields:
            problems.add(path, line, _wrong_number(fields, layout, num_expected))
        is_empty = is_empty and not fields
    if is_empty:
        problems.add(path, None, f"is empty: expected lines of '{layout}'")


def _decode_fields(raw):
    # Text in UTF-16 may decode as UTF-8 when it has no byte-order mark, but with zero bytes.
    if b"\0" in raw:
        return None
    try:
        return [field.decode() for field in raw.split()]
    except UnicodeDecodeError:
        return None


def _wrong_number(fields, layout, num_expected):
    hint = "" if len(fields) < num_expected else " (a path can't hold blanks)"
    return f"expected {num_expected} fields, '{layout}', but found {len(fields)}{hint}"
