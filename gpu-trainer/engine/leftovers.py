"""What an engine that ended in the middle of something leaves behind."""

import shutil
from pathlib import Path


def remove_partial(out: Path) -> None:
    """Nothing that was written by half stays: not `.part` files, and not the folders that exports are staged in."""
    for path in out.rglob("*.part"):
        path.unlink(missing_ok=True)
    for path in out.glob("tmp*"):
        shutil.rmtree(path, ignore_errors=True)
