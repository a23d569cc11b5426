"""The group's public register on an Ethereum chain."""
