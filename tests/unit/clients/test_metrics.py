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
"""What the agent tells Prometheus, and the other pages beside that."""

import contextlib
from pathlib import Path
import re
import socket
import urllib.error
import urllib.request

import pytest

from dcn_distributor import exceptions
from dcn_distributor.clients import metrics as all_metrics
from dcn_distributor.clients import web
from dcn_distributor.conf import metrics
from dcn_distributor.core import observing
from tests.fakes import standings

TOP = Path(__file__).resolve().parent.parent.parent.parent
PAGE = TOP / 'doc' / 'source' / 'operate.rst'
LOOPBACK = metrics.Address('127.0.0.1', 0)


@pytest.fixture
def told():
    told = all_metrics.Metrics()
    told.watch(
        lambda: standings.STANDING, lambda: {('other', 'ignored'): 4}, '1.2.3'
    )
    # Whoever reads first sees what counts from 0 the next time.
    list(told.families())
    standings.tell(told)
    return told


def samples(told):
    """What is told, by name and labels."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in told.families()
        for sample in family.samples
        if sample.name.startswith('dcn_distributor')
    }


def test_numbers_are_those_of_the_agent(told):
    seen = samples(told)

    name = 'dcn_distributor'
    assert seen[f'{name}_replicas', 'dcn0', 'present'] == 3
    assert seen[f'{name}_desired_replicas', 'dcn0'] == 4
    assert seen[f'{name}_last_converged_timestamp_seconds', 'dcn0'] == 900
    assert seen[f'{name}_last_resync_timestamp_seconds',] == 1000
    assert seen[f'{name}_objective_ratio', 'dcn0'] == 1.5
    assert seen[f'{name}_members',] == 3
    assert seen[f'{name}_link_transfers_active', 'north'] == 2
    assert seen[f'{name}_link_limit_bytes_per_second', 'north'] == 2**20
    assert seen[f'{name}_transfers_active', 'dcn0'] == 2
    assert seen[f'{name}_site_reachable', 'dcn0'] == 1
    assert seen[f'{name}_queue_depth',] == 5
    assert seen[f'{name}_policy_generation',] == 7
    assert seen[f'{name}_policy_load_errors_total',] == 1
    assert seen[f'{name}_policy_last_load_successful',] == 0
    assert seen[f'{name}_build_info', '1.2.3'] == 1
    assert seen[f'{name}_events_total', 'other', 'ignored'] == 4
    sent = f'{name}_transfer_bytes_total'
    assert seen[sent, 'dcn0', 'rbd-stream'] == 2**20


def test_what_happens_is_counted(told):
    seen = samples(told)

    name = 'dcn_distributor'
    assert seen[f'{name}_attempts_total', 'dcn0', 'failed'] == 1
    assert seen[f'{name}_verify_failures_total', 'dcn0', 'copy'] == 1
    assert seen[f'{name}_reconcile_duration_seconds_sum',] == 0.2
    assert seen[f'{name}_event_lag_seconds_bucket', '1.0'] == 0
    assert seen[f'{name}_event_lag_seconds_bucket', '3.0'] == 1
    took = f'{name}_transfer_duration_seconds_sum'
    assert seen[took, 'rbd-stream', '1GiB'] == 40


def test_a_site_is_counted_from_0(told):
    seen = samples(told)

    for attempt in set(observing.Attempt) - {observing.Attempt.FAILED}:
        key = ('dcn_distributor_attempts_total', 'dcn0', attempt.value)
        assert seen[key] == 0


def test_an_agent_that_has_not_looked_yet_tells_what_it_knows():
    told = all_metrics.Metrics()
    standing = observing.Standing(None, {}, {}, 0, {}, 0, 0, False, 1, {})
    told.watch(lambda: standing, dict, '1.2.3')

    seen = samples(told)

    assert seen['dcn_distributor_policy_last_load_successful',] == 1
    assert ('dcn_distributor_last_resync_timestamp_seconds',) not in seen


def test_documentation_has_each_metric_with_its_labels(told):
    documented = {
        name: tuple(labels.split(', ')) if labels else ()
        for name, labels in re.findall(
            r'^   \* - ``(\w+)``(?: \{(.*)\})?$', PAGE.read_text(), re.M
        )
    }

    known = {}
    for family in told.families():
        if family.name.startswith('dcn_distributor'):
            name = family.name + '_total' * (family.type == 'counter')
            # A histogram's bounds are no label of ours.
            known[name] = tuple(
                label for label in family.samples[0].labels if label != 'le'
            )

    assert documented == known


def test_labels_come_from_a_fixed_set(told):
    labels = {
        label
        for family in told.families()
        for sample in family.samples
        for label in sample.labels
    }

    assert labels == {
        'class', 'kind', 'le', 'link', 'method', 'result', 'site',
        'size_class', 'state', 'type', 'version',
    }  # fmt: skip


# -- the pages


def ask(port, path, host='127.0.0.1', method='GET'):
    """Ask for a page; give the status and the text."""
    asked = urllib.request.Request(
        f'http://{host}:{port}{path}', method=method
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read().decode()


@contextlib.contextmanager
def serving(pages, address=LOOPBACK):
    """Answer while within; gives the port."""
    server = web.Server(address, pages)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


@pytest.mark.parametrize(
    ('checks', 'status', 'text'),
    [
        ([('a', True, 'fine')], 200, 'a: ok: fine\n'),
        (
            [('a', True, 'fine'), ('b', False, 'in\nlines')],
            503,
            'a: ok: fine\nb: failed: in lines\n',
        ),
    ],
)
def test_a_page_of_checks_is_good_if_all_are(checks, status, text):
    page = web.check_page(lambda: [observing.Check(*one) for one in checks])

    with serving({'/checks': page}) as port:
        assert ask(port, '/checks') == (status, text)


def test_whoever_asks_for_another_page_is_told_which_there_are(told):
    with serving({'/metrics': told.page()}) as port:
        assert ask(port, '/') == (404, '/metrics\n')
        assert ask(port, '/metrics', method='POST')[0] == 405
        status, text = ask(port, '/metrics')

    assert status == 200
    assert 'dcn_distributor_queue_depth 5.0' in text


def test_an_address_of_ipv6_is_one_too(told):
    try:
        socket.create_server(('::1', 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip('this host has no IPv6')

    address = metrics.Address('::1', 0)
    with serving({'/metrics': told.page()}, address) as port:
        assert ask(port, '/metrics', host='[::1]')[0] == 200
    assert str(metrics.Address('::1', 80)) == '[::1]:80'


def test_a_port_that_is_taken_is_an_error_that_names_it():
    with serving({}) as port:
        second = web.Server(metrics.Address('127.0.0.1', port), {})
        with pytest.raises(
            exceptions.AddressUnavailable, match=f'127.0.0.1:{port} cannot'
        ):
            second.start()
        second.stop()


def test_one_who_says_nothing_keeps_nobody_waiting():
    page = web.check_page(tuple)
    with (
        serving({'/checks': page}) as port,
        socket.create_connection(('127.0.0.1', port)),
    ):
        assert ask(port, '/checks') == (200, '')
