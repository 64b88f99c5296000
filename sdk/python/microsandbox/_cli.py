"""The command msb of the wheel: the one in its runtime folder."""

from __future__ import annotations

import os
import sys

from ._native import RUNTIME


def main() -> None:
    program = os.path.join(os.path.dirname(RUNTIME), "msb")
    if not os.path.exists(program):
        sys.exit("msb: this installation of microsandbox has no runtime folder")
    os.execv(program, ["msb", *sys.argv[1:]])
