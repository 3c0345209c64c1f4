"""Devices page by page."""

from services.api.entities.page import Page
from shared.schemas.contract import DeviceSt


class DevicePage(Page[DeviceSt]):
    """DEVICEPAGE: some of the account's devices.

    It may hold fewer than asked for, or none, before the last; only an empty `next` is the end.
    """
