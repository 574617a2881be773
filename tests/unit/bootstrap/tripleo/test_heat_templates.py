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
"""tripleo-heat-templates know every parameter, and take its value."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
import re
import subprocess
import sys
from typing import Any

import pytest

from dcn_distributor.bootstrap.tripleo import order
from tests import plain_yaml
from tests.unit.bootstrap import samples
from tests.unit.bootstrap.tripleo import rendered
from tests.unit.bootstrap.tripleo import sources

pytestmark = sources.needed
both = pytest.mark.parametrize('release', rendered.RELEASES)
_TYPES: dict[str, tuple[type, ...]] = {
    'string': (str,),
    'number': (int, float),
    'boolean': (bool,),
    'json': (dict, list),
    'comma_delimited_list': (str, list),
}
# A template's part of that name; all of a template takes long to read.
_PARAMETERS = re.compile(r'^parameters:\n((?:(?:[ #].*)?\n)+)', re.M)
_NETWORKS = ('network_data.yaml', 'network_data_default.yaml')

Declaration = dict[str, Any]


@pytest.fixture(scope='module')
def processed(tmp_path_factory):
    """Give the templates as TripleO makes them of a stack's roles."""

    @cache
    def process(release: str, roles: tuple[str, ...]) -> Path:
        templates = sources.directory(sources.TEMPLATES[release])
        made = tmp_path_factory.mktemp('templates')
        roles_data = made / 'roles_data.yaml'
        roles_data.write_text(
            ''.join(
                (templates / 'roles' / f'{role}.yaml').read_text()
                for role in roles
            )
        )
        networks = next(n for n in _NETWORKS if (templates / n).exists())
        subprocess.run(
            [
                sys.executable,
                str(templates / 'tools' / 'process-templates.py'),
                *('--roles-data', str(roles_data)),
                *('--base_path', str(templates)),
                *('--network-data', networks),
                *('--output-dir', str(made / 'out')),
            ],
            check=True,
            capture_output=True,
        )
        return made / 'out'

    return process


@cache
def _parameters(block: str) -> dict[str, Declaration]:
    """Read declarations; most files are the same whatever the roles."""
    return plain_yaml.load(block)


@cache
def _declarations(top: Path) -> dict[str, list[Declaration]]:
    """All declarations of all parameters, each at most once."""
    found: dict[str, list[Declaration]] = {}
    for part in ('common', 'deployment', 'network', 'puppet', '.'):
        pattern = '*.yaml' if part == '.' else '**/*.yaml'
        for path in sorted((top / part).glob(pattern)):
            text = path.read_text()
            block = _PARAMETERS.search(text)
            if block is None or 'heat_template_version' not in text:
                continue
            for name, declared in _parameters(block[1]).items():
                if declared not in found.setdefault(name, []):
                    found[name].append(declared)
    return found


def _wrong(value: Any, declared: Declaration) -> Iterator[str]:
    """Say what Heat has against a value: type, then constraints."""
    kind = declared['type']
    is_boolean = isinstance(value, bool)
    if not isinstance(value, _TYPES[kind]) or is_boolean != (
        kind == 'boolean'
    ):
        yield f'{value!r} is no {kind}'
    for constraint in declared.get('constraints', []):
        allowed = constraint.get('allowed_values')
        if allowed is not None and value not in allowed:
            yield f'{value!r} is none of {allowed}'
        pattern = constraint.get('allowed_pattern')
        if pattern is not None and not re.fullmatch(pattern, value):
            yield f'{pattern} does not match'


def _templates(
    processed, found: rendered.Rendered, release: str, step
) -> Path:
    (stack,) = (s for _, s in found.cloud.stacks() if s.name == step.stack)
    return processed(release, tuple(role.name for role in stack.roles))


def _deployments(found: rendered.Rendered, release: str) -> list[Any]:
    steps = order.order(found.cloud, release)
    return [s for s in steps if s.argv[2] == 'deploy']


# Zero of what a stack does not have.
_ABSENT = re.compile('(Controller|Compute)Count')


@samples.topologies
@both
def test_parameters_are_known_and_their_values_are_taken(
    processed, topology, release
):
    found = rendered.render(samples.load(topology), release)

    checked = 0
    for step in _deployments(found, release):
        declared = _declarations(_templates(processed, found, release, step))
        for path in step.files:
            for name, value in found.parameters(path).items():
                if _ABSENT.fullmatch(name) and value == 0:
                    continue
                assert name in declared, f'{path}: {name}'
                for declaration in declared[name]:
                    wrong = list(_wrong(value, declaration))
                    assert not wrong, f'{path}: {name}: {wrong}'
                    checked += 1
    assert checked > 30


@both
def test_what_the_documents_misspell_is_unknown_to_the_templates(
    processed, release
):
    """NovaAZAttach and the flavors: TripleO ignores them in silence."""
    declared = _declarations(processed(release, ('DistributedComputeHCI',)))

    assert 'NovaAZAttach' not in declared
    assert 'DistributedComputeHCIFlavor' not in declared
    assert 'NovaCrossAZAttach' in declared


@both
def test_long_keys_are_refused_by_the_templates_themselves(processed, release):
    """What checks.py says of CephClientKey is so."""
    declared = _declarations(processed(release, ('Controller',)))
    cloud = samples.load('external-ceph')
    ring = rendered.with_long_key(
        samples.ring_for(cloud), 'central', 'openstack'
    )
    known = ring.of(cloud.central.name)
    long_key = known.entities['client.openstack'].secret.text

    assert any(
        list(_wrong(long_key, declaration))
        for declaration in declared['CephClientKey']
    )


@samples.topologies
@both
def test_files_of_the_templates_that_are_named_are_there(
    processed, topology, release
):
    found = rendered.render(samples.load(topology), release)
    prefix = f'{found.cloud.tripleo.templates}/'

    for step in _deployments(found, release):
        top = _templates(processed, found, release, step)
        named = [w for w in step.argv if w.startswith(prefix)]
        for path in step.files:
            document = plain_yaml.load(found.files[path].text)
            named += document.get('resource_registry', {}).values()
        assert named or topology == 'glance-cache'
        for path in named:
            assert (top / path.removeprefix(prefix)).is_file(), path


@samples.topologies
@both
def test_ours_prevails_over_what_the_templates_set(
    processed, topology, release
):
    """A Glance is what was described, whatever environments say."""
    found = rendered.render(samples.load(topology), release)
    prefix = f'{found.cloud.tripleo.templates}/'

    for step in _deployments(found, release):
        top = _templates(processed, found, release, step)
        merged: dict[str, Any] = {}
        for word in step.argv:
            if word in found.files:
                merged |= found.parameters(word)
            elif word.startswith(prefix):
                text = (top / word.removeprefix(prefix)).read_text()
                merged |= plain_yaml.load(text).get('parameter_defaults') or {}
        site = found.cloud.site(step.site)
        assert merged['GlanceBackend'] == site.glance.backend.value
        assert merged['GlanceEnabledImportMethods'] == ','.join(
            found.cloud.import_methods
        )
        if not site.is_central:
            assert merged['NovaComputeAvailabilityZone'] == site.az
