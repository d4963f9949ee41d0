"""The processes of a data-parallel job on one machine, in the manner of torchrun: one child a rank, each with the spec on its stdin.

The first rank alone speaks the protocol. Stdin of a rank stays open as long as this process lives: at its end the rank ends itself, so none outlives
a launcher that was killed. (Imports no torch: this process only waits.)
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from .leftovers import remove_partial
from .wire import protocol_output, send

POLL_SECONDS = 0.05
# What the other ranks get to end by themselves after one has: they may have an error of their own to tell.
SETTLE_SECONDS = 5.0
GRACE_SECONDS = 18.0
STOPPED = 3
SPOKEN = (2, 4)
KILLED_HERE = -1_000


def processes(spec: dict[str, Any]) -> int:
    """As many as asked for, but no more than GPUs where those are used: two ranks on one GPU only wait for each other."""
    asked = int(spec["limits"].get("processes") or 1)
    if asked == 1 or spec.get("action", "train") != "train" or spec["device"] == "cpu":
        return asked if spec.get("action", "train") == "train" else 1
    import torch

    return min(asked, torch.cuda.device_count()) if torch.cuda.is_available() else asked


def read_as_rank() -> str:
    """The spec of this rank: one line, as its stdin stays open; this process ends with it."""
    line = sys.stdin.readline()
    threading.Thread(target=end_with_stdin, daemon=True).start()
    return line


def end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


def launch(spec: dict[str, Any], count: int, stopping: list[bool]) -> int:
    """Runs the job in `count` processes; returns the exit code of the engine."""
    out = Path(spec["out_dir"])
    out.mkdir(parents=True, exist_ok=True)
    threads = max(1, spec["limits"]["threads"] // count)
    spec = {**spec, "limits": {**spec["limits"], "threads": threads, "processes": count}}
    with tempfile.TemporaryDirectory(prefix="ranks-", dir=out) as folder:
        children = [start(spec, rank, count, Path(folder) / "store") for rank in range(count)]
        codes = wait(children, stopping)
        remove_partial(out)
        told = [c.stdout.read().strip() if c.stdout else "" for c in children]
    if stopping:
        return STOPPED
    return verdict(codes, told)


def start(spec: dict[str, Any], rank: int, count: int, store: Path) -> subprocess.Popen[str]:
    environment = {
        # The ranks are on one machine; a host name that resolves to nothing is no reason to fail.
        **({"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(count),
        "GRAFT_RENDEZVOUS": str(store),
        "OMP_NUM_THREADS": str(spec["limits"]["threads"]),
    }
    # Of the other ranks' lines only errors are read, and only when they have ended.
    out = protocol_output() if rank == 0 else subprocess.PIPE
    child = subprocess.Popen([sys.executable, "-m", "engine"], stdin=subprocess.PIPE, stdout=out, env=environment, text=True)
    assert child.stdin
    try:
        child.stdin.write(json.dumps(spec) + "\n")
        child.stdin.flush()
    except BrokenPipeError:
        pass  # its exit code says why
    return child


def wait(children: list[subprocess.Popen[str]], stopping: list[bool]) -> list[int]:
    """Until all have ended, or one has failed or a stop was asked for: then the others get a while, and SIGKILL."""
    deadline: float | None = None
    told_to_stop = False
    while True:
        codes = [c.poll() for c in children]
        if None not in codes:
            return [c.returncode for c in children]
        if stopping and not told_to_stop:
            told_to_stop, deadline = True, time.monotonic() + GRACE_SECONDS
            for c in children:
                c.send_signal(signal.SIGTERM)
        if deadline is None and any(code not in (None, 0) for code in codes):
            deadline = time.monotonic() + SETTLE_SECONDS
        if deadline is not None and time.monotonic() > deadline:
            for i, c in enumerate(children):
                if codes[i] is None:
                    c.kill()
                    c.wait()
                    codes[i] = KILLED_HERE
            return [code if code is not None else KILLED_HERE for code in codes]
        time.sleep(POLL_SECONDS)


def verdict(codes: list[int], told: list[str]) -> int:
    """The engine's exit code. An error that a rank named counts before a rank that died, and that before what followed from it."""
    if codes[0] == 0:
        return 0
    if codes[0] in SPOKEN:
        return codes[0]
    spoke = next((r for r, code in enumerate(codes) if code in SPOKEN and told[r]), None)
    if spoke is not None:
        send(**json.loads(told[spoke].splitlines()[-1]))
        return codes[spoke]
    lost = next((r for r, code in enumerate(codes) if code < 0 and code != KILLED_HERE), None)
    if lost is None:
        return 1
    name = signal.Signals(-codes[lost]).name
    detail = f"Process {lost + 1} of {len(codes)} of this job was ended by {name}; the others were stopped."
    send(type="error", code="rank_lost", detail=detail, retryable=True, blame="graft")
    return 1
