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
"""The group of a deployment's agents, kept by a coordinator through tooz.

What tooz offers for it, and why only part of that is used:

- Its heart, the thread of start_heart, tries again for ever without a word,
  and nobody learns that the entry has lapsed. So heartbeats are ours, and
  what they prove is for core.membership to say.
- heartbeat() of etcd3gw and of the file driver also succeeds where the entry
  is gone: the former takes out another lease, which holds no entry
  (Etcd3Driver.heartbeat), the latter passes over a file that is not there
  (FileDriver.heartbeat). So the group is read with every beat, and to be in
  is to be listed.
- join_group() refuses an id whose file an agent that was killed left behind,
  for ever (FileDriver.join_group), and redis keeps such an id alive by the
  very start of its successor (RedisDriver._start, get_members). So each stay
  has a new id.
- Its executor's thread would hold up the end of the process while a call
  hangs. So calls run on a daemon thread of ours. The drivers' time-outs bound
  them, but for the lock of the file driver, which waits for ever if who has
  it was stopped (FileLock.acquire).
"""

from collections.abc import Callable
from collections.abc import Iterable
import math
import time
from typing import Any
from urllib import parse
import uuid

import tooz
from tooz import coordination
from tooz import hashring

from dcn_distributor import exceptions
from dcn_distributor.clients import groups
from dcn_distributor.conf import coordination as settings
from dcn_distributor.core import membership
from dcn_distributor.core import ports

GROUP = b'dcn_distributor'

# What each driver calls the time after which an entry lapses. Those that are
# not here have no groups, or one whose entries lapse after a time that others
# set: zookeeper agrees on it with the server, and memcached loses entries.
_LEASE_OPTIONS = {
    'etcd3+http': 'membership_timeout',
    'etcd3+https': 'membership_timeout',
    'redis': 'membership_timeout',
    'file': 'timeout',
}


def open_group(
    options: settings.Coordination,
    name: str,
    on_change: Callable[[], None],
    hears: Callable[[], bool],
) -> ports.Group:
    """Make the group that the configuration tells of.

    Nothing is sent before start(). Raises ConfigError.

    :param hears: tells whether the bus is heard
    """
    if not options.backend_url:
        return groups.Alone(name)
    lease = check_url(options)
    return groups.Coordinated(
        Coordinator(options),
        membership.Stay(name, uuid.uuid4().hex, 0),
        lease,
        on_change,
        hears,
        time.monotonic,
    )


def check_url(options: settings.Coordination) -> membership.Lease:
    """Tell for how long an entry lasts. Raises ConfigError.

    Nothing is connected. A value in the URL goes before the option. What
    is wrong with a URL is not told, since that may be part of a password.
    """
    scheme = _scheme(options.backend_url)
    if scheme not in _LEASE_OPTIONS:
        raise exceptions.ConfigError(
            '[coordination] backend_url: expected one that begins with '
            f'{", ".join(_LEASE_OPTIONS)}'
        )
    try:
        _check_directory(options.backend_url)
        make_driver(options, 'check')
        given = _query(options.backend_url).get(_LEASE_OPTIONS[scheme])
        given_s = None if given is None else float(given)
    except ImportError as exc:
        raise exceptions.ConfigError(
            f'[coordination] backend_url: {scheme} needs the Python package '
            f'{exc.name}, which is not installed: install it beside '
            'dcn_distributor'
        ) from None
    except (tooz.ToozError, ValueError):
        place = '/DIRECTORY' if scheme == 'file' else 'HOST:PORT'
        raise exceptions.ConfigError(
            f'[coordination] backend_url: not of the form {scheme}://{place}'
            '?OPTION=VALUE, or a number in it is none'
        ) from None
    if given_s is None:
        return membership.Lease(options.lease_timeout_s)
    if not settings.SHORTEST_LEASE_S <= given_s < math.inf:
        raise exceptions.ConfigError(
            f'[coordination] backend_url: {_LEASE_OPTIONS[scheme]}: expected '
            f'at least {settings.SHORTEST_LEASE_S:g} seconds'
        )
    return membership.Lease(given_s)


def _check_directory(url: str) -> None:
    """Raise ValueError if this is no directory, which tooz takes for one."""
    if _scheme(url) == 'file' and not url.startswith('file:///'):
        raise ValueError('file:// without an absolute path')


def make_driver(
    options: settings.Coordination, member: str
) -> coordination.CoordinationDriver:
    """Make a coordinator that is not connected yet.

    NOTE: tooz lets its arguments go before the URL, and etcd3gw and the file
    driver take whole seconds only.
    """
    url, lease_s = options.backend_url, options.lease_timeout_s
    # In this order: they are the same option for the file driver.
    driver_options: dict[str, Any] = {'timeout': math.ceil(lease_s / 6)}
    driver_options[_LEASE_OPTIONS[_scheme(url)]] = math.ceil(lease_s)
    for name in _query(url):
        driver_options.pop(name, None)
    driver_options['executor'] = 'sync'
    return coordination.get_coordinator(url, member.encode(), **driver_options)


def _scheme(url: str) -> str:
    return url.partition(':')[0]


def _query(url: str) -> dict[str, str]:
    """Read the options in a URL; of several of one name, the last."""
    return dict(parse.parse_qsl(parse.urlsplit(url).query))


class Ring:
    """Spreads links over members; equal members give equal owners."""

    def __init__(self, members: Iterable[str]) -> None:
        self._ring = hashring.HashRing(members)

    def owner(self, link: str) -> str | None:
        """Tell which member has a link; None without members."""
        if not self._ring.nodes:
            return None
        (name,) = self._ring.get_nodes(link.encode())
        return str(name)


class Coordinator:
    """What groups.Coordinated goes by, through tooz."""

    def __init__(self, options: settings.Coordination) -> None:
        self._options = options

    def presence(self, stay: membership.Stay) -> 'Presence':
        """See groups.Coordinator."""
        return Presence(make_driver(self._options, stay.id))

    def ring(self, members: Iterable[str]) -> 'Ring':
        """See groups.Coordinator."""
        return Ring(members)


class Presence:
    """One stay in the group, and the connection it rests on."""

    def __init__(self, coordinator: coordination.CoordinationDriver) -> None:
        self._coordinator = coordinator

    def join(self) -> None:
        """See groups.Presence; make the group if there is none."""
        self._coordinator.start()
        self._coordinator.join_group_create(GROUP)

    def beat(self, clock: Callable[[], float]) -> membership.Reading:
        """See groups.Presence."""
        begun = clock()
        self._coordinator.heartbeat()
        renewed = clock()
        try:
            ids = self._coordinator.get_members(GROUP).get()
        except coordination.GroupNotCreated:
            # Whoever lost the group has lost our entry.
            ids = set()
        return membership.Reading(
            frozenset(member.decode(errors='replace') for member in ids),
            begun,
            renewed,
        )

    def leave(self) -> None:
        """See groups.Presence; tooz leaves every group it has joined."""
        self._coordinator.stop()
