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
"""What stands in the files of YAML."""

import io

from hypothesis import given
from hypothesis import strategies as st
import pytest
import ruamel.yaml
import yaml

from dcn_distributor.bootstrap.rhoso import documents

_texts = st.text(
    st.characters(codec='utf-8', exclude_categories=['C']), max_size=30
)
_trees = st.recursive(
    _texts | st.integers() | st.booleans(),
    lambda of: (
        st.lists(of, max_size=3) | st.dictionaries(_texts, of, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(_texts, _trees, min_size=1))
def test_old_and_new_yaml_read_what_was_written(tree: dict) -> None:
    text = documents.write(tree)

    assert yaml.safe_load(text) == tree
    assert ruamel.yaml.YAML(typ='safe').load(io.StringIO(text)) == tree


# PyYAML takes no single letter for a boolean; the reader of Kubernetes does.
@pytest.mark.parametrize('word', ['y', 'N', 'no', 'On', '1e5', '0x1f', '~'])
def test_what_could_pass_for_something_else_is_quoted(word: str) -> None:
    assert documents.write({word: word}) == f"---\n'{word}': '{word}'\n"


def test_texts_of_many_lines_stay_readable() -> None:
    text = documents.write({'conf': '[a]\nb = c\n'})

    assert text == '---\nconf: |\n  [a]\n  b = c\n'
