"""The directory."""

from typing import Any

from fastapi import APIRouter

from api.actor import EngineOf, PersonOf

router = APIRouter(tags=["agencies"])


@router.get("/agencies")
def list_agencies(engine: EngineOf, _: PersonOf) -> dict[str, list[dict[str, Any]]]:
    """Return agencies and groups with their dates."""
    directory = engine.agencies.read()
    return {
        "agencies": [
            {
                "code": a.code,
                "name": a.name,
                "level": a.level,
                "valid_from": a.valid_from,
                "valid_to": a.valid_to,
                "unconfirmed": a.unconfirmed,
            }
            for a in directory.agencies.values()
        ],
        "groups": [
            {
                "code": f"@{g.code}",
                "name": g.name,
                "confirmed": g.confirmed,
                "members": [
                    {"party": m.party, "valid_from": m.valid_from, "valid_to": m.valid_to}
                    for m in g.members
                ],
            }
            for g in directory.groups.values()
        ],
    }
