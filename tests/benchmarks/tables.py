"""Tables of measurements: as text, Markdown and JSON."""

import dataclasses

HEADINGS = ("what", "figure", "+-", "times ours", "target")


@dataclasses.dataclass(frozen=True)
class Row:
    """One measurement.

    Arguments
    ---------
    what : str
    figure : float
        In `unit`.
    unit : str
        Seconds are shown as what is easiest to read.
    spread : float, optional
        Half the distance of the quartiles, as a share of the figure.
    times_ours : float, optional
        The figure over that of the recipe.
    target : str
        For example "at least 3".
    met : bool, optional
    """

    what: str
    figure: float
    unit: str = "s"
    spread: float | None = None
    times_ours: float | None = None
    target: str = ""
    met: bool | None = None

    def cells(self):
        """The row as text, a cell for each of HEADINGS."""
        figure = _seconds(self.figure) if self.unit == "s" else f"{_short(self.figure)} {self.unit}"
        spread = "" if self.spread is None else f"{100 * self.spread:.0f} %"
        ratio = "" if self.times_ours is None else _ratio(self.times_ours)
        verdict = {None: "", True: ": met", False: ": missed"}[self.met]
        return (self.what, figure, spread, ratio, self.target + verdict)


@dataclasses.dataclass(frozen=True)
class Table:
    """The measurements of one subject, and what they were made on."""

    title: str
    rows: list
    note: str = ""

    def text(self):
        """For a terminal."""
        grid = [HEADINGS, *(row.cells() for row in self.rows)]
        widths = [max(len(cell) for cell in column) for column in zip(*grid, strict=True)]
        lines = ["  ".join(_aligned(cells, widths)).rstrip() for cells in grid]
        return "\n".join([self.title, *([self.note] if self.note else []), "", *lines, ""])

    def markdown(self):
        """A section of a document."""
        grid = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in self.rows)]
        lines = [f"| {' | '.join(cells)} |" for cells in grid]
        return "\n".join([f"## {self.title}", "", *([self.note, ""] if self.note else []), *lines])

    def as_dict(self):
        """For JSON."""
        return dataclasses.asdict(self)


def compared(times, targets=None):
    """Rows of `timing.interleaved`, where the first call is the recipe's.

    Arguments
    ---------
    times : dict
        Name -> Times.
    targets : dict
        Name -> what its time over the recipe's is to be at least.
    """
    ours = next(iter(times.values())).median
    return [against(name, *time, ours, (targets or {}).get(name)) for name, time in times.items()]


def against(what, seconds, spread, ours, at_least=None):
    """A row of seconds beside the recipe's, with its target if it has one."""
    ratio = seconds / ours
    if at_least is None:
        return Row(what, seconds, spread=spread, times_ours=ratio)
    target = f"at least {at_least:.3g}"
    return Row(what, seconds, "s", spread, ratio, target, ratio >= at_least)


def _aligned(cells, widths):
    first, *rest = zip(cells, widths, strict=True)
    return [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]


def _seconds(seconds):
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 1.0:
            return f"{_short(seconds * factor)} {unit}"
    return f"{_short(seconds * 1e6)} us"


def _short(number):
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def _ratio(ratio):
    return f"{ratio:,.0f}" if ratio >= 100 else f"{ratio:.2f}"
