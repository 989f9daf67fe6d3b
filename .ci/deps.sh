#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The packages lariat needs, and how to get them:
#
#   .ci/deps.sh check SET...      say what is missing; status 1 if anything is
#   .ci/deps.sh install SET...    install what is missing (Debian and its kin), saying so
#
# When all is there it says nothing and takes a few milliseconds: one dpkg-query. Where dpkg is not,
# it looks for the commands and libraries themselves and only says what is missing.
#
# No daemon is left running: while packages are unpacked a policy-rc.d forbids starting services
# (one that is already there is left alone), and the service of a server that came with them is
# stopped and disabled at boot. A server that was here before is not touched. The specs start their own.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

# set, Debian package, how to recognise it without dpkg, what it is for
packages() {
    cat <<'END'
build    gcc             command:gcc           the C compiler
build    make            command:make          runs the Makefile
build    pkg-config      command:pkg-config    finds Lua and libuv
build    liblua5.4-dev   library:lua5.4        Lua, which lariat embeds
build    libuv1-dev      library:libuv         name lookups, signals, child processes
build    libreadline-dev library:readline      line editing for lariat -i
test     lua5.4          command:lua5.4        stock Lua, to compare with
test     lua-busted      module:busted         the test framework
test     lua-socket      module:socket         LuaSocket, to compare with
test     ncat            command:ncat          a peer: TCP and UDP clients and servers
test     socat           command:socat         a peer: every kind of socket
test     bind9-dnsutils  command:dig           a peer: DNS client
test     curl            command:curl          a peer: HTTP client
test     redis-server    command:redis-server  a peer: RESP server
test     redis-tools     command:redis-cli     a peer: RESP client and load
test     nginx-light     command:nginx         a peer: HTTP server
test     wrk             command:wrk           a peer: HTTP load
test     lua-sec         module:ssl            LuaSec, run as it is
test     openssl         command:openssl       makes certificates for it
test     lua-redis       file:/usr/share/lua/5.3/redis.lua            a library, run as it is
test     lua-copas       file:/usr/share/lua/5.2/copas.lua            a library, run as it is
test     lua-soap        file:/usr/share/lua/5.1/soap.lua             a library, run as it is
test     lua-nginx-redis file:/usr/share/lua/5.1/nginx/redis.lua      a library for cosockets
test     lua-nginx-memcached file:/usr/share/lua/5.1/nginx/memcached.lua a library for cosockets
test     memcached       command:memcached     a peer: memcached
test     tshark          command:tshark        Wireshark, for which lariat.wire makes plugins
test     python3-pyftpdlib file:/usr/lib/python3/dist-packages/pyftpdlib a peer: FTP server
test     python3-aiosmtpd file:/usr/lib/python3/dist-packages/aiosmtpd   a peer: mail server
test     mosquitto-clients command:mosquitto_pub a peer: MQTT clients
test     dnsmasq-base    command:dnsmasq       a peer: name server
test     coturn          command:turnutils_stunclient a peer: STUN client
test     chrony          command:chronyd       a peer: NTP client
test     bsdutils        command:logger        a peer: syslog client
test     procps          command:ps            looks at processes in specs
test     util-linux      command:taskset       pins processes to a core
lint     lua-check       command:luacheck      lints Lua
lint     clang-format    command:clang-format  checks the layout of C
lint     cppcheck        command:cppcheck      lints C
valgrind valgrind        command:valgrind      the memory checker
peers    lua-luv         module:luv            benchmarked against: libuv in Lua
peers    lua-cqueues     module:cqueues        benchmarked against: cqueues
peers    lua5.1          command:lua5.1        what Debian's copas runs on
peers    lua-copas       file:/usr/share/lua/5.1/copas.lua benchmarked against: copas
peers    nodejs          command:node          benchmarked against: Node
END
}

wanted() { # the lines of the sets named
    packages | while read -r set package probe why; do
        case " $sets " in *" $set "*) echo "$package $probe $why" ;; esac
    done
}

present() { # command:NAME, library:NAME, module:NAME or file:PATH
    case $1 in
    command:*) command -v "${1#*:}" ;;
    library:*) pkg-config --exists "${1#*:}" ;;
    module:*) lua5.4 -e "require '${1#*:}'" ;;
    file:*) [ -e "${1#*:}" ] ;;
    esac >/dev/null 2>&1
}

missing() { # the lines of the packages that are not there
    installed=" "
    if command -v dpkg-query >/dev/null; then
        names=$(wanted | while read -r package _; do echo "$package"; done)
        # shellcheck disable=SC2086
        installed=" $(dpkg-query -W -f '${Package}=${db:Status-Status} ' $names 2>/dev/null || :) "
    fi
    wanted | while read -r package probe why; do
        case $installed in *" $package=installed "*) continue ;; esac
        present "$probe" || echo "$package $probe $why"
    done
}

# ---- the part that runs as root: deps.sh apt PACKAGE... -----------------------------------------------------------

policy=/usr/sbin/policy-rc.d
mark="# put here by lariat's .ci/deps.sh while it installs packages"

hold_daemons() {
    if [ -e "$policy" ] && ! grep -qxF "$mark" "$policy"; then return; fi
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
}

lists_are_fresh() { # package lists fetched within the last day, and everything found in them
    [ -n "$(find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' 2>/dev/null | head -n 1)" ] &&
        [ -n "$(find /var/lib/apt/lists -maxdepth 1 -mmin -1440 2>/dev/null | head -n 1)" ] &&
        apt-get install --simulate -qq --no-install-recommends "$@" >/dev/null 2>&1
}

apt_install() {
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        "$@" </dev/null
}

# A package that would take the place of another, as chrony of what keeps the machine's clock, is not
# installed: its program alone is copied to /usr/local/sbin, and the libraries it needs are installed.
displaces() {
    apt-get install --simulate -qq --no-install-recommends "$1" 2>/dev/null | grep -q '^Remv '
}

unpack() ( # PACKAGE PROGRAM
    libraries=$(apt-cache depends "$1" | sed -n 's/^  Depends: \(lib[^ ]*\)$/\1/p')
    # shellcheck disable=SC2086
    apt_install --no-upgrade $libraries
    scratch=$(mktemp -d)
    trap 'rm -rf "$scratch"' EXIT
    cd "$scratch"
    apt-get download -q -o APT::Sandbox::User=root "$1"
    dpkg-deb -x "$1"_*.deb .
    install -m 755 "usr/sbin/$2" "/usr/local/sbin/$2"
    echo "deps: /usr/local/sbin/$2 is here for the specs only: $1 itself would replace another package"
)

as_root() {
    export DEBIAN_FRONTEND=noninteractive
    exec 9<"$0"
    flock 9 # one at a time

    new=
    for daemon in redis-server nginx memcached coturn chrony; do
        [ -e "/etc/init.d/$daemon" ] || new="$new $daemon"
    done
    hold_daemons
    lists_are_fresh "$@" || apt-get update -q
    case " $* " in *" chrony "*)
        if displaces chrony; then
            unpack chrony chronyd
            # shellcheck disable=SC2046
            set -- $(for package in "$@"; do [ "$package" = chrony ] || echo "$package"; done)
            [ $# -gt 0 ] || return 0
        fi
        ;;
    esac
    if lists_are_fresh "$@"; then
        apt_install "$@" || { apt-get update -q && apt_install "$@"; }
    else
        apt-get update -q
        apt_install "$@"
    fi
    for daemon in $new; do
        [ -e "/etc/init.d/$daemon" ] || continue
        echo "deps: $daemon is here for the specs only: its service is stopped, and disabled at boot"
        service "$daemon" stop >/dev/null 2>&1 || true # a policy of the machine's own may have let it start
        update-rc.d "$daemon" disable >/dev/null 2>&1 || true
    done
}

# ---- the part that anybody runs -----------------------------------------------------------------------------------

mode=${1:?usage: deps.sh check|install SET...}
shift
if [ "$mode" = apt ]; then
    as_root "$@"
    exit 0
fi

sets=$*
lack=$(missing)
[ -n "$lack" ] || exit 0

echo "deps: missing here:"
echo "$lack" | while read -r package _ why; do printf '  %-16s %s\n' "$package" "$why"; done
names=$(echo "$lack" | while read -r package _; do printf '%s ' "$package"; done)
names=${names% }

give_up() {
    echo "deps: $*" >&2
    exit 1
}

[ "$mode" = install ] || give_up "\`make deps\` installs them on Debian, or: apt-get install $names"
command -v apt-get >/dev/null ||
    give_up "there is no apt-get here; please install the equivalents of these Debian packages: $names"
if [ "$(id -u)" -eq 0 ]; then
    run=
    how=apt-get
elif command -v sudo >/dev/null; then
    run=sudo
    how="sudo apt-get"
else
    give_up "neither root nor sudo; as root, please run: apt-get install --no-install-recommends $names"
fi

echo "deps: installing with $how: $names"
# shellcheck disable=SC2086
$run sh "$0" apt $names || give_up "could not; as root, please run: apt-get install --no-install-recommends $names"

lack=$(missing)
[ -z "$lack" ] || give_up "still missing: $(echo "$lack" | cut -d ' ' -f 1 | tr '\n' ' ')"
