"""Define which queue each step's bells wait in. Workers, lanes and doorbells follow this table."""

from delivery.vocabulary import Channel, QueueName, StepName

DIRECT_SENDS = QueueName.ACCEPT
"""The only queue that holds messages, not bells. Nothing in it may be lost, so Celery does not consume it."""

ROUTES = {
    StepName.ACCEPT: (DIRECT_SENDS,),
    StepName.DECIDE: (QueueName.DECIDE,),
    StepName.VET: (QueueName.VETTING,),
    StepName.APPLY: (QueueName.VETTING,),
    StepName.DELIVER: (QueueName.DELIVER_SMTP,),
}
"""Each step with the queues that its bells may wait in."""

DELIVERY_QUEUES = {Channel.EMAIL: QueueName.DELIVER_SMTP}
"""The queue of each channel that needs a network. The inbox is a table and needs none."""
