"""Every `DONDOC_*` variable: what may be set from outside, and its default.

Secrets come from the environment or from a file (`DONDOC_SECRETS_DIR`, one file per variable,
as container platforms mount them), never from the command line.
"""

from pathlib import Path
from typing import Any

from platformdirs import user_data_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.sealing import KeyRing


class Settings(BaseSettings):
    """Settings of one dondoc process."""

    model_config = SettingsConfigDict(env_prefix="DONDOC_", extra="ignore")

    def __init__(self, **values: Any) -> None:
        # The folder of secrets is itself a variable, so it is read before the rest.
        import os  # noqa: PLC0415

        super().__init__(_secrets_dir=os.environ.get("DONDOC_SECRETS_DIR"), **values)

    database_url: SecretStr | None = Field(
        None, description="postgresql://… of a server 15 or newer; unset: the embedded server"
    )
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("dondoc", appauthor=False),
        description="where the embedded server keeps its data",
    )
    seal_keys: SecretStr | None = Field(
        None,
        description="id:key,id:key (32 bytes in base64; see `dondoc keys new`), the first seals; "
        "unset: a key made at first use in the data folder. Back it up apart from the database",
    )
    pool_size: int = Field(10, ge=1, le=200, description="database connections per process")
    lock_timeout_seconds: float = Field(5.0, gt=0, description="how long a migration waits")
    host: str = "127.0.0.1"
    port: int = Field(8051, ge=0, le=65535)
    body_limit_bytes: int = Field(1_048_576, ge=1024, description="largest request body of the API")
    language: str = Field("vi", pattern="^(vi|en)$", description="language of the command line")
    base_url: str = Field(
        "http://127.0.0.1:8051", description="address of the web pages, for links in messages"
    )
    session_hours: float = Field(12, gt=0, description="how long a login of the web lasts")
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(25, ge=1, le=65535)
    smtp_security: str = Field("starttls", pattern="^(plain|starttls|ssl)$")
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_ca_file: Path | None = Field(None, description="CA of an internal mail server")
    smtp_per_minute: int = Field(600, ge=1, description="most messages a minute")
    smtp_workers: int = Field(2, ge=1, le=20, description="connections to the mail server at once")
    mail_from: str = "dondoc@localhost"
    mail_from_name: str = "Hệ thống theo dõi nhiệm vụ"
    mail_reply_to: str | None = Field(None, description="a mailbox somebody reads")
    mail_bounce_address: str | None = Field(
        None,
        description="bounce@…, a mailbox with sub-addressing: mails come back to "
        "bounce+<delivery>-<tag>@…; unset: bounces are not taken in",
    )
    mail_bounce_maildir: Path | None = Field(None, description="folder the bounces arrive in")
    mail_bounce_imap_host: str | None = Field(None, description="or the IMAP server (TLS)")
    mail_bounce_imap_port: int = Field(993, ge=1, le=65535)
    mail_bounce_imap_user: str = ""
    mail_bounce_imap_password: SecretStr = SecretStr("")
    zalo_bot_token: SecretStr | None = Field(None, description="unset: no Zalo messages")
    zalo_bot_url: str = "https://bot-api.zaloplatforms.com"
    zalo_bot_webhook_secret: SecretStr | None = Field(
        None, description="8-256 characters the bot's webhook calls carry; unset: the bot is polled"
    )
    zalo_oa_id: str | None = Field(
        None, description="Official Account of ZBS template messages; unset: none are sent"
    )
    zalo_app_secret: SecretStr | None = Field(
        None, description="secret key of the app the account has authorised; renews its tokens"
    )
    zalo_oauth_url: str = "https://oauth.zaloapp.com"
    zalo_oa_url: str = "https://openapi.zalo.me"
    zalo_zns_url: str = "https://business.openapi.zalo.me"
    zalo_zbs_template: str | None = Field(
        None, description="id of the template sent to phones; unset: none are sent to phones"
    )
    zalo_uid_template: str | None = Field(
        None, description="id of the template sent to user ids; unset: none are sent to them"
    )
    zalo_zbs_params: str = Field(
        "ten:30,don_vi:200,so_viec:20!,so_qua_han:20!,ma:200,han:20!,ngay:20!",
        description="what the templates declare: name:longest, … of ten, don_vi, so_viec, "
        "so_qua_han, ma, han, ngay; '!' after it: refuse a longer value instead of cutting it, "
        "'?': may be missing",
    )
    zalo_zbs_development: bool = Field(
        default=False, description="true: templates reach administrators of the app only (tests)"
    )
    zalo_webhook_secrets: SecretStr | None = Field(
        None,
        description="first_term:secret,first_term:secret to check the OA's webhook calls with: "
        "app id or OA id, with the app secret or the OA secret key; the log says which matched",
    )
    zalo_per_minute: int = Field(60, ge=1, description="most messages a minute of each Zalo way")
    apprise_services: str = Field(
        "",
        description="services whose Apprise URLs administrators may enter, by their schemes: "
        "ntfys,mmosts; empty: none. The server calls whatever host such a URL names",
    )
    apprise_per_minute: int = Field(30, ge=1, description="most messages a minute to all of them")
    zalo_titles: bool = Field(
        default=True, description="false: Zalo texts carry the codes of tasks only, no titles"
    )


def keyring(settings: Settings) -> KeyRing:
    """Return the keys that seal addresses and tokens.

    Raises:
        SealProblem: `DONDOC_SEAL_KEYS`, or the file in the data folder, is malformed.
    """
    if settings.seal_keys is not None:
        return KeyRing.parse(settings.seal_keys.get_secret_value())
    return KeyRing.kept_in(settings.data_dir / "seal.keys")
