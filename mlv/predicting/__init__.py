"""What a version answers: loading it, asking it, and holding the answer against its sample."""
