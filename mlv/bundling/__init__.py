"""Versions in one file, for a machine that no network leads to."""
