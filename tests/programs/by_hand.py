"""Send by redis-py alone, as a program without Celery does: REDIS-URL as argument, the fields as JSON on stdin."""

import json
import sys
from base64 import b64encode
from uuid import uuid4

import redis

body = json.dumps([[], json.load(sys.stdin), None]).encode()
task = {
    "body": b64encode(body).decode(),
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "messages.accept", "id": str(uuid4())},
    "properties": {"body_encoding": "base64", "delivery_tag": str(uuid4()), "delivery_info": {}},
}
redis.Redis.from_url(sys.argv[1]).lpush("accept", json.dumps(task))
