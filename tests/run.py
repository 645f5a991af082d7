"""Run all tests: those of whole stacks mostly wait, so they run beside the others and are told at the end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTEST = (sys.executable, "-m", "pytest")


def main() -> int:
    """Return 0 when every test has passed."""
    with tempfile.TemporaryFile() as said:
        stacks = subprocess.Popen(
            [*PYTEST, "tests/integration", "-o", "cache_dir=.pytest_cache/integration"],
            cwd=ROOT,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
        try:
            units = subprocess.run([*PYTEST, "tests", "--ignore=tests/integration"], cwd=ROOT, check=False)
            stacks.wait()
        finally:
            # Ctrl-C reaches both; pytest then takes down what its tests have started.
            stacks.wait()
            said.seek(0)
            sys.stdout.write(said.read().decode(errors="replace"))
    return units.returncode or stacks.returncode


if __name__ == "__main__":
    sys.exit(main())
