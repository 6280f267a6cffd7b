"""Proposing a move: one commit on a branch of its own, and a pull request for it."""
