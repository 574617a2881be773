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
"""What the commands of `dcn-distributor bootstrap` have in common."""

import argparse
from collections.abc import Iterable
from collections.abc import Iterator
import contextlib
import typing
from typing import Any

from dcn_distributor import exceptions
from dcn_distributor.bootstrap import state_file
from dcn_distributor.core import authorities
from dcn_distributor.core import procedures
from dcn_distributor.core import rings
from dcn_distributor.core import stacks

RELEASES: tuple[procedures.Release, ...] = typing.get_args(procedures.Release)
STATE = '/var/lib/dcn_distributor/bootstrap.json'


def add_files(parser: argparse.ArgumentParser) -> None:
    """Add the options for what is read."""
    parser.add_argument(
        '--sites', metavar='FILE', help='instead of sites_file'
    )
    parser.add_argument(
        '--state',
        metavar='FILE',
        default=STATE,
        help='where issued secrets are kept, for its owner only '
        f'(default: {STATE})',
    )


def add_site(parser: argparse.ArgumentParser) -> None:
    """Add the option for a part of the cloud."""
    parser.add_argument(
        '--site',
        metavar='SITE',
        action='append',
        default=[],
        help='only this one; may be repeated',
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Add the option for one cluster."""
    parser.add_argument(
        '--site', metavar='SITE', required=True, help='whose cluster'
    )


def add_apply(parser: argparse.ArgumentParser) -> None:
    """Add the option without which nothing is changed."""
    parser.add_argument(
        '--apply', action='store_true', help='do it, instead of telling it'
    )


def add_etc(parser: argparse.ArgumentParser) -> None:
    """Add the option for the place of ceph.confs."""
    parser.add_argument(
        '--etc',
        metavar='DIR',
        default='/etc/ceph',
        help='where ceph.conf files are on the hosts (default: /etc/ceph); '
        '{site} in it stands for the name of each site',
    )


def add_release(parser: argparse.ArgumentParser) -> None:
    """Add the option for TripleO's own ways."""
    parser.add_argument(
        '--release',
        choices=RELEASES,
        default=RELEASES[0],
        help='whose files and order of steps, for tripleo (default: '
        f'{RELEASES[0]})',
    )


def held(
    state: state_file.StateFile, is_needed: bool
) -> contextlib.AbstractContextManager[None]:
    """Keep other runs away, if anything is changed. Raises ConfigError."""
    return state.held() if is_needed else contextlib.nullcontext()


def load(app: Any, parsed: argparse.Namespace) -> stacks.Cloud:
    """Read the cloud. Raises ConfigError."""
    # pydantic and ruamel.yaml take a third of the time of --help.
    from dcn_distributor.conf import clouds

    path = parsed.sites
    if path is None:
        _, settings = app.read_configuration()
        path = settings.sites_file
    return clouds.load(path)


def chosen(
    cloud: stacks.Cloud, parsed: argparse.Namespace
) -> tuple[stacks.Site, ...]:
    """Give the sites of --site, or all. Raises ConfigError."""
    wanted = {site_of(cloud, name).name for name in parsed.site}
    return tuple(s for s in cloud.sites if not wanted or s.name in wanted)


def site_of(cloud: stacks.Cloud, name: str) -> stacks.Site:
    """Give the site of a name. Raises ConfigError."""
    try:
        return cloud.site(name)
    except KeyError:
        known = [site.name for site in cloud.sites]
        raise no_such('--site', name, known) from None


def no_such(
    option: str, word: str, known: Iterable[str]
) -> exceptions.ConfigError:
    """Make the error for a name that is none."""
    return exceptions.ConfigError(
        f'{option} {word}: there is none of this name; there are: '
        f'{", ".join(known)}'
    )


def resolved(cloud: stacks.Cloud, ring: rings.Ring) -> stacks.Cloud:
    """Fill in what is known by now. Raises ConfigError if it is not all."""
    missing = rings.missing(cloud, ring)
    if missing:
        raise exceptions.ConfigError(*missing)
    return rings.resolve(cloud, ring)


def ring_of(parsed: argparse.Namespace) -> rings.Ring:
    """Read what was issued. Raises ConfigError."""
    return state_file.StateFile(parsed.state).load()


def connect(admin_conf: str) -> authorities.Authority:
    """Connect to a cluster as who may issue keys.

    Raises ConfigError, ClusterUnavailable, AccessDenied.
    """
    # It imports all that an agent is made of.
    from dcn_distributor import app

    return app.connect_authority(admin_conf)


@contextlib.contextmanager
def authority(
    cloud: stacks.Cloud, ring: rings.Ring, site: stacks.Site
) -> Iterator[authorities.Authority | None]:
    """Connect as who may issue keys; None if the site names nobody.

    Raises ConfigError, also if it is another cluster than it should be,
    ClusterUnavailable, AccessDenied.
    """
    if site.ceph is None or site.ceph.admin_conf is None:
        yield None
        return
    connected = connect(site.ceph.admin_conf)
    try:
        rings.check_cluster(cloud, ring, site, connected.fsid)
        yield connected
    finally:
        connected.close()


def needed(
    site: stacks.Site, found: authorities.Authority | None
) -> authorities.Authority:
    """Give it. Raises ConfigError if there is none."""
    if found is None:
        raise exceptions.ConfigError(
            f'{site.name}: nobody here may change its keys: name a ceph.conf '
            'with a key of client.admin in deploy.ceph.admin_conf'
        )
    return found
