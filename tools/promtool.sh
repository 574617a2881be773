# shellcheck shell=bash
# Sourced by tools/test, after tools/setup.sh: fetches promtool, which tries
# the alert rules and reads what the agent tells Prometheus.
#
#   setup_promtool TOP        TOP/.promtool/promtool
#
# It is taken out of Debian's package prometheus, which is not installed: that
# would start a Prometheus that answers at every address of the host.

setup_promtool() {
    local made=$1/.promtool
    [ -x "$made/promtool" ] || (promtool_fetch "$made")
}

# promtool_fetch DIR: fetch it into DIR, or fail and leave that as it was.
promtool_fetch() {
    local made=$1 fetched
    fetched=$(mktemp -d)
    # shellcheck disable=SC2064
    trap "rm -rf '$fetched'" EXIT
    # apt downloads as a user of its own, where it can.
    chmod 755 "$fetched"
    cd "$fetched" || exit 1
    if ! apt-cache show prometheus >/dev/null 2>&1; then
        setup_quietly "refreshing apt's lists" setup_as_root apt-get update -q
    fi
    setup_quietly "fetching promtool" apt-get download -q prometheus
    dpkg -x prometheus_*.deb unpacked || exit 1
    mkdir -p "$made"
    mv unpacked/usr/bin/promtool "$made/promtool" || exit 1
}
