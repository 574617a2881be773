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
"""The sites of a cloud, as sites.yaml describes them."""

from collections.abc import Iterator
from collections.abc import Mapping
import dataclasses
from typing import NewType

from dcn_distributor.core import images

SiteName = NewType('SiteName', str)


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """An edge site: where copies go. `store` is its Glance store."""

    name: SiteName
    store: images.StoreId
    labels: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Sites:
    """All sites: the store at central, and the edge sites by name."""

    central_store: images.StoreId
    edges: tuple[Site, ...]

    def __iter__(self) -> Iterator[Site]:
        return iter(self.edges)

    def __len__(self) -> int:
        return len(self.edges)
