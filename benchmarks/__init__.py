"""How fast, how large, how it bears load: ``make bench``. What the numbers mean stands in ``docs/benchmarks.md``."""
