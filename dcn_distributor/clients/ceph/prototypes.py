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
"""The functions of librados' C API that are called here, and their types."""

import ctypes
from ctypes import c_char_p
from ctypes import c_int
from ctypes import c_int64
from ctypes import c_size_t
from ctypes import c_uint8
from ctypes import c_uint64
from ctypes import c_void_p
import functools
from typing import Any

import rados

_LIBRARY = 'librados.so.2'
Callback = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)

# Every handle, and every pointer to what a call fills in, is a c_void_p.
_PROTOTYPES: dict[str, tuple[Any, ...]] = {
    'rados_create2': (c_void_p, c_char_p, c_char_p, c_uint64),
    'rados_conf_read_file': (c_void_p, c_char_p),
    'rados_conf_set': (c_void_p, c_char_p, c_char_p),
    'rados_connect': (c_void_p,),
    'rados_shutdown': (c_void_p,),
    'rados_pool_lookup': (c_void_p, c_char_p),
    'rados_ioctx_create2': (c_void_p, c_int64, c_void_p),
    'rados_ioctx_destroy': (c_void_p,),
    'rados_ioctx_set_namespace': (c_void_p, c_char_p),
    'rados_set_osdmap_full_try': (c_void_p,),
    'rados_ioctx_snap_set_read': (c_void_p, c_uint64),
    'rados_get_last_version': (c_void_p,),
    'rados_stat': (c_void_p, c_char_p, c_void_p, c_void_p),
    'rados_aio_create_completion': (c_void_p, Callback, c_void_p, c_void_p),
    'rados_aio_get_return_value': (c_void_p,),
    'rados_aio_release': (c_void_p,),
    'rados_aio_stat': (c_void_p, c_char_p, c_void_p, c_void_p, c_void_p),
    'rados_aio_wait_for_complete_and_cb': (c_void_p,),
    'rados_create_read_op': (),
    'rados_release_read_op': (c_void_p,),
    'rados_read_op_stat': (c_void_p, c_void_p, c_void_p, c_void_p),
    'rados_read_op_checksum': (
        *(c_void_p, c_int, c_char_p, c_size_t, c_uint64, c_size_t),
        *(c_size_t, c_void_p, c_size_t, c_void_p),
    ),
    'rados_aio_read_op_operate': (c_void_p,) * 3 + (c_char_p, c_int),
    'rados_lock_exclusive': (
        *(c_void_p, c_char_p, c_char_p, c_char_p, c_char_p),
        *(c_void_p, c_uint8),
    ),
    'rados_create_write_op': (),
    'rados_release_write_op': (c_void_p,),
    'rados_write_op_exec': (
        *(c_void_p, c_char_p, c_char_p, c_char_p, c_size_t, c_void_p),
    ),
    'rados_write_op_remove': (c_void_p,),
    'rados_write_op_operate': (c_void_p, c_void_p, c_char_p, c_void_p, c_int),
    'rados_unlock': (c_void_p, c_char_p, c_char_p, c_char_p),
    'rados_break_lock': (c_void_p,) + (c_char_p,) * 4,
    'rados_list_lockers': (c_void_p, c_char_p, c_char_p) + (c_void_p,) * 9,
}
_OTHER_RESULTS: dict[str, Any] = {
    'rados_create_read_op': c_void_p,
    'rados_create_write_op': c_void_p,
    'rados_get_last_version': c_uint64,
    'rados_pool_lookup': c_int64,
}
_NO_RESULT = frozenset(
    (
        *('rados_shutdown', 'rados_ioctx_destroy', 'rados_aio_release'),
        *('rados_ioctx_set_namespace', 'rados_ioctx_snap_set_read'),
        'rados_set_osdmap_full_try',
        *('rados_release_read_op', 'rados_read_op_stat'),
        *('rados_release_write_op', 'rados_write_op_exec'),
        'rados_write_op_remove',
        'rados_read_op_checksum',
    )
)


def _ignore(_completion: int, _argument: int) -> None:
    """Take no notice."""


# librados may call it for as long as there is a handle.
IGNORE = Callback(_ignore)


class Timeval(ctypes.Structure):
    """A duration."""

    _fields_ = [('seconds', ctypes.c_long), ('microseconds', ctypes.c_long)]


@functools.cache
def load() -> ctypes.CDLL:
    """Load librados, once, with the types of what is used here."""
    library = ctypes.CDLL(_LIBRARY)
    for name, arguments in _PROTOTYPES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = (
            None if name in _NO_RESULT else _OTHER_RESULTS.get(name, c_int)
        )
    return library


def check(result: int, what: str) -> int:
    """Give a result, or raise rados.OSError if it is an error."""
    if result < 0:
        raise rados.OSError(what, errno=-result)
    return result
