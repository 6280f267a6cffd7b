"""The registry in other tools: what they show is what it says."""
