"""The directory in PostgreSQL: no name and no member stands twice on one day."""

import pytest
import sqlalchemy as sa

from engine.store.tables import agency, agency_group, agency_group_member, metadata

AGENCY = (
    "INSERT INTO agency (code, name, short_name, kind, level, valid_from, valid_to, aliases, "
    "unconfirmed) VALUES (:code, :name, 'x', 'x', 'district', :begins, :ends, '{}', false)"
)
MEMBER = (
    "INSERT INTO agency_group_member (group_code, agency_code, member_group_code, valid_from, "
    "valid_to) VALUES ('g', :agency, :group, :begins, :ends)"
)


def insert(database: sa.Engine, statement: str, **values: str | None) -> None:
    with database.begin() as connection:
        connection.execute(sa.text(statement), values)


@pytest.fixture
def filled(database: sa.Engine) -> sa.Engine:
    insert(database, AGENCY, code="a", name="Sở Y tế", begins="2025-03-01", ends="2025-06-30")
    insert(database, AGENCY, code="b", name="Sở Nội vụ", begins="2025-03-01", ends=None)
    for code in ("g", "inner"):
        insert(
            database,
            "INSERT INTO agency_group (code, name, aliases, confirmed) "
            f"VALUES ('{code}', 'x', '{{}}', true)",
        )
    insert(database, MEMBER, agency="a", group=None, begins="2025-03-01", ends="2025-06-30")
    insert(database, MEMBER, agency=None, group="inner", begins="2025-03-01", ends=None)
    return database


@pytest.mark.parametrize("name", ["Sở Y tế", "SỞ Y TẾ", "sở y tế"])
def test_two_agencies_do_not_bear_one_name_on_one_day(filled: sa.Engine, name: str) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="ex_agency_name"):
        insert(filled, AGENCY, code="c", name=name, begins="2025-06-30", ends=None)

    insert(filled, AGENCY, code="c", name=name, begins="2025-07-01", ends=None)


@pytest.mark.parametrize(("own", "nested", "begins"), [("a", None, "2025-06-30"),
                                                       (None, "inner", "2030-01-01")])  # fmt: skip
def test_a_member_is_in_a_group_once_on_one_day(
    filled: sa.Engine, own: str | None, nested: str | None, begins: str
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match="ex_agency_group_member_days"):
        insert(filled, MEMBER, agency=own, group=nested, begins=begins, ends=None)


def test_a_member_that_left_may_join_again(filled: sa.Engine) -> None:
    insert(filled, MEMBER, agency="a", group=None, begins="2025-07-01", ends=None)


def test_an_agency_does_not_succeed_itself_and_a_successor_is_an_agency_or_a_group(
    filled: sa.Engine,
) -> None:
    statement = (
        "INSERT INTO agency_succession (agency_code, successor_agency_code, "
        "successor_group_code, effective_on, unconfirmed) VALUES ('a', :own, :nested, "
        "'2025-07-01', false)"
    )
    for own, nested in (("a", None), (None, None), ("b", "g"), ("nobody", None)):
        with pytest.raises(sa.exc.IntegrityError):
            insert(filled, statement, own=own, nested=nested)

    insert(filled, statement, own="b", nested=None)


def test_the_declared_exclusions_are_those_of_the_migrations(database: sa.Engine) -> None:
    # Alembic compares everything but these.
    query = sa.text(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint "
        "WHERE contype = 'x' AND connamespace = CAST(:schema AS regnamespace) ORDER BY 1"
    )
    with database.begin() as connection:
        migrated = connection.execute(query, {"schema": "public"}).all()
        connection.execute(sa.text("CREATE SCHEMA declared"))
        mapped = connection.execution_options(schema_translate_map={None: "declared"})
        tables = [agency, agency_group, agency_group_member]
        metadata.create_all(mapped, tables=tables, checkfirst=False)
        declared = connection.execute(query, {"schema": "declared"}).all()

    assert len(migrated) == 2
    assert declared == migrated
