"""`python -m engine`: EngineSpec on stdin, lines on stdout. Exit codes: 0 result, 2 bad spec or data, 3 stopped after a checkpoint,
4 out of memory.
"""

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import jsonschema

from .launch import launch, processes, read_as_rank
from .leftovers import remove_partial
from .wire import EngineError, Stopped, say, send


def fail(error: EngineError) -> int:
    send(type="error", code=error.code, detail=error.detail, retryable=error.retryable, blame=error.blame)
    return error.exit_code


def read_spec() -> dict[str, Any]:
    schema = json.loads((Path(__file__).parent / "schema" / "engine-spec.json").read_text())
    try:
        spec: dict[str, Any] = json.loads(read_as_rank() if is_rank() else sys.stdin.read())
        jsonschema.validate(spec, schema)
    except (json.JSONDecodeError, jsonschema.ValidationError) as e:
        where = "/".join(map(str, e.absolute_path)) if isinstance(e, jsonschema.ValidationError) else ""
        text = e.message if isinstance(e, jsonschema.ValidationError) else str(e)
        raise EngineError("spec_invalid", f"/{where}: {text}", blame="graft") from e
    return spec


def is_rank() -> bool:
    return "GRAFT_RENDEZVOUS" in os.environ


def main() -> int:
    stopping: list[bool] = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    try:
        spec = read_spec()
        count = 1 if is_rank() else processes(spec)
        if count > 1:
            return launch(spec, count, stopping)
        return work(spec, stopping)
    except EngineError as e:
        return fail(e)


def work(spec: dict[str, Any], stopping: list[bool]) -> int:
    from .failures import classified
    from .run import run

    try:
        run(spec, stopping)
    except Stopped:
        say("stopped")
        return 3
    except Exception as e:
        known = e if isinstance(e, EngineError) else classified(e)
        if known is None:
            raise
        say(traceback.format_exc())
        raise known from e
    finally:
        # Of several processes one may end long before the first: the launcher tidies up after all of them.
        if not is_rank():
            remove_partial(Path(spec["out_dir"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
