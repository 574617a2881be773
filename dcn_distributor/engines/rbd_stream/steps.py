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
"""What a pipeline asks for, as values.

Chunks go by their index, lanes by their number. Each step but Filled and
Lost is answered by one call of the pipeline's method that its docstring
names.
"""

import dataclasses

from dcn_distributor import exceptions


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """Read a chunk of the source: was_read()."""

    index: int


@dataclasses.dataclass(frozen=True, slots=True)
class SumSource:
    """Compute over a chunk of the source, at rest: source_was_summed()."""

    index: int


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """Write a chunk to a target: was_written()."""

    lane: int
    index: int
    data: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Sum:
    """Compute over a chunk of a target, at rest: was_summed()."""

    lane: int
    index: int


@dataclasses.dataclass(frozen=True, slots=True)
class Hash:
    """Add a chunk, the next in order, to the image's hash: was_hashed().

    `data` None stands for zeros.
    """

    index: int
    data: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class Filled:
    """A lane's target holds the whole image, proven: it may be published."""

    lane: int


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """A lane cannot go on; nothing of it is asked for any more."""

    lane: int
    error: exceptions.DistributorError


Step = Read | SumSource | Write | Sum | Hash | Filled | Lost
