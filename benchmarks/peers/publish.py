"""Publish messages to a peer, in a process that imports it as its workers do. The ids come by standard input."""

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Start a task for every message in the library's own way."""
    work: dict[str, Any] = json.load(sys.stdin)
    task = import_module(f"benchmarks.peers.{work['module']}").send_message
    start = getattr(task, work["method"]) if work["method"] else task
    for message_id in work["message_ids"]:
        start(message_id)


if __name__ == "__main__":
    main()
