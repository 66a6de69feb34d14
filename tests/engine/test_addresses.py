"""Addresses come in many spellings and are kept in one."""

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
    assert "nguyen.van" not in said
    assert "987" not in said.replace("+849", "").replace("0987", "")
    assert mask_text("Nhiệm vụ 51/KH-UBND ngày 07/03/2025") == "Nhiệm vụ 51/KH-UBND ngày 07/03/2025"
