"""Groups in requests; in replies they are the contract's GROUP."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.config import JsonDict

NO_CONTROLS = r"^[^\x00-\x1f\x7f]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NO_CONTROLS)]
Words = Annotated[str, StringConstraints(max_length=100, pattern=NO_CONTROLS)]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^([^\x00-\x20\x7f@]+@[^\x00-\x20\x7f@]+)?$"),
    Field(examples=["plant@example.com"]),
]
Telephone = Annotated[str, StringConstraints(max_length=50, pattern=NO_CONTROLS)]

NAME = "For people; need not be the only one of its kind."
CLIENT_NAME = 'Whose devices these are; "" for nobody in particular.'
EMAIL = 'Of that client; "" for none.'
TELEPHONE = 'Of that client; "" for none.'

_EXAMPLE: JsonDict = {
    "name": "Boiler rooms",
    "client_name": "Rossi S.p.A.",
    "email": "plant@example.com",
    "telephone": "+39 06 555 0100",
}


class NewGroup(BaseModel):
    """NEWGROUP: a group to be made."""

    model_config = ConfigDict(
        extra="forbid", strict=True, json_schema_extra={"examples": [_EXAMPLE]}
    )

    name: Name = Field(description=NAME)
    client_name: Words = Field("", description=CLIENT_NAME)
    email: Email = Field("", description=EMAIL)
    telephone: Telephone = Field("", description=TELEPHONE)


class GroupEdit(BaseModel):
    """GROUPEDIT: what of a group is to be changed; what is absent stays as it is."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"name": "Boiler rooms, south"}]},
    )

    name: Name = Field("-", description=NAME)
    client_name: Words = Field("", description=CLIENT_NAME)
    email: Email = Field("", description=EMAIL)
    telephone: Telephone = Field("", description=TELEPHONE)
