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
"""The engine rbd-stream as an agent hosts it, in a process of its own.

Started by benchmarks.streaming as ``python -m benchmarks.streamer``. Takes
orders as lines of JSON from stdin, one at a time, and answers with lines of
JSON. The first one says where everything is::

  {"agent_conf": PATH, "clusters": {SITE: CEPH_CONF}, "tuning": {...}}
  {"ready": true}

``tuning`` replaces options of [rbd_stream] by the names of
core.transfers.Tuning. Then any number of copies, and {"close": true}, after
which the next copy has to connect anew::

  {"image": ID, "stores": [STORE], "verify": "full", "progress_s": 0}
  {"sent_bytes": 123}
  {"seconds": 1.2, "cpu_s": 0.9, "peak_mib": 130, "lanes": [...], ...}

The line in the middle comes every ``progress_s`` while it runs, if that is
not 0. The seconds begin before the image is read from Glance, and end when
the last lane has ended; processor time and memory are this process's own.
"""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
import json
from pathlib import Path
import resource
import sys
import threading
import time
from typing import Any

from oslo_config import cfg

from dcn_distributor import conf as configuration
from dcn_distributor.clients import glance
from dcn_distributor.clients.ceph import cluster as ceph_cluster
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfers
from dcn_distributor.engines.rbd_stream import engine as engines

USER = 'dcn-distributor'
POOL = 'images'
_CHECK_S = 60.0
_WAKE_S = 0.02


class Streamer:
    """The engine and what it works with."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        conf = cfg.ConfigOpts()
        configuration.register_opts(conf)
        glance.register_opts(conf)
        settings = configuration.read(conf, [], [order['agent_conf']])
        self._tuning = dataclasses.replace(
            settings.streaming, **order.get('tuning', {})
        )
        self._glance = glance.connect(conf)
        self._clusters: list[ceph_cluster.Cluster] = []
        self._woken = threading.Event()
        self._engine = engines.RbdStream(
            self._glance,
            self._connect,
            self._tuning,
            engines.Callbacks(
                wake=lambda _: self._woken.set(), wake_all=lambda: None
            ),
        )
        self._engine.set_sites(_sites(order['clusters']))
        self._engine.wait_for_checks(_CHECK_S)
        for site in order['clusters']:
            obstacles = self._engine.obstacles(images.StoreId(site))
            if obstacles:
                raise SystemExit(f'{site}: {"; ".join(obstacles)}')

    def _connect(self, settings: sites.Cluster) -> ceph_cluster.Cluster:
        options = ceph_options.Options(
            connections=self._tuning.connections,
            timeout_s=self._tuning.timeout_s,
        )
        made = ceph_cluster.Cluster(settings, options)
        self._clusters.append(made)
        return made

    def close_connections(self) -> None:
        """Have the next copy connect anew."""
        for cluster in self._clusters:
            cluster.close()

    def warm_up(self) -> None:
        """Connect where an idle connection was closed meanwhile."""
        for cluster in self._clusters:
            cluster.check()

    def copy(self, order: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Copy; give its progress if asked to, and then the report."""
        image_id = images.ImageId(order['image'])
        progress_s = float(order.get('progress_s', 0))
        _forget_peak()
        cpu_s, begin_s = _cpu_s(), time.monotonic()
        self._engine.start(
            self._glance.get(image_id),
            [images.StoreId(store) for store in order['stores']],
            transfers.Wishes(verify=transfers.Verify(order['verify'])),
        )
        while (report := self._report(image_id)).ended_s is None:
            if progress_s:
                yield {'sent_bytes': sum(e.sent_bytes for e in report.lanes)}
            self._woken.wait(progress_s or None)
            self._woken.clear()
        seconds = time.monotonic() - begin_s
        answer = {
            'seconds': seconds,
            'cpu_s': _cpu_s() - cpu_s,
            'peak_mib': _peak_mib(),
            'read_bytes': report.read_bytes,
            'lanes': [_lane(lane) for lane in report.lanes],
        }
        while self._engine.report(image_id) is not None:
            self._engine.take(image_id)
            self._woken.wait(_WAKE_S)
        yield answer

    def _report(self, image_id: images.ImageId) -> transfers.Report:
        report = self._engine.report(image_id)
        assert report is not None
        return report


def _sites(clusters: Mapping[str, str]) -> sites.Sites:
    """Describe the lab's sites; their stores have the same names."""
    described = {
        name: sites.Cluster(conf, USER, POOL)
        for name, conf in clusters.items()
    }
    central = described.pop(sites.CENTRAL)
    return sites.Sites(
        images.StoreId(sites.CENTRAL),
        tuple(
            sites.Site(sites.SiteName(name), images.StoreId(name), {}, one)
            for name, one in described.items()
        ),
        central_cluster=central,
    )


def _lane(lane: transfers.Lane) -> dict[str, Any]:
    return {
        'site': lane.site,
        'phase': lane.phase.value,
        'error': None if lane.error is None else repr(lane.error),
        'sent_bytes': lane.sent_bytes,
        'zero_bytes': lane.zero_bytes,
        'resumed_bytes': lane.resumed_bytes,
        'seconds': dict(lane.seconds),
        'notes': list(lane.notes),
    }


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _forget_peak() -> None:
    """Have VmHWM begin at what is held now (proc(5), clear_refs)."""
    Path('/proc/self/clear_refs').write_text('5')


def _peak_mib() -> float:
    for line in Path('/proc/self/status').read_text().splitlines():
        if line.startswith('VmHWM:'):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> None:
    """Do as told until stdin ends."""
    orders = map(json.loads, sys.stdin)
    streamer = Streamer(next(orders))
    _say({'ready': True})
    for order in orders:
        if order.get('close'):
            streamer.close_connections()
            _say({'closed': True})
        elif order.get('warm'):
            streamer.warm_up()
            _say({'warm': True})
        else:
            for answer in streamer.copy(order):
                _say(answer)


def _say(answer: Mapping[str, Any]) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == '__main__':
    main()
