"""Settings of reviews: how long decisions can be undone, what staff may choose, and when a review is due."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings

from delivery.setting_checks import split_list


class ReviewSettings(BaseSettings):
    """The part of `Settings` about reviews."""

    review_minutes: float = Field(
        default=240.0, gt=0, description="Minutes within which staff should decide about a held message."
    )
    expiry_action: Literal["refuse", "keep", "deliver"] = Field(
        default="refuse",
        description="What a review that expires undecided does: `refuse`, `deliver`, or `keep` it and escalate it.",
    )
    undo_pause_s: float = Field(
        default=10.0,
        ge=0,
        le=300,
        description="Seconds for which a decision at the desk can be undone. Commands and the API decide at once.",
    )
    reject_reasons: str = Field(
        default="spam|scam|personal data|off the platform|insult|copyright|other",
        description="Reasons that staff may reject a message for, separated by `|`. Senders do not see them.",
    )

    @property
    def reasons(self) -> tuple[str, ...]:
        """`reject_reasons` as a list."""
        return split_list(self.reject_reasons)
