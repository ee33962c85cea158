"""Send as a service with its own Celery does: BROKER-URL as argument, the fields as JSON on stdin."""

import json
import sys

from celery import Celery

app = Celery(broker=sys.argv[1])
# The queue ignores options that it does not use.
app.send_task("messages.accept", kwargs=json.load(sys.stdin), queue="accept", countdown=3600, expires=1, priority=5)
