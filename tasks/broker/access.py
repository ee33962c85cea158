"""Write the access control list of the broker: a user for each kind of process, with the commands and keys it needs.

No user may configure, watch or empty the broker, and the default user is off.
"""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256

from delivery.vocabulary import QueueName
from tasks.queues import DIRECT_SENDS


class BrokerUser(StrEnum):
    """The users at the broker. PUSHER is for other services, which put direct sends into the list `accept`."""

    API = "api"
    WORKER = "worker"
    OPERATOR = "operator"
    PUSHER = "pusher"


_BELLS = " ".join(f"~{name}" for name in QueueName if name is not DIRECT_SENDS)
# kombu puts two characters between the name and a priority (tasks/broker/direct_queue.py, `LISTS`).
_SENDS = f"~{DIRECT_SENDS} ~{DIRECT_SENDS}??[1-9]"
_TALK = "+@connection +info +multi +exec +discard -@admin -@dangerous +info"
# A script needs access to its keys before its commands are checked; none of these changes anything.
_LOOK = "+scan +type (~* +eval +llen +lindex)"
_LIMITS = "+script|load (~postroom:limits:* +@read +@write -@dangerous -@scripting +eval +evalsha)"
# What Celery asks for before it pushes: whether the list is there, how long it is, and its route, which it adds.
_ROUTE = f"~_kombu.binding.{DIRECT_SENDS} ~_kombu.binding_permanent.{DIRECT_SENDS}"
_DECLARE = f"+multi +exec +discard ({_SENDS} +llen +exists) ({_ROUTE} +sadd +smembers)"

_RIGHTS: Mapping[BrokerUser, str] = {
    BrokerUser.API: f"~{QueueName.DECIDE} +lpush {_TALK} {_LIMITS} {_LOOK}",
    BrokerUser.WORKER: (
        f"{_BELLS} {_SENDS} ~_kombu.* ~unacked* ~postroom:epoch"
        f" +@all -@pubsub -@admin -@dangerous -function -script +info {_LOOK}"
    ),
    BrokerUser.OPERATOR: f"{_BELLS} +lpush {_TALK} {_LOOK}",
    BrokerUser.PUSHER: f"{_SENDS} +lpush +ping +hello +client|setinfo +client|setname {_DECLARE}",
}
_DEFAULT_OFF = "off"
# It lets a health check ask whether the broker answers, and nothing else.
_HEALTH = "user health on nopass -@all +ping"


def access_list(passwords: Mapping[BrokerUser, str], *, default: str = _DEFAULT_OFF) -> str:
    """Return the content of the broker's `aclfile`, with the users that have a password here, each as its digest.

    `default` has the rights of who does not log in.
    """
    users = [f"user {user} on #{_digest(word)} resetchannels -@all {_RIGHTS[user]}" for user, word in passwords.items()]
    return "\n".join([f"user default {default}", _HEALTH, *users, ""])


def _digest(password: str) -> str:
    """Return what Redis and Valkey compare a password with. A password of 256 random bits cannot be found from it."""
    return sha256(password.encode()).hexdigest()
