"""One part of one configuration, in a process of its own with a limit on its time and memory."""

from __future__ import annotations

import json
import os
import re
import resource
import time
import traceback
from pathlib import Path
from typing import Any

from examine import PARTS

GIB = 2**30


def examine(
    context: Any, name: str, part: str, folder: Path, timeout: float, memory: float
) -> dict[str, Any]:
    """Examine one part of a configuration in a process of its own."""
    output = folder / (re.sub(r"[/:]+", "_", name.removesuffix(".py")) + f"_{part}.json")
    output.unlink(missing_ok=True)
    process = context.Process(target=work, args=(name, part, output, memory))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return {"error": f"takes longer than {timeout:g} s"}
    if not output.is_file():
        return {"error": f"the process ended with status {process.exitcode}"}
    result: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return result


def work(name: str, part: str, output: Path, memory: float) -> None:
    """Examine one part of a configuration and write what came out, or why nothing did."""
    log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    limit = int(memory * GIB)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    start = time.monotonic()
    try:
        result = PARTS[part](name)
    except Exception as error:  # whatever a model raises is its row
        traceback.print_exc()
        result = {"error": reason_of(error)}
    result["seconds"] = round(time.monotonic() - start, 1)
    output.write_text(json.dumps(result), encoding="utf-8")


def reason_of(error: BaseException) -> str:
    """One line that fits a table."""
    from wrs_mm.values import one_line

    # Which config it is, the row says, and without this machine's folders.
    text = re.sub(r"^config \S+ ", "", one_line(error)) or type(error).__name__
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return "needs more memory than the limit"
    return text if len(text) <= 160 else f"{text[:157]}..."
