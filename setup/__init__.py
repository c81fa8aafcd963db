"""Installs the playground's environments for `run.py`, with the standard library only."""
