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
"""A store on RBD in a glance-api.conf, whoever reads the file."""

from dcn_distributor.core import cephx
from dcn_distributor.core import stacks


def section(
    site: stacks.Site, user: cephx.Entity, conf: str
) -> dict[str, object]:
    """Give the options of a site's store.

    `conf` is where the site's ceph.conf is on the host.
    """
    assert site.ceph is not None
    return {
        'store_description': quoted(site.glance.description),
        'rbd_store_ceph_conf': conf,
        'rbd_store_user': user.user,
        'rbd_store_pool': site.ceph.image_pool,
    }


def quoted(text: str) -> str:
    """Write a text so that oslo.config reads all of it, and as it is.

    It takes off one pair of quotes, and a single $ for another option.
    """
    return '"{}"'.format(text.replace('$', '$$'))
