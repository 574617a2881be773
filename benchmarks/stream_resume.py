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
"""What rbd-stream sends again after its process was killed.

The engine's process is killed by SIGKILL when half of the data is sent, and
a new one finishes the copy. What was sent in total is counted by the target's
OSD, and at the near end of the link. Image A, at a site behind a link of
50 ms and 1 Gbit/s. Needs root, for the link. Without --lab a lab is made for
it and removed again; one that is named needs a link to its site.
"""

import argparse

from benchmarks import bench
from benchmarks import contest
from benchmarks import figures
from benchmarks import images
from benchmarks import link_meter
from benchmarks import peers
from benchmarks import streaming
from lab import admin_socket
from lab import deployment
from lab import link

_LINK = link.Link(50.0, 1000.0)
_MOST_SENT = 1.05
_RESUMED = f'{streaming.NAME}, resumed'


class Resumed:
    """A copy whose process is killed when half of it is done."""

    name = _RESUMED

    def __init__(
        self, place: bench.Bench, image: images.Image, site: str
    ) -> None:
        self._place = place
        self._image = image
        self._site = site

    def run(self) -> contest.Sample:
        """Copy once; the time is that of the second process."""
        image, site, lab = self._image, self._site, self._place.lab
        written = _written_bytes(lab, site)
        with link_meter.LinkMeter(lab, site) as meter:
            with self._place.streamer([site]) as first:
                sent = first.copy_until(image.id, site, image.data_bytes // 2)
            with self._place.streamer([site]) as second:
                report = second.copy(image.id, [site], 'full')
        lane = report['lanes'][0]
        return contest.Sample(
            report['seconds'],
            report['cpu_s'],
            report['peak_mib'],
            {
                'sent_before_bytes': sent,
                'sent_after_bytes': lane['sent_bytes'],
                'resumed_bytes': lane['resumed_bytes'],
                'written_bytes': _written_bytes(lab, site) - written,
                'carried_bytes': meter.carried_bytes,
                'lanes': report['lanes'],
            },
        )

    def clean(self) -> None:
        """Remove the copy."""
        peers.remove_copies(self._place.cloud, self._image.id, [self._site])


def _written_bytes(lab: deployment.Lab, site: str) -> int:
    """What the site's OSD was sent to write since it started."""
    path = lab.state.run_directory / f'{site}-osd.0.asok'
    counters = admin_socket.ask(path, 'perf dump')['osd']
    return int(counters['op_w_in_bytes']) + int(counters['op_rw_in_bytes'])


def _options() -> argparse.Namespace:
    parser = bench.parser(__doc__)
    parser.add_argument(
        '--site',
        default='dcn0',
        metavar='NAME',
        help='the site behind the link (default: dcn0)',
    )
    return parser.parse_args()


def main() -> None:
    """Measure and report."""
    options = _options()
    report = bench.Report(options)
    with bench.running(
        options, [options.site], {options.site: _LINK}
    ) as place:
        report.begin()
        image = place.image('A', options.size_gib)
        with place.streamer([options.site]) as streamer:
            place.warm_up(streamer, [options.site])
            whole = contest.hold(
                [
                    streaming.Stream(
                        place.cloud, streamer, image, [options.site]
                    )
                ],
                1,
            )
        samples = contest.hold(
            [Resumed(place, image, options.site)], options.rounds
        )
        report.show(
            f'{image.label}, killed at half',
            {**whole, **samples},
            image.size_bytes,
        )
        _judge(samples[_RESUMED], image, report)


def _judge(
    taken: list[contest.Sample], image: images.Image, report: bench.Report
) -> None:
    worst = {
        what: max(sample.details[what] for sample in taken)
        for what in ('written_bytes', 'carried_bytes')
    }
    report.tell(
        figures.Aim(
            'worst: bytes the OSD was sent / data',
            worst['written_bytes'] / image.data_bytes,
            at_most=_MOST_SENT,
        ),
        figures.Aim(
            'worst: bytes on the link / data',
            worst['carried_bytes'] / image.data_bytes,
        ),
        figures.Aim(
            'seconds of the second process', contest.median(taken), unit=' s'
        ),
    )


if __name__ == '__main__':
    main()
