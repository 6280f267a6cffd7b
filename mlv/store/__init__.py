"""The outside world: Git, DVC, the work tree, files and configuration."""
