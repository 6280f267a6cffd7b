"""Which bytes are kept, and deleting the others."""
