"""Figures 9 to 13 of the paper again: what an exchange looks like to somebody who listens, and what it costs."""
