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
"""How fast rbd-stream copies to a site behind a wide-area link.

The link has 1 Gbit/s and a round trip of 50, 100 and 200 ms, one after the
other. Against rbd export | rbd import with its snapshot, and Glance's
copy-image, in turn. Image A is random data, a quarter of image B's 64 MiB
blocks is. Needs root, for the link. Without --lab a lab is made for it and
removed again; one that is named needs a link to its site.
"""

import argparse

from benchmarks import bench
from benchmarks import contest
from benchmarks import figures
from benchmarks import images
from benchmarks import link_meter
from benchmarks import peers
from benchmarks import streaming
from lab import link

_MBIT_S = 1000.0
_RTTS_MS = (50.0, 100.0, 200.0)
# How many times as fast as rbd and copy-image, at 50 ms; more beyond.
_LEADS = {'A': (2.1, 3.4), 'B': (2.3, 7.0)}
_LEAST_SHARE = 0.92


def compare(
    place: bench.Bench,
    streamer: streaming.Streamer,
    image: images.Image,
    rtt_ms: float,
    options: argparse.Namespace,
    report: bench.Report,
) -> None:
    """Measure one image over the link as it is now."""
    site = options.site
    ways: list[contest.Contestant] = [
        streaming.Stream(place.cloud, streamer, image, [site]),
        peers.RbdPipe(place.lab, image, site),
        peers.CopyImage(place.cloud, image, site),
    ]
    if options.cold:
        ways.insert(
            1,
            streaming.Stream(
                place.cloud, streamer, image, [site], is_cold=True
            ),
        )
    samples = contest.hold(
        [link_meter.Metered(way, place.lab, site) for way in ways],
        options.rounds,
        {peers.COPY_IMAGE: options.copy_image_rounds},
    )
    title = f'{image.label}, {rtt_ms:g} ms, {_MBIT_S:g} Mbit/s'
    report.show(title, samples, image.size_bytes)
    streaming.show_phases(samples)
    _judge(f'{image.kind}, {rtt_ms:g} ms', samples, image, rtt_ms, report)


def _judge(
    label: str,
    samples: contest.Samples,
    image: images.Image,
    rtt_ms: float,
    report: bench.Report,
) -> None:
    """Compare with the bound, the link and the peers."""
    taken = samples[streaming.FULL]
    bound_s = figures.bound_s(image.data_bytes, _MBIT_S, rtt_ms)
    without_s = contest.median(
        taken, lambda one: one.seconds - _registering_s(one)
    )
    link_bytes_s = figures.bytes_per_s(_MBIT_S)
    flowing = contest.median(taken, lambda one: one.details['flow_bytes_s'])
    carried = contest.median(taken, lambda one: one.details['carried_bytes'])
    over_rbd, over_copy_image = _LEADS[image.kind]
    report.tell(
        figures.Aim(
            f'{label}: total',
            contest.median(taken),
            at_most=bound_s,
            unit=' s',
        ),
        figures.Aim(
            f'{label}: total without registration',
            without_s,
            at_most=bound_s,
            unit=' s',
        ),
        figures.Aim(
            f'{label}: rate while data flows / rate of the link',
            flowing / link_bytes_s,
            at_least=_LEAST_SHARE,
        ),
        figures.Aim(
            f'{label}: bytes on the link / data', carried / image.data_bytes
        ),
        _lead(label, samples, peers.RBD, over_rbd),
        _lead(label, samples, peers.COPY_IMAGE, over_copy_image),
    )


def _lead(
    label: str, samples: contest.Samples, peer: str, at_least: float
) -> figures.Aim | None:
    if peer not in samples:
        return None
    ratio = contest.ratio(samples, peer, streaming.FULL)
    return figures.Aim(f'{label}: {peer} / ours', ratio, at_least=at_least)


def _registering_s(sample: contest.Sample) -> float:
    """The time in which Glance opens the copy over the link, too."""
    return float(sample.details['lanes'][0]['seconds']['registering'])


def _options() -> argparse.Namespace:
    parser = bench.parser(__doc__)
    parser.add_argument(
        '--site',
        default='dcn0',
        metavar='NAME',
        help='the site behind the link (default: dcn0)',
    )
    parser.add_argument(
        '--rtt-ms',
        type=float,
        action='append',
        metavar='MS',
        help='only this round trip; may be repeated',
    )
    parser.add_argument(
        '--image',
        choices=('A', 'B'),
        action='append',
        help='only this one',
    )
    parser.add_argument(
        '--copy-image-rounds',
        type=int,
        default=1,
        metavar='N',
        help='in how many rounds copy-image takes part: it takes minutes '
        '(default: 1)',
    )
    parser.add_argument(
        '--cold',
        action='store_true',
        help='also measure an engine that has no connections yet',
    )
    return parser.parse_args()


def main() -> None:
    """Measure and report."""
    options = _options()
    rtts_ms = options.rtt_ms or _RTTS_MS
    report = bench.Report(options)
    links = {options.site: link.Link(rtts_ms[0], _MBIT_S)}
    with bench.running(options, [options.site], links) as place:
        report.begin()
        kinds = options.image or ('A', 'B')
        made = [place.image(kind, options.size_gib) for kind in kinds]
        with place.streamer([options.site]) as streamer:
            place.warm_up(streamer, [options.site])
            for rtt_ms in rtts_ms:
                place.lab.link(options.site).change(
                    rtt_ms=rtt_ms, mbit_s=_MBIT_S
                )
                for image in made:
                    compare(place, streamer, image, rtt_ms, options, report)


if __name__ == '__main__':
    main()
