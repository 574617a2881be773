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
"""Progress on a terminal, and where there is none."""

import io
import re

import pytest

from dcn_distributor.cmd import progress
from dcn_distributor.cmd import rendering
from tests.fakes import clock as clocks

MIB = 2**20


class Terminal(io.StringIO):
    """A terminal that keeps all that was written to it."""

    def isatty(self) -> bool:
        """Say that somebody looks."""
        return True

    @property
    def text(self) -> str:
        """What was written, without escape sequences."""
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', self.getvalue())


def bar(site: str = 'dcn0', phase: str = 'copying', mib: int = 0, **more):
    return progress.Bar(site, phase, mib * MIB, 100 * MIB, **more)


def test_lines_tell_changes_of_phase_at_once():
    stream, clock = io.StringIO(), clocks.Clock()
    with progress.displayed(stream, clock) as display:
        display.show([bar(phase='preparing'), bar('dcn1')])
        display.show([bar(), bar('dcn1')])
        display.show([bar(phase='done', mib=100), bar('dcn1')])

    assert stream.getvalue().splitlines() == [
        'dcn0: preparing, 0 %, 0 B of 100 MiB',
        'dcn1: copying, 0 %, 0 B of 100 MiB',
        'dcn0: copying, 0 %, 0 B of 100 MiB',
        'dcn0: done, 100 %, 100 MiB of 100 MiB',
    ]


def test_lines_tell_what_moves_every_few_seconds():
    stream, clock = io.StringIO(), clocks.Clock()
    with progress.displayed(stream, clock) as display:
        for second in range(11):
            moving = bar(
                mib=second * 9, rate_bytes_s=9 * MIB, eta_s=75.0 - second
            )
            display.show([moving, bar('dcn1', mib=50)])
            clock.advance(1.0)

    assert stream.getvalue().splitlines() == [
        'dcn0: copying, 0 %, 0 B of 100 MiB, 9 MiB/s, 1 min 15 s left',
        'dcn1: copying, 50 %, 50 MiB of 100 MiB',
        'dcn0: copying, 45 %, 45 MiB of 100 MiB, 9 MiB/s, 1 min 10 s left',
        'dcn0: copying, 90 %, 90 MiB of 100 MiB, 9 MiB/s, 1 min 5 s left',
    ]


def test_a_terminal_has_a_bar_for_each_site_and_keeps_what_is_said(
    monkeypatch,
):
    monkeypatch.setenv('TERM', 'xterm')
    monkeypatch.setenv('COLUMNS', '120')
    terminal = Terminal()

    with progress.displayed(terminal, clocks.Clock()) as display:
        display.show([bar(mib=43, rate_bytes_s=7 * MIB), bar('dcn1')])
        display.say('the agent on [ctl-0] does not answer')
        display.show([bar(mib=100, phase='publishing'), bar('dcn1', mib=1)])

    text = ' '.join(terminal.text.split())
    assert 'dcn0 copying' in text
    assert '43 %, 43 MiB of 100 MiB 7 MiB/s' in text
    assert 'the agent on [ctl-0] does not answer' in text
    assert 'dcn0 publishing' in text
    assert 'dcn1 copying' in text


def test_a_terminal_that_can_nothing_gets_lines(monkeypatch):
    monkeypatch.setenv('TERM', 'dumb')
    terminal = Terminal()

    with progress.displayed(terminal, clocks.Clock()) as display:
        display.show([progress.Bar('dcn0', 'waiting', None, 0)])

    assert terminal.getvalue() == 'dcn0: waiting\n'


@pytest.mark.parametrize(
    ('seconds', 'written'),
    [
        (0.04, '0.0 s'),
        (9.94, '9.9 s'),
        (59.4, '59 s'),
        (60, '1 min 0 s'),
        (3599, '59 min 59 s'),
        (3661, '1 h 1 min'),
    ],
)
def test_durations_read_well(seconds, written):
    assert rendering.duration(seconds) == written


def test_nothing_of_nothing_is_all():
    assert rendering.share(0, 0) == '100 %, 0 B of 0 B'
