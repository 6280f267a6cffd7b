"""Sharing a registry: bytes to the DVC remote, then versions and the branch to the Git remote."""
