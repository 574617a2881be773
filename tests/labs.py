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
from concurrent import futures
import contextlib
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


@contextlib.contextmanager
def of_several(
    directory: Path, sites: tuple[str, ...], *, keeps: bool = False
) -> Iterator[deployment.Lab]:
    """Give a lab for three agents, with etcd and a RabbitMQ cluster.

    The one that the environment names, if it is of several. The lab's own
    agents are stopped: tests run theirs, configured in their own way.

    :param keeps: leaves data and logs there if an error comes up
    """
    if ' ' in os.environ.get('LAB_AGENT_CONFS', ''):
        lab = deployment.Lab(Path(os.environ['LAB_DIR']))
        lab.up()
        stop_agents(lab)
        yield lab
        return
    lab = deployment.Lab(directory, sites=sites, agents=3, rabbitmq_nodes=3)
    try:
        lab.up()
        stop_agents(lab)
        yield lab
    except BaseException:
        lab.down(purge=not keeps)
        raise
    lab.down(purge=True)


def stop_agents(lab: deployment.Lab) -> None:
    """Stop a lab's own agents, to run others in their place."""
    names = [conf.parent.name for conf in lab.agent_confs]
    with futures.ThreadPoolExecutor() as threads:
        list(threads.map(lambda name: lab.service(name).stop(), names))
