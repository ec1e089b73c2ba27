#!/usr/bin/env python3
"""The executable: hands its arguments to ``optimus.cli``."""

import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent
PYTHON = HOME / ".venv" / "bin" / "python"

if __name__ == "__main__":
    try:
        from optimus.cli import main
    except ModuleNotFoundError as error:
        # Started with a Python that lacks the libraries: the one of `make setup` has them.
        if not PYTHON.exists() or Path(sys.prefix) == PYTHON.parent.parent:
            sys.exit(f"{error}. Run 'make setup' in {HOME} first.")
        import os

        os.execv(PYTHON, [str(PYTHON), *sys.argv])  # noqa: S606 - our own interpreter
    main()
