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
"""More glance-apis of a lab, beside its own."""

from pathlib import Path
import shutil
import threading

from lab import deployment
from lab import glance as lab_glance
from lab import keystone as lab_keystone


class ExtraGlance(lab_glance.Glance):
    """One more, of the flavour the lab has, with the same database and users.

    :param rendered: what bootstrap has rendered for it, its staging too, if
        that is not what central's has
    """

    def __init__(
        self,
        lab: deployment.Lab,
        name: str,
        port: int,
        rendered: Path | None = None,
    ) -> None:
        cancelled = threading.Event()
        super().__init__(
            lab.state,
            cancelled,
            lab_keystone.Keystone(lab.state, cancelled),
            rendered=rendered,
        )
        self.name = name
        self.directory = lab.state.service_directory(name)
        self.port = port

    def remove(self) -> None:
        """End it, and remove its files."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)
