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
"""The page on notifications names all that they say, and nothing else."""

from pathlib import Path
import re

from dcn_distributor.clients.bus import announcements
from tests.unit.clients import test_announcements as told

PAGE = Path(__file__).parents[2] / 'doc' / 'source' / 'notifications.rst'


def test_the_page_names_each_field_of_the_payload():
    table = PAGE.read_text().partition('     - What it tells\n')[2]
    rows = re.findall(r'^   \* - (.*)$', table, re.M)
    named = [field for row in rows for field in re.findall('``(.*?)``', row)]

    assert named
    assert sorted(named) == sorted(announcements.payload(told.event(), 'x'))


def test_the_page_names_each_type():
    named = re.findall(r'^``(image\..*)``$', PAGE.read_text(), re.M)

    assert set(named) == {
        announcements.START,
        announcements.END,
        announcements.ERROR,
    }
