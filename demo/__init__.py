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
"""The demo: what a stranger sees first; `tools/demo` prepares and runs it.

It starts the servers of the lab and an agent, uploads images, watches them
arrive at the sites, and proves the copies in the sites' own clusters. All of
it is real; it stands beside the package and is not installed.
"""
