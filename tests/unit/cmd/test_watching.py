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
"""The command status shown again and again, until somebody ends it."""

import io
import os
import pty
import subprocess
import sys

import pytest

from dcn_distributor.cmd import status
from dcn_distributor.cmd import watching
from tests.unit.cmd import desk as desks


class Watch:
    """Somebody who looks at the command; things happen in between."""

    def __init__(self, read):
        self.pauses = []
        self.happens = []
        watched = type(
            'Watched', (status.Status,), {'pause': staticmethod(self._pause)}
        )
        self.desk = desks.Desk(watched, read)
        self.desk.glance.add(
            'cirros', stores=frozenset(self.desk.glance.stores())
        )

    def run(self, *argv):
        """Watch until all has happened; give the code and the frames."""
        code, out, err = self.desk.run('--watch', *argv)
        assert err == ''
        return code, [f'Every {f}' for f in out.split('Every ')[1:]]

    def _pause(self, seconds):
        self.pauses.append(seconds)
        self.desk.now_s += seconds
        if not self.happens:
            raise KeyboardInterrupt
        self.happens.pop(0)()


@pytest.fixture
def watch(capsys):
    return Watch(capsys.readouterr)


def nothing():
    """Happen."""


def test_it_is_shown_each_time_with_the_hour_until_it_is_interrupted(watch):
    watch.happens = [nothing, nothing]

    code, frames = watch.run()

    assert code == 130
    assert len(frames) == 3
    assert watch.pauses == [2.0] * 3
    for frame in frames:
        assert 'agents as of' in frame
        assert 'Glance as of' in frame
        assert frame.count('| cirros |') == 1
        assert '1 image, 2 sites: 2 of 2 wanted copies present' in frame


def test_agents_are_asked_each_time_and_glance_now_and_then(watch):
    desk = watch.desk
    added = desk.glance.add('rhel')
    setbacks = {
        'failures': 1,
        'reason': 'full',
        'next_try_s': None,
        'is_refused': True,
    }

    def fail():
        desk.agent.setbacks = {added.id: {'dcn0': setbacks}}

    def arrive():
        desk.glance.add('debian')

    watch.happens = [fail, arrive, *[nothing] * 5]

    _, frames = watch.run()

    assert 'FAILED' not in frames[0]
    assert 'full' in frames[1]
    # Read at 0 and 10 s, when the pauses of 2 s have come to that.
    seen = ['debian' in frame for frame in frames]
    assert seen == [False] * 5 + [True] * 3


def test_an_outage_is_shown_and_may_pass(watch):
    watch.desk.glance.go_down(1)
    watch.happens = [nothing]

    code, frames = watch.run()

    assert code == 130
    assert 'the fake Glance is down' in frames[0]
    assert '| cirros |' in frames[1]


def test_a_silent_agent_is_shown_in_place(watch):
    watch.desk.agent.is_away = True
    watch.happens = [nothing]

    _, frames = watch.run()

    assert len(frames) == 2
    assert 'Next tries are unknown: no agent answered' in frames[0]


@pytest.mark.parametrize(
    ('argv', 'message'),
    [
        (['--watch', 'cirros'], 'an IMAGE goes before --watch'),
        (['--watch', '0.1'], 'is not from 0.5 to 3600 seconds'),
        (['--watch', '-f', 'json'], '--watch shows tables'),
    ],
)
def test_what_cannot_be_watched_is_2(watch, capsys, argv, message):
    try:
        code, _, err = watch.desk.run(*argv)
    except SystemExit as exc:
        code, err = exc.code, capsys.readouterr().err

    assert code == 2
    assert message in err
    assert watch.pauses == []


@pytest.mark.parametrize(
    'selects', [['--site', 'dcn0'], ['--state', 'failed']]
)
def test_it_shows_what_was_asked_for(watch, selects):
    _, (frame,) = watch.run(*selects)

    assert ('| cirros |' in frame) == (selects[0] == '--site')
    assert 'dcn1' not in frame


def test_a_frame_follows_another_after_an_empty_line():
    stream = io.StringIO()

    with watching.opened(stream) as screen:
        screen.draw('one\n')
        screen.draw('two\n')

    assert stream.getvalue() == 'one\n\ntwo\n'


_PROGRAM = """\
import sys
from dcn_distributor.cmd import watching
with watching.opened(sys.stdout) as screen:
    for number in range(3):
        screen.draw(f'frame {number}\\n' + 'x' * 200 + '\\n' * 60 + 'end')
"""


def test_on_a_terminal_each_frame_takes_the_place_of_the_one_before():
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, '-c', _PROGRAM],
        stdout=theirs,
        env={**os.environ, 'TERM': 'xterm', 'COLUMNS': '80', 'LINES': '24'},
    ) as process:
        os.close(theirs)
        shown = _all_of(ours)
    assert process.returncode == 0
    # Up and erase: more than what one screen has is never scrolled.
    assert '\x1b[1A\x1b[2K' in shown
    assert shown.count('frame') == 4
    assert 'x' * 81 not in shown


def _all_of(descriptor):
    """Read what was written to a terminal until it is closed."""
    read = b''
    try:
        while part := os.read(descriptor, 4096):
            read += part
    except OSError:
        # Linux says so when the other end is closed.
        pass
    os.close(descriptor)
    return read.decode()
