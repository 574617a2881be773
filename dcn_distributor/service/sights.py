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
"""What can be seen of the agent at one moment: as numbers, and as a report.

It is read off the agent's parts when somebody asks; nothing is kept for it.
"""

import collections
from collections.abc import Mapping

from dcn_distributor.core import choosing
from dcn_distributor.core import images
from dcn_distributor.core import load as loads
from dcn_distributor.core import observing
from dcn_distributor.core import sites
from dcn_distributor.service import parts as all_parts
from dcn_distributor.service import shares
from dcn_distributor.service import witness as witnesses

Section = Mapping[str, object]


def standing(parts: all_parts.Parts) -> observing.Standing:
    """Give the numbers."""
    rules = parts.rule_book.rules
    load = parts.ledger.load
    names = {site.store: site.name for site in rules.sites.everywhere}
    return observing.Standing(
        census=parts.observed.counting.last,
        active=_active(load, rules.sites),
        reachable={
            site.name: _is_reachable(site, load, parts) for site in rules.sites
        },
        queue_depth=len(parts.queue),
        sent_bytes=_sent_bytes(parts, names),
        generation=rules.generation,
        load_errors=parts.rule_book.load_errors,
        is_refused=parts.rule_book.is_refused,
        members=len(parts.group.members()),
        links=_links(parts),
    )


def report(parts: all_parts.Parts) -> Mapping[str, Section]:
    """Give the sections of a report, by title."""
    load = parts.ledger.load
    return {
        'Queue': {
            'images that wait for a worker': len(parts.queue),
            'looks at images since the start': parts.workers.looks,
            'images that something is remembered of': len(
                parts.ledger.remembered()
            ),
            'orders': len(parts.order_book.pending()),
        },
        'Under way': {
            'in the agent': list(parts.progress.now()),
            'copies': {
                image_id: f'{running.engine} to '
                f'{", ".join(sorted(running.stores)) or "no store yet"}'
                f'{", waits" if running.is_idle else ""}'
                for image_id, running in load.running.items()
            },
        },
        'Agents': {
            'members': list(parts.group.members()),
            'what keeps this one from its links': parts.group.problem(),
            'links of its own': {
                name: f'{use.crossing} copies'
                for name, use in _links(parts).items()
            },
            'paused and held': [
                word.reason() for word in parts.pause_book.pauses
            ],
        },
        'Troubles': {
            f'{store} by {engine}': f'{trouble.failures} failures in a row, '
            f'the last: {trouble.reason}'
            for (store, engine), trouble in load.troubles.items()
        },
    }


def _links(
    parts: all_parts.Parts,
) -> Mapping[str, observing.LinkUse]:
    crossing = parts.ledger.crossing()
    return {
        link.name: observing.LinkUse(
            crossing.get(link.name, 0), link.rate_bytes_s
        )
        for link in shares.own_links(parts)
    }


def _active(
    load: loads.Load, all_sites: sites.Sites
) -> Mapping[sites.SiteName, int]:
    busy = collections.Counter(
        store
        for running in load.running.values()
        if not running.is_idle
        for store in running.stores
    )
    return {site.name: busy[site.store] for site in all_sites}


def _is_reachable(
    site: sites.Site, load: loads.Load, parts: all_parts.Parts
) -> bool:
    """Tell whether anything speaks against a copy that is tried now.

    That is a cluster that does not answer; of a site whose cluster the agent
    does not reach itself, that the last import did not arrive through the
    store's fault.
    """
    if parts.streams is None or site.cluster is None:
        return (site.store, choosing.COPY_IMAGE) not in load.troubles
    return not any(
        isinstance(obstacle, choosing.Passing)
        for obstacle in parts.streams.obstacles(site.store)
    )


def _sent_bytes(
    parts: all_parts.Parts, names: Mapping[images.StoreId, sites.SiteName]
) -> Mapping[tuple[str, str], int]:
    reports = () if parts.streams is None else parts.streams.reports()
    totals: collections.Counter[tuple[str, str]] = collections.Counter()
    for (store, engine), sent in parts.witness.sent.read(reports).items():
        totals[names.get(store, witnesses.NO_SITE), engine] += sent
    return totals
