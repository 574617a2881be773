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
"""Files that are no YAML, or more YAML than we take."""

import os
import time

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.conf import placement
from dcn_distributor.conf import sites
from dcn_distributor.conf import yaml_files
from tests.unit.core import examples


def problems(path):
    with pytest.raises(exceptions.ConfigError) as caught:
        yaml_files.read(str(path))
    return caught.value.problems


def placement_problems(path):
    with pytest.raises(exceptions.ConfigError) as caught:
        placement.load(str(path), examples.SITES)
    return caught.value.problems


BILLION = 'a: &a [x]\n' + ''.join(
    f'{new}: &{new} [{", ".join([f"*{old}"] * 9)}]\n'
    for old, new in zip('abcdefgh', 'bcdefghi', strict=True)
)


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param('', '1:1: the file is empty', id='empty file'),
        pytest.param('# x\n', '1:1: the file is empty', id='only comments'),
        pytest.param(
            'version: 1\n\tsites: {}\n',
            '2:1: found a tab, expected spaces',
            id='tab for indentation',
        ),
        pytest.param(
            'a: [b\nc: d\n',
            "2:2: not valid YAML: expected ',' or ']', but got ':', while "
            'parsing a flow sequence that begins on line 1',
            id='bracket never closed',
        ),
        pytest.param(
            'a: b: c\n',
            '1:5: not valid YAML: mapping values are not allowed here; is',
            id='second colon in a line',
        ),
        pytest.param(
            "a: 'b\n",
            '2:1: not valid YAML: found unexpected end of stream',
            id='quote never closed',
        ),
        pytest.param(
            'size: >1GiB\n',
            '1:9: not valid YAML: expected chomping or indentation '
            "indicators, but found 'G', while scanning a block scalar; put "
            'a text that begins with one of >|*&!%@` in quotes',
            id='size comparison without quotes',
        ),
        pytest.param(
            'name: @x\n',
            "1:7: not valid YAML: found character '@' that cannot start",
            id='reserved character',
        ),
        pytest.param(
            'a: \x00\n', "1:4: '\\x00' is not allowed in YAML", id='NUL'
        ),
        pytest.param(
            '\nab: \x1b[2J\n',
            "2:5: '\\x1b' is not allowed in YAML",
            id='escape sequence',
        ),
        pytest.param(
            'a: b\n---\na: c\n',
            '2:1: a second document begins, expected one',
            id='two documents',
        ),
        pytest.param(
            '[' * 30, '1:25: nested deeper than 24 levels', id='deep nesting'
        ),
        pytest.param(
            '%YAML 9.9\n---\na: b\n', '1:1: not valid YAML', id='YAML 9'
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    tmp_path, content, expected
):
    path = tmp_path / 'placement.yaml'
    path.write_text(content)

    [problem] = problems(path)

    assert problem.startswith(f'{path}:{expected}')


@pytest.mark.parametrize(
    ('content', 'expected'),
    [
        pytest.param(
            'version: 1\nversion: 1\npolicies: {}\n',
            "2:1: duplicate key 'version', first on line 1",
            id='duplicate key',
        ),
        pytest.param(
            'version: 1\npolicies: &x {}\n',
            "2:11: anchors are not allowed: '&x'",
            id='anchor',
        ),
        pytest.param(
            'version: 1\npolicies: *rhel\n',
            '2:11: aliases are not allowed; if this is a text, put it in '
            "quotes: '*rhel'",
            id='alias, or a pattern without quotes',
        ),
        pytest.param(
            'version: 1\npolicies: !!python/object:os.system {}\n',
            '2:11: tags are not allowed',
            id='tag of Python',
        ),
        pytest.param(
            'version: 1\npolicies: {[a]: b}\n',
            '2:12: expected a text as key, found a list',
            id='a list as key',
        ),
        pytest.param(
            'version: 1\npolicies: {~: b}\n',
            '2:12: expected a text as key, found nothing',
            id='null as key',
        ),
    ],
)
def test_what_is_refused_of_yaml_is_told_with_its_place(
    tmp_path, content, expected
):
    path = tmp_path / 'placement.yaml'
    path.write_text(content)

    [problem] = placement_problems(path)

    assert problem.startswith(f'{path}:{expected}')


def test_missing_file_is_told(tmp_path):
    path = tmp_path / 'nope.yaml'

    assert problems(path) == (f'{path}: cannot be read: no such file',)


def test_directory_is_no_file(tmp_path):
    assert problems(tmp_path) == (f'{tmp_path}: not a regular file',)


def test_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / 'pipe')

    assert problems(tmp_path / 'pipe')[0].endswith('not a regular file')


def test_path_with_a_nul_is_an_error_of_configuration():
    assert problems('a\0b')[0].startswith("'a\\x00b': cannot be read")


def test_path_is_printed_safely(tmp_path):
    assert problems(tmp_path / 'a\nb')[0].startswith("'/")


def test_huge_file_is_not_parsed(tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_bytes(b'#' * (yaml_files.LARGEST_BYTES + 1))

    assert problems(path) == (f'{path}: larger than 1048576 bytes',)


def test_byte_that_is_no_utf_8_is_told_with_its_place(tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_bytes('version: 1\nø: '.encode() + b'\xff\n')

    assert problems(path) == (f'{path}:2:4: byte 0xff is not UTF-8',)


def test_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_bytes(b'\xef\xbb\xbfversion: 1\n')

    assert yaml_files.read(str(path)).root.plain() == {'version': '1'}


def test_alias_bomb_is_refused_before_it_goes_off(tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text(BILLION)
    begun = time.monotonic()

    found = placement_problems(path)

    assert time.monotonic() - begun < 1
    assert f"{path}:1:4: anchors are not allowed: '&a'" in found


def test_scalars_stay_the_texts_that_were_written(tmp_path):
    path = tmp_path / 'sites.yaml'
    path.write_text('a: [no, 1.10, 2026-01-01, 0x1F, true, 1_0, "~", 12:30]\n')

    assert yaml_files.read(str(path)).root.plain() == {
        'a': ['no', '1.10', '2026-01-01', '0x1F', 'true', '1_0', '~', '12:30']
    }


def test_reading_ends_after_too_many_problems(tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text('a: 1\n' * 1000)

    found = problems(path)

    assert len(found) == 100
    assert found[-1] == (
        f'{path}:101:1: too many problems, the rest is not read'
    )


def test_reading_ends_after_too_many_values(tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text('a: [' + 'x,' * 51_000 + ']')

    assert problems(path)[-1].endswith(': more than 50000 values')


def test_of_too_many_problems_the_rest_is_counted(tmp_path):
    path = tmp_path / 'placement.yaml'
    path.write_text(
        'version: 1\npolicies: {}\n'
        + ''.join(f'key{n}: 1\n' for n in range(250))
    )

    found = placement_problems(path)

    assert len(found) == 101
    assert found[-1] == f'{path}: and 150 more'


_SNIPPETS = [
    'version: 1\n', 'policies:\n', 'sites:\n', '  p:\n', '    match: ',
    '{visibility: [public]}\n', '    sites: all\n', '{', '}', '[', ']', ': ',
    '- ', '"', "'", '\t', '&a ', '*a ', '!!x ', '|\n', '>', '#', '\n', '---\n',
    '? ', '%', '\\', '"\\UFFFFFFFF"', 'null', '<<: ', 'any: ', 'not: ',
    'labels: ', 'size: ', '\u202e', '\x85',
]  # fmt: skip


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from(_SNIPPETS), max_size=30).map(
        lambda parts: ''.join(parts).encode()
    )
)
def test_no_content_raises_anything_but_config_error(
    tmp_path_factory, content
):
    path = tmp_path_factory.getbasetemp() / 'any.yaml'
    path.write_bytes(content)

    for load in (sites.load, lambda p: placement.load(p, examples.SITES)):
        found = ()
        try:
            load(str(path))
        except exceptions.ConfigError as exc:
            found = exc.problems

        assert all(problem.isprintable() for problem in found)
