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
    """A site with a copy to read.

    :ivar begins_narrow: whether one chunk at a time is read at first, since
        it gave no answer in time when there were more
    """

    store: images.StoreId
    cluster: storage.Cluster
    begins_narrow: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """A copy that is being read, and whose it is."""

    store: images.StoreId
    readable: storage.Readable
    begins_narrow: bool = False


def open_first(sources: Sequence[Source], image: images.Image) -> Opened:
    """Open the first copy that can be opened and has the image's size.

    Raises SourceUnavailable if none has one and it may be tried again; what
    the first source raised if that is useless with all of them; CopyNotFound
    if there are none.
    """
    refusals: list[exceptions.DistributorError] = []
    reasons: list[str] = []
    for source in sources:
        try:
            readable = _open(source, image)
        except exceptions.DistributorError as exc:
            refusals.append(exc)
            reasons.append(f'{source.store}: {exc}')
        else:
            return Opened(source.store, readable, source.begins_narrow)
    error: type[exceptions.DistributorError] = exceptions.CopyNotFound
    if any(isinstance(e, exceptions.TemporaryError) for e in refusals):
        error = exceptions.SourceUnavailable
    elif refusals:
        error = type(refusals[0])
    told = '; '.join(reasons) or 'no site holds one'
    raise error(f'no copy of image {image.id} can be read: {told}')


def blame(
    store: images.StoreId,
    error: exceptions.DistributorError,
    *,
    is_last: bool,
) -> exceptions.DistributorError:
    """Say of what went wrong that it was the source.

    That its bytes are not the image's is for good only if it is the last
    source: no other is left that might hold them.
    """
    kind: type[exceptions.DistributorError] = exceptions.SourceUnavailable
    if is_last and isinstance(error, exceptions.VerificationFailed):
        kind = exceptions.VerificationFailed
    return kind(f'source {store}: {error}')


def _open(source: Source, image: images.Image) -> storage.Readable:
    readable = source.cluster.open_snapshot(image.id)
    if readable.size_bytes == image.size_bytes:
        return readable
    readable.close()
    raise exceptions.VerificationFailed(
        f'the copy has {readable.size_bytes} bytes, and the image '
        f'{image.size_bytes}'
    )
