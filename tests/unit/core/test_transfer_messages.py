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
"""Reports cross the bus and back."""

import json

from hypothesis import given
from hypothesis import strategies as st
import pytest

from dcn_distributor import exceptions
from dcn_distributor.core import images
from dcn_distributor.core import sites
from dcn_distributor.core import transfer_messages
from dcn_distributor.core import transfers

sizes = st.integers(0, 2**50)
seconds = st.floats(0, 2e9)
words = st.text(max_size=20)
errors = st.builds(
    lambda kind, text: kind(text),
    st.sampled_from(
        [
            exceptions.ClusterUnavailable,
            exceptions.VerificationFailed,
            exceptions.Cancelled,
            exceptions.ConfigError,
        ]
    ),
    words,
)
lanes = st.builds(
    transfers.Lane,
    site=words.map(sites.SiteName),
    store=words.map(images.StoreId),
    phase=st.sampled_from(transfers.Phase),
    settled_bytes=sizes,
    sent_bytes=sizes,
    zero_bytes=sizes,
    resumed_bytes=sizes,
    rate_bytes_s=seconds,
    eta_s=st.none() | seconds,
    damages=st.lists(
        st.builds(
            transfers.Damage,
            name=words,
            offset=sizes,
            length=sizes,
            is_repaired=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    notes=st.lists(words, max_size=2).map(tuple),
    error=st.none() | errors,
    seconds=st.dictionaries(words, seconds, max_size=2),
)
reports = st.builds(
    transfers.Report,
    image_id=words.map(images.ImageId),
    size_bytes=sizes,
    source=st.none() | words.map(images.StoreId),
    verify=st.sampled_from(transfers.Verify),
    started_s=seconds,
    ended_s=st.none() | seconds,
    read_bytes=sizes,
    lanes=st.lists(lanes, max_size=3).map(tuple),
)


@given(reports)
def test_a_report_comes_back_as_it_was_sent(report):
    wire = json.loads(json.dumps(transfer_messages.plain(report)))

    back = transfer_messages.from_plain(wire)

    assert transfer_messages.plain(back) == wire
    assert back.verify is report.verify
    for told, sent in zip(back.lanes, report.lanes, strict=True):
        assert told.phase is sent.phase
        assert told.damages == sent.damages
        assert type(told.error) is type(sent.error)
        assert str(told.error) == str(sent.error)


junk = st.recursive(
    st.none() | st.booleans() | st.floats() | words | st.just('full'),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(['image_id', 'verify', 'lanes', 'phase', 'error']),
            inner,
        )
    ),
)


@given(junk)
def test_what_is_no_report_is_left_out(value):
    assert transfer_messages.from_plain(value) is None


@given(reports, st.data())
def test_a_damaged_message_never_breaks_its_reader(report, data):
    wire = transfer_messages.plain(report)
    key = data.draw(st.sampled_from(sorted(wire)))
    wire[key] = data.draw(junk)
    if report.lanes:
        lane = wire['lanes'] = [transfer_messages.plain(report)['lanes'][0]]
        lane[0][data.draw(st.sampled_from(sorted(lane[0])))] = data.draw(junk)

    back = transfer_messages.from_plain(wire)

    assert back is None or len(back.lanes) <= 1


@pytest.mark.parametrize('name', ['Unheard', 'annotations', '__name__'])
def test_an_error_of_another_release_is_some_error(name):
    lane = transfers.Lane(
        sites.SiteName('dcn0'), images.StoreId('dcn0'), transfers.Phase.FAILED
    )
    report = transfers.Report(
        images.ImageId('i'),
        1,
        None,
        transfers.Verify.FULL,
        1.0,
        2.0,
        0,
        (lane,),
    )
    wire = transfer_messages.plain(report)
    wire['lanes'][0]['error'] = {'class': name, 'text': 'so it was'}

    error = transfer_messages.from_plain(wire).lanes[0].error

    assert type(error) is exceptions.DistributorError
    assert str(error) == 'so it was'
