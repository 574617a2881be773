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
"""How all tests run.

Property tests not by the clock, which other work may slow; tests on a lab not
after one of its servers died, for which each of them would wait in vain.
"""

from collections.abc import Generator
import os
from pathlib import Path

import hypothesis
import pytest

from lab import deployment

_FAILED = pytest.StashKey[bool]()

hypothesis.settings.register_profile('project', deadline=None)
hypothesis.settings.load_profile('project')


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """End the run after a test that failed, if a server of the lab is dead."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    if call.when == 'teardown' and item.stash.get(_FAILED, False):
        dead = _dead_servers()
        if dead:
            item.session.shouldstop = f'{dead} of the lab died'
    return report


def _dead_servers() -> str:
    if 'LAB_AGENT_CONF' not in os.environ:
        return ''
    statuses = deployment.Lab(Path(os.environ['LAB_DIR'])).status()
    return ' and '.join(one.name for one in statuses if one.state == 'dead')
