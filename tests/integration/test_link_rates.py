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
"""The rate of a link: all that goes over it keeps to it, changed live."""

import time

from tests import waiting
from tests.integration import operators

MIB = 2**20
RATE = 20 * MIB
SIZE_MIB = 160


def set_rate(agent, rate):
    """Write into sites.yaml what the link of dcn0 carries."""
    text = agent.sites_file.read_text()
    head, mark, rest = text.partition('    store: dcn0\n')
    assert mark
    if rest.startswith('    link:'):
        rest = rest.partition('\n')[2]
    link = f'    link: {{rate: {rate}}}\n' if rate else ''
    agent.sites_file.write_text(head + mark + link + rest)
    if agent.is_running:
        agent.reload()


def sent(operator, image_ids):
    """Tell how much of some images was sent, and when that was."""
    lanes = [
        lane
        for image_id in image_ids
        if (report := operator.report(image_id))
        for lane in report.lanes
    ]
    return sum(lane.sent_bytes for lane in lanes), time.monotonic()


def test_images_to_a_site_share_the_rate_of_its_link(cloud):
    agent = cloud.agent(policy=cloud.streaming(sites='[dcn0]'))
    image_ids = [cloud.put(size_mib=SIZE_MIB) for _ in range(2)]
    set_rate(agent, '20MiB')
    agent.start()
    operator = operators.Operator(agent)

    def both_flow():
        reports = [operator.report(image_id) for image_id in image_ids]
        return all(r and r.lanes[0].sent_bytes > 8 * MIB for r in reports)

    waiting.until('both flow', both_flow)
    parts = {i: sent(operator, [i])[0] for i in image_ids}
    first, begun_s = sent(operator, image_ids)
    waiting.until(
        'much is sent',
        lambda: sent(operator, image_ids)[0] - first > 80 * MIB,
    )
    then, end_s = sent(operator, image_ids)
    # What was under way, and not yet told of, is on top: a chunk each.
    rate = (then - first) / (end_s - begun_s)
    assert rate <= 1.05 * RATE + 2 * 4 * MIB / (end_s - begun_s)
    assert rate >= 0.7 * RATE

    # In equal parts.
    parts = {i: sent(operator, [i])[0] - parts[i] for i in image_ids}
    assert min(parts.values()) > 0.8 * max(parts.values())

    # Lower, for those under way.
    set_rate(agent, '1MiB')
    waiting.until('it has read that', lambda: 'New rules' in agent.log)
    waiting.passes(1.0)
    first, begun_s = sent(operator, image_ids)
    waiting.passes(6.0)
    then, end_s = sent(operator, image_ids)
    assert then - first <= 1.05 * MIB * (end_s - begun_s) + 2 * 4 * MIB
    # As it is, the rest would take minutes.
    assert 2 * SIZE_MIB * MIB - then > 80 * MIB

    set_rate(agent, None)
    for image_id in image_ids:
        waiting.until(
            'it arrives',
            lambda image_id=image_id: 'dcn0' in cloud.stores(image_id),
            deadline_s=30.0,
        )
    for image_id in image_ids:
        cloud.wait_for_copies(image_id, {'dcn0'})
    assert 'Traceback' not in agent.log
