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

from lab import deployment
from lab import ports
from tests import extra_glances
from tests.fakes import glance as fake_glance


class ApiHost(extra_glances.ExtraGlance):
    """One more host of the flavour the lab has.

    :param number: tells it from the others
    """

    def __init__(
        self,
        lab: deployment.Lab,
        number: int,
        settings: fake_glance.Settings,
    ) -> None:
        port = ports.choose(1, lab.directory)
        super().__init__(lab, f'glance-host-{number}', port)
        self._settings = settings

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
            'worker_self_reference_url': self.url,
        }
        for name in ('staging', 'tasks'):
            options[f'os_glance_{name}_store'] = {
                'filesystem_store_datadir': self.directory / name
            }
        return options
