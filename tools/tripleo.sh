# shellcheck shell=bash
# Sourced by tools/test, after tools/setup.sh: fetches what reads the files
# that are rendered for TripleO, so that they can be tried on it.
#
#   setup_tripleo             .tripleo: source archives from PyPI, unpacked

# The newest of each, and the oldest that has what the documents use.
tripleo_archives=(
    tripleo-heat-templates==12.4.6 tripleo-heat-templates==18.0.0
    tripleo-ansible==6.0.0
    python-tripleoclient==13.4.6 python-tripleoclient==20.0.0
)

setup_tripleo() {
    local made="$top/.tripleo" fetched archive
    if [ "$(cat "$made/.made-from" 2>/dev/null)" != "${tripleo_archives[*]}" ]; then
        fetched=$(mktemp -d)
        # Their setup.py files are of another time than setuptools.
        echo 'setuptools<61' >"$fetched/constraints"
        for archive in "${tripleo_archives[@]}"; do
            PIP_CONSTRAINT="$fetched/constraints" setup_quietly "fetching $archive" \
                "$top/.venv/bin/pip" download --use-pep517 --no-deps \
                --no-binary "${archive%%=*}" -d "$fetched" "$archive"
        done
        rm -rf "$made"
        mkdir -p "$made"
        for archive in "$fetched"/*.tar.gz; do
            tar -xzf "$archive" -C "$made"
        done
        rm -rf "$fetched"
        echo "${tripleo_archives[*]}" >"$made/.made-from"
    fi
    export DCN_TRIPLEO_TEMPLATES="$made"
}
