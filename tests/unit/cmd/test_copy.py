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
"""dcn-distributor copy: the order, the waiting, and what came of it."""

import csv
import io

import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import choosing
from tests.unit.cmd import agencies

GIB = 2**30


@pytest.fixture
def agency(capsys):
    return agencies.Agency(capsys.readouterr)


@pytest.fixture
def image_id(agency):
    return agency.world.add('cirros')


def interrupt():
    raise KeyboardInterrupt


def test_an_order_is_taken_and_the_copy_comes(agency, image_id):
    code, out, err = agency.run('cirros', 'dcn0', 'dcn1')

    assert code == 0
    assert out.startswith('The agent on ')
    assert out.endswith(' copies cirros to dcn0 and dcn1.\n')
    assert err == ''
    assert agency.world.stores(image_id) == set()
    agency.world.run(20)
    assert agency.world.stores(image_id) == {'dcn0', 'dcn1'}


def test_what_is_refused_is_3_or_1(agency, image_id):
    agency.world.streams.obstructed = {'dcn1': ('the caps are too narrow',)}

    code, out, _ = agency.run(
        image_id, 'dcn0', 'dcn1', '--engine', 'rbd-stream'
    )

    assert code == 3
    assert 'copies cirros to dcn0.\n' in out
    assert 'Refused for dcn1: ' in out
    assert 'the caps are too narrow' in out
    assert agency.run(image_id, 'dcn1', '--engine', 'rbd-stream')[0] == 1


def test_a_site_that_has_the_copy_is_told_and_not_ordered(agency, image_id):
    agency.world.glance.change(image_id, stores=frozenset({'central', 'dcn0'}))

    assert agency.run('cirros', 'dcn0') == (
        0,
        'cirros is at dcn0 already.\n',
        '',
    )
    assert agency.copies == 0
    code, found = agency.records('cirros', 'dcn0', 'dcn1', '--wait')
    assert code == 0
    assert found['dcn0']['notes'] == ['it was there already']
    assert found['dcn0']['engine'] is None
    assert found['dcn1']['engine'] == 'rbd-stream'


@pytest.mark.parametrize('waiting', [(), ('--wait',)])
def test_an_order_waits_for_a_cluster_that_does_not_answer_yet(
    agency, image_id, waiting
):
    not_yet = choosing.Passing('its cluster has not answered yet')
    agency.world.streams.obstructed = {'dcn1': (not_yet,)}

    def answer():
        agency.world.streams.heal()
        agency.world.resync()

    agency.after(200, answer)
    code, out, err = agency.run(
        image_id, 'dcn0', 'dcn1', '--engine', 'rbd-stream', *waiting
    )

    assert code == 0
    told = err if waiting else out
    assert 'dcn1 waits: the order is for rbd-stream, which cannot' in told
    assert told.count('has not answered yet') == 1
    if not waiting:
        agency.world.run(10)
        answer()
        agency.world.run(20)
    assert agency.world.stores(image_id) == {'dcn0', 'dcn1'}


def test_an_agent_without_an_answer_of_glance_takes_the_order(
    agency, image_id
):
    order = agency.copy

    def copy(*args):
        agency.world.glance.go_down()
        try:
            return order(*args)
        finally:
            agency.world.glance.come_up()

    agency.copy = copy

    code, out, _ = agency.run(image_id, 'dcn0')

    assert code == 0
    assert 'dcn0 waits: the fake Glance is down' in out
    agency.world.run(20)
    assert agency.world.stores(image_id) == {'dcn0'}


def test_waiting_tells_progress_by_lines_and_then_the_result(agency, image_id):
    code, out, err = agency.run('cirros', 'dcn0', 'dcn1', '--wait')

    assert code == 0
    for site in ('dcn0', 'dcn1'):
        told = [line for line in err.splitlines() if line.startswith(site)]
        assert [line.partition(', ')[0] for line in told] == [
            f'{site}: waiting',
            f'{site}: copying',
            f'{site}: publishing',
            f'{site}: registering',
            f'{site}: present',
        ]
        assert told[1].endswith('copying, 0 %, 0 B of 1 GiB')
    assert '| dcn0 | present | rbd-stream | full   |' in out
    assert agency.world.stores(image_id) == {'dcn0', 'dcn1'}


def test_the_result_of_a_stream_is_complete(agency, image_id):
    code, found = agency.records('cirros', 'dcn1', '--wait')

    assert code == 0
    assert found['dcn1'] == {
        'image_id': image_id,
        'site': 'dcn1',
        'store': 'dcn1',
        'state': 'present',
        'engine': 'rbd-stream',
        'source': 'central',
        'verify': 'full',
        'size_bytes': GIB,
        'read_bytes': GIB,
        'sent_bytes': GIB,
        'zero_bytes': 0,
        'resumed_bytes': 0,
        'seconds': found['dcn1']['seconds'],
        'total_seconds': sum(found['dcn1']['seconds'].values()),
        'mib_s': found['dcn1']['mib_s'],
        'notes': [],
        'error': None,
    }


def test_glance_s_own_copies_tell_what_glance_tells(agency, image_id):
    code, found = agency.records(
        'cirros', 'dcn0', '--engine', 'copy-image', '--wait'
    )

    assert code == 0
    assert found['dcn0']['engine'] == 'copy-image'
    assert found['dcn0']['seconds'] == {}
    assert found['dcn0']['sent_bytes'] is None
    assert found['dcn0']['mib_s'] == pytest.approx(
        1024 / found['dcn0']['total_seconds']
    )


def test_glance_s_own_copies_show_what_is_written(agency, image_id):
    glance = agency.world.glance
    glance.hang('dcn0')
    agency.after(5, lambda: glance.copy_some(image_id, 512))
    agency.after(12, glance.heal)

    code, _, err = agency.run(
        'cirros', 'dcn0', '--engine', 'copy-image', '--wait'
    )

    assert code == 0
    assert 'dcn0: copying by Glance, 50 %, 512 MiB of 1 GiB\n' in err


def test_a_try_that_fails_is_told_and_the_next_is_waited_for(agency, image_id):
    agency.world.streams.fail('dcn0')
    agency.after(20, agency.world.streams.heal)

    code, _, err = agency.run(
        'cirros', 'dcn0', 'dcn1', '--engine', 'rbd-stream', '--wait'
    )

    assert code == 0
    assert err.count('dcn0 waits: dcn0 is away\n') == 1
    assert agency.world.stores(image_id) == {'dcn0', 'dcn1'}


def test_what_fails_for_good_ends_the_waiting(agency, image_id):
    agency.world.streams.damage('dcn1')

    code, found = agency.records(
        'cirros', 'dcn0', 'dcn1', '--engine', 'rbd-stream', '--wait'
    )

    assert code == 3
    assert found['dcn0']['state'] == 'present'
    assert found['dcn1']['state'] == 'failed'
    assert found['dcn1']['error'] == 'it is not what was sent'
    assert (
        agency.records('cirros', 'dcn1', '--engine', 'rbd-stream', '--wait')[0]
        == 1
    )


def test_what_failed_before_the_order_is_not_taken_for_its_end(
    agency, image_id
):
    agency.world.streams.damage('dcn0')
    agency.run('cirros', 'dcn0', '--engine', 'rbd-stream', '--wait')
    agency.world.streams.heal()

    code, found = agency.records(
        'cirros', 'dcn0', '--engine', 'rbd-stream', '--wait'
    )

    assert (code, found['dcn0']['error']) == (0, None)


def test_an_order_that_a_new_agent_does_not_know_is_given_again(
    agency, image_id
):
    agency.after(2, agency.restart)

    code, _, err = agency.run('cirros', 'dcn0', 'dcn1', '--wait')

    assert code == 0
    assert err.count('did not know of the order any more; it has it ag') == 1
    assert agency.copies == 2
    assert agency.world.stores(image_id) == {'dcn0', 'dcn1'}


def test_an_agent_that_is_new_may_refuse_the_order_for_a_while(
    agency, image_id
):
    def restart():
        agency.restart()
        agency.world.streams.obstructed = {'dcn0': ('not checked yet',)}

    agency.world.streams.hang('dcn0')
    agency.after(2, restart)
    agency.after(20, lambda: agency.world.streams.heal())

    code, _, err = agency.run(
        'cirros', 'dcn0', '--engine', 'rbd-stream', '--wait'
    )

    assert code == 0
    assert err.count('not checked yet') == 1
    assert err.count('it has it again\n') == 1
    assert agency.world.stores(image_id) == {'dcn0'}


def test_a_new_agent_that_refuses_the_order_for_good_ends_the_waiting(
    agency, image_id
):
    def restart():
        agency.restart()
        agency.world.streams.obstructed = {'dcn0': ('no caps',)}

    agency.world.streams.hang('dcn0')
    agency.after(2, restart)

    code, found = agency.records(
        'cirros', 'dcn0', '--engine', 'rbd-stream', '--wait'
    )

    assert (code, found['dcn0']['state']) == (1, 'refused')
    assert 'no caps' in found['dcn0']['error']


def test_an_order_is_not_given_again_while_the_agent_knows_it(
    agency, image_id
):
    agency.world.streams.fail('dcn0')
    agency.after(300, agency.world.streams.heal)

    assert (
        agency.run('cirros', 'dcn0', '--engine', 'rbd-stream', '--wait')[0]
        == 0
    )
    assert agency.copies == 1


def test_an_agent_that_is_away_is_told_once_and_waited_for(agency, image_id):
    agency.after(2, lambda: setattr(agency, 'is_away', True))
    agency.world.streams.hang('dcn0')
    agency.after(30, lambda: setattr(agency, 'is_away', False))
    agency.after(30, agency.world.streams.heal)

    code, _, err = agency.run('cirros', 'dcn0', '--wait')

    assert code == 0
    assert err.count('waiting on, without an answer: no agent answered') == 1
    assert err.count('the agent answers again\n') == 1


class SlowAnswer:
    """An agent that heeds an order only after the command lost patience."""

    def __init__(self, agency, after_s):
        self._agency, self._after_s = agency, after_s
        self._order = agency.copy

    def copy(self, *order):
        """See clients.bus.control.Agent."""
        self._agency.copy = self._order
        if self._after_s:
            self._agency.after(self._after_s, lambda: self._order(*order))
        else:
            self._order(*order)
        raise exceptions.BusUnavailable('no agent answered within 30 s')


@pytest.mark.parametrize('after_s', [0, 1, 30])
def test_an_order_that_is_heeded_late_is_followed(agency, image_id, after_s):
    agency.copy = SlowAnswer(agency, after_s).copy

    code, _, err = agency.run('cirros', 'dcn0', '--wait')

    assert code == 0
    assert ('may have taken the order' in err) == bool(after_s)
    assert agency.world.stores(image_id) == {'dcn0'}


def test_an_order_that_failed_before_is_not_taken_for_one_heeded_late(
    agency, image_id
):
    agency.world.streams.damage('dcn0')
    by_stream = ('cirros', 'dcn0', '--engine', 'rbd-stream', '--wait')
    assert agency.run(*by_stream)[0] == 1
    agency.world.streams.heal()
    agency.copy = SlowAnswer(agency, 30).copy

    assert agency.run(*by_stream)[0] == 0
    agency.world.streams.damage('dcn1')
    agency.copy = SlowAnswer(agency, 30).copy
    assert agency.run('cirros', 'dcn1', *by_stream[2:])[0] == 1


def test_an_order_that_nobody_waits_for_may_have_been_taken(agency, image_id):
    agency.copy = SlowAnswer(agency, 30).copy

    code, out, err = agency.run('cirros', 'dcn0')

    assert (code, out) == (1, '')
    assert 'within 30 s (it may have taken the order all the same)' in err

    agency.copy = SlowAnswer(agency, 0).copy
    code, out, err = agency.run('cirros', 'dcn0')
    assert (code, err) == (0, '')
    assert 'copies cirros to dcn0' in out


def test_a_copy_that_comes_while_no_agent_answers_is_seen(agency, image_id):
    agency.after(1, lambda: setattr(agency, 'is_away', True))

    code, found = agency.records('cirros', 'dcn0', '--wait')

    assert code == 0
    assert found['dcn0']['state'] == 'present'


def test_a_glance_that_is_down_is_told_once_and_waited_for(agency, image_id):
    agency.after(2, agency.world.glance.go_down)
    agency.after(20, agency.world.glance.come_up)

    code, _, err = agency.run('cirros', 'dcn0', '--wait')

    assert code == 0
    assert err.count('without an answer: the fake Glance is down\n') == 1
    assert err.count('Glance answers again\n') == 1


def test_an_image_that_is_deleted_meanwhile_ends_the_waiting(agency, image_id):
    agency.world.streams.hang('dcn0')
    agency.after(3, lambda: agency.world.glance.delete(image_id))

    code, found = agency.records('cirros', 'dcn0', '--wait')

    assert code == 1
    assert found['dcn0']['state'] == 'failed'
    assert found['dcn0']['error'] == 'the image is gone'


def test_interrupting_ends_the_waiting_and_not_the_copy(agency, image_id):
    agency.after(2, interrupt)

    code, out, err = agency.run('cirros', 'dcn0', '--wait')

    assert (code, out) == (130, '')
    assert err.endswith(
        'Interrupted: the waiting ends, and the copies go on; see '
        f'dcn-distributor status {image_id}\n'
    )
    agency.world.run(20)
    assert agency.world.stores(image_id) == {'dcn0'}


def test_the_timeout_ends_the_waiting_with_what_there_is(agency, image_id):
    agency.world.streams.hang('dcn1')

    code, out, err = agency.run(
        'cirros', 'dcn0', 'dcn1', '--wait', '--timeout', '30'
    )

    assert code == 3
    assert '| dcn0 | present |' in out
    assert '| dcn1 | copying |' in out
    assert 'Not all is there after 30 s: the waiting ends, and the' in err
    assert agency.run(image_id, 'dcn1', '--wait', '--timeout', '5')[0] == 1


def test_without_an_agent_it_is_1(agency, image_id):
    agency.is_away = True

    assert agency.run('cirros', 'dcn0', '--wait') == (
        1,
        '',
        'dcn-distributor: no agent answered within 3 s\n',
    )


@pytest.mark.parametrize(
    ('argv', 'code', 'message'),
    [
        (['nope', 'dcn0'], 1, 'no image is called nope'),
        (['cirros', 'dcn3'], 2, 'there is no site dcn3; did you mean dcn1?'),
        (['cirros', 'central'], 2, 'there is no site central'),
        (['cirros', 'dcn0', '--timeout', '3'], 2, '--timeout needs --wait'),
    ],
)
def test_what_is_not_found_is_told(agency, image_id, argv, code, message):
    told_code, out, err = agency.run(*argv)

    assert (told_code, out) == (code, '')
    assert err.startswith(f'dcn-distributor: {message}')
    assert agency.copies == 0


@pytest.mark.parametrize('seconds', ['0', '-1', 'nan', 'inf', 'x'])
def test_a_timeout_is_a_number_of_seconds(agency, image_id, capsys, seconds):
    with pytest.raises(SystemExit) as caught:
        agency.run('cirros', 'dcn0', '--wait', f'--timeout={seconds}')

    assert caught.value.code == 2
    assert 'argument --timeout: invalid _seconds value' in (
        capsys.readouterr().err
    )


def test_csv_tells_the_same(agency, image_id):
    _, out, _ = agency.run('cirros', 'dcn0', '--wait', '-f', 'csv')

    [row] = csv.DictReader(io.StringIO(out))
    assert row['state'] == 'present'
    assert 'copying ' in row['seconds'] or row['seconds'] == ''


def test_sites_without_streams_are_served_by_glance(capsys):
    agency = agencies.Agency(
        capsys.readouterr,
        options=choosing.Options(engines=(choosing.COPY_IMAGE,)),
    )
    agency.world.add('cirros')

    code, found = agency.records('cirros', 'dcn0', '--wait')

    assert (code, found['dcn0']['engine']) == (0, 'copy-image')


def test_no_access_to_glance_is_1_before_anything_is_ordered(agency, image_id):
    agency.world.glance.go_down(error=exceptions.AccessDenied('no role'))

    assert agency.run(image_id, 'dcn0', '--wait') == (
        1,
        '',
        'dcn-distributor: no role\n',
    )
