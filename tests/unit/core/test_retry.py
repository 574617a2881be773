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
"""How long to wait: bounds, growth, jitter."""

from hypothesis import given
from hypothesis import strategies as st

from dcn_distributor.core import retry

BACKOFF = retry.Backoff(base_s=5.0, cap_s=600.0, jitter=0.25)


def test_delays_double_up_to_the_cap():
    steady = retry.Backoff(base_s=5.0, cap_s=600.0, jitter=0.0)

    delays = [retry.delay_s(steady, n, 'any') for n in range(1, 10)]

    assert delays == [5, 10, 20, 40, 80, 160, 320, 600, 600]


@given(st.integers(0, 10**9), st.text())
def test_a_delay_is_never_past_the_cap_nor_nothing(failures, key):
    delay_s = retry.delay_s(BACKOFF, failures, key)

    assert 0 < delay_s <= BACKOFF.cap_s


@given(st.integers(1, 100), st.text())
def test_the_same_question_has_the_same_answer(failures, key):
    assert retry.delay_s(BACKOFF, failures, key) == retry.delay_s(
        BACKOFF, failures, key
    )


def test_what_failed_together_comes_back_apart():
    delays = {retry.delay_s(BACKOFF, 8, f'image-{n}') for n in range(100)}

    assert len(delays) > 90
    assert max(delays) - min(delays) > 0.2 * BACKOFF.cap_s
