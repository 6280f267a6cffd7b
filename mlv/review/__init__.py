"""A change to the registry, judged and reported before it is merged."""
