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
"""The engine that goes from cluster to cluster, without staging.

From the inside out:

- ``chunks``: how an image is cut up, and where its data lies.
- ``steps``: what the pipeline may ask for.
- ``lane``: one target's share of a transfer, chunk by chunk.
- ``pipeline``: one reading, many lanes; a state machine that does no I/O.
- ``drive``: carries out what the pipeline asks for, on real clusters.
- ``targets``: how a copy begins at a site, and how it is published.
- ``registration``: the location in Glance.
- ``transfer``: one image on its way to some sites, from begin to end.
- ``engine``: all transfers of this process.
"""
