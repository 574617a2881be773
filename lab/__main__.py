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
"""The command line of the lab; `tools/lab` prepares for it and calls it."""

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
import signal
import sys
import time

from lab import deployment
from lab import errors
from lab import link as lab_link
from lab import service as lab_service
from lab import state as lab_state

_ABOUT = """\
A whole DCN deployment on this machine, from real servers: RabbitMQ,
Keystone, Glance with one RBD store for each site, and one Ceph cluster for
each site, with the keys and stores that `dcn-distributor bootstrap` makes.
Everything listens on 127.0.0.1 only, or behind a link of its own.
"""
_DETAILS = """\
services: rabbitmq, keystone, glance, ceph-SITE for each site, and link-SITE
for each link; glance-SITE for each site, if the lab is --like a file; agent-1,
agent-2 and so on, and etcd, with several --agents; rabbitmq-1 to rabbitmq-3
in place of rabbitmq, and rabbitmq-epmd by which they find each other, with
--rabbitmq-nodes 3.

environment:
  DCN_LAB_DIR            where the lab lives (default: .lab in the checkout);
                         several labs run side by side in directories of
                         their own
  DCN_LAB_RADOS_TIMEOUT  after how many seconds Glance and the agent give up
                         on a cluster that does not answer (default: 30);
                         0 means never

exit codes: 0 done; 1 failed, or (ps) not everything is well; 2 wrong usage;
130 interrupted.

examples:
  tools/lab up                        central and two edge sites
  tools/lab up --site far-north       central and this one
  tools/lab up --like etc/dcn_distributor/sites-multi-ceph.yaml.sample
  tools/lab up --link dcn1=50ms,1Gbit  the cluster of dcn1 behind a WAN
  tools/lab stop link-dcn1            cut it; start heals it
  tools/lab up --agents 3 --rabbitmq-nodes 3
  tools/lab kill agent-2              the others take over its links
  eval "$(tools/lab env)"             then, say, glance image-list
  ceph -c "$LAB_CEPH_CONF_dcn0" -s    one of the clusters
  tools/lab freeze ceph-dcn1          a site that no longer answers
  tools/lab down --purge              leave nothing behind
"""
_ACTIONS = {
    'start': 'start one service',
    'stop': 'end one service in good order; up or start starts it again',
    'kill': 'kill all processes of one service, as a power cut would',
    'freeze': 'halt one service: connections stay open, nothing answers',
    'thaw': 'let a frozen service go on',
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    options = _parser().parse_args(arguments)
    # `kill` of this command must not leave half of a lab behind either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except (errors.LabError, OSError) as exc:
        print(f'lab: {exc}', file=sys.stderr)
        return 1
    except (KeyboardInterrupt, errors.Cancelled):
        print('lab: interrupted; what was started is ended', file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='tools/lab',
        description=_ABOUT,
        epilog=_DETAILS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    _add_up(commands)
    down = commands.add_parser('down', help='end everything')
    down.add_argument(
        '--purge', action='store_true', help='and remove every file'
    )
    down.set_defaults(command=_down)
    ps = commands.add_parser('ps', help='show each service and its health')
    ps.set_defaults(command=_ps)
    env = commands.add_parser(
        'env',
        help='print exports for a shell, with the passwords of the '
        'administrator and of the broker',
    )
    env.set_defaults(command=_env)
    for action, about in _ACTIONS.items():
        one = commands.add_parser(action, help=about)
        one.add_argument('service', metavar='SERVICE')
        one.set_defaults(command=_act, action=action)
    return parser


def _add_up(
    commands: 'argparse._SubParsersAction[argparse.ArgumentParser]',
) -> None:
    up = commands.add_parser(
        'up',
        help='start what does not run',
        description='Start what does not run, and thaw what is frozen. A '
        'running service is left alone unless its configuration changed.',
    )
    up.add_argument(
        '--site',
        metavar='NAME',
        action='append',
        default=[],
        help='an edge site, may be repeated (default: dcn0 and dcn1); there '
        'is always a central one. On a lab that exists it adds a site',
    )
    up.add_argument(
        '--like',
        metavar='FILE',
        type=Path,
        help='a sites.yaml, such as the samples: have its sites, clusters '
        'and Glances, one at each site, with keys and files as bootstrap '
        'makes them. --site adds one that is like the first',
    )
    up.add_argument(
        '--glance',
        choices=lab_state.FLAVOURS,
        default='',
        help="the newest Glance from PyPI (default), or Debian 12's own",
    )
    up.add_argument(
        '--link',
        metavar='SITE=RTT,RATE',
        action='append',
        default=[],
        help='put the cluster of a site behind a wide-area link, such as '
        'dcn1=50ms,1Gbit, from its making on; later, change the link while '
        'in use. May be repeated; needs root',
    )
    up.add_argument(
        '--mgr',
        action='store_true',
        help='also run a Ceph manager at each site (300 MiB each), from '
        'now on',
    )
    _add_several(up)
    up.set_defaults(command=_up)


def _add_several(up: argparse.ArgumentParser) -> None:
    up.add_argument(
        '--agents',
        metavar='N',
        type=_count,
        help='how many agents share the links (default: 1). Several are '
        'services of the lab, and so is the etcd by which they find each '
        'other; one is for you to start. On a lab that exists it adds agents',
    )
    up.add_argument(
        '--rabbitmq-nodes',
        type=int,
        choices=lab_state.BUS_SIZES,
        help='how many RabbitMQ nodes there are (default: 1); three are a '
        'cluster with quorum queues, which survives the loss of any one',
    )


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no number of agents: expected 1 or more'
        )
    return int(text)


def _up(options: argparse.Namespace) -> int:
    began = time.monotonic()

    def report(line: str) -> None:
        print(f'[{time.monotonic() - began:5.1f} s] {line}', flush=True)

    lab = deployment.Lab(
        sites=tuple(dict.fromkeys(options.site)),
        glance=options.glance,
        manager=options.mgr,
        links=dict(_link(text) for text in options.link),
        like=options.like,
        agents=options.agents,
        rabbitmq_nodes=options.rabbitmq_nodes,
        report=report,
    )
    lab.up()
    report(f'the lab is up in {lab.directory}')
    return 0


def _link(text: str) -> tuple[str, lab_link.Link]:
    site, _, shape = text.partition('=')
    return site, lab_link.Link.parse(shape)


def _down(options: argparse.Namespace) -> int:
    deployment.Lab().down(purge=options.purge)
    return 0


def _ps(_: argparse.Namespace) -> int:
    rows = deployment.Lab().status()
    _print_table(
        [('SERVICE', 'STATE', 'PID', 'PORT', 'HEALTH')]
        + [_row(status) for status in rows]
    )
    return 0 if all(status.is_healthy for status in rows) else 1


def _row(status: lab_service.Status) -> tuple[str, str, str, str, str]:
    return (
        status.name,
        status.state,
        _pairs(status.pids),
        _pairs(status.ports),
        status.health,
    )


def _pairs(pairs: tuple[tuple[str, int], ...]) -> str:
    """Join names and numbers; the plain server's needs no name."""
    words = [
        str(number) if name == 'server' else f'{name}:{number}'
        for name, number in pairs
    ]
    return ' '.join(words) or '-'


def _print_table(rows: list[tuple[str, str, str, str, str]]) -> None:
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [row[i].ljust(widths[i]) for i in range(4)]
        print('  '.join([*cells, row[4]]))


def _env(_: argparse.Namespace) -> int:
    print(deployment.Lab().exports(), end='')
    return 0


def _act(options: argparse.Namespace) -> int:
    handle = deployment.Lab().service(options.service)
    getattr(handle, options.action)()
    return 0


if __name__ == '__main__':
    sys.exit(main())
