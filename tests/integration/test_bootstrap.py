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
"""What bootstrap issues and renders, tried by the servers it is for."""

from collections.abc import Iterator
import json
from pathlib import Path

import pytest

from lab import deployment
from tests.integration import bootstrapped


@pytest.fixture
def at(running_lab: deployment.Lab) -> dict[str, int]:
    """Where each site's Glance listens."""
    running_lab.up()
    return bootstrapped.free_ports(running_lab, running_lab.sites)


@pytest.fixture
def bootstrap(
    running_lab: deployment.Lab, at: dict[str, int], tmp_path: Path
) -> Iterator[bootstrapped.Bootstrap]:
    document = bootstrapped.describe(
        running_lab, at, tmp_path / 'data', 'external'
    )
    made = bootstrapped.Bootstrap(running_lab, tmp_path, document)
    yield made
    made.write(document)
    made.revoke_all()


def test_servers_started_from_what_is_rendered_pass_all_checks(
    bootstrap: bootstrapped.Bootstrap, at: dict[str, int]
) -> None:
    rows = bootstrap.read('keys', '--apply')
    assert {row['Site'] for row in rows} == set(at)
    again = bootstrap.read('keys', '--apply')
    assert {row['To do'] for row in again} == {'as it should be'}
    bootstrap.render()

    with bootstrapped.started(bootstrap.glances(at)):
        found = bootstrap.read('verify', '--size', '12MiB', '--timeout', '120')

    assert {row['Result'] for row in found} == {'ok'}, found
    checks = [row['Check'] for row in found]
    assert checks.count('bytes') == len(at)
    assert checks.count('stores') == len(at)
    # Each site's key at its own cluster and at central's, in three pools,
    # and the agent's everywhere in one.
    pairs = len(at) + 2 * (len(at) - 1)
    assert checks.count('key opens') == 3 * pairs + len(at)


def test_what_does_not_work_is_found(
    bootstrap: bootstrapped.Bootstrap, at: dict[str, int]
) -> None:
    bootstrap.run('keys', '--apply')
    bootstrap.render()
    # Somebody has taken a key back, and nobody knows.
    state = json.loads(bootstrap.state.read_text())
    bootstrap.run(
        *('keys', 'revoke', 'client.external', '--site', 'dcn1', '--apply')
    )
    bootstrap.state.write_text(json.dumps(state))

    found = bootstrap.read('verify', '--check', 'keys', code=1)

    bad = {row['Site'] for row in found if row['Result'] != 'ok'}
    assert bad == {'dcn1 -> dcn1', 'central -> dcn1'}


def test_rotated_key_is_handed_over_while_both_serve(
    bootstrap: bootstrapped.Bootstrap, at: dict[str, int]
) -> None:
    bootstrap.run('keys', '--apply')
    bootstrap.render()
    words = ('client.external', '--site', 'dcn0', '--apply')
    check = ('verify', '--check', 'keys')
    before = json.loads(bootstrap.state.read_text())

    bootstrap.run('keys', 'rotate', *words)

    after = bootstrap.state.read_text()
    try:
        assert {r['Result'] for r in bootstrap.read(*check)} == {'ok'}
        bootstrap.state.write_text(json.dumps(before))
        assert {r['Result'] for r in bootstrap.read(*check)} == {'ok'}
        bootstrap.state.write_text(after)
        bootstrap.render()
        etc = bootstrap.out / 'dcn0' / 'etc' / 'ceph'
        keyring = (etc / 'dcn0.client.external.keyring').read_text()
        assert '[client.external]' in keyring
        assert '[client.external-r1]' in keyring
        bootstrap.run('keys', 'retire', *words)
        after = bootstrap.state.read_text()
        assert {r['Result'] for r in bootstrap.read(*check)} == {'ok'}
        bootstrap.state.write_text(json.dumps(before))
        found = bootstrap.read(*check, code=1)
    finally:
        bootstrap.state.write_text(after)
    bad = {row['Site'] for row in found if row['Result'] != 'ok'}
    assert bad == {'dcn0 -> dcn0', 'central -> dcn0'}


def test_another_cluster_than_meant_is_not_touched(
    running_lab: deployment.Lab,
    bootstrap: bootstrapped.Bootstrap,
    at: dict[str, int],
    tmp_path: Path,
) -> None:
    """All clusters have entities of the same names."""
    bootstrap.run('keys', '--apply')
    right = bootstrapped.describe(
        running_lab, at, tmp_path / 'data', 'external'
    )
    wrong = json.loads(json.dumps(right))
    ceph = wrong['sites']['dcn1']['deploy']['ceph']
    ceph['admin_conf'] = running_lab.ceph_conf('dcn0')
    bootstrap.write(wrong)

    for command in ('rotate', 'revoke'):
        words = ('client.external', '--site', 'dcn1', '--apply')
        refused = bootstrap.run('keys', command, *words, code=2)
        assert 'is that of dcn0' in refused.stderr
    bootstrap.run('keys', '--apply', code=3)

    bootstrap.write(right)
    found = bootstrap.read('verify', '--check', 'keys')
    assert {row['Result'] for row in found} == {'ok'}


def test_no_secret_is_shown_and_files_are_for_their_owner(
    bootstrap: bootstrapped.Bootstrap, at: dict[str, int]
) -> None:
    ran = [bootstrap.run('keys', '--apply')]
    bootstrap.render()
    etc = str(bootstrap.out / '{site}' / 'etc' / 'ceph')
    other = ('--out', str(bootstrap.out), '--etc', f'{etc}/other')
    for target in ('ceph', 'glance'):
        ran.append(
            bootstrap.run(
                'render', '--target', target, *other, '--diff', code=1
            )
        )
    ran.append(bootstrap.run('verify', '--check', 'keys'))

    for secret in bootstrap.secrets():
        assert all(secret not in r.stdout + r.stderr for r in ran)
        for path in bootstrap.directory.rglob('*'):
            if path.is_file() and secret in path.read_text():
                assert path.stat().st_mode & 0o077 == 0, path


def test_site_is_removed_once_central_needs_it_no_more(
    running_lab: deployment.Lab,
    bootstrap: bootstrapped.Bootstrap,
    at: dict[str, int],
    tmp_path: Path,
) -> None:
    bootstrap.run('keys', '--apply')
    whole = bootstrapped.describe(
        running_lab, at, tmp_path / 'data', 'external'
    )
    rest = json.loads(json.dumps(whole))
    del rest['sites']['dcn1']
    refused = bootstrap.run('remove', 'dcn1', '--apply', code=1)
    assert 'still has the store dcn1' in refused.stderr
    bootstrap.write(rest)
    bootstrap.render()

    with bootstrapped.started(bootstrap.glances({'central': at['central']})):
        bootstrap.use_glance(whole['central']['deploy']['glance']['url'])
        bootstrap.write(whole)
        bootstrap.run('remove', 'dcn1', '--apply')

    assert 'dcn1' not in json.loads(bootstrap.state.read_text())['clusters']
    found = {
        row['Site']: row['To do']
        for row in bootstrap.read('keys')
        if row['Entity'] == 'client.external'
    }
    assert found == {
        'central': 'as it should be',
        'dcn0': 'as it should be',
        'dcn1': 'have the cluster make it',
    }


def test_clusters_that_run_are_taken_over(
    running_lab: deployment.Lab,
    bootstrap: bootstrapped.Bootstrap,
    at: dict[str, int],
    tmp_path: Path,
) -> None:
    bootstrap.run('keys', '--apply')
    state = json.loads(bootstrap.state.read_text())
    live = [
        word
        for site in at
        for word in ('--live', f'{site}={running_lab.ceph_conf(site)}')
    ]
    adopted = tmp_path / 'adopted.json'

    bootstrap.adopt(
        *(*live, '--central', 'central', '--user', 'external'),
        *('--out', str(tmp_path / 'adopted.yaml'), '--state', str(adopted)),
    )

    clusters = json.loads(adopted.read_text())['clusters']
    for site in at:
        expected = state['clusters'][site]
        assert clusters[site]['fsid'] == expected['fsid']
        assert clusters[site]['monitors'] == expected['monitors']
        found = clusters[site]['entities']['client.external']
        assert found == expected['entities']['client.external']
