# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.
"""The agent's numbers in the words of Prometheus.

Names and labels stand in doc/source/operate.rst. What happens is counted
here as it is told; how things stand is asked for when somebody reads. No
label has values from outside: sites are those of sites.yaml.

NOTE: service tells by core.observing, and knows nothing of Prometheus: its
tests read plain values, and another way to show them would be one module.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any

import prometheus_client
from prometheus_client import core as families
from prometheus_client import registry as registries

from dcn_distributor.core import choosing
from dcn_distributor.core import observing

_PREFIX = 'dcn_distributor'

_LOOK_BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_LAG_BUCKETS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0)
_COPY_BUCKETS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3600.0, 14400.0)

# How many events came in, by type and by what became of them.
Events = Mapping[tuple[str, str], int]


class Metrics:
    """Counts what it is told, and gives all numbers; an Observer.

    Any thread may call it.
    """

    def __init__(self) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        # NOTE: it gives nothing where /proc/stat is hidden, as by the sandbox
        # of etc/systemd (ProcSubset=pid); hence a start time of our own.
        prometheus_client.ProcessCollector(registry=self._registry)
        self._looks = self._histogram(
            'reconcile_duration_seconds',
            'How long looks at one image took, its reads and writes included',
            _LOOK_BUCKETS,
        )
        self._lags = self._histogram(
            'event_lag_seconds',
            'From the time of an event to the begin of the look it led to',
            _LAG_BUCKETS,
        )
        self._attempts = prometheus_client.Counter(
            f'{_PREFIX}_attempts',
            'Copies to a site that ended, by what became of them',
            ['site', 'class'],
            registry=self._registry,
        )
        self._copies = self._histogram(
            'transfer_duration_seconds',
            'How long copies that arrived took, from their start',
            _COPY_BUCKETS,
            ['method', 'size_class'],
        )
        self._flaws = prometheus_client.Counter(
            f'{_PREFIX}_verify_failures',
            'Copies or sources that verification found wrong',
            ['site', 'kind'],
            registry=self._registry,
        )
        for method in choosing.ENGINES:
            for name in observing.SIZE_CLASSES:
                self._copies.labels(method, name)

    # -- core.observing.Observer

    def looked(self, seconds: float) -> None:
        """See core.observing.Observer."""
        self._looks.observe(seconds)

    def reacted(self, lag_s: float) -> None:
        """See core.observing.Observer."""
        self._lags.observe(lag_s)

    def attempted(self, site: str, attempt: observing.Attempt) -> None:
        """See core.observing.Observer."""
        self._attempts.labels(site, attempt.value).inc()

    def arrived(self, method: str, size_bytes: int, seconds: float) -> None:
        """See core.observing.Observer."""
        size_class = observing.size_class(size_bytes)
        # The clock may have been set back meanwhile.
        self._copies.labels(method, size_class).observe(max(0.0, seconds))

    def flawed(self, site: str, flaw: observing.Flaw) -> None:
        """See core.observing.Observer."""
        self._flaws.labels(site, flaw.value).inc()

    # -- what is asked for

    def watch(
        self,
        standing: Callable[[], observing.Standing],
        events: Callable[[], Events],
        version: str,
    ) -> None:
        """Give these numbers, too, as they are when somebody reads."""

        def known() -> observing.Standing:
            read = standing()
            for site in read.reachable:
                self._begin_at_zero(site)
            return read

        self._registry.register(_Readings(known, events, version))
        started = prometheus_client.Gauge(
            f'{_PREFIX}_start_timestamp_seconds',
            'When the agent started',
            registry=self._registry,
        )
        started.set_to_current_time()

    def page(self) -> Callable[..., Any]:
        """Give the WSGI application that shows all numbers."""
        return prometheus_client.make_wsgi_app(self._registry)

    def families(self) -> Iterable[families.Metric]:
        """Give all numbers, by name."""
        return self._registry.collect()

    def _begin_at_zero(self, site: str) -> None:
        """Have a site's counters before there is anything to be counted.

        Prometheus sees no increase in a counter that begins with 1.
        """
        for attempt in observing.Attempt:
            self._attempts.labels(site, attempt.value)
        for flaw in observing.Flaw:
            self._flaws.labels(site, flaw.value)

    def _histogram(
        self,
        name: str,
        text: str,
        buckets: tuple[float, ...],
        labels: tuple[str, ...] | list[str] = (),
    ) -> prometheus_client.Histogram:
        return prometheus_client.Histogram(
            f'{_PREFIX}_{name}',
            text,
            labels,
            buckets=buckets,
            registry=self._registry,
        )


class _Readings(registries.Collector):
    """What is read when somebody asks."""

    def __init__(
        self,
        standing: Callable[[], observing.Standing],
        events: Callable[[], Events],
        version: str,
    ) -> None:
        self._standing = standing
        self._events = events
        self._version = version

    def collect(self) -> Iterator[families.Metric]:
        """See prometheus_client."""
        standing = self._standing()
        yield _gauge(
            'build_info', 'The release', {(self._version,): 1}, 'version'
        )
        yield _counter(
            'events',
            'Notifications that came in, by what became of them',
            self._events(),
            'type',
            'result',
        )
        yield _gauge(
            'queue_depth',
            'Images that wait for a worker',
            {(): standing.queue_depth},
        )
        yield from _of_rules(standing)
        yield from _of_links(standing)
        yield from _of_sites(standing)
        if standing.census is not None:
            yield from _of_census(standing.census)


def _of_rules(standing: observing.Standing) -> Iterator[families.Metric]:
    yield _gauge(
        'policy_generation',
        'Which sites, policies and stores of Glance are in force; grows with '
        'each change',
        {(): standing.generation},
    )
    yield _counter(
        'policy_load_errors',
        'Changed sites.yaml or placement.yaml that were refused',
        {(): standing.load_errors},
    )
    yield _gauge(
        'policy_last_load_successful',
        'Whether sites.yaml and placement.yaml, as last read, are in force',
        {(): not standing.is_refused},
    )


def _of_links(standing: observing.Standing) -> Iterator[families.Metric]:
    yield _gauge(
        'members',
        'Agents that share the links, 0 while this one is cut off from them',
        {(): standing.members},
    )
    yield _gauge(
        'link_transfers_active',
        "Copies under way over a link; of this agent's links only",
        {(name,): use.crossing for name, use in standing.links.items()},
        'link',
    )
    yield _gauge(
        'link_limit_bytes_per_second',
        'What all streams over a link may take together, if it has a rate',
        {
            (name,): use.rate_bytes_s
            for name, use in standing.links.items()
            if use.rate_bytes_s is not None
        },
        'link',
    )


def _of_sites(standing: observing.Standing) -> Iterator[families.Metric]:
    yield _gauge(
        'site_reachable',
        'Whether copies can reach a site, as far as is known',
        {(site,): good for site, good in standing.reachable.items()},
        'site',
    )
    yield _gauge(
        'transfers_active',
        'Copies under way to a site',
        {(site,): count for site, count in standing.active.items()},
        'site',
    )
    yield _counter(
        'transfer_bytes',
        'Bytes that went to a site: of a stream as they cross the link, of '
        "an import the image's once it arrived",
        standing.sent_bytes,
        'site',
        'method',
    )


def _of_census(census: observing.Census) -> Iterator[families.Metric]:
    yield _gauge(
        'last_resync_timestamp_seconds',
        'When the last whole look at all images ended',
        {(): census.ended_s},
    )
    yield _gauge(
        'replicas',
        'Copies by their state, as of the last resync',
        {
            (site, state.value): count
            for site, by_state in census.replicas.items()
            for state, count in by_state.items()
        },
        'site',
        'state',
    )
    yield _gauge(
        'desired_replicas',
        'Copies that the policies want, as of the last resync',
        {(site,): count for site, count in census.desired.items()},
        'site',
    )
    yield _gauge(
        'last_converged_timestamp_seconds',
        'A time whose wanted copies are all there, as of the last resync',
        {(site,): when_s for site, when_s in census.converged_s.items()},
        'site',
    )
    yield _gauge(
        'objective_ratio',
        'The longest that a copy has been missing, as a part of the deadline '
        'of its policy, as of the last resync: above 1 is late',
        {(site,): ratio for site, ratio in census.objective.items()},
        'site',
    )


def _gauge(
    name: str, text: str, values: Mapping[Any, float], *labels: str
) -> families.Metric:
    return _filled(
        families.GaugeMetricFamily(f'{_PREFIX}_{name}', text, labels=labels),
        values,
    )


def _counter(
    name: str, text: str, values: Mapping[Any, float], *labels: str
) -> families.Metric:
    return _filled(
        families.CounterMetricFamily(f'{_PREFIX}_{name}', text, labels=labels),
        values,
    )


def _filled(
    family: families.GaugeMetricFamily | families.CounterMetricFamily,
    values: Mapping[tuple[str, ...], float],
) -> families.Metric:
    for labels, value in values.items():
        family.add_metric(labels, float(value))
    return family
