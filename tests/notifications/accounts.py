"""An Official Account to send with: its stand-in's secrets, settings that lead there."""

from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr

from engine.clock import FixedClock, at
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.oa import OfficialAccount
from notifications.standin.zalo import ZaloStandIn
from notifications.standin.zalo_oa import Account, Template
from tests.factories import KEYS
from tests.notifications.sent import OCTOBER

NOON = at(OCTOBER, 12)
PHONE, TRACKING = "84987654321", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUES = {
    "ten": "Trần Thị Bé",
    "don_vi": "Sở Tài chính",
    "so_viec": "65",
    "so_qua_han": "12",
    "ma": "51/KH-UBND #7",
    "han": "30/09/2025",
    "ngay": "01/10/2025",
}
LENGTHS = dict.fromkeys(VALUES, 30)
SECRETS = ("s3cret-of-the-app", "first-access-token", "first-refresh-token")


def an_account(**values: object) -> Account:
    given = {
        "app_secret": SECRETS[0],
        "access_token": SECRETS[1],
        "refresh_token": SECRETS[2],
        "templates": {"t1": Template(LENGTHS)},
        **values,
    }
    return Account(**given)  # type: ignore[arg-type]


def settings_of(zalo: ZaloStandIn, **values: object) -> Settings:
    """Settings whose Official Account is that of the stand-in."""
    given = {
        "zalo_oa_id": zalo.account.oa_id,
        "zalo_app_secret": SecretStr(SECRETS[0]),
        "zalo_oauth_url": zalo.url,
        "zalo_oa_url": zalo.url,
        "zalo_zns_url": zalo.url,
        "zalo_zbs_template": "t1",
        "zalo_uid_template": "t1",
        **values,
    }
    return Settings(**given)


def connected(
    database: sa.Engine, zalo: ZaloStandIn, moment: datetime = NOON, seconds: int = 90_000
) -> Engine:
    """An engine that holds the tokens the stand-in knows."""
    engine = Engine(database, FixedClock(moment), keyring=KEYS)
    account = zalo.account
    engine.credentials.connect(
        account.oa_id, account.app_id, account.access_token, account.refresh_token, seconds
    )
    return engine


def official(engine: Engine, zalo: ZaloStandIn, **values: object) -> OfficialAccount:
    return OfficialAccount(engine, settings_of(zalo, **values))


def environment(settings: Settings, zalo: ZaloStandIn) -> dict[str, str]:
    """The variables of another process that acts for the same account."""
    assert settings.database_url is not None
    assert settings.seal_keys is not None
    return {
        "DONDOC_DATABASE_URL": settings.database_url.get_secret_value(),
        "DONDOC_SEAL_KEYS": settings.seal_keys.get_secret_value(),
        "DONDOC_ZALO_OA_ID": zalo.account.oa_id,
        "DONDOC_ZALO_APP_SECRET": SECRETS[0],
        "DONDOC_ZALO_OAUTH_URL": zalo.url,
        "DONDOC_ZALO_OA_URL": zalo.url,
        "DONDOC_ZALO_ZNS_URL": zalo.url,
        "DONDOC_ZALO_ZBS_TEMPLATE": "t1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
