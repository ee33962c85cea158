"""Publishing to a peer, in a process that imports it as its workers do: module and ids come by standard input."""

import json
import sys
from importlib import import_module
from typing import Any


def main() -> None:
    """Hand every message to the library's own way of starting a task."""
    told: dict[str, Any] = json.load(sys.stdin)
    task = import_module(f"benchmarks.peers.{told['module']}").send_message
    start = getattr(task, told["method"]) if told["method"] else task
    for message_id in told["message_ids"]:
        start(message_id)


if __name__ == "__main__":
    main()
