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
"""Render /etc/ceph for the hosts of each site: confs and keyrings.

A keyring is named in the conf, for the user that a host has there: clients of
a cluster that is not called ``ceph`` would not find it by themselves in every
release (tripleo: CephExternalMultiConfig, ceph_conf_overrides).
"""

from collections.abc import Iterator
from collections.abc import Mapping

from dcn_distributor.bootstrap import ini
from dcn_distributor.core import cephx
from dcn_distributor.core import grants
from dcn_distributor.core import renderings
from dcn_distributor.core import rings
from dcn_distributor.core import sites
from dcn_distributor.core import stacks

AGENT = 'agent'
# The limits of librados: to connect, to ask a monitor, to ask an OSD.
_TIMEOUTS = (
    'client_mount_timeout',
    'rados_mon_op_timeout',
    'rados_osd_op_timeout',
)


def render(
    cloud: stacks.Cloud, ring: rings.Ring, etc: str = '/etc/ceph'
) -> tuple[renderings.File, ...]:
    """Render them: ``<site>/`` for its hosts, and ``agent/`` for the agent's.

    `cloud` is resolved, and nothing is missing. `etc` is where the files will
    be on the hosts; ``{site}`` in it stands for each site's name.
    """
    files = [
        file
        for site in cloud.sites
        for grant in grants.held_by(cloud, site)
        if grant.user == cloud.user
        for file in _pair(
            cloud, ring, grant, site.name, etc_of(etc, site.name)
        )
    ]
    files += [
        file
        for grant in grants.wanted(cloud)
        if grant.user != cloud.user
        for file in _pair(cloud, ring, grant, AGENT, etc_of(etc, AGENT))
    ]
    return tuple(files)


def conf(
    ceph: stacks.Ceph,
    keyring: str,
    etc: str,
    timeouts_s: Mapping[str, int] | None = None,
) -> str:
    """Write the ceph.conf of a client.

    `timeouts_s` says, by entity, how long it waits for the cluster.
    """
    return ini.write(
        {
            'global': {'fsid': ceph.fsid, 'mon_host': ceph.mon_host},
            'client': {'keyring': f'{etc}/{keyring}'},
            **{
                entity: dict.fromkeys(_TIMEOUTS, timeout_s)
                for entity, timeout_s in (timeouts_s or {}).items()
            },
        }
    )


def etc_of(etc: str, name: str) -> str:
    """Give the directory of one site's hosts."""
    return etc.replace('{site}', name)


def keyring_name(ceph: stacks.Ceph, entity: str) -> str:
    """Give the name of a keyring file, as clients look for it."""
    return f'{ceph.name}.{entity}.keyring'


def _pair(
    cloud: stacks.Cloud,
    ring: rings.Ring,
    grant: grants.Grant,
    directory: sites.SiteName | str,
    etc: str,
) -> Iterator[renderings.File]:
    ceph = cloud.site(grant.site).ceph
    entity = ring.entity(grant)
    assert ceph is not None
    assert entity is not None
    directory = f'{directory}/etc/ceph'
    # Whoever was not told of a successor yet still finds the old one.
    entities = [entity, *ring.retiring(grant)]
    # The agent has its own ways with clusters that hang.
    timeout_s = cloud.glance_timeout_s if grant.user == cloud.user else 0
    timeouts_s = {each.name: timeout_s for each in entities if timeout_s}
    # It keeps its name when the key is rotated.
    keyring = keyring_name(ceph, grant.entity)
    yield renderings.File(
        f'{directory}/{ceph.name}.conf', conf(ceph, keyring, etc, timeouts_s)
    )
    yield renderings.File(
        f'{directory}/{keyring}', cephx.keyring(entities), is_secret=True
    )
