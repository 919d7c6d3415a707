"""The ARC test suite of ValiMail: validation with its 171 tests, or as many as the copy here has,
and sealing with its 17.

It was written for drafts of RFC 8617. Nothing in it is left out. Where it has no opinion (an empty
``cv``), or another one than the RFCs, theirs counts:

- ``cv_fail_i1_as_cv_fail``, ``cv_fail_i2_as1_fail``, ``cv_fail_i2_as2_fail``: a seal says cv=fail.
  RFC 8617 section 5.2: 'The "cv" value for all ARC-Seal header fields MUST NOT be "fail".'
- ``ams_fields_h_empty`` wants a pass for a signature that covers no field at all, so that anybody
  could put another author into From. RFC 6376 section 6.1.1: 'If the "h=" tag does not include
  the From header field, the Verifier MUST ignore the DKIM-Signature header field'.
- ``ams_fields_c_na`` has no ``c=`` and a relaxed signature. RFC 6376 section 3.5: 'OPTIONAL,
  default is "simple/simple"', from which RFC 8617 section 4.1.2 makes no exception; other
  verifiers go by the drafts, where relaxed was all there was. We take either.

Its messages sign ARC-Authentication-Results in ``h=`` of the message signature, which section
4.1.2 forbids sealers to do; it asks no verifier to refuse that, and we compute what is named.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from mailframe.core.authentication import ArcResult
from mailframe.mailauth.arc import seal_arc, sealing, verify_arc
from mailframe.mailauth.dkim import SigningKey
from mailframe.message.headers import fields, split_message
from mailframe.runtime.aio import as_deferred, fired
from mailframe.runtime.workers import InlineWorkers
from tests.unit.mailauth.arc.messages import Body, Records

yaml = pytest.importorskip("yaml", reason="PyYAML reads the suite")
SUITE = (
    Path(__file__).resolve().parents[3] / "shared" / "suites" / "02-auth" / "arc-valimail" / "tests"
)
pytestmark = pytest.mark.skipif(not SUITE.is_dir(), reason="the suite is not on this machine")
BY_THE_RFC = {
    "cv_fail_i1_as_cv_fail": "fail",
    "cv_fail_i2_as1_fail": "fail",
    "cv_fail_i2_as2_fail": "fail",
    "ams_fields_h_empty": "fail",
}


def load(name: str) -> Iterator[Any]:
    file = SUITE / name
    if not file.is_file():
        return
    for scenario in yaml.safe_load_all(file.read_text(encoding="utf-8")):
        for case, test in scenario["tests"].items():
            yield pytest.param(case, test, scenario, id=case)


def message(test: Any) -> tuple[bytes, bytes]:
    return split_message(test["message"].replace("\n", "\r\n").encode())


def resolver(scenario: Any) -> Records:
    records = scenario["txt-records"] or {}
    return Records({name: text.replace("\n", "").encode() for name, text in records.items()})


def validated(test: Any, scenario: Any) -> ArcResult:
    header, body = message(test)
    result: ArcResult = fired(
        as_deferred(
            verify_arc(resolver(scenario), header, Body(body), InlineWorkers(), now=12_400.0)
        )
    )
    return result


@pytest.mark.parametrize(("case", "test", "scenario"), list(load("arc-draft-validation-tests.yml")))
def test_validation(case: str, test: Any, scenario: Any) -> None:
    wanted = BY_THE_RFC.get(case, test["cv"].lower())
    result = validated(test, scenario)
    assert result.result.value == wanted, result.reason


@pytest.mark.parametrize(("case", "test", "scenario"), list(load("arc-draft-sign-tests.yml")))
def test_sealing(case: str, test: Any, scenario: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The three fields, octet for octet but for blanks. What the results say is given: the suite
    makes them of the fields in the message, we of what we checked ourselves. The seal covers how
    the signature is folded; the suite assumes that it is not."""
    monkeypatch.setattr(sealing, "wrapped", str.encode)
    header, body = message(test)
    wanted = {kind: test[kind] for kind in ("AS", "AMS", "AAR")}
    results = re.sub(r"^i=[0-9]+; ", "", test["AAR"]).strip().replace("\n", "\r\n ")
    made = fired(
        as_deferred(
            seal_arc(
                header,
                Body(body),
                InlineWorkers(),
                key_of(scenario),
                test["srv-id"],
                results,
                validated(test, scenario),
                now=float(test["t"]),
                names=test["sig-headers"].encode().split(b":"),
            )
        )
    )
    found = [field.value.decode() for field in fields(made)]
    assert [bare(text) for text in found or ["", "", ""]] == [bare(x) for x in wanted.values()]


def key_of(scenario: Any) -> SigningKey:
    pem = load_pem_private_key(scenario["privatekey"].encode(), None)
    private = pem.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(scenario["domain"], scenario["sel"], "rsa-sha256", private)


def bare(text: str) -> str:
    return re.sub(r"\s+", "", text)
