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
"""Read INI as oslo.config and Ceph do, as far as it is for us."""

from collections.abc import Mapping
import configparser

Sections = Mapping[str, Mapping[str, str]]


def parse(text: str) -> Sections | None:
    """Give options by section; None if it is no INI.

    Of two values the later one counts.
    """
    parser = configparser.RawConfigParser(
        strict=False, default_section='', delimiters=('=', ':')
    )
    # Options have capitals or not, and these matter.
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text)
    except configparser.Error:
        return None
    return {name: dict(parser[name]) for name in parser.sections()}
