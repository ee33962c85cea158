"""Which step's bells wait in which queue. The one place: workers, compose file and `postroom queues` follow it."""

from delivery.vocabulary import Channel, QueueName, StepName

DIRECT_SENDS = QueueName.ACCEPT
"""The one queue that holds whole messages and no bells: nothing in it may be lost, so Celery does not consume it."""

ROUTES = {
    StepName.ACCEPT: (DIRECT_SENDS,),
    StepName.DECIDE: (QueueName.DECIDE,),
    StepName.VET: (QueueName.VETTING,),
    StepName.DELIVER: (QueueName.DELIVER_SMTP,),
}
"""Every step with the queues that its bells may wait in."""

DELIVERY_QUEUES = {Channel.EMAIL: QueueName.DELIVER_SMTP}
"""The queue of each channel that needs a network. The inbox is a table and needs none."""
