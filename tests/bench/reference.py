"""Lets the scripts here import those of tests/reference: import this one first."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "reference"))
