"""What a call's refusals say: an example of each, in the words that the api uses.

Those that are alike for many calls stand in `routes/errors.py`. A test holds these against the
source (tests/rest/test_openapi.py).
"""

import re
from collections.abc import Mapping

from services.api.logic.access import NEEDED
from shared.schemas.accounts import Scope

_DEVICE = "This account has no device of this id; GET .../devices lists those it has."
_GROUP = "This account has no group of this id; GET .../groups lists those it has."
_NO_ACCOUNT = "There is no account of this user id."
_NOT_FOUND: Mapping[str, str] = {  # by the path's last id
    "appid": "This account has no app of this id; GET .../apps lists those it has.",
    "appversionid": (
        "This account has no such version of such an app; GET .../apps/{appid}/versions lists "
        "those it has."
    ),
    "deviceid": _DEVICE,
    "firmwareid": "There is no firmware of this id; GET .../firmware lists what there is.",
    "groupid": _GROUP,
    "invitationid": "There is no such invitation; it was accepted, deleted or has expired.",
    "jobid": "This account has no job of this id; GET .../jobs lists them.",
    "keyid": "This account has no API key of this id; GET .../account/keys lists those it has.",
    "messageid": "This device has no message of this id; GET .../messages lists them.",
    "notificationid": (
        "This account has no notification of this id; GET .../notifications lists those it has."
    ),
    "parkedid": "No such message is parked here; it may have been delivered meanwhile.",
    "personid": "This account has no such person; GET .../people lists those it has.",
    "sessionid": "There is no such session; it may have ended.",
}
_REMOVED = "This person was removed; sign in again."
_NOT_FOUND_HERE: Mapping[str, str] = {
    "acceptInvitation": (
        "This invitation was used or deleted, or has expired; ask whoever invited you for another."
    ),
    "acknowledgeNotifications": _GROUP,
    "changePassword": _REMOVED,
    "clearNotifications": _GROUP,
    "countNotifications": _GROUP,
    "listNotifications": _GROUP,
    "logout": "There is no such session; it may have ended.",
    "operatorDeleteFirmware": "There is no firmware of this id.",
    "operatorGetFirmware": "There is no firmware of this id.",
    "pairDevice": (
        "No gateway with this device key can be paired. Check the key on the gateway's label; if "
        "it is right, a former owner may have to unpair the gateway first."
    ),
}

_OTHERS = "The account is being changed by others at the same time; try again."
_HUB = "IoT Hub no longer knows this gateway; ask the platform's operator to register it."
_GATEWAY = "The gateway is being changed by others at the same time; try again."
_LAST_KEY = (
    "This is the last way in with full scope; renew it, or make another key of scope 'admin' "
    "without expiry, or invite an owner, first."
)
_LAST_OWNER = (
    "This is the last owner, and no API key of scope 'admin' without expiry is left: make another "
    "owner, or such a key, first."
)
_SENT = (
    "Version 1.4.0 is being sent to the device X400_8cb2237d0679ca88db6464eac60da96345513964 (job "
    "7be23404-ff71-4871-b1d5-e87b968248cf, downloading); wait for its end or cancel it, then "
    "delete it."
)
_MOST_KEYS = "An account has 50 API keys at most; revoke one first."
_MOST_INVITATIONS = "100 invitations are open already; delete one, or wait until one was accepted."
_SAME_KEY = (
    "This Idempotency-Key was sent with another request before; take a new one for each order."
)
_CONFLICT: Mapping[str, str] = {
    "acceptInvitation": "This username is taken; choose another.",
    "acknowledgeNotification": "This notification is cleared already.",
    "cancelJob": "The gateway is installing already; wait for the job's end.",
    "cancelUserMessage": "The message is delivered already and cannot be called back.",
    "changePassword": ("The password is being changed somewhere else at the same time; try again."),
    "clearNotification": "Others change this notification all the time; try again.",
    "createInvitation": _MOST_INVITATIONS,
    "createKey": _MOST_KEYS,
    "deleteApp": _SENT,
    "deleteAppVersion": _SENT,
    "deleteDevice": _GATEWAY,
    "deleteGroup": (
        "Devices are in this group (12); say with move_to where they go, or move them first."
    ),
    "deleteInvitation": _OTHERS,
    "discardParkedMessage": "It changed in the meantime; look at it again.",
    "getDeviceProperties": _HUB,
    "getDeviceSettings": _HUB,
    "operatorCreateAccount": (
        "There is an account of this user id already; make another key for it."
    ),
    "operatorCreateKey": _MOST_KEYS,
    "operatorDeleteFirmware": _SENT,
    "operatorInviteOwner": _MOST_INVITATIONS,
    "operatorUploadFirmware": (
        "There is a firmware 2.5.0 of this name for X400 already, and a firmware never changes; "
        "give this one another number."
    ),
    "pairDevice": (
        "This account has this gateway already: X400_8cb2237d0679ca88db6464eac60da96345513964. "
        "Edit it there, or delete it first."
    ),
    "rebootDevice": "The gateway is offline; try again when its status is Connected.",
    "redeliverParkedMessage": (
        "Its redelivery is ordered already; ingest carries it out within seconds."
    ),
    "removePerson": _LAST_OWNER,
    "renewKey": (
        "This key was renewed already, to the key 9e2628e639026558; renew that one, or revoke it "
        "first where it was lost."
    ),
    "renewQueueKey": "The queue's key is being renewed at this moment; read it in a minute.",
    "revokeKey": _LAST_KEY,
    "updateAccount": _OTHERS,
    "updateApp": "This app is being changed by others at the same time; try again.",
    "updateDevice": _GATEWAY,
    "updateDeviceSettings": "The device is being changed by others at the same time; try again.",
    "updateGroup": "The group is being changed by others at the same time; try again.",
    "updateKey": _LAST_KEY,
    "updatePerson": _LAST_OWNER,
    "uploadAppVersion": (
        "This app has the version 1.4.0 already, and a version never changes; give this one "
        "another number."
    ),
}
_NEEDS_NO_BODY = "The body is 524288 bytes at most; send less."
_TOO_LARGE: Mapping[str, str] = {
    "operatorUploadFirmware": "A .bin is 16777216 bytes at most here.",
    "pairDevices": "The body is 262144 bytes at most; send less.",
    "rebootDevice": _NEEDS_NO_BODY,
    "redeliverParkedMessage": _NEEDS_NO_BODY,
    "sendNewApp": _NEEDS_NO_BODY,
    "sendNewFirmware": _NEEDS_NO_BODY,
    "sendUserMessage": "The body is 4096 bytes at most; send less.",
    "uploadAppVersion": "A .bin is 16777216 bytes at most here.",
}
_TOO_MANY: Mapping[str, str] = {
    "login": "This was tried too often; try again later, see Retry-After.",
    "pairDevice": (
        "Too many device keys of this account were wrong; check them on the labels, and try "
        "again within the hour, see Retry-After."
    ),
    "sendUserMessage": (
        "500 messages wait for this device already; try again when it is online, or cancel some."
    ),
}
_UNAUTHORIZED: Mapping[str, str] = {"login": "Wrong username or password."}
_UNSUPPORTED: Mapping[str, str] = {
    "pairDevices": "Send the file as the body, with the header Content-Type: text/csv.",
}

_OF_OPERATOR: Mapping[str, str] = {
    "401": "This needs the operator's key in the header X-Operator-Key.",
    "501": (
        "This installation has no operator's API; set MYMOTE_OPERATOR_KEY, or use the command "
        "line, mymote-operator."
    ),
}


def example_of_refusal(operation_id: str, path: str, status: str) -> str | None:
    """What the call says with this status; None where it says what all say."""
    if path.startswith("/api/operator") and status in _OF_OPERATOR:
        return _OF_OPERATOR[status]
    if status == "403":
        return _forbidden(NEEDED[operation_id])
    if status == "404":
        return _NOT_FOUND_HERE.get(operation_id) or _not_found(path)
    if status == "409":
        return _CONFLICT.get(operation_id, _SAME_KEY)
    calls = {
        "401": _UNAUTHORIZED,
        "413": _TOO_LARGE,
        "415": _UNSUPPORTED,
        "429": _TOO_MANY,
    }
    return calls.get(status, {}).get(operation_id)


def _forbidden(needed: Scope) -> str:
    had = "none" if needed is Scope.READ else "'read'"
    return (
        f"This needs the scope '{needed}'; this key has {had}. Ask an owner of the account for "
        "more."
    )


def _not_found(path: str) -> str:
    last = re.findall(r"{(\w+)}", path)[-1]
    return _NO_ACCOUNT if last == "userid" else _NOT_FOUND[last]
