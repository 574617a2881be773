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
"""More API hosts of a lab's Glance, each set up in its own way.

They share its database, its stores and its users, as the hosts of a real
cloud do; staging is their own.
"""

from pathlib import Path
import shutil
import threading

from lab import deployment
from lab import glance as lab_glance
from lab import keystone as lab_keystone
from lab import ports
from lab import rabbitmq as lab_rabbitmq
from lab import sqlite
from tests.fakes import glance as fake_glance


class ApiHost(lab_glance.Glance):
    """One more host of the flavour the lab has.

    :param number: tells it from the others
    """

    def __init__(
        self,
        lab: deployment.Lab,
        number: int,
        settings: fake_glance.Settings,
    ) -> None:
        cancelled = threading.Event()
        super().__init__(
            lab.state,
            cancelled,
            lab_keystone.Keystone(lab.state, cancelled),
            lab_rabbitmq.RabbitMQ(lab.state, cancelled),
            [lab.cluster(site) for site in lab.sites],
        )
        self._main = self.directory
        self._settings = settings
        self.name = f'glance-host-{number}'
        self.directory = lab.state.service_directory(self.name)
        self.port = ports.choose(1, ())

    def initialise(self) -> None:
        """Leave the tables alone: they are those of the first host."""

    def _debian_paste_file(self) -> Path:
        """Use what the lab's own has unpacked: no package is fetched."""
        paste = 'usr/share/glance-common/glance-api-paste.ini'
        return self._main / 'glance-common' / paste

    def remove(self) -> None:
        """End it, and remove its files."""
        self.stop()
        shutil.rmtree(self.directory)

    def _options(self) -> dict[str, dict[str, object]]:
        options = super()._options()
        settings = self._settings
        enabled = settings.enabled_backends or self.state.sites
        methods = ','.join(settings.enabled_import_methods)
        options['DEFAULT'] |= {
            'show_multiple_locations': settings.show_multiple_locations,
            'image_location_quota': settings.image_location_quota,
            'enabled_import_methods': f'[{methods}]',
            'enabled_backends': ','.join(f'{site}:rbd' for site in enabled),
        }
        database = self._main / 'data' / 'glance.db'
        options['database'] = sqlite.options(database)
        return options
