"""What a corpus lacks of what was published: counted, named, and an error unless it is allowed."""

from local.errors import MAX_SHOWN, InputError


def some(names):
    """The first names, and how many more there are.

    Example
    -------
    >>> some(["a", "b"]), some(list("abcdefghijklm"))
    ('a, b', 'a, b, c, d, e, f, g, h, i, j and 3 more')
    """
    names = list(names)
    rest = f" and {len(names) - MAX_SHOWN:,} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + rest


def describe(name, numbers, published):
    """Prints what there is of a corpus beside what was published, and says what is missing.

    Arguments
    ---------
    name : str
        Of the corpus or a part of it.
    numbers : dict
        Speaker -> the number of utterances.
    published : (int, int)
        Speakers and utterances.

    Returns
    -------
    problems : list of str
        One message, or none.
    """
    found = len(numbers), sum(numbers.values())
    counts = "{:,} utterances of {:,} speakers"
    print(
        f"{name}: {counts.format(found[1], found[0])} "
        f"(published: {published[1]:,} of {published[0]:,})"
    )
    if found[0] >= published[0] and found[1] >= published[1]:
        return []
    return [
        f"{name}: {max(0, published[0] - found[0]):,} speakers and "
        f"{max(0, published[1] - found[1]):,} utterances are missing: is all of it unpacked?"
    ]


def refuse_missing(problems, is_allowed):
    """Raises an InputError with the problems, if there are any; where allowed, only prints them."""
    if problems and not is_allowed:
        advice = "--allow_missing goes on with what is there"
        raise InputError("\n".join([*problems, advice]))
    for problem in problems:
        print(f"Missing: {problem}")
