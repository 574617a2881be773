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
"""The parts that integration tests run in, side by side."""

from hypothesis import given
from hypothesis import strategies as st

from tests.integration import sharing

modules = st.sets(st.sampled_from([*sharing.SECONDS, 'a', 'b', 'c']))


@given(modules, st.integers(1, 4))
def test_each_module_is_in_one_part(names, count):
    parts = sharing.share(names, count)

    assert len(parts) == count
    assert sorted(name for part in parts for name in part) == sorted(names)


def test_no_part_takes_much_longer_than_another():
    seconds = [
        sum(sharing.SECONDS[name] for name in part)
        for part in sharing.share([*sharing.SECONDS], 2)
    ]

    assert max(seconds) - min(seconds) < 120
