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
"""How the C library hands out memory for data on its way.

Every chunk is allocated in one thread and freed in another, of which
librados has dozens. glibc would keep such buffers in the heaps of its many
arenas, and a process that holds 100 MiB of data would grow to 500 and stay
so. Buffers that are mapped one by one go back to the system as they are
freed; that costs a tenth of a second of processor time for each GiB.
"""

import ctypes
import functools
import logging

LOG = logging.getLogger(__name__)

# <malloc.h>: the length from which memory is mapped by itself. Setting it
# also keeps glibc from raising it.
_M_MMAP_THRESHOLD = -3
_THRESHOLD_BYTES = 1 << 20


@functools.cache
def return_what_is_free() -> None:
    """Have large buffers mapped by themselves, from now on, once."""
    try:
        library = ctypes.CDLL(None)
        is_set = library.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD_BYTES)
    except (OSError, AttributeError):
        is_set = 0
    if not is_set:
        LOG.debug('This C library keeps buffers as it likes')
