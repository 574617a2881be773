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
"""Read how TripleO tells stacks of the clusters of others.

What `openstack overcloud export ceph` writes (tripleoclient: export.py), or
hands have written in its place: CephExternalMultiConfig; and the environment
of a stack whose own cluster is external (tripleo-heat-templates:
environments/external-ceph.yaml).
"""

import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import trees
from dcn_distributor.core import cephx

_USER = 'openstack'
_CLUSTER = 'ceph'
_ADVICE = "export it anew with 'openstack overcloud export ceph', or add it"


def parse(source: findings.Source) -> tuple[findings.Found, ...]:
    """Read an environment file. Raises ConfigError with all its problems."""
    parameters = trees.load_one(source).key('parameter_defaults')
    multi = parameters.key('CephExternalMultiConfig')
    is_external = parameters.key('CephExternalMonHost').is_there
    if not multi.is_there and not is_external:
        raise exceptions.ConfigError(
            f'{source.name}: parameter_defaults has neither '
            'CephExternalMultiConfig nor CephExternalMonHost: name a file '
            "that 'openstack overcloud export ceph' wrote"
        )
    pools = _pools(parameters)
    found = [_own(parameters)] if is_external else []
    if multi.is_there:
        found += [_other(item, pools) for item in multi.items(_ADVICE)]
    if parameters.problems:
        raise exceptions.ConfigError(*parameters.problems)
    return tuple(each for each in found if each is not None)


def _other(item: trees.Place, pools: dict[str, str]) -> findings.Found | None:
    cluster = item.key('cluster').read(findings.check_cluster, _ADVICE)
    fsid = item.key('fsid').read(findings.check_fsid, _ADVICE)
    monitors = item.key('external_cluster_mon_ips').read(
        findings.check_monitors, _ADVICE
    )
    entities = trees.entities(item.key('keys'))
    if cluster is None or fsid is None or monitors is None:
        return None
    return findings.Found(
        item.source, cluster, fsid, monitors, entities, pools.get(cluster)
    )


def _own(parameters: trees.Place) -> findings.Found | None:
    advice = 'it describes the external cluster together with the others'
    fsid = parameters.key('CephClusterFSID').read(findings.check_fsid, advice)
    monitors = parameters.key('CephExternalMonHost').read(
        findings.check_monitors, advice
    )
    secret = parameters.key('CephClientKey').read(cephx.parse_secret, advice)
    name = _or_default(parameters.key('CephClusterName'), _CLUSTER).read(
        findings.check_cluster, advice
    )
    user = _or_default(parameters.key('CephClientUserName'), _USER).read(
        lambda user: cephx.check_name(f'client.{user}'), advice
    )
    if not (fsid and monitors and secret and name and user):
        return None
    pool = parameters.texts().get('GlanceRbdPoolName')
    entity = cephx.Entity(user, secret, {})
    return findings.Found(
        parameters.source,
        name,
        fsid,
        monitors,
        (entity,),
        pool,
        is_external=True,
    )


def _or_default(place: trees.Place, default: str) -> trees.Place:
    """Give what TripleO takes for a parameter that is not there."""
    if place.is_there:
        return place
    return dataclasses.replace(place, content=default)


def _pools(parameters: trees.Place) -> dict[str, str]:
    """Give Glance's pools by cluster, where they are named."""
    stores = parameters.key('GlanceMultistoreConfig')
    described = [stores.key(name).texts() for name in stores.names()]
    return {
        store['CephClusterName']: store['GlanceRbdPoolName']
        for store in described
        if 'CephClusterName' in store and 'GlanceRbdPoolName' in store
    }
