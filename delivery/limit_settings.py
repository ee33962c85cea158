"""Settings of the limits on clients, their addresses and recipients."""

from pydantic import Field
from pydantic_settings import BaseSettings


class LimitSettings(BaseSettings):
    """The part of `Settings` about limits."""

    requests_per_minute: int = Field(
        default=600, ge=1, description="Requests per minute for each client that has no limit of its own."
    )
    recipients_per_minute: int = Field(
        default=6000, ge=25, description="Recipients per minute for each client that has no limit of its own."
    )
    refused_credentials_per_minute: int = Field(
        default=30,
        ge=1,
        description="Refused credentials per minute from one address (IPv6: one /64) before it gets 429.",
    )
    unknown_recipients_per_hour: int = Field(
        default=500, ge=1, description="Unknown recipients a client may submit per hour before it gets 429."
    )
    connections: int = Field(
        default=4000,
        ge=1,
        description="Connections to one API process. Where the system permits fewer files, fewer.",
    )
    connections_per_address: int = Field(
        default=500,
        ge=1,
        description="Connections to one API process from one address (IPv6: one /64) that is no trusted proxy.",
    )
    mails_per_address_per_hour: int = Field(
        default=100, ge=0, description="Mails per hour to one address, from all clients. More wait. 0: no limit."
    )
    messages_per_account_per_hour: int = Field(
        default=1000, ge=0, description="Messages per hour to one account, from all clients. More wait. 0: no limit."
    )
