"""Stored documents as the contract's entities (rest-contract.md)."""

from shared.schemas.contract import Device, DeviceSt, Group
from shared.schemas.documents import DeviceDocument, GroupDocument


def device(document: DeviceDocument, *, with_key: bool) -> Device:
    """DEVICE. Its key is for callers with full scope; others see ""."""
    return Device(
        id=document.id,
        device_id=document.device_id,
        device_key=document.device_key if with_key else "",
        user_id=document.user_id,
        group_id=document.group_id,
        name=document.name,
        type=document.type,
        location=document.location,
        connectivity=document.connectivity,
        fwversion=document.fwversion,
        app_name=document.app_name,
        app_version=document.app_version,
        stat_device_id=document.stat_device_id,
        ICCID=document.ICCID,
    )


def device_st(document: DeviceDocument, *, with_key: bool) -> DeviceSt:
    """DEVICEST."""
    return DeviceSt(device=device(document, with_key=with_key), status=document.status)


def group(document: GroupDocument) -> Group:
    """GROUP."""
    return Group(
        id=document.id,
        group_of_user_id=document.user_id,
        name=document.name,
        client_name=document.client_name,
        email=document.email,
        telephone=document.telephone,
    )
