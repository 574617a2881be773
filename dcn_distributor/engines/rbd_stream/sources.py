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
"""Where an image is read: the first of several copies that can be."""

from collections.abc import Sequence
import dataclasses

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import storage


@dataclasses.dataclass(frozen=True, slots=True)
class Source:
    """A site with a copy to read."""

    store: images.StoreId
    cluster: storage.Cluster


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A copy that is being read, and whose it is."""

    store: images.StoreId
    readable: storage.Readable


def open_first(sources: Sequence[Source], image: images.Image) -> Opened:
    """Open the first copy that can be opened and has the image's size.

    Raises what the first source raised if none has one, CopyNotFound if
    there are none.
    """
    refusals: list[exceptions.DistributorError] = []
    for source in sources:
        try:
            readable = source.cluster.open_snapshot(image.id)
        except exceptions.DistributorError as exc:
            refusals.append(exc)
            continue
        if readable.size_bytes == image.size_bytes:
            return Opened(source.store, readable)
        refusals.append(
            exceptions.VerificationFailed(
                f'the copy in {source.store} has {readable.size_bytes} bytes, '
                f'and the image {image.size_bytes}'
            )
        )
        readable.close()
    error = type(refusals[0]) if refusals else exceptions.CopyNotFound
    reasons = '; '.join(map(str, refusals)) or 'no site holds one'
    raise error(f'no copy of image {image.id} can be read: {reasons}')
