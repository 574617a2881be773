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
"""`openstack image distribution`, as an operator with OS_* runs it."""

import dataclasses
import json
import os
from pathlib import Path
import subprocess
import sys

import pytest

pytestmark = pytest.mark.lab


@pytest.fixture
def conf_file(cloud):
    """Write a configuration without any credentials for Glance."""
    agent = cloud.agent()
    lines, is_glance = [], False
    for line in agent.conf_file.read_text().splitlines():
        if line.startswith('['):
            is_glance = line == '[glance]'
        if not is_glance:
            lines.append(line)
    path = agent.directory / 'operator.conf'
    path.write_text('\n'.join(lines))
    path.chmod(0o600)
    agent.start()
    return path


@pytest.fixture
def openstack(cloud, conf_file):
    """Run the installed program; return exit code, stdout and stderr."""
    program = Path(sys.executable).with_name('openstack')
    credentials = {
        f'OS_{name.upper()}': value
        for name, value in dataclasses.asdict(
            cloud.lab.credentials('admin')
        ).items()
    }

    def run(*argv, **environment):
        ended = subprocess.run(
            [program, *argv],
            env={
                **{k: v for k, v in os.environ.items() if k[:3] != 'OS_'},
                **credentials,
                'DCN_DISTRIBUTOR_CONFIG': str(conf_file),
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    return run


def test_list_show_and_explain_are_with_the_credentials_of_openstack(
    cloud, openstack
):
    image_id = cloud.upload()
    cloud.wait_for_copies(image_id)

    code, out, err = openstack(
        'image', 'distribution', 'list', image_id, '-f', 'json'
    )

    assert code == 0, err
    assert {(one['site'], one['state']) for one in json.loads(out)} == {
        (site, 'present') for site in cloud.edges
    }
    assert openstack('image', 'distribution', 'show', image_id)[0] == 0
    assert (
        image_id in openstack('image', 'distribution', 'explain', image_id)[1]
    )


def test_a_copy_is_ordered_and_verified(cloud, openstack):
    image_id = cloud.upload(visibility='private')

    words = ('image', 'distribution')
    code, _, err = openstack(*words, 'copy', image_id, 'dcn0', '--wait')
    assert code == 0, err

    code, out, err = openstack(*words, 'verify', image_id, '-f', 'json')

    # It ends with its own code, though librados was loaded.
    assert code == 0, err
    assert [(one['site'], one['verdict']) for one in json.loads(out)] == [
        ('dcn0', 'good')
    ]


def test_a_wrong_password_is_not_mended_by_our_configuration(openstack):
    code, out, err = openstack(
        'image', 'distribution', 'list', OS_PASSWORD='wrong'
    )

    assert (code, out) == (1, '')
    assert '401' in err


def test_without_configuration_it_is_said_what_is_missing(openstack, tmp_path):
    code, _, err = openstack(
        'image',
        'distribution',
        'list',
        DCN_DISTRIBUTOR_CONFIG='',
        HOME=str(tmp_path),
    )

    assert code == 2
    assert '/etc/dcn_distributor/sites.yaml: ' in err
    assert '--dcn-config-file or DCN_DISTRIBUTOR_CONFIG' in err
