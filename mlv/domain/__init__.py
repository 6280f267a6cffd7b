"""What mlv decides, without touching anything: pure functions over frozen values."""
