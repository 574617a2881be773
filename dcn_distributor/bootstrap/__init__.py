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
"""Bring up what distribution stands on: stacks, Glance stores and keys.

From a `stacks.Cloud`, which says what is wanted, and a `rings.Ring`, which
says what was issued already, come files for each deployment tool, the keys of
each cluster, and the steps to take in order. What is rendered is worked out
without looking at anything; what touches clusters or files is apart from it.
"""
