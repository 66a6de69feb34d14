"""Addresses of people: normalised when they come in, masked wherever they are shown or kept."""

import re

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from engine.errors import InvalidData, Sentence

_CHAT = re.compile(r"[!-~]{1,64}")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]{1,490}")
_PHONE = re.compile(r"[+0-9 .()-]{9,24}")  # phonenumbers reads letters as keys, and extensions
# Each begins only where a word does: answers of servers are long, and this has to be linear.
_MAIL_IN_TEXT = re.compile(
    r'(?<![^\s<>()\[\],;:"])(?:[^\s<>()\[\],;:"@]++|"[^"@\n]{1,64}")@(?:\[[^\]\s]*\]|[\w.-]+)'
)
_PHONE_IN_TEXT = re.compile(r"(?<![\w.-])\(?(?:\+?84|0)(?:[ .()-]{0,2}\d){9,10}(?!\d)")


def normalised(channel: str, text: str) -> str:
    """Return an address as it is kept and compared.

    A phone becomes `84987654321`, as Zalo's ZBS template messages take it; a mail address gets
    its domain in lower case and must have an ASCII local part, since relays without SMTPUTF8
    (RFC 6531) refuse others.

    Args:
        channel: email, zalo_bot (chat id), zalo_zbs (phone), zalo_uid, apprise (URL).
        text: As a person wrote it.

    Raises:
        InvalidData: `address`: it is not an address of this channel.
    """
    match channel:
        case "email":
            return _mail(text)
        case "zalo_zbs":
            return _mobile(text)
        case "apprise" if _URL.fullmatch(text.strip()):
            return text.strip()
        case "zalo_bot" | "zalo_uid" if _CHAT.fullmatch(text.strip()):
            return text.strip()
    raise _malformed(
        "địa chỉ có ký tự lạ, khoảng trắng hoặc quá dài",
        "the address has strange characters, spaces, or is too long",
    )


def masked(channel: str, address: str) -> str:
    """Return an address as it may be shown: enough to recognise one's own, not to use it."""
    match channel:
        case "email":
            return mask_text(address)
        case "zalo_zbs":
            return f"{address[:4]}***{address[-3:]}"
        case "apprise":
            return f"{address.partition('://')[0]}://***"
    return f"{address[:3]}***"


def mask_text(text: str) -> str:
    """Return a text with every mail address and Vietnamese phone number in it masked."""
    text = _MAIL_IN_TEXT.sub(_mask_mail, text)
    return _PHONE_IN_TEXT.sub(lambda found: f"{found[0][:4]}***{found[0][-3:]}", text)


def _mask_mail(found: re.Match[str]) -> str:
    local, _, domain = found[0].rpartition("@")
    return f"{local[:2]}***@{domain}"


def _mail(text: str) -> str:
    try:
        checked = validate_email(
            text.strip(),
            check_deliverability=False,
            allow_smtputf8=False,
            strict=True,
            test_environment=True,
        )
    except EmailNotValidError as problem:
        raise _malformed(
            "không phải địa chỉ e-mail dùng được (ví dụ đúng: ten@quangngai.gov.vn, không dấu)",
            f"not a mail address that can be used: {problem}",
        ) from problem
    return checked.ascii_email or checked.normalized


def _mobile(text: str) -> str:
    try:
        number = phonenumbers.parse(text, "VN") if _PHONE.fullmatch(text.strip()) else None
    except phonenumbers.NumberParseException:
        number = None
    mobile = phonenumbers.PhoneNumberType.MOBILE
    if (
        number is None
        or number.country_code != 84  # noqa: PLR2004  Vietnam
        or not phonenumbers.is_valid_number(number)
        or phonenumbers.number_type(number) is not mobile
    ):
        raise _malformed(
            "không phải số di động Việt Nam (ví dụ đúng: 0987654321 hoặc +84987654321)",
            "not a Vietnamese mobile number (for example 0987654321 or +84987654321)",
        )
    return f"84{number.national_number}"


def _malformed(vi: str, en: str) -> InvalidData:
    return InvalidData({"address": Sentence(vi, en)})
