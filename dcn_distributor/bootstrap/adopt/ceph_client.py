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
"""Read ceph_client.yml, which TripleO leaves of a cluster it deployed.

tripleo-ansible: role tripleo_cephadm, templates/ceph_client.yaml.j2. The
monitors are as they print themselves, with protocols and nonces.
"""

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import trees

_ADVICE = (
    "take the file from the directory that 'openstack overcloud deploy' "
    'worked in, as it was written'
)


def parse(source: findings.Source) -> tuple[findings.Found, ...]:
    """Read the file. Raises ConfigError with all its problems."""
    top = trees.load_one(source)
    cluster = top.key('tripleo_ceph_client_cluster').read(
        findings.check_cluster, _ADVICE
    )
    fsid = top.key('tripleo_ceph_client_fsid').read(
        findings.check_fsid, _ADVICE
    )
    monitors = top.key('external_cluster_mon_ips').read(
        findings.check_monitors, _ADVICE
    )
    entities = trees.entities(top.key('keys'))
    if top.problems:
        raise exceptions.ConfigError(*top.problems)
    assert cluster is not None
    assert fsid is not None
    assert monitors is not None
    return (findings.Found(source.name, cluster, fsid, monitors, entities),)
