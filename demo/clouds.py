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
"""What the cloud's people do in the demo: upload, release, remove."""

import contextlib
import threading
import time

from glanceclient import exc
from glanceclient.v2 import client as glance_client

from demo import errors
from demo import pictures
from lab import deployment

_REMOVAL_S = 60.0


class Cloud:
    """Glance, as an administrator uses it."""

    def __init__(self, lab: deployment.Lab) -> None:
        self._glance = glance_client.Client(
            session=lab.credentials('admin').session()
        )

    def upload(
        self, picture: pictures.Picture, original: pictures.Original
    ) -> str:
        """Make an image and send its data to central; return its id."""
        image_id = str(
            self._glance.images.create(
                name=picture.name,
                disk_format=picture.disk_format,
                container_format='bare',
                visibility=picture.visibility,
                tags=[pictures.TAG],
                **picture.properties,
            ).id
        )
        with original.path.open('rb') as stream:
            self._glance.images.upload(image_id, stream)
        return image_id

    def release(self, image_id: str) -> None:
        """Let everybody see an image."""
        self._glance.images.update(image_id, visibility='public')

    def stores(self, image_id: str) -> set[str]:
        """Give the stores that Glance lists for an image."""
        listed = self._glance.images.get(image_id).get('stores') or ''
        return set(filter(None, listed.split(',')))

    def remove_pictures(self) -> int:
        """Delete every image of a demo, with its copies; count them."""
        found = self._glance.images.list(filters={'tag': [pictures.TAG]})
        ids = [str(image.id) for image in found]
        for image_id in ids:
            self._remove(image_id)
        return len(ids)

    def _remove(self, image_id: str) -> None:
        deadline = time.monotonic() + _REMOVAL_S
        while True:
            try:
                with contextlib.suppress(exc.HTTPNotFound):
                    self._glance.images.delete(image_id)
            except exc.HTTPException as reason:
                # An import that still goes on has to end first.
                if time.monotonic() > deadline:
                    raise errors.DemoError(
                        f'image {image_id} cannot be deleted: {reason}'
                    ) from reason
                threading.Event().wait(1.0)
            else:
                return
