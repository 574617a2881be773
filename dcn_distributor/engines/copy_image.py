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
"""The engine that has Glance copy: its import method copy-image.

One import an image at a time; Glance stages the image once and writes the
stores in turn. The import goes on by itself after start() has returned, and
what becomes of it is read off the image (core.following).
"""

from collections.abc import Sequence

from dcn_distributor.core import images
from dcn_distributor.core import ports
from dcn_distributor.core import transfers


class CopyImage:
    """See the module, and core.ports.Engine for the contract."""

    name = 'copy-image'

    def __init__(self, glance: ports.Images) -> None:
        self._glance = glance

    def start(
        self,
        image: images.Image,
        stores: Sequence[images.StoreId],
        wishes: transfers.Wishes,
    ) -> None:
        """Ask Glance for one import into `stores`."""
        self._glance.copy_to_stores(image.id, stores)
