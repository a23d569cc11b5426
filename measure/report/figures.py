"""Figures as text. A modelled one gets its mark here, and there is no other way from a series to text."""

from math import floor, isfinite, log10

from measure.quantities import MODELLED_MARK, Series, mark_of
from measure.statistics import Interval, Ratio, Summary, summarise

ABSENT = "–"


def show_number(value: float, digits: int = 3) -> str:
    """So many significant digits, without an exponent."""
    if not isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:,.{min(decimals, 9)}f}"


def summary_of(series: Series) -> Summary:
    """Its numbers, with the uncertainty that all its figures share."""
    shared = getattr(series, "shared_uncertainty", 0.0)
    return summarise(series.values, shared_uncertainty=shared)


def show_mean(series: Series | None) -> str:
    """Mean ± SD as in the paper's Table 2; ``≈ … modelled`` for a model's."""
    if series is None or not series.values:
        return ABSENT
    summary = summary_of(series)
    return _marked(f"{show_number(summary.mean)} ± {show_number(summary.sd, 2)}", series)


def show_value(value: float, series: Series) -> str:
    """One number of a series, with the series' mark."""
    return _marked(show_number(value), series)


def show_interval(interval: Interval, series: Series) -> str:
    """From low to high."""
    return _marked(f"{show_number(interval.low)} … {show_number(interval.high)}", series)


def show_ratio(ratio: Ratio | None, marked_like: Series) -> str:
    """``0.52 (0.50 … 0.54)``."""
    if ratio is None:
        return ABSENT
    text = f"{show_number(ratio.value)} ({show_number(ratio.interval.low)} … {show_number(ratio.interval.high)})"
    return _marked(text, marked_like)


def _marked(text: str, series: Series) -> str:
    return f"≈ {text} {MODELLED_MARK}" if mark_of(series) else text
