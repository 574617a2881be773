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
"""Selectors, patterns of names, sizes, rates: meaning, and what is refused."""

import time

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor.core import durations
from dcn_distributor.core import globs
from dcn_distributor.core import rates
from dcn_distributor.core import selectors
from dcn_distributor.core import sizes
from dcn_distributor.core import text

LABELS = {'tier': 'edge', 'region': 'Trøndelag', 'rack': '1.10'}


@pytest.mark.parametrize(
    ('written', 'matches'),
    [
        ('tier=edge', True),
        ('tier==edge', True),
        ('tier=core', False),
        ('tier != core', True),
        ('tier!=edge', False),
        ('missing!=edge', True),
        ('tier in (edge, far-edge)', True),
        ('tier in (core)', False),
        ('missing in (edge)', False),
        ('tier notin (core,far-edge)', True),
        ('tier notin (edge)', False),
        ('missing notin (edge)', True),
        ('tier', True),
        ('missing', False),
        ('!missing', True),
        ('! tier', False),
        ('tier in (edge), region!=south', True),
        ('tier in (edge), region=south', False),
        ('region=Trøndelag,rack=1.10', True),
        (' tier = edge ', True),
        ('in in (in)', False),
    ],
)
def test_selector_selects_by_labels(written, matches):
    assert selectors.parse(written).matches(LABELS) == matches


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, 'expected a label, found the end'),
        ('tier in edge', 8, "expected '(', found 'edge'"),
        ('tier not in (a)', 5, "expected ',', found 'not'; did you mean"),
        ('tier in (a', 10, "expected ')', found the end"),
        ('tier in (a b)', 11, "expected ')', found 'b'"),
        ('tier in ()', 9, "expected a value, found ')'"),
        ('tier=', 5, 'expected a value, found the end'),
        ('a,,b', 2, "expected a label, found ','"),
        ('a > 3', 2, "unexpected '>' in a selector"),
        ('a=b\u202e', 3, "unexpected '\\u202e'"),
        ('a=b c', 4, "expected ',', found 'c'"),
    ],
)
def test_malformed_selector_is_refused_where_it_is_wrong(
    written, offset, message
):
    with pytest.raises(text.Malformed) as caught:
        selectors.parse(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ('written', 'name', 'matches'),
    [
        ('rhel-9-*', 'rhel-9-base', True),
        ('rhel-9-*', 'RHEL-9-base', False),
        ('rhel-9-*', 'my-rhel-9-base', False),
        ('ubuntu-{22,24}.04*', 'ubuntu-24.04-x', True),
        ('ubuntu-{22,24}.04*', 'ubuntu-23.04-x', False),
        ('node-{8..10}', 'node-9', True),
        ('{a,b{c,d}}', 'bd', True),
        ('*', '', True),
        ('*', '.a/b\nc', True),
        ('a?c', 'a/c', True),
        ('v[0-9]', 'v7', True),
        ('v[!0-9]', 'v7', False),
        ('a[*]', 'a*', True),
        ('a[*]', 'ab', False),
        ('a.c', 'abc', False),
        ('a', 'a\n', False),
        (r'\{a\,b\}', '{a,b}', True),
        ('[', '[', True),
    ],
)
def test_pattern_fits_the_whole_name(written, name, matches):
    pattern = globs.compile_all([globs.parse(written)])

    assert (pattern.match(name) is not None) == matches


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, 'expected a pattern, found nothing'),
        ('rhel-{8,9-*', 5, "'{' without '}' after it"),
        ('rhel-8,9}', 8, "'}' without '{' before it"),
        ('x{1..1000000000}', 0, 'stand for more than 256 patterns'),
        ('{a,b}' * 40, 0, 'stand for more than 256 patterns'),
        ('{' * 300 + '}' * 300, 8, 'braces nest deeper than 8'),
        ('a' * 1025, 0, 'may have 1024 characters, this has 1025'),
        (r'a\*', 2, "put '*' in brackets instead"),
    ],
)
def test_malformed_pattern_is_refused_at_once(written, offset, message):
    begun = time.monotonic()
    with pytest.raises(text.Malformed) as caught:
        globs.parse(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset
    assert time.monotonic() - begun < 1


def test_no_name_makes_matching_slow():
    pattern = globs.compile_all([globs.parse('*-' * 20 + '.raw')])
    begun = time.monotonic()

    assert not pattern.match('-' * 255 + 'x')
    assert time.monotonic() - begun < 0.5


@pytest.mark.parametrize(
    ('written', 'size_bytes', 'fits'),
    [
        ('<=40GiB', 40 * 2**30, True),
        ('<=40GiB', 40 * 2**30 + 1, False),
        ('<1kB', 999, True),
        ('<1kB', 1000, False),
        ('<1KiB', 1023, True),
        ('>= 1.5 MB', 1_500_000, True),
        ('>=1.5MB', 1_499_999, False),
        ('>1GiB, <=40GiB', 2**30, False),
        ('>1GiB, <=40GiB', 2**31, True),
        ('=0', 0, True),
        ('==512B', 512, True),
        ('>5', 6, True),
        ('<1PiB', 2**49, True),
    ],
)
def test_size_is_compared_in_bytes(written, size_bytes, fits):
    comparisons = sizes.parse(written)

    assert all(c.holds(size_bytes) for c in comparisons) == fits


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, "expected a comparison, found ''"),
        ('small', 0, "expected a comparison, found 'small'"),
        ('40GiB', 0, "expected <, <=, >, >= or = before '40GiB'"),
        ('<=40GIB', 4, "unknown unit 'GIB'"),
        ('<=40GIB', 4, "did you mean 'GiB'?"),
        ('<=40G', 4, "did you mean 'GB'?"),
        ('>1GiB, <=4xB', 10, "unknown unit 'xB'"),
        ('>1GiB,', 6, 'expected a comparison'),
        ('>=2GiB, <2GiB', 0, 'no size is >=2GiB and <2GiB'),
        ('<0', 0, 'no size is <0'),
        ('=0.5B', 0, 'no size is =0.5B'),
        ('<=-1', 0, 'expected a comparison'),
    ],
)
def test_malformed_size_is_refused_where_it_is_wrong(written, offset, message):
    with pytest.raises(text.Malformed) as caught:
        sizes.parse(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ('size_bytes', 'shown'),
    [
        (0, '0 bytes'),
        (1023, '1023 bytes'),
        (2**30, '1GiB (1073741824 bytes)'),
        (3 * 2**29, '1.5GiB (1610612736 bytes)'),
    ],
)
def test_size_is_shown_for_people(size_bytes, shown):
    assert sizes.show(size_bytes) == shown


@pytest.mark.parametrize(
    ('written', 'size_bytes'),
    [
        ('4MiB', 4 << 20),
        ('65536', 65536),
        (' 1.5 kB ', 1500),
        ('0.5KiB', 512),
        ('0', 0),
    ],
)
def test_size_is_read_in_bytes(written, size_bytes):
    assert sizes.parse_size(written) == size_bytes


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, "expected a size such as '4MiB', found ''"),
        ('-1', 0, "expected a size such as '4MiB', found '-1'"),
        ('4 Mib', 2, "unknown unit 'Mib'"),
        ('4M', 1, "did you mean 'MB'?"),
        ('0.3B', 0, "expected whole bytes, found '0.3B'"),
        ('4MiB 5', 0, 'expected a size'),
    ],
)
def test_malformed_single_size_is_refused(written, offset, message):
    with pytest.raises(text.Malformed) as caught:
        sizes.parse_size(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset


@given(st.integers(0, 10**15 - 1) | st.integers(0, 49).map(lambda n: 2**n))
def test_a_size_that_is_written_is_read_as_it_was(size_bytes):
    assert sizes.parse_size(sizes.write(size_bytes)) == size_bytes


@pytest.mark.parametrize(
    ('written', 'rate_bytes_s', 'shown'),
    [
        ('200Mbit', 25_000_000, '200Mbit/s'),
        ('200Mbit/s', 25_000_000, '200Mbit/s'),
        ('1 Gbit', 125_000_000, '1Gbit/s'),
        ('8kbit', 1000, '8kbit/s'),
        ('25MiB', 25 * 2**20, '25MiB/s'),
        (' 1.5MiB/s ', 3 * 2**19, '1536KiB/s'),
        ('25MB', 25_000_000, '200Mbit/s'),
        ('1kB', 1000, '8kbit/s'),
        ('2GB', 2_000_000_000, '16Gbit/s'),
        ('1KiB', 1024, '1KiB/s'),
        ('2GiB', 2**31, '2GiB/s'),
        ('0.1234567MB', 123456.7, '987.654kbit/s'),
    ],
)
def test_rate_is_read_in_bytes_a_second(written, rate_bytes_s, shown):
    assert rates.parse(written) == rate_bytes_s
    assert rates.show(rate_bytes_s) == shown


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, "expected a rate, found ''; write for example '200Mbit'"),
        ('fast', 0, "expected a rate, found 'fast'"),
        ('-5Mbit', 0, 'expected a rate'),
        ('200', 3, 'expected a unit after 200: kbit, Mbit, Gbit, kB,'),
        ('200/s', 3, 'expected a unit after 200'),
        ('200Mb', 3, "unknown unit 'Mb', expected one of kbit, Mbit, Gbit"),
        ('200Mb', 3, "did you mean 'Mbit'?"),
        ('200 Mbps', 4, "did you mean 'Mbit'?"),
        ('200mbit', 3, "did you mean 'Mbit'?"),
        ('200Kbits', 3, "did you mean 'kbit'?"),
        ('200mib/s', 3, "did you mean 'MiB'?"),
        ('200Mbit/min', 0, 'expected a rate'),
        ('2e3Mbit', 1, "unknown unit 'e3Mbit'"),
        ('0Mbit', 0, "expected at least 8kbit/s, found '0Mbit'"),
        ('0.9kB', 0, 'expected at least 8kbit/s'),
    ],
)
def test_malformed_rate_is_refused_where_it_is_wrong(written, offset, message):
    with pytest.raises(text.Malformed) as caught:
        rates.parse(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset


@given(
    st.integers(1, 10**7),
    st.sampled_from(['', '.5', '.25', '.125']),
    st.sampled_from(sorted(rates.UNITS)),
)
def test_a_rate_that_is_shown_is_read_as_it_was(whole, fraction, unit):
    rate_bytes_s = (whole + float(f'0{fraction}')) * rates.UNITS[unit]
    if rate_bytes_s >= rates.LEAST_BYTES_S:
        assert rates.parse(rates.show(rate_bytes_s)) == rate_bytes_s


@given(st.floats(1.01 * rates.LEAST_BYTES_S, 1e12))
def test_any_rate_is_shown_nearly_as_it_is(rate_bytes_s):
    shown = rates.parse(rates.show(rate_bytes_s))

    assert shown == pytest.approx(rate_bytes_s, rel=1e-3)


@pytest.mark.parametrize(
    ('written', 'duration_s'),
    [
        ('45s', 45),
        ('90min', 5400),
        ('6h', 21_600),
        (' 1.5 h ', 5400),
        ('2d', 172_800),
        ('1w', 604_800),
    ],
)
def test_duration_is_read_in_seconds(written, duration_s):
    assert durations.parse(written) == duration_s


@pytest.mark.parametrize(
    ('written', 'offset', 'message'),
    [
        ('', 0, "expected a duration such as '6h', found ''"),
        ('soon', 0, "expected a duration such as '6h', found 'soon'"),
        ('-1h', 0, 'expected a duration'),
        ('6', 1, 'one of s, min, h, d, w, found none'),
        ('30m', 2, "found 'm'; did you mean 'min'?"),
        ('6 hours', 2, "found 'hours'; did you mean 'h'?"),
        ('6H', 1, "found 'H'; did you mean 'h'?"),
        ('6y', 1, "one of s, min, h, d, w, found 'y'"),
        ('0h', 0, "expected more than no time, found '0h'"),
    ],
)
def test_malformed_duration_is_refused_where_it_is_wrong(
    written, offset, message
):
    with pytest.raises(text.Malformed) as caught:
        durations.parse(written)

    assert message in str(caught.value)
    assert caught.value.offset == offset


@given(st.text() | st.text('{}[],\\*.a1-<>=!() GiB', max_size=40))
@pytest.mark.parametrize(
    'parse',
    [
        durations.parse,
        globs.parse,
        rates.parse,
        sizes.parse,
        sizes.parse_size,
        selectors.parse,
    ],
)
def test_any_text_is_read_or_refused_within_itself(parse, written):
    refused = None
    try:
        parse(written)
    except text.Malformed as exc:
        refused = exc

    assert refused is None or 0 <= refused.offset <= len(written)
    assert str(refused).isprintable()


@given(st.text())
def test_whatever_is_quoted_is_safe_to_print(value):
    assert text.quote(value).isprintable()
    assert text.show(value).isprintable()


@pytest.mark.parametrize(
    ('values', 'joined'),
    [
        ('', ''),
        ('a', 'a'),
        ('ab', 'a or b'),
        ('abcd', 'a, b, c or d'),
        ('abcdef', 'a, b, c or 3 more'),
    ],
)
def test_many_values_are_counted(values, joined):
    assert text.join(values, 'or') == joined
