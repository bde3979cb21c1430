"""How the telephone does, where an operator looks: the desk's list, and the metrics."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from fake_host import OPERATOR, FakeHost

from agent.events import ConsentRecorded
from agent.plan import Plan
from server.phone.bridge import AccountState, GatewayState, Standing
from server.store import Store

SINCE = datetime(2026, 3, 4, 12, tzinfo=UTC)
REASON = "The registrar does not take the user and password."


def state(standing: Standing, reason: str = "", **more: object) -> GatewayState:
    account = AccountState(standing, SINCE, reason)
    facts = {"state": "up", "lines": 4, "calls": 1, "missed": 2, "restarts": 3} | more
    return GatewayState(accounts={"phone": account}, **facts)  # type: ignore[arg-type]  # passed on


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (state("registered"), ("ready", "Calls now: 1 of 4")),
        (state("registering"), ("registering",)),
        (state("failed", REASON), ("not reachable", REASON)),
        (state("failed", "<b>bold</b>"), ("&lt;b&gt;bold&lt;/b&gt;",)),
        (state("off", state="down", reason=REASON), (REASON,)),
    ],
    ids=["registered", "registering", "failed", "markup", "down"],
)
async def test_the_list_says_how_the_telephone_does(
    admin: httpx.AsyncClient, host: FakeHost, shown: GatewayState, words: tuple[str, ...]
) -> None:
    host.phone = shown
    page = (await admin.get("/desk", headers={"accept-language": "en"})).text
    for word in words:
        assert word in page


async def test_each_consent_is_shown_with_the_way_in_which_it_was_given(
    admin: httpx.AsyncClient, store: Store, plan: Plan
) -> None:
    ada = await store.create_interview(plan, candidate_name="Ada")
    given = {"interview": True, "recording": True, "version": "1", "method": "key"}
    consent = ConsentRecorded.model_validate(given | {"at": 1.0, "recording_method": "spoken"})
    await store.append(ada.interview_id, None, [consent])
    english = {"accept-language": "en"}
    page = await admin.get(f"/desk/interviews/{ada.interview_id}", headers=english)
    text = " ".join(page.text.split())
    assert "recording: yes (spoken)" in text.lower() and "by a key of the telephone" in text


async def test_without_a_telephone_nothing_is_said_of_one(
    admin: httpx.AsyncClient, web: httpx.AsyncClient
) -> None:
    assert "phone-state" not in (await admin.get("/desk")).text
    assert "viva_phone" not in (await web.get("/metrics", headers=OPERATOR)).text


@pytest.mark.parametrize("standing", ["registered", "registering", "failed", "off"])
async def test_the_metrics_count_the_telephones_states_and_calls(
    web: httpx.AsyncClient, host: FakeHost, standing: Standing
) -> None:
    host.phone = state(standing)
    told = (await web.get("/metrics", headers=OPERATOR)).text
    for one in ("registered", "registering", "failed", "off"):
        holds = float(one == standing)
        assert f'viva_phone_account{{account="phone",state="{one}"}} {holds}' in told
    assert 'viva_phone_gateway{state="up"} 1.0' in told
    assert 'viva_phone_gateway{state="down"} 0.0' in told
    for line in ("calls 1.0", "lines 4.0", "missed 2.0", "restarts 3.0"):
        assert f"viva_phone_{line}" in told
