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
"""Write INI files from data, as ceph.conf and oslo.config read them."""

from collections.abc import Mapping

Sections = Mapping[str, Mapping[str, object]]


def write(sections: Sections) -> str:
    """Write them in their order; options that are None are left out.

    Raises ValueError for a value that is more than one line: it could pass
    for other options.
    """
    blocks = []
    for name, options in sections.items():
        lines = [f'[{name}]']
        for option, value in options.items():
            if value is None:
                continue
            text = str(value)
            if '\n' in text or '\r' in text:
                raise ValueError(f'[{name}] {option}: more than one line')
            lines.append(f'{option} = {text}')
        blocks.append('\n'.join(lines) + '\n')
    return '\n'.join(blocks)
