"""Lists that are read page by page."""

from typing import Generic, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """Some of a list. Subclass it for each entity, so that its name in OpenAPI is plain."""

    items: list[T] = Field(description="Those of this page.")
    next: str = Field(description='The `cursor` of the next page; "" after the last.')
