"""Settings of the desk, where staff decide vetting cases."""

from pydantic import Field
from pydantic_settings import BaseSettings


class DeskSettings(BaseSettings):
    """The part of `Settings` about the desk."""

    desk: bool = Field(default=True, description="Serve the desk at `/desk`, where staff decide vetting cases.")
    desk_idle_s: int = Field(
        default=1800, ge=60, le=86400, description="Seconds without a request after which a login at the desk ends."
    )
    desk_session_s: int = Field(
        default=43200, ge=300, le=604800, description="Seconds after which a login at the desk ends in any case."
    )
    desk_logins_per_account: int = Field(
        default=10, ge=1, description="Refused logins at the desk for one name in 15 minutes before others are refused."
    )
    desk_logins_per_address: int = Field(
        default=30, ge=1, description="Refused logins at the desk from one address (IPv6: one /64) in 15 minutes."
    )
