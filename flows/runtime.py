"""What a flow process opens once: settings, database, engine; and the moment a run stands for."""

from datetime import date
from functools import cache

import prefect

from engine.clock import at, local_day
from engine.service.engine import Engine
from engine.settings import Settings, keyring
from engine.store.database import open_database
from flows.attachments import attachments
from notifications.sending import Sender


@cache
def settings() -> Settings:
    """Return the settings of this process."""
    return Settings()


@cache
def engine() -> Engine:
    """Return the engine of this process, opened at first use."""
    return Engine(open_database(settings()), keyring=keyring(settings()))


@cache
def sender() -> Sender:
    """Return what sends messages, by the settings of this process."""
    return Sender(engine(), settings(), attachments(engine()))


def engine_on(as_of: date | None) -> Engine:
    """Return the engine, at 08:00 of `as_of` where a day is rehearsed."""
    return engine() if as_of is None else engine().at(at(as_of))


def today(as_of: date | None) -> date:
    """Return the day a run stands for."""
    return local_day(engine_on(as_of).clock.now())


def run_name() -> str:
    """Return a name an operator can read: the flow and the day it stands for."""
    context = prefect.context.FlowRunContext.get()
    parameters = prefect.runtime.flow_run.parameters
    name = prefect.runtime.flow_run.flow_name if context else "flow"
    day = parameters.get("as_of") or local_day(engine().clock.now())
    return f"{name} {parameters.get('quarter') or ''} {day}".replace("  ", " ")
