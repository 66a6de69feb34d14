"""Sealing: only the key opens, only for what it was sealed about."""

from pathlib import Path

import pytest

from engine.sealing import KeyRing, SealProblem, new_key

OLD, NEW = new_key("k1"), new_key("k2")


def test_what_is_sealed_opens_only_with_its_key_and_about_its_row() -> None:
    ring = KeyRing.parse(OLD)
    sealed = ring.seal("0987654321", "contact 7")

    assert ring.open(sealed, "contact 7") == "0987654321"
    assert b"0987654321" not in sealed
    assert ring.seal("0987654321", "contact 7") != sealed
    with pytest.raises(SealProblem):
        ring.open(sealed, "contact 8")
    with pytest.raises(SealProblem):
        ring.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), "contact 7")
    with pytest.raises(SealProblem, match="'k1'"):
        KeyRing.parse(NEW).open(sealed, "contact 7")


def test_after_a_rotation_the_new_key_seals_and_the_old_one_still_opens() -> None:
    sealed = KeyRing.parse(OLD).seal("x", "y")
    both = KeyRing.parse(f"{NEW},{OLD}")

    assert both.open(sealed, "y") == "x"
    assert both.seal("x", "y").startswith(b"k2:")
    assert both.signed("z", KeyRing.parse(OLD).sign("z").upper())
    assert not both.signed("z2", KeyRing.parse(OLD).sign("z"))


@pytest.mark.parametrize("text", ["", "k1", "k1:abc", ":" + OLD[3:], f"{OLD},{OLD}", "k1:ữ"])
def test_a_malformed_ring_is_refused(text: str) -> None:
    with pytest.raises(SealProblem, match="dondoc keys new"):
        KeyRing.parse(text)


def test_a_ring_of_a_file_is_made_once_and_readable_by_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "data" / "seal.keys"
    first = KeyRing.kept_in(path)

    assert KeyRing.kept_in(path) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert repr(first) == "KeyRing(k1)"
