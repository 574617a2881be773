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
"""One lab for all tests of the run, a cloud of its own for each."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import deployment
from tests.integration import agents
from tests.integration import clouds
from tests.integration import sharing
from tests.labs import running_lab  # noqa: F401


@pytest.fixture
def cloud(
    running_lab: deployment.Lab,  # noqa: F811
    tmp_path: Path,
) -> Iterator[clouds.Cloud]:
    """A lab with all its services up, before and after the test."""
    running_lab.up()
    made = clouds.Cloud(running_lab, tmp_path)
    try:
        yield made
    finally:
        running_lab.up()
        made.close()


@pytest.fixture
def agent(cloud: clouds.Cloud) -> agents.Agent:
    """An agent that runs."""
    made = cloud.agent()
    made.start()
    return made


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let several runs share the tests out among them."""
    parser.addoption(
        '--part',
        metavar='K/N',
        help='only the K-th of N parts of the modules, about equally long',
    )


def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Keep to the part that is asked for."""
    asked = config.getoption('--part')
    if asked is None:
        return
    number, count = map(int, asked.split('/'))
    if not 1 <= number <= count:
        raise pytest.UsageError(f'--part {asked}: expected K/N with K <= N')
    parts = sharing.share({item.path.stem for item in items}, count)
    kept = [item for item in items if item.path.stem in parts[number - 1]]
    left = [item for item in items if item.path.stem not in parts[number - 1]]
    config.hook.pytest_deselected(items=left)
    items[:] = kept
