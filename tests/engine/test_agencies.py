from datetime import date

import pytest

from engine.agencies import Agency, Directory, Group, GroupUnconfirmed, Member

OLD, LAST, NEW = date(2025, 3, 7), date(2025, 6, 30), date(2025, 7, 1)


def _agency(code: str, first: date = OLD, last: date | None = None, *names: str) -> Agency:
    return Agency(code, code.upper(), code, "department", "province", first, last, names)


def _directory(*groups: Group) -> Directory:
    agencies = (
        _agency("health"),
        _agency("home"),
        _agency("district", OLD, LAST, "UBND huyện"),
        _agency("commune", NEW),
    )
    return Directory({a.code: a for a in agencies}, {g.code: g for g in groups})


def test_an_agency_exists_on_its_last_day_and_not_after() -> None:
    directory = _directory()

    assert directory.agency_on("district", LAST) is directory.agencies["district"]
    assert directory.agency_on("district", NEW) is None
    assert directory.agency_on("commune", LAST) is None
    assert directory.agency_on("nobody", OLD) is None


def test_names_are_those_of_the_day() -> None:
    directory = _directory(Group("all", "Các sở", confirmed=False))

    assert ("UBND huyện", "district") in directory.names_on(LAST)
    assert ("UBND huyện", "district") not in directory.names_on(NEW)
    assert ("Các sở", "@all") in directory.names_on(NEW)


def test_an_agency_that_has_ended_stands_for_nobody() -> None:
    directory = _directory()

    assert directory.expand("district", LAST) == ["district"]
    assert directory.expand("district", NEW) == []


def test_a_membership_counts_only_on_its_days() -> None:
    directory = _directory(
        Group("all", "Các sở", True, (Member("health", OLD), Member("home", OLD, LAST)))  # noqa: FBT003
    )

    assert directory.expand("@all", LAST) == ["health", "home"]
    assert directory.expand("@all", NEW) == ["health"]


def test_a_group_inside_a_group_is_expanded_and_nobody_twice() -> None:
    inner = Group("inner", "Trong", confirmed=True, members=(Member("health", OLD),))
    outer = Group(
        "outer",
        "Ngoài",
        confirmed=True,
        members=(Member("@inner", OLD), Member("health", OLD), Member("home", OLD)),
    )

    assert _directory(inner, outer).expand("@outer", OLD) == ["health", "home"]


def test_an_unconfirmed_group_is_refused_wherever_it_stands() -> None:
    inner = Group("inner", "Các cơ quan báo chí", confirmed=False)
    outer = Group("outer", "Ngoài", confirmed=True, members=(Member("@inner", OLD),))

    with pytest.raises(GroupUnconfirmed, match="Các cơ quan báo chí") as refusal:
        _directory(inner, outer).expand("@outer", OLD)

    assert refusal.value.group is inner
    assert "văn thư" in refusal.value.sentence.vi


def test_an_unconfirmed_group_that_no_longer_belongs_to_it_does_not_block_a_group() -> None:
    inner = Group("inner", "Trong", confirmed=False)
    outer = Group(
        "outer", "Ngoài", confirmed=True, members=(Member("@inner", OLD, LAST), Member("home", OLD))
    )

    assert _directory(inner, outer).expand("@outer", NEW) == ["home"]
