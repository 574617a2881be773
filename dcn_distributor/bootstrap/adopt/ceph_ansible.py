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
"""Read a config-download of the years in which TripleO used ceph-ansible.

``ceph-ansible/group_vars/all.yml`` has the cluster, and ``inventory.yaml``
the addresses of its monitors (tripleoclient: export.py
export_ceph_net_key).
"""

from collections.abc import Iterator

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import trees
from dcn_distributor.core import monitors as addresses

_ADVICE = "download it anew with 'openstack overcloud config download'"


def parse(
    group_vars: findings.Source,
    inventory: findings.Source,
    network: str = 'storage',
) -> tuple[findings.Found, ...]:
    """Read both files of one stack. Raises ConfigError with all problems.

    :param network: that of the monitors (service_net_map.ceph_mon_network)
    """
    top = trees.load_one(group_vars)
    cluster = top.key('cluster').read(findings.check_cluster, _ADVICE)
    fsid = top.key('fsid').read(findings.check_fsid, _ADVICE)
    entities = trees.entities(top.key('keys'))
    hosts = trees.load_one(inventory)
    monitors = tuple(_monitors(hosts, f'{network}_ip'))
    problems = [*top.problems, *hosts.problems]
    if problems:
        raise exceptions.ConfigError(*problems)
    assert cluster is not None
    assert fsid is not None
    return (
        findings.Found(group_vars.name, cluster, fsid, monitors, entities),
    )


def _monitors(top: trees.Place, key: str) -> Iterator[str]:
    roles = top.key('mons').key('children')
    names = [
        (role, host)
        for role in roles.names()
        for host in top.key(role).key('hosts').names()
    ]
    if not names:
        roles.tell(
            'no role there has hosts, so that there are no monitors: '
            f'{_ADVICE}'
        )
    for role, host in names:
        address = top.key(role).key('hosts').key(host).key(key)
        found = address.read(
            addresses.check,
            'name the network that the monitors are in, as '
            "global_vars.yaml has it ('ceph_mon_network')",
        )
        if found is not None:
            yield found
