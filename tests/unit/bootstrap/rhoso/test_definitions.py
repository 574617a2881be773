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
"""What the tests' own reading of CustomResourceDefinitions refuses."""

import copy

import pytest

from tests.unit.bootstrap.rhoso import definitions

_SCHEMA = {
    'type': 'object',
    'required': ['size', 'name'],
    'properties': {
        'size': {'type': 'integer', 'minimum': 1, 'maximum': 3, 'default': 2},
        'name': {'type': 'string', 'pattern': '^[a-z]+$', 'maxLength': 5},
        'kind': {'type': 'string', 'enum': ['split', 'edge']},
        'quota': {
            'x-kubernetes-int-or-string': True,
            'anyOf': [{'type': 'integer'}, {'type': 'string'}],
            'pattern': '^[0-9]+Gi$',
        },
        'free': {'x-kubernetes-preserve-unknown-fields': True},
        'labels': {
            'type': 'object',
            'additionalProperties': {'type': 'string'},
        },
        'parts': {
            'type': 'array',
            'minItems': 1,
            'items': {
                'type': 'object',
                'required': ['on'],
                'properties': {'on': {'type': 'boolean', 'default': False}},
            },
        },
    },
}
_RIGHT = {
    'name': 'abc',
    'kind': 'edge',
    'quota': '4Gi',
    'free': {'of': ['all']},
    'labels': {'any': 'text'},
    'parts': [{}, {'on': True}],
}


def _said(value: object) -> list[str]:
    whole = definitions.filled(_SCHEMA, value)
    return list(definitions.validate(_SCHEMA, whole, 'it'))


def test_what_a_schema_allows_is_taken_with_its_defaults() -> None:
    assert _said(_RIGHT) == []
    assert definitions.filled(_SCHEMA, _RIGHT)['size'] == 2
    assert definitions.filled(_SCHEMA, _RIGHT)['parts'][0] == {'on': False}


@pytest.mark.parametrize(
    ('change', 'complaint'),
    [
        ({'colour': 'red'}, 'it.colour is unknown'),
        ({'name': 5}, 'it.name: 5 is not of type string'),
        ({'name': 'A'}, "it.name: 'A' does not match ^[a-z]+$"),
        ({'name': 'abcdef'}, 'it.name: 6 is more than 5'),
        ({'size': 0}, 'it.size: 0 is less than 1'),
        ({'size': 4}, 'it.size: 4 is more than 3'),
        ({'size': True}, 'it.size: True is not of type integer'),
        ({'size': None}, 'it.size: None is not of type integer'),
        ({'kind': 'all'}, "it.kind: 'all' is not one of ['split', 'edge']"),
        ({'quota': '4G'}, "it.quota: '4G' does not match ^[0-9]+Gi$"),
        ({'quota': True}, 'it.quota: True is neither a number nor a text'),
        ({'labels': {'a': 1}}, 'it.labels.a: 1 is not of type string'),
        ({'labels': ['a']}, "it.labels: ['a'] is not of type object"),
        ({'parts': []}, 'it.parts: 0 is less than 1'),
        ({'parts': [{'on': 'no'}]}, "it.parts[0].on: 'no' is not of type"),
        ({'parts': [{'off': True}]}, 'it.parts[0].off is unknown'),
    ],
)
def test_what_a_schema_does_not_allow_is_refused(
    change: dict, complaint: str
) -> None:
    said = _said(copy.deepcopy(_RIGHT) | change)

    assert len(said) == 1
    assert said[0].startswith(complaint)


def test_what_is_required_and_has_no_default_is_missed() -> None:
    assert _said({}) == ['it.name is required']


@definitions.needed
@pytest.mark.parametrize(
    ('spec', 'complaint'),
    [
        ({}, 'document.spec.secret is required'),
        (
            {'secret': 's', 'storageClass': 'c', 'glanze': {}},
            'document.spec.glanze is unknown',
        ),
        (
            {
                'secret': 's',
                'storageClass': 'c',
                'glance': {
                    'template': {
                        'databaseInstance': 'd',
                        'secret': 's',
                        'imageCache': {},
                        'glanceAPIs': {'a': {'type': 'both'}},
                    }
                },
            },
            'document.spec.glance.template.glanceAPIs.a.type',
        ),
    ],
)
def test_the_published_definitions_refuse_mistakes(
    spec: dict, complaint: str
) -> None:
    document = {
        'apiVersion': 'core.openstack.org/v1beta1',
        'kind': 'OpenStackControlPlane',
        'metadata': {'name': 'openstack'},
        'spec': spec,
    }

    assert definitions.complaints(document)[0].startswith(complaint)
