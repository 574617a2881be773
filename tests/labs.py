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
"""The lab that tests on real servers share."""

from collections.abc import Iterator
import os
from pathlib import Path

import pytest

from lab import deployment


@pytest.fixture(scope='session')
def running_lab(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[deployment.Lab]:
    """Return the lab that the environment names, or one for this session.

    ``eval "$(tools/lab env)"`` names one, which is left as it is.
    """
    if 'LAB_AGENT_CONF' in os.environ:
        yield deployment.Lab(Path(os.environ['LAB_DIR']))
        return
    lab = deployment.Lab(
        tmp_path_factory.mktemp('lab'), sites=('dcn0', 'dcn1')
    )
    try:
        lab.up()
        yield lab
    finally:
        lab.down(purge=True)
