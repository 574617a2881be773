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
"""The wide-area link itself: packets from one TUN device to the other.

Run by the lab, as root: ``python -m lab.link_loop NEAR NAMESPACE FAR SHAPE``.
NEAR is a TUN device here, FAR one inside the network namespace; SHAPE is a
JSON file with rtt_ms and mbit_s, read again on SIGHUP. What is in force is
then in SHAPE.applied. SIGTERM ends it: the devices stay, without a carrier,
which is what a cut cable looks like.

Each direction is a transmitter with a buffer in front and a cable behind: a
packet waits for those before it, takes its time at the rate of the link, and
arrives half a round trip later. The buffer holds what the link carries in
one round trip and drops what comes when it is full, as a router does.

With IFF_VNET_HDR and TUNSETOFFLOAD the kernel hands over up to 64 KiB of one
TCP stream at once, with a header that says how to cut it, and takes it in
the same form on the other side. So the ends see an MTU of 1500, with the
segments, the initial window and the losses of a real path, while the loop
works once for 45 packets: that is why Python is fast enough. Such a burst is
charged with the headers that each of its packets would have.
"""

import collections
from collections.abc import Sequence
import ctypes
import dataclasses
import fcntl
import json
import os
from pathlib import Path
import select
import signal
import struct
import sys
import time

_TUNSETIFF = 0x400454CA
_TUNSETOFFLOAD = 0x400454D0
_IFF_TUN = 0x0001
_IFF_NO_PI = 0x1000
_IFF_VNET_HDR = 0x4000
# Checksums, and cutting of TCP over IPv4, also with ECN, are left to us; we
# in turn leave them to the other device.
_OFFLOADS = 0x01 | 0x02 | 0x08
_CLONE_NEWNET = 0x40000000
# struct virtio_net_hdr: flags, gso_type (bytes), then four 16-bit numbers:
# hdr_len, gso_size, csum_start, csum_offset.
_HEADER = 10
_LARGEST = _HEADER + 65536
# How long to let packets gather, as network cards do: at 1 Gbit/s the loop
# takes 1.9 s of CPU time for a GiB, and 3.2 s if each packet wakes it.
_TICK_S = 0.0005
# A tick's worth at 10 Gbit/s, also in single packets of 1500 bytes.
_READS_AT_ONCE = 400
# One burst must always fit, or nothing but small packets would pass.
_SMALLEST_BUFFER_BYTES = 4 * 65536


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """What the link does to a packet, in seconds and bytes."""

    delay_s: float
    bytes_per_s: float
    buffer_s: float

    @classmethod
    def read(cls, text: str) -> 'Shape':
        """Take it from what the lab has written."""
        values = json.loads(text)
        rtt_s = float(values['rtt_ms']) / 1000
        bytes_per_s = float(values['mbit_s']) * 1e6 / 8
        smallest_s = _SMALLEST_BUFFER_BYTES / bytes_per_s
        return cls(rtt_s / 2, bytes_per_s, max(rtt_s, smallest_s))


class Direction:
    """One way through the link.

    Times are those of ``time.monotonic``. Packets leave in the order in
    which they came, also when the link becomes shorter meanwhile.
    """

    def __init__(self, source: int, sink: int, shape: Shape) -> None:
        self.source = source
        self.shape = shape
        self.passed_bytes = 0
        self.dropped = 0
        self._sink = sink
        self._transmitter_free_at = 0.0
        self._under_way: collections.deque[tuple[float, bytes]] = (
            collections.deque()
        )

    def take(self) -> None:
        """Take in what waits at the source."""
        shape = self.shape
        for _ in range(_READS_AT_ONCE):
            try:
                packet = os.read(self.source, _LARGEST)
            except BlockingIOError:
                return
            now = time.monotonic()
            begin = max(now, self._transmitter_free_at)
            if begin - now > shape.buffer_s:
                self.dropped += 1
                continue
            end = begin + wire_bytes(packet) / shape.bytes_per_s
            self._transmitter_free_at = end
            self._under_way.append((end + shape.delay_s, packet))

    def give(self, now: float) -> float | None:
        """Hand out what has arrived; tell when the next one will."""
        under_way = self._under_way
        while under_way:
            arrival, packet = under_way[0]
            if arrival > now:
                return arrival
            under_way.popleft()
            try:
                self.passed_bytes += os.write(self._sink, packet)
            except OSError:
                # The device is down, or out of memory: lost on the way.
                self.dropped += 1
        return None


def wire_bytes(packet: bytes) -> int:
    """Count what a packet, or all those it will be cut into, takes up."""
    length = len(packet) - _HEADER
    segment = int.from_bytes(packet[4:6], 'little')
    if packet[1] == 0 or segment == 0:
        return length
    headers = int.from_bytes(packet[2:4], 'little')
    count = -(-(length - headers) // segment)
    return length + (count - 1) * headers


def _pass_on(directions: Sequence[Direction]) -> None:
    """Do so until SIGTERM raises SystemExit."""
    sources = [one.source for one in directions]
    while True:
        # Who sleeps wakes up late: better half a tick early than a whole
        # one late.
        now = time.monotonic() + _TICK_S / 2
        arrivals = [one.give(now) for one in directions]
        waits = [at - now for at in arrivals if at is not None]
        # select and not epoll: its time is not in whole milliseconds.
        wait = max(min(waits), 0) if waits else None
        ready, _, _ = select.select(sources, (), (), wait)
        for one in directions:
            if one.source in ready:
                one.take()
        if ready:
            time.sleep(_TICK_S)


def _attach(device: str) -> int:
    """Open a TUN device that exists in the present network namespace."""
    descriptor = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TUN | _IFF_NO_PI | _IFF_VNET_HDR
    request = struct.pack('16sH22x', device.encode(), flags)
    fcntl.ioctl(descriptor, _TUNSETIFF, request)
    fcntl.ioctl(descriptor, _TUNSETOFFLOAD, _OFFLOADS)
    return descriptor


def _enter(namespace: str) -> None:
    """Move this process; os.setns is not there before Python 3.12."""
    libc = ctypes.CDLL(None, use_errno=True)
    with Path('/run/netns', namespace).open() as handle:
        if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), namespace)


def main(arguments: Sequence[str]) -> None:
    """Attach to both devices and pass packets on."""
    near_name, namespace, far_name, shape_name = arguments
    shape_path = Path(shape_name)
    near = _attach(near_name)
    _enter(namespace)
    far = _attach(far_name)
    shape = Shape.read(shape_path.read_text())
    directions = (Direction(near, far, shape), Direction(far, near, shape))

    def apply(*_: object) -> None:
        text = shape_path.read_text()
        shape = Shape.read(text)
        for one in directions:
            one.shape = shape
        shape_path.with_suffix('.applied').write_text(text)

    signal.signal(signal.SIGHUP, apply)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    apply()
    try:
        _pass_on(directions)
    finally:
        for name, one in zip(('out', 'back'), directions, strict=True):
            print(f'{name}: {one.passed_bytes} B, {one.dropped} dropped')
        print(f'{time.process_time():.2f} s of CPU time')


if __name__ == '__main__':
    main(sys.argv[1:])
