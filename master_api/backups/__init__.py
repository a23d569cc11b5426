"""A master as one file: made while it runs, and put back into an empty folder."""
