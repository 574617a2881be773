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
"""Whether the copies are what was uploaded, by the clusters alone."""

from collections.abc import Mapping
import dataclasses

from demo import pictures
from lab import clusters


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """An uploaded image whose copies are to be proved."""

    image_id: str
    picture: pictures.Picture
    original: pictures.Original


@dataclasses.dataclass(frozen=True, slots=True)
class Evidence:
    """A copy beside its original. `copy` is None where there is none."""

    subject: Subject
    site: str
    is_wanted: bool
    copy: clusters.Copy | None
    original_head: bytes

    @property
    def name(self) -> str:
        """The image's name."""
        return self.subject.picture.name

    @property
    def is_same(self) -> bool:
        """True if every byte equals the original's."""
        return (
            self.copy is not None
            and self.copy.size_bytes == self.subject.original.size_bytes
            and self.copy.sha256 == self.subject.original.sha256
        )

    @property
    def clone_opens(self) -> bool:
        """True if a clone begins as the original, and owns no bytes."""
        return (
            self.copy is not None
            and self.copy.clone_head == self.original_head
            and not self.copy.clone_bytes
        )

    @property
    def boots(self) -> bool:
        """True if the clone begins with a boot sector."""
        return self.copy is not None and pictures.begins_with_boot_sector(
            self.copy.clone_head
        )

    @property
    def is_good(self) -> bool:
        """True if there is what should be there, and nothing else."""
        if self.copy is None:
            return not self.is_wanted
        return (
            self.is_wanted
            and self.is_same
            and self.copy.is_protected
            and self.clone_opens
            and (self.boots or not self.subject.picture.is_bootable)
        )


def collect(
    subject: Subject,
    regions: Mapping[str, str],
    sites: Mapping[str, clusters.Cluster],
) -> list[Evidence]:
    """Look for an image at every site. `regions` are those of the sites."""
    with subject.original.path.open('rb') as stream:
        head = stream.read(clusters.HEAD)
    return [
        Evidence(
            subject,
            name,
            subject.picture.is_at(regions[name]),
            cluster.inspect(subject.image_id)
            if cluster.holds(subject.image_id)
            else None,
            head,
        )
        for name, cluster in sites.items()
    ]
