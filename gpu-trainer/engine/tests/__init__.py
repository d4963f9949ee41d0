"""Whoever imports these tests has one thread for numpy and torch, as every spec of theirs says, unless its environment says otherwise: set before
either is imported. With more threads than free cores they mostly wait for each other, and burn what they wait."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
