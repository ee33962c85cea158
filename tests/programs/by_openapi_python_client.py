"""Send by a client that openapi-python-client generated as the package `postroom_client`, in each encoding of a body.

Takes the base URL as argument, and credentials and recipient as JSON on stdin. Prints the answers as JSON.
"""

import json
import sys
from importlib import import_module
from pkgutil import walk_packages
from typing import Any


def module(name: str) -> Any:
    """Import a module of the generated package."""
    return import_module(f"postroom_client.{name}")


models, package = module("models"), import_module("postroom_client")
# Also those of the routes that are not called below.
for each in walk_packages(package.__path__, "postroom_client."):
    import_module(each.name)
facts = json.load(sys.stdin)
fields = {
    "recipient_uuids": [facts["recipient"]],
    "sender_name": "Zoë",
    "sender_email": "zoe@example.com",
    "subject": "Ein Auftrag & mehr",
    "body": "a=1&b\n",
    "type": "job",
}


def send(client: Any, body: Any) -> dict[str, Any]:
    """Send a message, read it, and return the status of the answer with what is stored."""
    sent = module("api.messages.send_message").sync_detailed(client=client, body=body, prefer="respond-async")
    if sent.status_code != 201:
        return {"status": sent.status_code, "answer": sent.content.decode()}
    message_uuid = sent.parsed.meta.message_uuid
    read = module("api.messages.read_message").sync(message_uuid=str(message_uuid), client=client)
    return {"status": sent.status_code, "data": read.to_dict()["data"]}


grant = {"grant_type": "client_credentials", "client_id": facts["client_id"], "client_secret": facts["client_secret"]}
grant_token, form = module("api.tokens.grant_token"), models.TokenForm.from_dict(grant)
token = grant_token.sync(client=package.Client(base_url=sys.argv[1]), body=form)
by_key = package.AuthenticatedClient(base_url=sys.argv[1], token=facts["key"], prefix="", auth_header_name="X-API-Key")
by_token = package.AuthenticatedClient(base_url=sys.argv[1], token=token.access_token)
answers = {
    "json": send(by_key, models.MessageFields.from_dict(fields)),
    "form": send(by_key, models.MessageForm.from_dict(fields)),
    "multipart": send(by_token, models.MessageMultipart.from_dict(fields)),
}
json.dump(answers, sys.stdout)
