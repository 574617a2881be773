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
"""A process that begins a copy, and is killed before it has ended it.

Arguments: CONF USER POOL IMAGE SIZE OBJECT_BYTES OFFSET... The bytes to be
written at these offsets, in equal shares, come from the standard input.
"""

import os
import signal
import sys
import threading

from dcn_distributor.clients.ceph import cluster as ceph_cluster
from dcn_distributor.clients.ceph import options as ceph_options
from dcn_distributor.core import images
from dcn_distributor.core import sites


def main() -> None:
    """Do it; this does not return."""
    conf, user, pool, image_id, size, object_bytes, *offsets = sys.argv[1:]
    data = sys.stdin.buffer.read()
    cluster = ceph_cluster.Cluster(
        sites.Cluster(conf, user, pool), ceph_options.Options()
    )
    copy = cluster.open_copy(
        images.ImageId(image_id), int(size), int(object_bytes)
    )
    share = len(data) // len(offsets)
    for number, offset in enumerate(offsets):
        is_done = threading.Event()
        answers: list[object] = []

        def note(
            answer: object,
            answers: list[object] = answers,
            is_done: threading.Event = is_done,
        ) -> None:
            answers.append(answer)
            is_done.set()

        copy.write(
            int(offset), data[number * share : (number + 1) * share], note
        )
        is_done.wait()
        assert isinstance(answers[0], int), answers
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == '__main__':
    main()
