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
"""Write the sites.yaml of a cloud that was taken over, without secrets."""

from collections.abc import Sequence
import dataclasses
import io

import ruamel.yaml
from ruamel.yaml import comments

from dcn_distributor.core import sites

_REMARK = """\
What was found of a cloud that runs. No source tells of these:
- deploy.glance.url of central and the sites; with them all, glance-direct
  can be added to import_methods
- the roles of central's stacks, and the stacks of the sites, if bootstrap
  shall deploy them again
- labels, and what a link costs
Where a source has no caps, as keyrings of clients, pools are those of a
default: 'ceph auth get' prints what the user may do.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Cluster:
    """A site's cluster.

    :ivar pools: that of Glance first; () for the default
    """

    site: sites.SiteName
    name: str
    fsid: str
    monitors: tuple[str, ...]
    pools: tuple[str, ...]
    is_external: bool


def write(clusters: Sequence[Cluster], user: str, store: str) -> str:
    """Write it, of clusters of which the first is central's.

    :param user: of Glance at all clusters
    :param store: the id of central's; those of sites have their names
    """
    central, *others = clusters
    control_plane = {'kind': 'control-plane', 'roles': {}}
    document = comments.CommentedMap(
        version=1,
        deploy={
            'user': user,
            # glance-direct needs URLs, of which no source tells.
            'import_methods': ['web-download', 'copy-image'],
        },
        central={
            'store': store,
            'cluster': _agent(central),
            'deploy': {
                'ceph': _ceph(central),
                'stacks': {'control-plane': control_plane},
            },
        },
        sites={
            other.site: {
                'cluster': _agent(other),
                'deploy': {'number': number, 'ceph': _ceph(other)},
            }
            for number, other in enumerate(others)
        },
    )
    document.yaml_set_start_comment(_REMARK)
    yaml = ruamel.yaml.YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    written = io.StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def _agent(cluster: Cluster) -> dict[str, object]:
    """How the agent reaches it: by the conf that hosts have, too."""
    found: dict[str, object] = {
        'conf': f'/etc/ceph/{cluster.name}.conf',
        'fsid': cluster.fsid,
    }
    if cluster.pools:
        found['pool'] = cluster.pools[0]
    return found


def _ceph(cluster: Cluster) -> dict[str, object]:
    found: dict[str, object] = {'name': cluster.name}
    if cluster.is_external:
        found['owner'] = 'external'
    found['monitors'] = list(cluster.monitors)
    if cluster.pools:
        found['pools'] = list(cluster.pools)
    return found
