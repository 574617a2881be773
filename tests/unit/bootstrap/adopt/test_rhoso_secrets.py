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
"""Secrets of RHOSO."""

import base64
import json

import pytest

from dcn_distributor import exceptions
from dcn_distributor.bootstrap.adopt import findings
from dcn_distributor.bootstrap.adopt import rhoso_secrets

KEY = 'AQDY215eAAAAABAAv+R9oML+7c8FFygX7eUWrQ=='
FSID = '8649d6c3-dcb3-4aae-8c19-8c2fe5a853ac'


def files(*clusters):
    return {
        name: text
        for cluster in clusters
        for name, text in (
            (
                f'{cluster}.conf',
                f'[global]\nfsid = {FSID}\nmon_host = 172.18.0.2\n',
            ),
            (
                f'{cluster}.client.openstack.keyring',
                f'[client.openstack]\n  key = "{KEY}"\n'
                '  caps mgr = allow *\n  caps mon = profile rbd\n',
            ),
        )
    }


def secret(name, content, kind='Secret'):
    encoded = {
        file: base64.b64encode(text.encode()).decode()
        for file, text in content.items()
    }
    return {
        'apiVersion': 'v1',
        'kind': kind,
        'metadata': {'name': name},
        'data': encoded,
    }


def parse(*documents):
    text = '\n---\n'.join(json.dumps(document) for document in documents)
    return rhoso_secrets.parse(findings.Source('secrets.yaml', text))


def problems(*documents):
    with pytest.raises(exceptions.ConfigError) as raised:
        parse(*documents)
    assert KEY not in str(raised.value)
    return raised.value.problems


def test_clusters_of_all_secrets_are_read():
    found = parse(
        secret('ceph-conf-files', files('az0', 'az1')),
        secret('other', {'password': 'x'}),
        secret('ceph-conf-files', {'az9.conf': 'x'}, kind='ConfigMap'),
        secret('ceph-conf-files-az1', files('az1')),
    )

    assert [(each.source, each.cluster) for each in found] == [
        ('secrets.yaml: Secret ceph-conf-files: az0.conf', 'az0'),
        ('secrets.yaml: Secret ceph-conf-files: az1.conf', 'az1'),
        ('secrets.yaml: Secret ceph-conf-files-az1: az1.conf', 'az1'),
    ]
    [entity] = found[0].entities
    assert (entity.user, entity.secret.text) == ('openstack', KEY)
    assert dict(entity.caps) == {'mgr': 'allow *', 'mon': 'profile rbd'}


def test_list_of_secrets_is_read():
    listed = {
        'kind': 'List',
        'items': [secret('a', files('az0')), secret('b', files('az1'))],
    }

    assert [each.cluster for each in parse(listed)] == ['az0', 'az1']


def test_texts_that_are_not_encoded_are_read():
    document = secret('a', {}) | {'stringData': files('az0')}

    assert [each.cluster for each in parse(document)] == ['az0']


def test_all_problems_are_told_at_once():
    broken = secret('a', files('az0'))
    broken['data']['az0.client.openstack.keyring'] = '!'

    told = problems(
        broken,
        secret('b', {'az1.conf': files('az1')['az1.conf']}),
        secret('c', {**files('az2'), 'az2.conf': '[global]\n'}),
    )

    assert [problem.removeprefix('secrets.yaml: ')[:25] for problem in told]
    assert len(told) == 5
    assert any(
        'data.az0.client.openstack.keyring: expected' in p for p in told
    )
    assert any('Secret b: az1.conf: there is no keyring' in p for p in told)
    assert any('Secret c: az2.conf: [global] fsid: is mi' in p for p in told)


@pytest.mark.parametrize(
    'documents', [(), (secret('a', {'password': 'x'}),), ({'kind': 'Pod'},)]
)
def test_what_has_no_secret_of_ceph_is_an_error(documents):
    [problem] = problems(*documents)

    assert "'oc get secret ceph-conf-files -o yaml'" in problem
