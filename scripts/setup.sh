# Sourced by the other scripts: makes .venv with IronForge and what `$1` names ("" or "dev"), once.
# A stamp with the hash of pyproject.toml makes the second run immediate.

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python3.14; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    say "IronForge needs Python 3.11 or newer. Install it, or set PYTHON to its path."
    exit 1
}

make_venv() {
    extras=$1
    python=$(find_python)
    wanted="$extras $(cksum < pyproject.toml) $("$python" --version)"
    stamp=".venv/ironforge-${extras:-run}.stamp"
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && return
    if [ ! -x .venv/bin/python ]; then
        say "Making .venv with $("$python" --version) …"
        "$python" -m venv .venv
    fi
    say "Installing IronForge${extras:+ and what its development needs} into .venv (once, about half a minute) …"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".${extras:+[$extras]}"
    echo "$wanted" > "$stamp"
}
