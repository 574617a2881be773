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
"""What has to be done to bring up a cloud, step by step."""

import dataclasses
from typing import Literal

Release = Literal['ussuri', 'xena']
"""How TripleO is used, which decides on its files and their order.

ussuri: nodes are chosen by scheduler hints, ceph-ansible deploys Ceph, and
central is deployed again when the sites are there. xena: nodes and Ceph of
all sites come first (`overcloud node provision`, `overcloud ceph deploy`), so
that central is deployed once.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, after all that stand before it.

    No secret is ever part of a command line: what is secret is in a file.

    :ivar name: in a few words; the same for the same step of another run,
        and for no other step of one procedure
    :ivar site: for which it is done
    :ivar stack: for which of its stacks, or None for the site as a whole
    :ivar argv: the command line, to be run in the directory that files are
        rendered to; () for what another program or a person does
    :ivar files: those of the rendered files that it reads, as
        `renderings.File.path`
    :ivar why: what it is good for, in a sentence
    """

    name: str
    site: str
    stack: str | None
    argv: tuple[str, ...]
    files: tuple[str, ...]
    why: str
