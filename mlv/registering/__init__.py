"""Registering: one commit beside the branch, kept alive by its tag."""
