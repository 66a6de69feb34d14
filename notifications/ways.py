"""Which ways out are set up here, and how fast each may be used."""

from engine.channels import Limit, Ways
from engine.settings import Settings


def ways(settings: Settings) -> Ways:
    """Return the channels in use: mail is the record, Zalo the nudge where it is set up."""
    limits = {"email": Limit(settings.smtp_per_minute, settings.smtp_workers)}
    zalo = Limit(settings.zalo_per_minute, 1)
    if settings.zalo_bot_token is not None:
        limits["zalo_bot"] = zalo
    if settings.zalo_oa_id is not None and settings.zalo_zbs_template is not None:
        limits["zalo_zbs"] = zalo
    if settings.zalo_oa_id is not None and settings.zalo_uid_template is not None:
        limits["zalo_uid"] = zalo
    if settings.apprise_services:
        limits["apprise"] = Limit(settings.apprise_per_minute, 1)
    return Ways(limits, settings.mail_from.rpartition("@")[2])
