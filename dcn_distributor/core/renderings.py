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
"""Files that are rendered from values, before anything is written."""

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """One file, to be written below a directory.

    :ivar path: relative, with ``/``
    :ivar text: all of it
    :ivar is_secret: whether only its owner may read it
    :ivar is_program: whether it can be run
    """

    path: str
    text: str = dataclasses.field(repr=False)
    is_secret: bool = False
    is_program: bool = False

    @property
    def mode(self) -> int:
        """Its permissions."""
        return (0o600 if self.is_secret else 0o644) | (
            (0o100 if self.is_secret else 0o111) if self.is_program else 0
        )
