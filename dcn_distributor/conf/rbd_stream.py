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
"""Options of the engine rbd-stream."""

from oslo_config import cfg

from dcn_distributor.conf import quantities
from dcn_distributor.core import sizes
from dcn_distributor.core import transfers

GROUP = 'rbd_stream'

_DEFAULTS = transfers.Tuning()

OPTS = [
    cfg.IntOpt(
        'transfers',
        default=_DEFAULTS.transfers,
        min=1,
        max=64,
        help='How many images may be streamed at once. Each is read once '
        'for up to eight sites, and takes up to window of memory for each of '
        'them, and two thirds of that ahead. More of them help if single '
        'copies do not fill the links. Up to as many more go over links '
        'with nothing under way, which so never wait for slow ones. One that '
        "only waits for an import to let go of its image's lock is not "
        'counted.',
    ),
    cfg.IntOpt(
        'connections',
        default=_DEFAULTS.connections,
        min=1,
        max=16,
        help="Connections to each site's cluster, each with TCP streams of "
        'its own: one stream carries no more than its send buffer in a round '
        'trip, 4 MiB by default in Linux. Where a round trip is long, more '
        'are made: one for each 25 ms of it, up to three times this number. '
        'Raise it for a link that is faster than 1 Gbit/s; 1 or 2 are enough '
        'in one building.',
    ),
    cfg.Opt(
        'chunk_size',
        type=quantities.PowerOfTwo(64 << 10, 32 << 20),
        default=_DEFAULTS.chunk_bytes,
        help='How much is read, written, compared and sent again at a time: '
        'a power of two from 64KiB to 32MiB, cut to the size of the '
        "image's RBD objects. Smaller chunks send less again after a "
        'failure, and make more work for the clusters.',
    ),
    cfg.Opt(
        'window',
        type=quantities.Size(64 << 10, 4 << 30),
        default=_DEFAULTS.window_bytes,
        help='How much may be under way to one site: what memory a site '
        'takes, and what is sent again after a crash. At least chunk_size, '
        'and for a full link at least twice its rate times its round trip: '
        '12MiB for 1 Gbit/s and 50 ms. To one or two sites that are farther '
        'than some 100 ms, up to three windows in all are used, and two for '
        'one site.',
    ),
    cfg.Opt(
        'rate',
        type=quantities.Rate(),
        default=0,
        mutable=True,
        help='The limit of one transfer, to all of its sites together, such '
        'as 200Mbit or 25MiB, each for one second; 0 for none. For those '
        'whose policies give no transfer.rate. Several transfers at once '
        'add up. SIGHUP changes it for transfers under way, too.',
    ),
    cfg.StrOpt(
        'verify',
        default=_DEFAULTS.verify.value,
        choices=[
            (
                transfers.Verify.FULL.value,
                'the hash in Glance is that of the bytes as read, and '
                "checksums by the target's OSDs are those of the bytes sent",
            ),
            (transfers.Verify.CHECKSUM.value, 'the latter only'),
            (transfers.Verify.SIZE.value, 'only the sizes agree'),
        ],
        help='How a copy is proved before it is announced, unless policies '
        'say so with transfer.verify. A full proof costs processor time at '
        'the agent, about a second for each GiB, beside the copying.',
    ),
    cfg.StrOpt(
        'source',
        default=_DEFAULTS.source.value,
        choices=[
            (
                transfers.SourceChoice.CENTRAL.value,
                'central, or the nearest site if central cannot be read',
            ),
            (
                transfers.SourceChoice.NEAREST.value,
                'the site with a copy whose link costs least',
            ),
        ],
        help='Which site a copy is read from, unless policies say so with '
        'transfer.source. Links and their cost are in sites.yaml.',
    ),
    cfg.FloatOpt(
        'cluster_timeout',
        default=_DEFAULTS.timeout_s,
        min=1.0,
        max=600.0,
        help='Seconds a cluster may leave a call unanswered until it is '
        'taken for away. The transfer to that site then ends and is tried '
        'again later, where it left off. Raise it for links that stall.',
    ),
    cfg.FloatOpt(
        'patience',
        default=_DEFAULTS.patience_s,
        min=0.0,
        max=600.0,
        help='Seconds for which one site with a full window may hold up the '
        'others of its transfer. After that it falls behind, and what it '
        'misses is read once more for it. Raise it if reading the source '
        'is dear, lower it if sites differ much in speed.',
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [(GROUP, OPTS)]


def tuning(conf: cfg.ConfigOpts) -> transfers.Tuning:
    """Take what was read. Raises ValueError if it does not fit together."""
    group = conf[GROUP]
    if group.window < group.chunk_size:
        raise ValueError(
            '[rbd_stream] window: expected at least chunk_size, '
            f'{sizes.write(group.chunk_size)}, found '
            f'{sizes.write(group.window)}'
        )
    return transfers.Tuning(
        chunk_bytes=group.chunk_size,
        window_bytes=group.window,
        patience_s=group.patience,
        rate_bytes_s=group.rate or None,
        verify=transfers.Verify(group.verify),
        source=transfers.SourceChoice(group.source),
        connections=group.connections,
        timeout_s=group.cluster_timeout,
        transfers=group.transfers,
    )
