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
"""How fast rbd-stream copies from one cluster to another beside it.

Against what else can do it, in turn: rbd export | rbd import, qemu-img
convert (each with the snapshot that makes it a copy Nova can clone) and
Glance's copy-image; and beside that what the disk alone needs, which all
clusters of a lab share. Then one reading for one, two and four targets.
Image A is random data, a quarter of image B's 64 MiB blocks is. Without
--lab a lab is made for it and removed again.
"""

import argparse

from benchmarks import bench
from benchmarks import contest
from benchmarks import disk
from benchmarks import figures
from benchmarks import images
from benchmarks import peers
from benchmarks import streaming

SITES = ('dcn0', 'dcn1', 'dcn2', 'dcn3')
PARTS = ('peers', 'targets')


def compare(
    place: bench.Bench,
    streamer: streaming.Streamer,
    image: images.Image,
    rounds: int,
    report: bench.Report,
) -> None:
    """Measure one target against the peers."""
    site = SITES[0]
    samples = contest.hold(
        [
            streaming.Stream(place.cloud, streamer, image, [site]),
            peers.RbdPipe(place.lab, image, site),
            streaming.Stream(place.cloud, streamer, image, [site], 'checksum'),
            peers.QemuConvert(place.lab, image, site),
            peers.CopyImage(place.cloud, image, site),
            *_floors(place, image),
        ],
        rounds,
    )
    report.show(f'{image.label}, one target', samples, image.size_bytes)
    against_rbd = contest.ratio(samples, streaming.FULL, peers.RBD)
    against_qemu = contest.ratio(samples, streaming.CHECKSUM, peers.QEMU)
    faster = contest.ratio(samples, peers.COPY_IMAGE, streaming.FULL)
    is_aimed_at = image.kind == 'A'
    report.tell(
        figures.Aim(
            f'{image.kind}: verify full / {peers.RBD}',
            against_rbd,
            at_most=1.0 if is_aimed_at else None,
        ),
        figures.Aim(
            f'{image.kind}: verify checksum / {peers.QEMU}',
            against_qemu,
            at_most=1.15 if is_aimed_at else None,
        ),
        figures.Aim(
            f'{image.kind}: {peers.COPY_IMAGE} / verify full',
            faster,
            at_least=5.0 if is_aimed_at else None,
        ),
    )
    for floor, name in (
        (disk.PROVEN, streaming.FULL),
        (disk.UNPROVEN, peers.RBD),
    ):
        if floor in samples:
            ratio = contest.ratio(samples, name, floor)
            report.tell(figures.Aim(f'{image.kind}: {name} / {floor}', ratio))
    streaming.show_phases(samples)


def _floors(place: bench.Bench, image: images.Image) -> list[disk.Disk]:
    """Of image A only: the source of B holds zeros that no target gets."""
    if image.kind != 'A':
        return []
    size_bytes = image.size_bytes
    return [
        disk.Disk(disk.PROVEN, place.directory, size_bytes, 2),
        disk.Disk(disk.UNPROVEN, place.directory, size_bytes, 1),
    ]


def spread(
    place: bench.Bench,
    streamer: streaming.Streamer,
    image: images.Image,
    rounds: int,
    report: bench.Report,
) -> None:
    """Measure one, two and four targets."""
    ways = [
        streaming.Stream(place.cloud, streamer, image, SITES[:count])
        for count in (1, 2, 4)
    ]
    samples = contest.hold(ways, rounds)
    report.show(f'{image.label}, several targets', samples, image.size_bytes)
    for way in ways:
        read = contest.median(
            samples[way.name], lambda one: one.details['read_bytes']
        )
        report.tell(
            figures.Aim(
                f'{way.name}: bytes read / size',
                read / image.size_bytes,
                at_most=1.0,
            ),
            figures.Aim(
                f'{way.name}: time against one target',
                contest.ratio(samples, way.name, ways[0].name),
            ),
        )


def _options() -> argparse.Namespace:
    parser = bench.parser(__doc__)
    parser.add_argument(
        '--part',
        choices=PARTS,
        action='append',
        help='only this: against peers, or with several targets',
    )
    parser.add_argument(
        '--image',
        choices=('A', 'B'),
        action='append',
        help='only this one against peers',
    )
    return parser.parse_args()


def main() -> None:
    """Measure and report."""
    options = _options()
    parts = options.part or PARTS
    report = bench.Report(options)
    sites = SITES if 'targets' in parts else SITES[:1]
    with bench.running(options, sites) as place:
        report.begin()
        with place.streamer(sites) as streamer:
            place.warm_up(streamer, sites)
            for kind in options.image or ('A', 'B'):
                image = place.image(kind, options.size_gib)
                if 'peers' in parts:
                    compare(place, streamer, image, options.rounds, report)
                if 'targets' in parts and kind == 'A':
                    spread(place, streamer, image, options.rounds, report)


if __name__ == '__main__':
    main()
