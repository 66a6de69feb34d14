"""Who acts for whom at an instant, and with which rights."""

from collections.abc import Iterable

from engine.model import Actor, Authority


def actor_of(
    person_id: int,
    own: Iterable[tuple[str, str]],
    delegated: Iterable[tuple[int, str | None, str | None]],
    acting_for: int | None = None,
) -> Actor:
    """Put together who asks, from rows that hold now.

    Args:
        person_id: Who asks.
        own: (role, agency) granted to the person.
        delegated: (delegator, role, agency) of everybody who delegated to the person; role and
            agency are None for a delegator who holds none now. A right that was itself
            delegated is not passed on.
        acting_for: The one delegator the person says to act for, if any.
    """
    rows = list(delegated)
    return Actor(
        person_id=person_id,
        authorities=(
            *(Authority(role, agency) for role, agency in own),
            *(Authority(role, agency, who) for who, role, agency in rows if role and agency),
        ),
        stands_for=frozenset(person for person, _, _ in rows),
        acting_for=acting_for,
    )
