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
"""Where a range of an image lies."""

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import storage


@given(st.integers(0, 99), st.integers(1, 40), st.sampled_from([1, 8, 16, 32]))
def test_a_range_is_found_in_its_object_or_refused(
    offset: int, length: int, object_bytes: int
) -> None:
    of_bytes = {b // object_bytes for b in range(offset, offset + length)}

    if len(of_bytes) > 1:
        with pytest.raises(exceptions.VerificationFailed, match='one object'):
            storage.locate(offset, length, object_bytes)
        return
    number, within = storage.locate(offset, length, object_bytes)

    assert {number} == of_bytes
    assert number * object_bytes + within.offset == offset
    assert within.length == length
