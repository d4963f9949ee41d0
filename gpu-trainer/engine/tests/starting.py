"""Two ways to begin `python -m engine` with a spec on its stdin: in a new interpreter, as hosts do, or as a fork of a process that holds the
libraries already, because importing torch and what it imports takes longer than most runs here last.

A fork imports the engine's own modules anew and goes on as a new interpreter would. What it shares with other forks is what was drawn when the
libraries were imported, the hashes of strings above all. New interpreters: tests of seeds, ranks, failures and memory, and those of hosts.
"""

from __future__ import annotations

import atexit
import os
import runpy
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO

TRAINER = Path(__file__).resolve().parents[2]
# As a host starts it: numpy gets as many threads as torch.
ENVIRONMENT = {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
# What the engine imports sooner or later, except onnxruntime: that starts a thread, and forks have none but their first. The last two take longest:
# optimisers import the one, exports the other.
LIBRARIES = (
    "jsonschema",
    "onnx",
    "safetensors.numpy",
    "safetensors.torch",
    "torch",
    "torch.distributed",
    "torch._dynamo",
    "torch.onnx._internal.torchscript_exporter.symbolic_opset17",
)
# Bytes of a number on the socket.
NUMBER = 4


@dataclass
class Run:
    """`lines`: its stdout. `code`: known once it has ended; below 0 for a signal."""

    pid: int
    lines: IO[str]
    code: int = 0

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)


@contextmanager
def new_interpreter(spec: str, stderr: IO[bytes]) -> Iterator[Run]:
    command = [sys.executable, "-m", "engine"]
    environment = {**os.environ, **ENVIRONMENT}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=TRAINER, env=environment, stdin=pipe, stdout=pipe, stderr=stderr, text=True) as child:
        assert child.stdin and child.stdout
        child.stdin.write(spec)
        child.stdin.close()
        run = Run(child.pid, child.stdout)
        yield run
        run.code = child.wait()


@contextmanager
def fork(spec: str, stderr: IO[bytes]) -> Iterator[Run]:
    requests = server()
    their_stdin, stdin = os.pipe()
    stdout, their_stdout = os.pipe()
    socket.send_fds(requests, [b"1"], [their_stdin, their_stdout, stderr.fileno()])
    os.close(their_stdin)
    os.close(their_stdout)
    pid = number_from(requests)
    run = Run(pid, os.fdopen(stdout))
    try:
        with os.fdopen(stdin, "w") as f:
            f.write(spec)
        yield run
    finally:
        run.lines.close()
        run.code = os.waitstatus_to_exitcode(number_from(requests))


@cache
def server() -> socket.socket:
    """Where forks are asked for, one at a time. The process behind it ends with this one, however this one ends: the socket is closed then."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    environment = {**os.environ, **ENVIRONMENT}
    silent = subprocess.DEVNULL
    child = subprocess.Popen(command, cwd=TRAINER, env=environment, stdin=silent, stdout=silent, pass_fds=[theirs.fileno()])
    theirs.close()

    def end() -> None:
        ours.close()
        child.wait()

    atexit.register(end)
    return ours


def number_from(requests: socket.socket) -> int:
    said = requests.recv(NUMBER, socket.MSG_WAITALL)
    if len(said) < NUMBER:
        raise RuntimeError("the process that forks engines has ended: see its stderr")
    return int.from_bytes(said, sys.byteorder)


# --- the process that is forked -----------------------------------------------------------------------------------------------------------------


def hold_libraries() -> None:
    for name in LIBRARIES:
        import_module(name)
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise RuntimeError(f"{threads} threads before the first fork: one of these libraries has to be imported after it.")


def serve(requests: socket.socket) -> None:
    hold_libraries()
    while True:
        said, fds, _, _ = socket.recv_fds(requests, 1, 3)
        if not said:
            return
        pid = os.fork()
        if pid == 0:
            requests.close()
            for at, fd in enumerate(fds):
                os.dup2(fd, at)
                os.close(fd)
            # It ends in SystemExit, which ends this fork as it would end an interpreter.
            runpy.run_module("engine", run_name="__main__", alter_sys=True)
        for fd in fds:
            os.close(fd)
        requests.sendall(pid.to_bytes(NUMBER, sys.byteorder))
        _, status = os.waitpid(pid, 0)
        requests.sendall(status.to_bytes(NUMBER, sys.byteorder))


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
