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
"""Options of how an engine is chosen for a copy."""

from oslo_config import cfg
from oslo_config import types

from dcn_distributor.core import choosing

GROUP = 'copy'

_DEFAULTS = choosing.Options()

OPTS = [
    cfg.ListOpt(
        'engines',
        item_type=types.String(choices=choosing.ENGINES),
        default=list(_DEFAULTS.engines),
        help='Which engines may make copies at all. copy-image has Glance do '
        'it: it needs no access to the clusters, but space for staging, and '
        'the image is locked until the last store is written. rbd-stream '
        'goes from cluster to cluster: it needs a cluster for each site in '
        'sites.yaml, cephx keys, and show_multiple_locations in Glance. '
        'Leave one out to make sure that it is never used, whatever the '
        'policies wish.',
    ),
    cfg.BoolOpt(
        'prefer_rbd_stream',
        default=_DEFAULTS.prefer_rbd_stream,
        help='Whether rbd-stream goes first wherever nothing is in its way; '
        'otherwise copy-image does, and rbd-stream takes over where that '
        'cannot serve. Set it once "dcn-distributor status" names no unmet '
        'precondition: copies are made several times faster, and each is '
        "proved. A policy's transfer.engine goes before this.",
    ),
    cfg.IntOpt(
        'fallback_after',
        default=_DEFAULTS.fallback_after,
        min=1,
        help='How many failures of an engine in a row, for one image and '
        'one store, let the other take over, if that has failed less often '
        'there. 1 does so at once; a large number leaves Glance, or the '
        'clusters, more time to recover by themselves.',
    ),
    cfg.BoolOpt(
        'remove_orphans',
        default=False,
        help='Whether to remove an RBD image that a crashed glance-api left '
        "under an image's name, where it keeps a copy from being made; "
        'Glance never removes it. It must have no location in Glance, no '
        'snapshot or the wrong size, no clone and no watcher, and the image '
        'no import under way. If false, it is reported and the copy waits '
        'until somebody removes it.',
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of this module."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """List the options of this module, for oslo-config-generator."""
    return [(GROUP, OPTS)]


def options(conf: cfg.ConfigOpts) -> choosing.Options:
    """Take what was read. Raises ValueError if it does not fit together."""
    group = conf[GROUP]
    if not group.engines:
        raise ValueError('[copy] engines: expected at least one engine')
    if group.prefer_rbd_stream and choosing.RBD_STREAM not in group.engines:
        raise ValueError(
            '[copy] prefer_rbd_stream is set, but engines does not name '
            f'{choosing.RBD_STREAM}'
        )
    return choosing.Options(
        engines=tuple(dict.fromkeys(group.engines)),
        prefer_rbd_stream=group.prefer_rbd_stream,
        fallback_after=group.fallback_after,
    )
