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
"""The files that tripleo-ansible's role for clients of Ceph makes.

Its own templates and tasks are run, as far as they are expressions; around
them stands what Ansible would add.
"""

import json
from pathlib import Path
import re
from typing import Any

import jinja2
from jinja2 import nativetypes

from tests import plain_yaml
from tests.unit.bootstrap.tripleo import sources

_ROLE = f'{sources.ANSIBLE}/roles/tripleo_ceph_client'
# Filters that come with Ansible.
_FILTERS = {
    'intersect': lambda one, other: [x for x in one if x in other],
    'regex_replace': lambda text, old, new='': re.sub(old, new, text),
    'from_json': json.loads,
}


def _evaluate(expression: Any, variables: dict[str, Any]) -> Any:
    """Give what Ansible makes of a value in a task."""
    if not isinstance(expression, str) or '{{' not in expression:
        return expression
    environment = nativetypes.NativeEnvironment(
        undefined=jinja2.StrictUndefined
    )
    environment.filters.update(_FILTERS)
    return environment.from_string(expression).render(variables)


def template(role: Path, name: str, variables: dict[str, Any]) -> str:
    """Give what Ansible makes of a template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(role / 'templates'),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(_FILTERS)
    return environment.get_template(name).render(variables)


def _tasks(role: Path, name: str) -> list[dict[str, Any]]:
    found = []
    for task in plain_yaml.load((role / 'tasks' / name).read_text()):
        found += task.get('block', [task])
    return found


def files_of(entry: dict[str, Any], etc: str = '/etc/ceph') -> dict[str, str]:
    """Give the files of one entry of CephExternalMultiConfig, by path.

    :param etc: the directory they are written to
    """
    role = sources.directory(_ROLE)
    variables = {
        'multiple': entry,
        'ansible_managed': 'by Ansible',
        'tripleo_ceph_client_fetch_dir': etc,
        'tripleo_ceph_client_rbd_admin_socket_path': '/var/run/ceph',
        'tripleo_ceph_client_rbd_log_file': '/var/log/ceph/qemu.log',
    }
    for task in _tasks(role, 'multiple_external_ceph_clusters.yml'):
        variables |= {
            name: _evaluate(expression, variables)
            for name, expression in task['set_fact'].items()
        }
    # main.yml hands them on under this name.
    variables['config_overrides'] = variables[
        'tripleo_ceph_client_config_overrides'
    ]
    (conf,) = _tasks(role, 'create_ceph_conf.yml')
    (key,) = _tasks(role, 'create_keys.yml')
    files = {
        _evaluate(conf['template']['dest'], variables): template(
            role, 'ceph_conf.j2', variables
        )
    }
    for item in variables['tripleo_ceph_client_keys']:
        with_item = {**variables, 'item': item}
        name = _evaluate(key['template']['dest'], with_item)
        files[name] = template(role, 'ceph_key.j2', with_item)
    return files
