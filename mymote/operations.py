"""Every call of the REST API, by its operation id in `/openapi.json`.

A test holds this table to that document.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import quote

from mymote.failures import usage


class Operation(NamedTuple):
    """A method and a path; a path that does not begin with /api/ is an account's."""

    method: str
    path: str
    once: bool = False  # takes an Idempotency-Key, so it can be repeated without doing it twice

    @property
    def of_account(self) -> bool:
        """Whether its path comes after `/api/user/{userid}/{webapi_key}`."""
        return not self.path.startswith("/api/")

    def filled(self, values: Mapping[str, str]) -> str:
        """The path with its parameters. Raises Failure for what would make another path of it."""
        if not {"", ".", ".."}.isdisjoint(values.values()):
            raise usage("An id is missing, or is no more than dots.")
        return self.path.format_map({name: quote(value, safe="") for name, value in values.items()})


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        # devices
        "listDevices": Operation("GET", "/devices"),
        "listDevicesOfGroup": Operation("GET", "/devices/group/{groupid}"),
        "getDevice": Operation("GET", "/devices/{deviceid}"),
        "getDeviceStatus": Operation("GET", "/devices/{deviceid}/status"),
        "getDeviceStatistics": Operation("GET", "/devices/{deviceid}/stat"),
        "getDeviceSettings": Operation("GET", "/devices/{deviceid}/settings"),
        "updateDeviceSettings": Operation("PATCH", "/devices/{deviceid}/settings"),
        "getDeviceProperties": Operation("GET", "/devices/{deviceid}/properties"),
        "rebootDevice": Operation("POST", "/devices/{deviceid}/reboot", once=True),
        "getDeviceTimeline": Operation("GET", "/devices/{deviceid}/timeline"),
        "pairDevice": Operation("POST", "/devices", once=True),
        "pairDevices": Operation("POST", "/devices/import", once=True),
        "updateDevice": Operation("PATCH", "/devices/{deviceid}"),
        "deleteDevice": Operation("DELETE", "/devices/{deviceid}"),
        # user messages
        "sendUserMessage": Operation("POST", "/devices/{deviceid}/sendjson", once=True),
        "listUserMessages": Operation("GET", "/devices/{deviceid}/messages"),
        "getUserMessage": Operation("GET", "/devices/{deviceid}/messages/{messageid}"),
        "cancelUserMessage": Operation("DELETE", "/devices/{deviceid}/messages/{messageid}"),
        # groups
        "listGroups": Operation("GET", "/groups"),
        "createGroup": Operation("POST", "/groups", once=True),
        "getGroup": Operation("GET", "/groups/{groupid}"),
        "updateGroup": Operation("PATCH", "/groups/{groupid}"),
        "deleteGroup": Operation("DELETE", "/groups/{groupid}"),
        # notifications
        "listNotifications": Operation("GET", "/notifications"),
        "countNotifications": Operation("GET", "/notifications/count"),
        "getNotification": Operation("GET", "/notifications/{notificationid}"),
        "acknowledgeNotification": Operation("POST", "/notifications/{notificationid}/acknowledge"),
        "clearNotification": Operation("POST", "/notifications/{notificationid}/clear"),
        "acknowledgeNotifications": Operation("POST", "/notifications/acknowledge"),
        "clearNotifications": Operation("POST", "/notifications/clear"),
        # parked messages
        "listParkedMessages": Operation("GET", "/parked"),
        "getParkedMessage": Operation("GET", "/parked/{parkedid}"),
        "redeliverParkedMessage": Operation("POST", "/parked/{parkedid}/redeliver", once=True),
        "discardParkedMessage": Operation("DELETE", "/parked/{parkedid}"),
        "redeliverParkedMessages": Operation("POST", "/parked/redeliver", once=True),
        "discardParkedMessages": Operation("POST", "/parked/discard"),
        # apps and firmware
        "listApps": Operation("GET", "/apps"),
        "createApp": Operation("POST", "/apps", once=True),
        "getApp": Operation("GET", "/apps/{appid}"),
        "updateApp": Operation("PATCH", "/apps/{appid}"),
        "deleteApp": Operation("DELETE", "/apps/{appid}"),
        "listAppVersions": Operation("GET", "/apps/{appid}/versions"),
        "uploadAppVersion": Operation("POST", "/apps/{appid}/versions"),
        "getAppVersion": Operation("GET", "/apps/{appid}/versions/{appversionid}"),
        "deleteAppVersion": Operation("DELETE", "/apps/{appid}/versions/{appversionid}"),
        "listFirmware": Operation("GET", "/firmware"),
        "getFirmware": Operation("GET", "/firmware/{firmwareid}"),
        "sendNewApp": Operation(
            "POST", "/devices/{deviceid}/newapp/{appid}/{appversionid}", once=True
        ),
        "sendNewFirmware": Operation(
            "POST", "/devices/{deviceid}/newfirmware/{firmwareid}/NOW", once=True
        ),
        "listJobs": Operation("GET", "/jobs"),
        "getJob": Operation("GET", "/jobs/{jobid}"),
        "cancelJob": Operation("DELETE", "/jobs/{jobid}"),
        # the account, its queue and its keys
        "getAccount": Operation("GET", "/account"),
        "updateAccount": Operation("PATCH", "/account"),
        "getQueue": Operation("GET", "/account/queue"),
        "renewQueueKey": Operation("POST", "/account/queue/renew"),
        "listKeys": Operation("GET", "/account/keys"),
        "createKey": Operation("POST", "/account/keys"),
        "getKey": Operation("GET", "/account/keys/{keyid}"),
        "updateKey": Operation("PATCH", "/account/keys/{keyid}"),
        "renewKey": Operation("POST", "/account/keys/{keyid}/renew"),
        "revokeKey": Operation("DELETE", "/account/keys/{keyid}"),
        # people
        "listPeople": Operation("GET", "/people"),
        "getPerson": Operation("GET", "/people/{personid}"),
        "updatePerson": Operation("PATCH", "/people/{personid}"),
        "removePerson": Operation("DELETE", "/people/{personid}"),
        "listInvitations": Operation("GET", "/invitations"),
        "createInvitation": Operation("POST", "/invitations"),
        "deleteInvitation": Operation("DELETE", "/invitations/{invitationid}"),
        "acceptInvitation": Operation("POST", "/api/invitations/accept"),
        "login": Operation("POST", "/api/login"),
        "getMe": Operation("GET", "/me"),
        "changePassword": Operation("POST", "/me/password"),
        "logout": Operation("POST", "/me/logout"),
        "listSessions": Operation("GET", "/sessions"),
        "endSession": Operation("DELETE", "/sessions/{sessionid}"),
        "listAudit": Operation("GET", "/audit"),
        # the platform's operator
        "operatorListAccounts": Operation("GET", "/api/operator/accounts"),
        "operatorCreateAccount": Operation("POST", "/api/operator/accounts"),
        "operatorGetAccount": Operation("GET", "/api/operator/accounts/{userid}"),
        "operatorCreateKey": Operation("POST", "/api/operator/accounts/{userid}/keys"),
        "operatorInviteOwner": Operation("POST", "/api/operator/accounts/{userid}/invitations"),
        "operatorListNamespaces": Operation("GET", "/api/operator/namespaces"),
        "operatorListGateways": Operation("GET", "/api/operator/gateways"),
        "operatorManufactureGateways": Operation("POST", "/api/operator/gateways"),
        "operatorListFirmware": Operation("GET", "/api/operator/firmware"),
        "operatorUploadFirmware": Operation("POST", "/api/operator/firmware"),
        "operatorGetFirmware": Operation("GET", "/api/operator/firmware/{firmwareid}"),
        "operatorDeleteFirmware": Operation("DELETE", "/api/operator/firmware/{firmwareid}"),
    }
)
