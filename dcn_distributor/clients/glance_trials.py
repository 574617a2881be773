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
"""Try what a Glance can do: with an image that is made for it, and removed."""

import io
import json
from typing import Any

from oslo_config import cfg

from dcn_distributor.clients import glance
from dcn_distributor.clients import glance_errors
from dcn_distributor.clients import glance_refusals
from dcn_distributor.clients import glance_values
from dcn_distributor.core import images

# glance: api/v2/image_data.py takes nothing else
_DATA = {'Content-Type': 'application/octet-stream'}
_JSON = {'Content-Type': 'application/json'}
_PAGE_SIZE = 100


def connect(conf: cfg.ConfigOpts, endpoint: str | None = None) -> 'Trials':
    """Connect to the Glance of [glance], or to another one of the cloud.

    Nothing is sent yet. Raises ConfigError.
    """
    return Trials(glance.make_client(conf, endpoint))


class Trials(glance.GlanceImages):
    """A Glance, by the calls that nobody needs but to try it.

    :param client: a glanceclient v2 client with a session of its own
    """

    def __init__(self, client: Any) -> None:
        super().__init__(client, page_size=_PAGE_SIZE)
        self._http = client.http_client

    def import_methods(self) -> frozenset[str]:
        """Read which are enabled (glance: api/v2/discovery.py)."""
        what = 'read the import methods'
        with glance_errors.translated(what, policy=''):
            body = self._read('/v2/info/import')
        found = glance_values.mapping(body, what).get('import-methods')
        values = glance_values.mapping(found, what).get('value')
        return frozenset(map(str, values)) if values else frozenset()

    def create(self, name: str) -> images.ImageId:
        """Make a raw image without data, for nobody else to see."""
        record = {
            'name': name,
            'disk_format': 'raw',
            'container_format': 'bare',
            'visibility': 'private',
        }
        what = f'make image {name}'
        with glance_errors.translated(what, policy='add_image'):
            _, body = self._http.post(
                '/v2/images', headers=_JSON, data=json.dumps(record)
            )
        return images.ImageId(str(glance_values.mapping(body, what)['id']))

    def upload(self, image_id: images.ImageId, data: bytes) -> None:
        """Give it its data: they go to the default store."""
        what = f'upload image {image_id}'
        with glance_errors.translated(what, policy='upload_image'):
            self._http.put(
                f'/v2/images/{image_id}/file',
                headers=_DATA,
                data=io.BytesIO(data),
            )

    def stage(self, image_id: images.ImageId, data: bytes) -> None:
        """Leave its data with the host that answers, to be imported."""
        what = f'stage image {image_id}'
        with glance_errors.translated(what, policy='modify_image'):
            self._http.put(
                f'/v2/images/{image_id}/stage',
                headers=_DATA,
                data=io.BytesIO(data),
            )

    def import_staged(
        self, image_id: images.ImageId, stores: tuple[images.StoreId, ...]
    ) -> None:
        """Ask for what was staged to be imported into stores."""
        request = {
            'method': {'name': 'glance-direct'},
            'stores': list(stores),
            'all_stores_must_succeed': True,
        }
        with glance_errors.translated(
            f'import image {image_id}',
            policy='modify_image',
            special=glance_refusals.FOR_IMPORTS,
        ):
            self._http.post(
                f'/v2/images/{image_id}/import',
                headers=_JSON,
                data=json.dumps(request),
            )

    def delete(self, image_id: images.ImageId) -> None:
        """Remove it with all its copies. Raises ImageNotFound."""
        what = f'delete image {image_id}'
        with glance_errors.translated(what, policy='delete_image'):
            self._http.delete(f'/v2/images/{image_id}')
