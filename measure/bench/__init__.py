"""A master and a slave to measure on: the product's own parts, set up for one run and gone after it."""
