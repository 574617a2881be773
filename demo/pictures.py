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
"""The images that the demo uploads, and at which sites each should end.

What is expected stands here by the sites' regions, apart from the policies
in placement.yaml: were these misread, the demo would fail.
"""

from collections.abc import Callable
from collections.abc import Mapping
import dataclasses
import hashlib
import os
from pathlib import Path
import shutil

from demo import errors

MIB = 2**20
TAG = 'dcn-demo'
# NOTE: grub-mkrescue makes images that start from a CD and from a disk: the
# first sector is a boot sector. Glance takes such a one as iso only (glance
# 33: location.py set_data trips over "iso,gpt" if it is called raw).
DISK = Path('/usr/lib/grub-rescue/grub-rescue-cdrom.iso')
_SECTOR = 512
_BOOTABLE = b'\x55\xaa'


@dataclasses.dataclass(frozen=True, slots=True)
class Picture:
    """An image to upload.

    `size_mib` is that of the data to make; 0 takes the bootable disk.
    `is_at` tells by a site's region whether it should hold the image.
    """

    name: str
    about: str
    visibility: str
    is_at: Callable[[str], bool]
    size_mib: int = 0
    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def is_bootable(self) -> bool:
        """True if it begins with a boot sector."""
        return not self.size_mib

    @property
    def disk_format(self) -> str:
        """What Glance is told that the data is."""
        return 'iso' if self.is_bootable else 'raw'


def _everywhere(_region: str) -> bool:
    return True


def _nowhere(_region: str) -> bool:
    return False


LATER = 'nightly-build'
PICTURES = (
    Picture(
        'grub-rescue',
        'a bootable disk',
        'public',
        _everywhere,
    ),
    Picture(
        'map-tiles',
        'random data with holes',
        'public',
        _everywhere,
        size_mib=256,
    ),
    Picture(
        'snow-plough',
        'made for the north',
        'private',
        lambda region: region == 'north',
        size_mib=24,
        properties={'made_for': 'north'},
    ),
    Picture(
        'cipher-box',
        'under export control',
        'public',
        lambda region: region != 'south',
        size_mib=16,
        properties={'export_control': 'yes'},
    ),
    Picture(
        'payroll',
        "nobody else's business",
        'private',
        _nowhere,
        size_mib=8,
    ),
    Picture(
        LATER,
        'not released yet',
        'private',
        _nowhere,
        size_mib=32,
    ),
)
# For the site that copy-image cannot serve.
STREAMED = Picture(
    'flood-model',
    'for every site, whatever stands in the way',
    'public',
    _everywhere,
    size_mib=96,
)


def released(picture: Picture) -> Picture:
    """Give the same image once everybody may see it."""
    return dataclasses.replace(picture, visibility='public', is_at=_everywhere)


@dataclasses.dataclass(frozen=True, slots=True)
class Original:
    """A picture's data in a file."""

    path: Path
    size_bytes: int
    sha256: str


def make(picture: Picture, directory: Path) -> Original:
    """Make the data of a picture. Raises DemoError if there is none."""
    path = directory / f'{picture.name}.raw'
    if picture.is_bootable:
        _copy_disk(path)
    else:
        _draw(path, picture.size_mib)
    digest = hashlib.sha256()
    with path.open('rb') as stream:
        while chunk := stream.read(MIB):
            digest.update(chunk)
    return Original(path, path.stat().st_size, digest.hexdigest())


def begins_with_boot_sector(data: bytes) -> bool:
    """Tell whether a PC would start from this."""
    return data[_SECTOR - len(_BOOTABLE) : _SECTOR] == _BOOTABLE


def _copy_disk(path: Path) -> None:
    try:
        shutil.copyfile(DISK, path)
    except FileNotFoundError as exc:
        raise errors.DemoError(
            f'{DISK} is not there: it comes with the Debian package '
            'grub-rescue-pc'
        ) from exc
    if not begins_with_boot_sector(path.read_bytes()[:_SECTOR]):
        raise errors.DemoError(f'{DISK} does not begin with a boot sector')


def _draw(path: Path, size_mib: int) -> None:
    """Write random data, every fourth part of which is a hole."""
    part = size_mib * MIB // 8
    with path.open('wb') as stream:
        for number in range(8):
            if number % 4 == 3:
                stream.seek(part, os.SEEK_CUR)
            else:
                stream.write(os.urandom(part))
        stream.truncate(size_mib * MIB)
