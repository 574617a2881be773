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
"""When an RBD image under an image's name is an orphan: Glance's part of it.

What a glance-api that died has left has the image's id for its name, and no
location of Glance leads to it. Glance never removes it, and refuses to write
there (glance_store: _drivers/rbd.py add). Here is what Glance can tell of
it; whether it is whole, open or cloned, the cluster tells when it is removed
(core.storage.Cluster.remove_orphan).
"""

from dcn_distributor import exceptions
from dcn_distributor.core import images

# While Glance itself takes the data in, it has neither a location nor an
# import's lock (glance: api/v2/image_data.py upload; domain/__init__.py).
_BEING_WRITTEN = ('saving', 'uploading', 'importing')


def is_registered(image: images.Image, location: images.Location) -> bool:
    """Tell whether a location, of whatever store, leads to it."""
    urls = {known.url for known in image.locations or ()}
    return location.store in image.stores or location.url in urls


def check(image: images.Image, location: images.Location) -> None:
    """Make sure that Glance neither lists it nor writes it now.

    `location` is where it lies. The image MUST have been read just now.
    Raises ImportInProgress and OrphanInTheWay.
    """
    if image.import_task is not None:
        raise exceptions.ImportInProgress(
            f'an import of image {image.id} is under way, and may be '
            f'writing what has its name in {location.store}'
        )
    if image.status in _BEING_WRITTEN:
        raise exceptions.ImportInProgress(
            f'image {image.id} is {image.status}, and Glance may be writing '
            f'what has its name in {location.store}'
        )
    if image.locations is None or is_registered(image, location):
        raise exceptions.OrphanInTheWay(
            f'what has the name of image {image.id} in {location.store} may '
            'be in use: a location leads to it, or Glance shows none'
        )
