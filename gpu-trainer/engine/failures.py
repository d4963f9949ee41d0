"""What went wrong, by what libraries say: memory, disk, a broken file. Whose fault it is, and whether another attempt may help."""

from __future__ import annotations

import errno
import re

import torch
from safetensors import SafetensorError

from .wire import EngineError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Rust and C++ libraries tell of an errno in words only.
DISK_WORDS = re.compile(r"No space left on device|Disk quota exceeded|File too large|os error (?:28|122|27)\b")
MEMORY_WORDS = re.compile(
    r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|Failed to allocate memory|std::bad_alloc|CUBLAS_STATUS_ALLOC_FAILED"
)


def is_out_of_memory(error: BaseException) -> bool:
    """On a GPU torch has a type for it, on a CPU a RuntimeError with words."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, Exception) and not isinstance(error, EngineError) and MEMORY_WORDS.search(str(error)) is not None


def is_disk_full(error: BaseException) -> bool:
    return getattr(error, "errno", None) in DISK_FULL or DISK_WORDS.search(str(error)) is not None


def classified(error: BaseException) -> EngineError | None:
    """The error as the host reports it; None for a fault in the program itself."""
    if is_out_of_memory(error):
        return EngineError("out_of_memory", "The job needs more memory than its host has.", retryable=True, blame="graft", exit_code=4)
    if isinstance(error, (OSError, SafetensorError, RuntimeError)) and is_disk_full(error):
        return EngineError("disk_full", "The trainer host has no disk space left for this job.", retryable=True, blame="graft")
    if isinstance(error, SafetensorError):
        return EngineError("input_corrupt", "A file of arrays cannot be read.", retryable=True, blame="graft")
    if isinstance(error, OSError):
        return EngineError("io_failed", f"Reading or writing failed on the trainer host: {error.strerror}.", retryable=True, blame="graft")
    return None
