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
"""Glance, by a session that somebody else has opened.

Within ``openstack`` it is that of the client: credentials, certificates and
time-outs are what its options and clouds.yaml say, and of the group [glance]
only page_size is read.
"""

import dataclasses
import re
from typing import Any

from glanceclient.v2 import client as glance_client
from oslo_config import cfg

from dcn_distributor.clients import glance

# What clouds.yaml may have at the end of an endpoint, and glanceclient adds.
_VERSION = re.compile(r'/v\d+(\.\d+)?/?$')


@dataclasses.dataclass(frozen=True, slots=True)
class Access:
    """A session of keystoneauth1, and which endpoint to take with it.

    :ivar interface: one, or several in the order they are tried
    :ivar endpoint: instead of one of the catalogue
    """

    session: Any
    region_name: str | None
    interface: str | list[str] | None
    endpoint: str | None


def connect(conf: cfg.ConfigOpts, access: Access) -> glance.GlanceImages:
    """Return the images of the Glance that the session leads to.

    `conf` has the options of glance.register_opts. Nothing is sent before
    the first call of a method.
    """
    client = glance_client.Client(
        session=access.session,
        service_type='image',
        interface=access.interface,
        region_name=access.region_name,
        endpoint_override=access.endpoint
        and _VERSION.sub('', access.endpoint),
    )
    return glance.GlanceImages(client, page_size=conf[glance.GROUP].page_size)
