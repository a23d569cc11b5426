"""The command line that composes every tier."""
