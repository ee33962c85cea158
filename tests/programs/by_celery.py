"""Sends as a service with a Celery of its own does: BROKER-URL, then the fields as JSON on stdin."""

import json
import sys

from celery import Celery

app = Celery(broker=sys.argv[1])
# What the queue has no use for is no obstacle either.
app.send_task("messages.accept", kwargs=json.load(sys.stdin), queue="accept", countdown=3600, expires=1, priority=5)
