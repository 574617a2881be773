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
"""An ordinary image, for tests that care for one or two of its attributes."""

from typing import Any

from dcn_distributor.core import images

ID = images.ImageId('3f2c3e9a-0d4e-4d4b-9c53-1d7a3f8d3c11')


def image(**attributes: Any) -> images.Image:
    """Make an active, public, raw image of 1 GiB at central.

    `attributes` are those of core.images.Image, and win.
    """
    values: dict[str, Any] = {
        'id': ID,
        'name': 'rhel-9-base',
        'status': images.ACTIVE,
        'visibility': 'public',
        'owner': 'owner',
        'tags': frozenset(),
        'properties': {},
        'disk_format': 'raw',
        'container_format': 'bare',
        'size_bytes': 2**30,
        'is_hidden': False,
        'is_protected': False,
        'stores': frozenset({images.StoreId('central')}),
    }
    return images.Image(**{**values, **attributes})
