"""``python -m mlv`` is ``mlv``."""

from mlv.cli import main

if __name__ == "__main__":
    main()
