"""Addresses come in many spellings and are kept in one."""

from time import monotonic

import pytest

from engine.addresses import mask_text, masked, normalised
from engine.errors import InvalidData


@pytest.mark.parametrize(
    ("channel", "text", "kept"),
    [
        ("email", " CV.SoNoiVu@QuangNgai.gov.vn ", "CV.SoNoiVu@quangngai.gov.vn"),
        ("email", "cv@quangngai.example", "cv@quangngai.example"),
        ("zalo_zbs", "0987654321", "84987654321"),
        ("zalo_zbs", "+84 987.654.321", "84987654321"),
        ("zalo_zbs", "84987654321", "84987654321"),
        ("zalo_zbs", " (+84) 987-654-321 ", "84987654321"),
        ("email", "cv@sở.vn", "cv@xn--s-lym.vn"),
        ("zalo_uid", "4612345678901234567", "4612345678901234567"),
        ("zalo_bot", "6ede9afa66b88fe6d6a9", "6ede9afa66b88fe6d6a9"),
        ("apprise", "json://example.org/x", "json://example.org/x"),
    ],
)
def test_an_address_is_kept_in_one_spelling(channel: str, text: str, kept: str) -> None:
    assert normalised(channel, text) == kept


@pytest.mark.parametrize(
    ("channel", "text"),
    [
        ("email", "hùng@sở.gov.vn"),
        ("email", "a@b.vn\nBcc: x@y.vn"),
        ("email", "Hùng <a@b.vn>"),
        ("email", "a b@c.vn"),
        ("email", ""),
        ("email", "a@b.vn, c@d.vn"),
        ("email", "x" * 65 + "@b.vn"),
        ("email", "a@localhost"),
        ("zalo_zbs", "0987654321 ext 5"),
        ("zalo_zbs", "0987ABCDEF"),
        ("zalo_zbs", "0987654321\n0912345678"),
        ("zalo_zbs", "0169 1234567"),  # eleven digits: a mobile number until 2018
        ("zalo_zbs", "1900 1234"),
        ("apprise", "json://" + "x" * 500),
        ("apprise", "json://host/ x"),
        ("zalo_zbs", "02553822222"),  # a landline of Quảng Ngãi
        ("zalo_zbs", "098765432"),
        ("zalo_zbs", "+14155552671"),
        ("zalo_zbs", "abc"),
        ("zalo_bot", "two words"),
        ("zalo_bot", "x" * 65),
        ("zalo_uid", "số"),
        ("apprise", "no scheme"),
        ("telegraph", "x"),
    ],
)
def test_what_is_no_address_is_refused_with_a_sentence(channel: str, text: str) -> None:
    with pytest.raises(InvalidData) as refused:
        normalised(channel, text)
    assert set(refused.value.problems) == {"address"}


def test_addresses_are_masked_also_inside_what_servers_say() -> None:
    assert masked("email", "nguyen@quangngai.gov.vn") == "ng***@quangngai.gov.vn"
    assert masked("zalo_zbs", "84987654321") == "8498***321"
    assert masked("zalo_bot", "6ede9afa66b88fe6d6a9") == "6ed***"
    assert masked("apprise", "json://user:secret@host") == "json://***"
    said = mask_text("550 <nguyen.van@quangngai.gov.vn> unknown; call 0987 654 321 or +84987654321")
    assert said == "550 <ng***@quangngai.gov.vn> unknown; call 0987***321 or +849***321"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("rcpt=<hùng@sở.vn>", "hùng"),
        ("user nguyen@mailhost is over quota", "nguyen"),
        ('"van uoc"@x.vn', "uoc"),
        ("nguyen@[192.0.2.1]: no", "nguyen"),
        ("mailto:NGUYEN@X.VN", "NGUYEN"),
        ("tel (+84) 987-654-321", "654"),
        ("fax 0255 3822222", "3822"),
        ("x" * 60_000 + " nguyen@x.vn", "nguyen"),
    ],
)
def test_whatever_is_said_no_address_is_left_in_it(text: str, secret: str) -> None:
    began = monotonic()

    assert secret not in mask_text(text)
    assert monotonic() - began < 1


@pytest.mark.parametrize(
    "text",
    [
        "Nhiệm vụ 51/KH-UBND ngày 07/03/2025",
        "250 OK id=1wCQsR-00000000012-0Vkj",
        "451 4.7.1 try again in 300 seconds",
        "2025-10-01 08:00:00 +0700",
    ],
)
def test_numbers_that_are_no_telephones_stay(text: str) -> None:
    assert mask_text(text) == text
