"""A text list (labels, trials) to its lines, each split into the fields between blanks."""

import codecs


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
    expected = _Expected(layout)
    is_empty = True
    for line, raw in enumerate(file, 1):
        if line == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        fields = _decode_fields(raw)
        if fields is None:
            problems.add(path, line, "is not UTF-8 text: save the list as UTF-8")
            return
        if expected.fits(fields):
            if len(expected.numbers) > 1:
                expected.decide(len(fields), line)
            yield line, fields
        elif fields:
            problems.add(path, line, expected.problem_with(fields))
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


class _Expected:
    """How many fields the lines of a file must have."""

    def __init__(self, layout):
        self.layout = layout
        self.names = layout.replace("[", "").replace("]", "").split()
        most = len(self.names)
        self.numbers = (most - 1, most) if layout.endswith("]") else (most,)
        self.reason = ""

    def fits(self, fields):
        if self.layout.endswith("..."):
            return len(fields) >= len(self.names) - 2
        return len(fields) in self.numbers

    def decide(self, number, line):
        """Fixes the number of fields to that of a line."""
        self.layout = " ".join(self.names[:number])
        self.numbers = (number,)
        self.reason = f" as on line {line}"

    def problem_with(self, fields):
        numbers = " or ".join(map(str, self.numbers))
        hint = "" if len(fields) < self.numbers[-1] else " (a path can't hold blanks)"
        expected = f"expected {numbers} fields{self.reason}, '{self.layout}'"
        return f"{expected}, but found {len(fields)}{hint}"
