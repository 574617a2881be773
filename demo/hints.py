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
"""What to try next: commands to paste. Pure, but for the environment."""

import os
from pathlib import Path

from demo import pictures
from lab import state as lab_state

_TEXT = """
Try next, in another terminal:

  cd {top}
  {export}eval "$(tools/lab env)"
  export PATH="$PWD/.venv/bin:$PATH" D="$LAB_DIR/demo"
  alias dcn='dcn-distributor --config-file "$D/agent.conf"'

  dcn status                         # this matrix
  dcn explain payroll                # why it is nowhere
  dcn copy payroll dcn1 --wait       # and there it is, by your order
  dcn verify flood-model             # compare its copies, byte for byte
  glance image-create --name mine --visibility public \\
    --disk-format iso --container-format bare --file \\
    {disk}
  tools/lab freeze ceph-dcn0         # a site that hangs; upload one more:
                                     #   dcn1 has it after the time-outs
  tools/lab thaw ceph-dcn0           # what is missing there comes by itself
  kill -9 -$(cat "$D/agent.pid")     # the demo starts the agent anew
  ${{EDITOR:-vi}} "$D/placement.yaml"  # other policies; then
  dcn validate && kill -HUP $(cat "$D/agent.pid")

Ctrl-C here ends the demo. Until then it shows what happens:
"""


def text(directory: Path) -> str:
    """Say what to try in the lab of this directory."""
    named = assignment(directory)
    export = f'export {named.rstrip()}\n  ' if named else ''
    return _TEXT.format(top=lab_state.TOP, export=export, disk=pictures.DISK)


def assignment(directory: Path) -> str:
    """Name the lab to a command, if it is not the usual one."""
    if 'DCN_LAB_DIR' not in os.environ:
        return ''
    return f'DCN_LAB_DIR={directory} '
