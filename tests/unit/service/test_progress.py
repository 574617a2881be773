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
from tests.fakes import clock as fake_clock

LIMIT_S = 60.0


@pytest.fixture
def clock():
    return fake_clock.Clock()


@pytest.fixture
def works(clock):
    return progress.Progress(clock)


def test_who_waits_for_work_is_not_stuck(clock, works):
    with works.working('a look'):
        pass
    clock.advance(10 * LIMIT_S)

    assert works.stuck(LIMIT_S) == ()


def test_work_that_does_not_get_on_is_named(clock, works):
    with works.working('a look'):
        clock.advance(LIMIT_S)
        assert works.stuck(LIMIT_S) == ()
        clock.advance(1)
        assert works.stuck(LIMIT_S) == ('a look',)
    assert works.stuck(LIMIT_S) == ()


def test_long_work_that_gets_on_is_not_stuck(clock, works):
    with works.working('a look at many'):
        for _ in range(5):
            clock.advance(LIMIT_S)
            works.step()
            assert works.stuck(LIMIT_S) == ()
        clock.advance(LIMIT_S + 1)
        assert works.stuck(LIMIT_S) == ('a look at many',)


def test_work_that_fails_is_over(clock, works):
    with pytest.raises(ValueError, match='broken'), works.working('a look'):
        raise ValueError('broken')
    clock.advance(2 * LIMIT_S)

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
            clock.advance(LIMIT_S + 1)
            works.step()
            assert works.stuck(LIMIT_S) == ('what hangs',)
    finally:
        ended.set()
        thread.join()
