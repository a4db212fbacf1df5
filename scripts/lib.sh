# What the scripts share. Sourced, not run; POSIX sh.
# shellcheck shell=sh

# The words that a terminal shows in colour, and a file without.
# shellcheck disable=SC2034 # those who source this use them
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
    bold=$(printf '\033[1m') green=$(printf '\033[32m') red=$(printf '\033[31m')
    plain=$(printf '\033[0m')
else
    bold='' green='' red='' plain=''
fi

step() {
    printf '%s==> %s%s\n' "$bold" "$*" "$plain"
}

die() {
    printf '%serror:%s %s\n' "$red" "$plain" "$*" >&2
    exit 1
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# usage FILE: the comment at the top of a script is its help. A script that has changed its directory
# says where it is from there: "$0" may be relative to where it was called.
usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$1"
}

# install PACKAGE...: with apt-get as root; otherwise says what to type.
install() {
    [ $# -gt 0 ] || return 0
    if [ "$(id -u)" -eq 0 ] && has apt-get; then
        step "installing $*"
        # Twice: the lists of packages may be missing or stale.
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
            >/dev/null 2>&1 || {
            apt-get update -qq
            DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" \
                >/dev/null
        } || die "apt-get could not install: $*"
    elif has apt-get; then
        die "missing: $*. Type: sudo apt-get install $*"
    else
        die "missing: $* (Debian's names). Install them with your system's package manager"
    fi
}

# need COMMAND=PACKAGE...: installs the packages of those commands that are missing.
need() {
    missing=''
    for pair in "$@"; do
        has "${pair%%=*}" || missing="$missing ${pair#*=}"
    done
    # shellcheck disable=SC2086 # a list of words
    install $missing
}

# wish COMMAND=PACKAGE...: the same where it is possible; what is missing leaves some tests out.
wish() {
    missing=''
    for pair in "$@"; do
        has "${pair%%=*}" || missing="$missing ${pair#*=}"
    done
    if [ -n "$missing" ] && [ "$(id -u)" -eq 0 ] && has apt-get; then
        step "installing$missing for some of the tests"
        apt-get update -qq || true
        # Together, or one by one: where a package is not known, apt-get installs none of a list.
        # shellcheck disable=SC2086 # a list of words
        fetch $missing || for package in $missing; do
            fetch "$package" || true
        done
    fi
}

# fetch PACKAGE...: from apt-get, in silence. No server that is installed is started.
fetch() {
    SYSTEMD_OFFLINE=1 RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq -y \
        --no-install-recommends "$@" >/dev/null 2>&1
}

# A Rust tool chain new enough for the workspace, and a linker for it.
need_rust() {
    need cc=gcc
    has cargo || PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin
    wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    if ! has cargo && [ "$(id -u)" -eq 0 ] && has apt-cache &&
        apt-cache show rustup >/dev/null 2>&1; then
        install rustup
        rustup toolchain install stable --profile minimal --component clippy,rustfmt
    fi
    has cargo || die "missing: cargo $wanted or newer. Type:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y"
    found=$(cargo --version | cut -d ' ' -f 2)
    oldest=$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)
    [ "$oldest" = "$wanted" ] || die "cargo is $found, and $wanted or newer is needed. Type:
    rustup update stable"
}

# The device behind every TAP.
need_tun() {
    if [ ! -e /dev/net/tun ] && [ "$(id -u)" -eq 0 ]; then
        modprobe tun 2>/dev/null || true
        [ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; } || true
    fi
    # Opening tells more than its mode: a container may refuse the device.
    (: <>/dev/net/tun) 2>/dev/null || die "/dev/net/tun cannot be opened. Type:
    sudo modprobe tun; sudo chmod 0666 /dev/net/tun
A container must be given the device: --device /dev/net/tun"
}

# For what needs it, before anything is built.
need_root() {
    [ "$(id -u)" -eq 0 ] || die "this needs root"
}

# own_tmpdir: what programs leave in TMPDIR goes with the script, however that ends.
own_tmpdir() {
    TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/tapstack.XXXXXX")
    export TMPDIR
    # Servers that give up root look for their files here.
    chmod 0711 "$TMPDIR"
    trap 'rm -rf "$TMPDIR"' EXIT
    end_by_signals
}

# A shell that a signal ends runs its trap of EXIT only if it ends by itself.
end_by_signals() {
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 131' QUIT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
}

# Where cargo puts what it builds.
target_dir() {
    printf '%s\n' "${CARGO_TARGET_DIR:-target}"
}
