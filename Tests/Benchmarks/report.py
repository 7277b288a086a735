"""Tables in Markdown."""

import statistics


def figure(value):
    """Three significant digits, and a dash for what was not measured."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return value
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".") if value else "0"


def table(header, rows):
    """A Markdown table; the first column is text, the others are right-aligned."""
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(figure(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def median(values):
    """The median of what was measured, or nothing."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
