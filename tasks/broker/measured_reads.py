"""Read from a list without taking more into memory than was decided: the broker measures before it sends.

Redis has no command for the length of one element, so scripts ask for it there. Any program may push elements of up to
512 MB (`proto-max-bulk-len`), and a worker that read fifty of them whole died of it again and again.
"""

from collections.abc import Sequence
from typing import Protocol, cast

_OLDEST = """
local found, bytes = {}, 0
local limit, at_once, budget = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
for place = -1, -at_once, -1 do
  local element = redis.call('LINDEX', KEYS[1], place)
  if not element then break end
  if #element > limit then
    if place == -1 then found[1] = string.sub(element, 1, limit + 1) end
    break
  end
  bytes = bytes + #element
  if bytes > budget and place < -1 then break end
  found[-place] = element
end
return found
"""
_REMOVE_OLDEST = """
local element = redis.call('LINDEX', KEYS[1], -1)
if element and string.sub(element, 1, #ARGV[1]) == ARGV[1] then redis.call('RPOP', KEYS[1]) end
"""


class Scripting(Protocol):
    """What these functions need of a client or a pipeline."""

    def eval(self, script: str, numkeys: int, *keys_and_args: str | bytes | int) -> object:
        """Run a script at the broker."""


def ask_for_oldest(
    client: Scripting, name: str | bytes, *, limit_bytes: int, at_once: int = 1, budget_bytes: int = 0
) -> Sequence[bytes]:
    """Return the oldest elements of a list, oldest first: at most `at_once`, of `budget_bytes` together or one.

    An element longer than `limit_bytes` is returned alone, when it is the oldest, and cut to one byte more than that.
    With a pipeline as `client`, this is what its reply to the command will be.
    """
    return cast(Sequence[bytes], client.eval(_OLDEST, 1, name, limit_bytes, at_once, budget_bytes))


def remove_oldest(client: Scripting, name: str, beginning: bytes) -> None:
    """Remove the oldest element of a list if it begins so: one that was too long to be read whole."""
    client.eval(_REMOVE_OLDEST, 1, name, beginning)
