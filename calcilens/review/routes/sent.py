"""What pages send, as far as all of it has to be checked alike."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Content = dict[str, JsonValue]


class Sent(BaseModel):
    """What a page sends: no key too many, no number in place of a text, whole characters."""

    model_config = ConfigDict(extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _whole(cls, content: Any) -> Any:
        """Refuse halves of characters, which JSON can name and no file can hold."""
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("expected text, found half a character") from error
        return content
