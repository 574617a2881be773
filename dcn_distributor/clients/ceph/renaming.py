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
"""Give an image another name, in steps that can be done again.

They are those of librbd (operation/RenameRequest.cc), one round trip each:
have the new name lead to the image, change the directory, forget the old
name. A crash between any two is mended by doing it all once more.
"""

import rados

from dcn_distributor import exceptions
from dcn_distributor.clients.ceph import headers


def rename(pool: rados.Ioctx, image_id: str, source: str, target: str) -> None:
    """Give an image, by its internal id, another name.

    What a client that died in creating or removing an image has left of the
    new name in the directory goes. Raises OrphanInTheWay if another image has
    the name, rados.Error.
    """
    _take_name(pool, image_id, target)
    try:
        _change_directory(pool, image_id, source, target)
    except rados.ObjectExists as exc:
        _forget_stale_entry(pool, image_id, target, exc)
        _change_directory(pool, image_id, source, target)
    headers.forget_name(pool, source)


def _take_name(pool: rados.Ioctx, image_id: str, name: str) -> None:
    try:
        headers.take_new_name(pool, image_id, name)
    except rados.ObjectExists as exc:
        if headers.read_id(pool, name) != image_id:
            raise _in_the_way(pool, name) from exc


def _change_directory(
    pool: rados.Ioctx, image_id: str, source: str, target: str
) -> None:
    try:
        headers.change_entry(pool, image_id, source, target)
    except rados.Error:
        # Not the first time: the directory has the new name already.
        if headers.name_in_directory(pool, image_id) != target:
            raise


def _forget_stale_entry(
    pool: rados.Ioctx, image_id: str, name: str, cause: rados.Error
) -> None:
    """Remove what the directory has for a name that led nowhere.

    librbd removes the header first and the entry last. Raises OrphanInTheWay
    if there is a header, and leaves all as it was.
    """
    entered = headers.id_in_directory(pool, name)
    if entered is None:
        return
    if headers.read_if_whole(pool, entered) is not None:
        if headers.read_id(pool, name) == image_id:
            headers.forget_name(pool, name)
        raise _in_the_way(pool, name) from cause
    headers.forget_entry(pool, name, entered)


def _in_the_way(pool: rados.Ioctx, name: str) -> exceptions.OrphanInTheWay:
    return exceptions.OrphanInTheWay(
        f'image {name} in pool {pool.get_pool_name()}: the name is taken by '
        'an image that is not ours'
    )
