"""Figures for Prometheus: requests as they pass, and what is owed as the database says."""

from collections.abc import Iterator
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.service.engine import Engine


class Metrics:
    """The registry of one application."""

    def __init__(self, engine: Engine) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "dondoc_http_requests",
            "Requests",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.seconds = Histogram(
            "dondoc_http_seconds", "Time to answer", ["method", "route"], registry=self.registry
        )
        self.registry.register(_Owed(engine))


class _Owed:
    """Deliveries by state and the age of the oldest, read at each scrape."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        counts, oldest = self._engine.deliveries.counts()
        states = GaugeMetricFamily("dondoc_deliveries", "Deliveries", labels=["channel", "state"])
        for (channel, state), number in counts.items():
            states.add_metric([channel, state], number)
        yield states
        parked = GaugeMetricFamily(
            "dondoc_gateway_parked", "1: the way out waits for somebody", labels=["channel"]
        )
        quota = GaugeMetricFamily(
            "dondoc_gateway_quota_left", "Messages it takes today", labels=["channel"]
        )
        for gateway in self._engine.gateways.listed():
            parked.add_metric([gateway.channel], float(gateway.state != "active"))
            if gateway.quota_left is not None:
                quota.add_metric([gateway.channel], gateway.quota_left)
        yield parked
        yield quota
        rotated = GaugeMetricFamily(
            "dondoc_oa_days_since_rotation", "Age of the account's tokens", labels=["oa"]
        )
        for status in self._engine.credentials.listed():
            rotated.add_metric([status.oa_id], status.days_since_rotation)
        yield rotated
        yield GaugeMetricFamily(
            "dondoc_bounce_rate",
            "Mails of 30 days that came back for good, 0 to 1",
            value=self._engine.deliveries.bounce_rate(),
        )
        waited = 0.0
        if oldest is not None:
            waited = max(0.0, (self._engine.clock.now() - oldest).total_seconds())
        yield GaugeMetricFamily("dondoc_queue_age_seconds", "Oldest delivery due", value=waited)

    def describe(self) -> Iterator[Metric]:
        """Yield nothing: registering must not ask the database."""
        return iter(())


class Observed:
    """Count and time every request by its route, never by its address."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, timing it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(method, route).observe(perf_counter() - began)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
