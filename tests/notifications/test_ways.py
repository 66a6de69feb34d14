"""Every way out by the whole path: planned, leased, sent, marked; and a consent that is lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.channels.stock import StockUrl
from notifications.oa import resume_after_consent
from notifications.sending import Sender, deliver, try_out
from notifications.standin.mailbox import Mailbox
from notifications.standin.zalo import ZaloStandIn
from notifications.ways import ways
from tests.factories import person
from tests.notifications.accounts import LENGTHS, PHONE, SECRETS, an_account, settings_of
from tests.notifications.sent import OCTOBER, TOKEN, mine
from tests.notifications.webs import Web

OFFICER, ADMIN = "cv.so-noi-vu", "quan-tri"


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    account = an_account()
    with ZaloStandIn(frozenset({TOKEN}), account=account, clock=lambda: at(OCTOBER)) as running:
        yield running


@pytest.fixture
def october(plan_51: Engine, zalo: ZaloStandIn) -> Engine:
    engine = plan_51.at(at(OCTOBER))
    engine.sweeps.run()
    engine.credentials.connect(
        zalo.account.oa_id, zalo.account.app_id, SECRETS[1], SECRETS[2], 90_000
    )
    return engine


def outside(mailbox: Mailbox, zalo: ZaloStandIn, **values: Any) -> Settings:
    given = {"smtp_port": mailbox.smtp_port, "smtp_security": "plain", **values}
    return settings_of(zalo, **given)


def test_a_phone_gets_one_template_with_the_figures_of_the_digest(
    october: Engine, mailbox: Mailbox, zalo: ZaloStandIn
) -> None:
    october.contacts.set(person(october, OFFICER), "zalo_zbs", "0987654321", OCTOBER)
    settings = outside(mailbox, zalo)

    for _ in range(2):
        deliver(october, settings, Sender(october, settings))

    (sent,) = zalo.templates
    owed = mine(october, OFFICER)["zalo_zbs"]
    shown = october.deliveries.show(owed["id"])
    assert (sent.to, set(sent.values)) == (PHONE, set(LENGTHS))
    assert (sent.tracking_id, sent.message_id) == (
        shown["tracking_id"],
        shown["provider_message_id"],
    )
    assert (shown["state"], shown["sent_to"]) == ("accepted", "8498***321")
    gateway = next(g for g in october.gateways.listed() if g.channel == "zalo_zbs")
    assert gateway.quota_left == 499


def test_a_user_id_gets_one_template(october: Engine, mailbox: Mailbox, zalo: ZaloStandIn) -> None:
    october.contacts.set(person(october, OFFICER), "zalo_uid", "u-42", OCTOBER)
    settings = outside(mailbox, zalo)

    for _ in range(2):
        deliver(october, settings, Sender(october, settings))

    (sent,) = zalo.templates
    assert (sent.to, sent.tracking_id) == ("u-42", None)
    assert mine(october, OFFICER)["zalo_uid"]["state"] == "accepted"


def test_a_service_of_apprise_gets_the_short_text_once(
    october: Engine, mailbox: Mailbox, zalo: ZaloStandIn, web: Web
) -> None:
    october.contacts.set(person(october, OFFICER), "apprise", web.address, OCTOBER)
    settings = outside(mailbox, zalo, apprise_services="json")

    for _ in range(2):
        deliver(october, settings, Sender(october, settings))

    (taken,) = web.taken
    assert b"51/KH-UBND" in taken
    assert mine(october, OFFICER)["apprise"]["state"] == "accepted"
    assert repr(StockUrl(web.address)) == "StockUrl(JSON)"


def test_a_service_that_is_not_allowed_any_more_ends_the_address_and_mail_goes_on(
    october: Engine, mailbox: Mailbox, zalo: ZaloStandIn
) -> None:
    october.contacts.set(person(october, OFFICER), "apprise", "json://x.example/h", OCTOBER)
    settings = outside(mailbox, zalo, apprise_services="ntfys")

    deliver(october, settings, Sender(october, settings))

    own = mine(october, OFFICER)
    assert (own["apprise"]["state"], own["apprise"]["last_code"]) == ("failed", "address")
    assert own["email"]["state"] == "accepted"


def test_a_lost_consent_stops_both_ways_tells_once_and_nothing_probes_until_somebody_consents(
    october: Engine, mailbox: Mailbox, zalo: ZaloStandIn
) -> None:
    october.contacts.set(person(october, OFFICER), "zalo_zbs", "0987654321", OCTOBER)
    october.contacts.set(person(october, "pct.ubnd-tinh"), "zalo_uid", "u-42", OCTOBER)
    settings = outside(mailbox, zalo)
    zalo.account.revoke()

    for hour in (8, 9, 12, 16):
        then = october.at(at(OCTOBER, hour))
        deliver(then, settings, Sender(then, settings))

    states = {g.channel: g.state for g in october.gateways.listed()}
    told = [m for m in mailbox.messages() if "Zalo" in str(m["Subject"])]
    assert (states["zalo_zbs"], states["zalo_uid"]) == ("needs_consent", "needs_consent")
    assert mine(october, OFFICER)["zalo_zbs"]["state"] == "parked"
    assert zalo.account.token_calls == 1
    assert len(told) == len({str(m["To"]) for m in told}) * 2 > 0  # each way once, to each of them
    assert zalo.templates == []

    zalo.account.access_token, zalo.account.refresh_token = "anew", "anew-too"
    october.credentials.connect(zalo.account.oa_id, zalo.account.app_id, "anew", "anew-too", 90_000)
    assert resume_after_consent(october, ways(settings)) == 2
    evening = october.at(at(OCTOBER, 16, 30))
    deliver(evening, settings, Sender(evening, settings))

    assert {sent.to for sent in zalo.templates} == {PHONE, "u-42"}


def test_a_trial_message_fills_every_value_of_the_template(
    october: Engine, mailbox: Mailbox, zalo: ZaloStandIn
) -> None:
    own = october.people.find(OFFICER)
    october.contacts.set(own.id, "zalo_zbs", "0987654321", OCTOBER)
    settings = outside(mailbox, zalo)

    outcome = try_out(october, settings, Sender(october, settings), "zalo_zbs", own)

    assert outcome.state == "accepted"
    assert set(zalo.templates[0].values) == set(LENGTHS)
