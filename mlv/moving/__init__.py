"""Moving pointers: what is asked for, what is decided, and the one commit that says so."""
