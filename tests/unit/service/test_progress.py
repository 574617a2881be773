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
"""What is under way, and when it is stuck, by a clock that tests set."""

import threading

import pytest

from dcn_distributor.service import progress

LIMIT_S = 60.0


class Clock:
    """Seconds that pass when told to."""

    now_s = 1000.0

    def __call__(self):
        """Give the time."""
        return self.now_s

    def pass_(self, seconds):
        """Let time pass."""
        self.now_s += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def works(clock):
    return progress.Progress(clock)


def test_who_waits_for_work_is_not_stuck(clock, works):
    with works.working('a look'):
        pass
    clock.pass_(10 * LIMIT_S)

    assert works.stuck(LIMIT_S) == ()


def test_work_that_does_not_get_on_is_named(clock, works):
    with works.working('a look'):
        clock.pass_(LIMIT_S)
        assert works.stuck(LIMIT_S) == ()
        clock.pass_(1)
        assert works.stuck(LIMIT_S) == ('a look',)
    assert works.stuck(LIMIT_S) == ()


def test_long_work_that_gets_on_is_not_stuck(clock, works):
    with works.working('a look at many'):
        for _ in range(5):
            clock.pass_(LIMIT_S)
            works.step()
            assert works.stuck(LIMIT_S) == ()
        clock.pass_(LIMIT_S + 1)
        assert works.stuck(LIMIT_S) == ('a look at many',)


def test_work_that_fails_is_over(clock, works):
    with pytest.raises(ValueError, match='broken'), works.working('a look'):
        raise ValueError('broken')
    clock.pass_(2 * LIMIT_S)

    assert works.stuck(LIMIT_S) == ()


def test_each_thread_has_its_own(clock, works):
    begun, ended = threading.Event(), threading.Event()

    def hang():
        with works.working('what hangs'):
            begun.set()
            ended.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    try:
        begun.wait()
        with works.working('what gets on'):
            clock.pass_(LIMIT_S + 1)
            works.step()
            assert works.stuck(LIMIT_S) == ('what hangs',)
    finally:
        ended.set()
        thread.join()
