"""Primitives as this protocol uses them: each behind a function whose name says what is checked."""
