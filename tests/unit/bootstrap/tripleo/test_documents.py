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
"""What is written is what TripleO reads: PyYAML, which is YAML 1.1."""

from hypothesis import example
from hypothesis import given
from hypothesis import strategies as st
import yaml

from dcn_distributor.bootstrap.tripleo import documents

_TEXTS = st.text(
    st.characters(blacklist_categories=('Cs', 'Cc', 'Cn', 'Co')), max_size=40
)
_KEYS = st.one_of(
    _TEXTS.filter(bool),
    st.sampled_from(['on', 'No', 'null', '1', '0x1', '1:30', '~', 'y']),
)
_VALUES = st.recursive(
    st.one_of(_TEXTS, st.integers(), st.booleans()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(_KEYS, inner, max_size=3),
    ),
    max_leaves=8,
)


@given(st.dictionaries(_KEYS, _VALUES, max_size=4))
@example({'mode': '0600', 'at': '1:30', 'on': 'no', 'none': '~', 'e': ''})
@example({'long': 'profile rbd pool=x, ' * 40})
@example({'OS::TripleO::Services::X': {'capabilities:node': '0-a-%index%'}})
def test_nothing_is_read_as_something_else(document):
    assert yaml.safe_load(documents.dump(document)) == document


def test_one_value_in_two_places_is_written_twice():
    caps = {'mon': 'profile rbd'}

    written = documents.dump({'one': caps, 'two': caps})

    assert '&' not in written
    assert yaml.safe_load(written) == {'one': caps, 'two': caps}
