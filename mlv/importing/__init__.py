"""Versions that were made elsewhere: registered here as what they were there."""
