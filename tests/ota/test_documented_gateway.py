"""`docs/over-the-air.md` against the code: what people build gateways from must be so."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.ota.logic import proof
from services.ota.logic.reasons import CODES
from services.ota.logic.reports import Report
from services.ota.logic.signing import Signable
from x400.ota_order import OtaKind, OtaOrder
from x400.ota_trust import TrustedKeys, key_id
from x400.store import Store

TEXT = Path("docs/over-the-air.md").read_text()
ORDER: dict[str, Any] = json.loads(re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)[0])["ota_app"]


def test_the_order_is_one_that_a_gateway_takes_and_believes(tmp_path: Path) -> None:
    order = OtaOrder.parse(OtaKind.APP, ORDER)
    (key,) = set(re.findall(r'"public_key": "(.+?)"', TEXT))
    trusted = TrustedKeys(Store(tmp_path / "x.db"), [key])
    assert trusted.verifies(order.signed(), order.signature)
    lines = re.findall(r"```\n(mymote-artifact-v1\n.+?)```", TEXT, re.DOTALL)
    signable = Signable("app", order.name, order.version, order.size, order.sha256)
    assert [text.encode() for text in lines] == [order.signed()] == [signable.text]


def test_the_proof() -> None:
    cells = dict(re.findall(r"^\| ([a-z ]+) \| `(.+)` \|$", TEXT, re.MULTILINE))
    made = proof.make(
        cells["device key"],
        method=cells["method"],
        path=cells["path"],
        ticket=cells["ticket"],
        now=datetime.fromtimestamp(int(cells["t"]), UTC),
    )
    assert made == cells["header"]


def test_the_report_and_the_codes() -> None:
    report = json.loads(re.findall(r"```json\n(.+?)```", TEXT, re.DOTALL)[2])["ota_app"]
    assert Report.model_validate(report).job == ORDER["job"]
    reports = TEXT.partition("`error` is `code: detail`")[2].partition("\n## ")[0]
    assert set(re.findall(r"\| `([a-z0-9_]+)`", reports)) == set(CODES)


def test_the_commands_have_the_same_values() -> None:
    (commands,) = re.findall(r"```sh\n(PUBLIC_KEY=.+?)```", TEXT, re.DOTALL)
    given = dict(re.findall("^([A-Z_]+)='(.+?)'", commands, re.MULTILINE))
    assert given["SIGNATURE"] == ORDER["signature"]
    (key,) = re.findall(r'"id": "(.+?)"', TEXT)
    assert key_id(given["PUBLIC_KEY"]) == key
