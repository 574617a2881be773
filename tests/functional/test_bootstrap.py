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
"""The whole procedure, with a recorder in the place of `openstack`."""

import fcntl
import json
import os
from pathlib import Path
import stat
import subprocess
import sys

import pytest

TOP = Path(__file__).resolve().parent.parent.parent
SAMPLES = TOP / 'etc' / 'dcn_distributor'
COMMAND = str(Path(sys.executable).with_name('dcn-distributor'))

# Notes what it is called with; fails for what FAILS names.
_RECORDER = """\
#!/bin/sh
printf '%s\\n' "$*" >> "$RECORD"
if [ "${*#baremetal node list}" != "$*" ]; then cat "$RECORD.nodes"; fi
if [ -n "$FAILS" ] && [ "${*#*$FAILS}" != "$*" ]; then
    cat control-plane/ceph_keys.yaml
    echo "no valid host was found"
    exit 3
fi
"""


class Operator:
    """Somebody at a shell, with a sites.yaml."""

    def __init__(self, directory: Path, topology: str) -> None:
        self.directory = directory
        self.out = directory / 'out'
        self.state = directory / 'state.json'
        self.sites = directory / 'sites.yaml'
        self.sites.write_text(
            (SAMPLES / f'sites-{topology}.yaml.sample').read_text()
        )
        self._record = directory / 'record'
        recorder = directory / 'bin' / 'openstack'
        recorder.parent.mkdir()
        recorder.write_text(_RECORDER)
        recorder.chmod(0o755)

    def run(
        self,
        *words: str,
        code: int = 0,
        fails: str = '',
        sites: Path | None = None,
        state: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command of bootstrap, and see how it ends."""
        files = ['--sites', str(sites or self.sites)]
        if words[0] == 'adopt':
            files = []
        path = f'{self.directory / "bin"}:{os.environ["PATH"]}'
        ran = subprocess.run(
            [
                *(COMMAND, 'bootstrap', *words),
                *(*files, '--state', str(state or self.state)),
            ],
            check=False,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                'PATH': path,
                'RECORD': str(self._record),
                'FAILS': fails,
            },
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran

    def apply(
        self, *words: str, code: int = 0, fails: str = ''
    ) -> subprocess.CompletedProcess[str]:
        """Do all that is to be done."""
        return self.run(
            *('apply', '--out', str(self.out), '--apply', *words),
            code=code,
            fails=fails,
        )

    def plan(self) -> dict[str, str]:
        """Read the state of every step."""
        ran = self.run('plan', '--out', str(self.out), '-f', 'json')
        return {row['Step']: row['State'] for row in json.loads(ran.stdout)}

    def called(self) -> list[str]:
        """Read what the deployment tool was called with, and forget it."""
        if not self._record.exists():
            return []
        lines = self._record.read_text().splitlines()
        self._record.unlink()
        return lines

    def enroll(self, *nodes: dict[str, object]) -> None:
        """Say what the bare metal service has."""
        path = self._record.with_name(f'{self._record.name}.nodes')
        path.write_text(json.dumps(nodes))

    def files(self) -> dict[str, bytes]:
        """Read all files that were rendered, but no logs."""
        return {
            str(path.relative_to(self.out)): path.read_bytes()
            for path in self.out.rglob('*')
            if path.is_file() and 'logs' not in path.parts
        }

    def secrets(self) -> set[str]:
        """Read all secrets that were issued."""
        state = json.loads(self.state.read_text())
        return {
            entity['key']
            for cluster in state['clusters'].values()
            for entity in cluster['entities'].values()
        }


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path, 'multi-ceph')


def _stacks(called: list[str], words: str) -> list[str]:
    """Which stacks a command was called for, in order."""
    return [
        line.split(' --stack ')[1].split()[0]
        for line in called
        if line.startswith(words)
    ]


def test_nothing_is_done_before_it_is_asked_for(operator: Operator) -> None:
    plan = operator.plan()
    operator.run('apply', '--out', str(operator.out))

    assert set(plan.values()) == {'to do'}
    assert operator.called() == []
    assert not operator.out.exists()
    assert not operator.state.exists()


def test_all_is_done_in_the_order_of_the_documents_and_once(
    operator: Operator,
) -> None:
    operator.apply()

    called = operator.called()
    assert _stacks(called, 'overcloud deploy') == [
        'control-plane', 'dcn0', 'dcn1', 'control-plane',
    ]  # fmt: skip
    states = operator.plan()
    assert states.pop('verify') == 'to do'
    assert set(states.values()) == {'done'}
    before = operator.files()

    operator.apply()

    assert operator.called() == []
    assert operator.files() == before


def test_shorter_order_deploys_every_stack_once(operator: Operator) -> None:
    operator.apply('--release', 'xena')

    called = operator.called()
    assert _stacks(called, 'overcloud deploy') == [
        'control-plane', 'dcn0', 'dcn1',
    ]  # fmt: skip
    assert (operator.out / 'dcn0' / 'cephadm' / 'vars.yaml').exists()
    first = [line.split()[1] for line in called]
    assert first.index('ceph') > first.index('node')
    assert first.index('deploy') > first.index('ceph')


def test_procedure_stops_at_a_failure_and_goes_on_there(
    operator: Operator,
) -> None:
    ran = operator.apply(code=1, fails='deploy --stack dcn0')

    assert 'deploy dcn0' in ran.stderr
    assert 'no valid host was found' in ran.stderr
    assert '(a secret)' in ran.stderr
    assert all(secret not in ran.stderr for secret in operator.secrets())
    called = operator.called()
    assert _stacks(called, 'overcloud deploy') == ['control-plane', 'dcn0']
    assert operator.plan()['deploy dcn0'] == 'to do'

    operator.apply()

    called = operator.called()
    assert called[0].startswith('overcloud deploy --stack dcn0')
    assert _stacks(called, 'overcloud deploy') == [
        'dcn0', 'dcn1', 'control-plane',
    ]  # fmt: skip


def test_commands_are_only_printed_on_request(operator: Operator) -> None:
    ran = operator.apply('--print-commands')

    assert operator.called() == []
    assert ran.stdout.count('\nopenstack overcloud deploy ') == 4
    assert operator.plan()['deploy dcn0'] == 'to do'


def test_site_is_added_without_touching_the_others(
    operator: Operator,
) -> None:
    operator.apply()
    operator.called()
    before, secrets = operator.files(), operator.secrets()
    text = operator.sites.read_text()
    begin = text.index('  dcn1:\n')
    added = text[begin:].replace('dcn1', 'dcn2').replace('dcn-hci', 'hci2')
    added = added.replace('oc0-ceph-3', 'oc0-ceph-5')
    added = added.replace('oc0-ceph-4', 'oc0-ceph-6')
    added = added.replace('a62', 'a63').replace('number: 1', 'number: 2')
    added = added.replace('172.16.11.246', '172.16.11.247')
    operator.sites.write_text(text + added)

    operator.apply()

    after = operator.files()
    changed = {path for path in before if after[path] != before[path]}
    assert changed == {
        'control-plane/ceph_keys_update.yaml',
        'control-plane/glance_update.yaml',
        'deploy.sh',
    }
    assert any(path.startswith('dcn2/') for path in after)
    assert secrets < operator.secrets()
    assert _stacks(operator.called(), 'overcloud deploy') == [
        'dcn2', 'control-plane',
    ]  # fmt: skip


def test_change_has_just_its_own_steps_done_again(
    operator: Operator,
) -> None:
    operator.apply()
    operator.called()
    text = operator.sites.read_text()
    operator.sites.write_text(
        text.replace('      number: 1\n', '      number: 1\n      az: north\n')
    )

    states = operator.plan()
    operator.apply()

    again = {step for step, state in states.items() if 'again' in state}
    assert again == {'deploy dcn1'}
    assert _stacks(operator.called(), 'overcloud deploy') == ['dcn1']


@pytest.mark.parametrize('topology', ['multi-ceph', 'glance-cache'])
def test_no_secret_is_shown_or_for_others_to_read(
    tmp_path: Path, topology: str
) -> None:
    operator = Operator(tmp_path, topology)
    ran = [operator.apply(), operator.run('keys')]
    ran.append(operator.run('plan', '--out', str(operator.out), '--long'))
    called = operator.called()

    secrets = operator.secrets() if operator.state.exists() else set()

    assert bool(secrets) is (topology == 'multi-ceph')
    holders = 0
    for secret in secrets:
        assert all(secret not in each.stdout + each.stderr for each in ran)
        assert all(secret not in line for line in called)
        for path in tmp_path.rglob('*'):
            if path.is_file() and secret.encode() in path.read_bytes():
                holders += 1
                assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert holders or not secrets


def test_two_runs_at_once_do_not_meet(operator: Operator) -> None:
    lock = operator.directory / 'state.json.lock'
    with lock.open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        ran = operator.apply(code=2)

    assert 'another bootstrap is at work' in ran.stderr
    assert operator.called() == []


def test_state_that_others_can_read_is_refused(operator: Operator) -> None:
    operator.run('keys', '--apply')
    operator.state.chmod(0o644)

    ran = operator.run('keys', code=2)

    assert 'chmod 600' in ran.stderr
    for secret in operator.secrets():
        assert secret not in ran.stderr


def _node(name: str, state: str, capabilities: str) -> dict[str, object]:
    return {
        'name': name,
        'uuid': f'uuid-of-{name}',
        'provision_state': state,
        'maintenance': False,
        'instance_uuid': None,
        'properties': {'capabilities': capabilities},
    }


def _machines(state: str = 'available') -> list[dict[str, object]]:
    names = [f'oc0-controller-{n}' for n in range(3)]
    names += [f'oc0-ceph-{n}' for n in range(5)]
    return [_node(name, state, 'cpu_vt:true') for name in names]


def test_machines_are_tagged_and_keep_what_else_they_are(
    operator: Operator,
) -> None:
    operator.enroll(*_machines())

    operator.run('nodes')
    assert len(operator.called()) == 1
    operator.run('nodes', '--apply')

    called = operator.called()[1:]
    assert len(called) == 8
    assert called[0] == (
        'baremetal node set oc0-controller-0 --property capabilities='
        'node:0-controller-0,boot_option:local,cpu_vt:true'
    )


def test_no_machine_is_tagged_if_one_is_busy(operator: Operator) -> None:
    machines = _machines()
    machines[4]['provision_state'] = 'active'
    operator.enroll(*machines)

    ran = operator.run('nodes', '--apply', code=2)

    assert 'oc0-ceph-1' in ran.stderr
    assert len(operator.called()) == 1


def test_site_is_taken_out_in_order(operator: Operator) -> None:
    rows = json.loads(operator.run('remove', 'dcn1', '-f', 'json').stdout)

    steps = [row['Step'] for row in rows]
    assert steps == [
        'policies', 'copies', 'central', 'keys',
        'rotate client.glance of central', 'delete dcn1',
    ]  # fmt: skip
    operator.run('remove', 'central', code=2)


def test_running_cloud_is_taken_over_with_its_secrets(
    operator: Operator,
) -> None:
    operator.run('keys', '--apply')
    operator.run('render', '--target', 'ceph', '--out', str(operator.out))
    etc = operator.out / 'central' / 'etc' / 'ceph'
    sites = operator.directory / 'adopted.yaml'
    state = operator.directory / 'adopted.json'
    words = ('adopt', '--ceph-dir', str(etc), '--central', 'central')

    ran = operator.run(*words, '--out', str(sites), state=state)

    shown = ran.stdout + ran.stderr + sites.read_text()
    assert all(secret not in shown for secret in operator.secrets())
    rows = json.loads(
        operator.run('keys', '-f', 'json', sites=sites, state=state).stdout
    )
    glance = {
        row['Site']: row['To do']
        for row in rows
        if row['Entity'] == 'client.glance'
    }
    assert glance == dict.fromkeys(
        ('central', 'dcn0', 'dcn1'), 'as it should be'
    )
    other = operator.directory / 'out-of-adopted'
    operator.run('keys', '--apply', sites=sites, state=state)
    operator.run(
        *('render', '--target', 'ceph', '--out', str(other)),
        sites=sites,
        state=state,
    )
    for path in etc.iterdir():
        adopted = other / path.relative_to(operator.out)
        assert adopted.read_bytes() == path.read_bytes()
    operator.run(*words, '--out', str(sites), state=state, code=2)


def test_source_without_a_value_is_an_error_that_says_what_to_do(
    operator: Operator,
) -> None:
    etc = operator.directory / 'etc'
    etc.mkdir()
    (etc / 'central.conf').write_text('[global]\nmon_host = 10.0.0.1\n')
    out = operator.directory / 'adopted.yaml'

    ran = operator.run(
        *('adopt', '--ceph-dir', str(etc), '--central', 'central'),
        *('--out', str(out)),
        code=2,
    )

    assert 'fsid' in ran.stderr
    assert 'central.conf' in ran.stderr
    assert not out.exists()


def _keyring(
    directory: Path, name: str, entity: str = 'client.openstack'
) -> Path:
    """Make one, as the administrator of an external cluster does."""
    path = directory / f'{name}.keyring'
    subprocess.run(
        ['ceph-authtool', '-C', str(path), '-n', entity, '-g'],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return path


def test_keys_of_external_clusters_come_from_their_administrators(
    tmp_path: Path,
) -> None:
    operator = Operator(tmp_path, 'external-ceph')
    refused = operator.apply(code=2)
    assert 'central: the cluster is external' in refused.stderr
    assert operator.called() == []
    for site in ('central', 'dcn1'):
        operator.run(
            *('keys', 'take', str(_keyring(tmp_path, site))),
            *('--site', site),
        )

    refused = operator.apply(code=2)

    # The agent's is another one.
    assert 'client.dcn-distributor' in refused.stderr


def test_keyring_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    operator = Operator(tmp_path, 'multi-ceph')
    keyring = _keyring(tmp_path, 'other')

    ran = operator.run('keys', 'take', str(keyring), '--site', 'dcn0', code=2)

    assert 'client.openstack' in ran.stderr
    assert 'client.glance' in ran.stderr
    assert not operator.state.exists()


def test_central_is_never_deployed_without_its_sites_again(
    operator: Operator,
) -> None:
    operator.apply()
    operator.called()
    keyring = _keyring(operator.directory, 'new', 'client.glance')
    words = ('keys', 'take', str(keyring), '--site', 'central')
    operator.run(*words, code=2)
    operator.run(*words, '--replace')

    refused = operator.apply('--step', 'update control-plane', code=2)
    assert '--step render' in refused.stderr
    operator.apply()

    deployed = [
        line
        for line in operator.called()
        if line.startswith('overcloud deploy')
    ]
    assert _stacks(deployed, 'overcloud deploy') == [
        'dcn0', 'dcn1', 'control-plane',
    ]  # fmt: skip
    assert 'control-plane/glance_update.yaml' in deployed[-1]


def test_only_the_chosen_site_is_worked_on(operator: Operator) -> None:
    operator.apply('--site', 'dcn0', '--step', 'keys')

    state = json.loads(operator.state.read_text())
    assert set(state['clusters']) == {'dcn0'}


def test_cluster_that_is_away_keeps_no_other_from_its_keys(
    operator: Operator,
) -> None:
    text = operator.sites.read_text()
    operator.sites.write_text(
        text.replace(
            '        monitors: [172.16.11.45]\n',
            '        monitors: [172.16.11.45]\n'
            '        admin_conf: /nowhere/ceph.conf\n',
        )
    )

    ran = operator.run('keys', '--apply', code=3)

    assert '/nowhere/ceph.conf' in ran.stderr
    state = json.loads(operator.state.read_text())
    assert set(state['clusters']) == {'central', 'dcn1'}
