"""Serving what is live: in a program of the user's, or over HTTP."""

from mlv.serve.live import LiveModel

__all__ = ["LiveModel"]
