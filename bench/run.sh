#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The benchmark's runner: starts the servers of a case, has build/bench/load drive them in turn, and
# ends them, whatever happens. It owns the processes; how to measure is the business of load.c.
#
# A case is an entry in choose_case below: it says which server in C and which script are compared,
# and what the load generator does with them. Every server takes a port (0: any) and prints the port
# it got on its first line of stdout.
#
# Usage: bench/run.sh [CASE] [--smoke] [--priority]
# LARIAT=PROGRAM measures another binary, BUILD=DIR takes the C programs from DIR/bench.
# Exit status: 0 measured, 1 could not measure, 2 wrong arguments, 3 measured but void.

set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=${BUILD:-$root/build}
lariat=${LARIAT:-$root/lariat}
load=$build/bench/load

# --- the cases ------------------------------------------------------------------------------------

cases="echo-64 echo-1 echo-1000 echo-16k echo-pipelined"

# What a case leaves unsaid. A slice is several times as long as a message takes; see load.c.
reference=echo_uv script=echo.lua load_case=echo
connections=64 size=64 depth=1 slice_ms=10 cycles=400
client_core=1

choose_case() {
    case $1 in
    echo-64) ;;
    echo-1) connections=1 client_core=0 ;; # one core: the path itself, without idle waiting
    echo-1000) connections=1000 slice_ms=60 cycles=100 ;;
    echo-16k) size=16384 ;;
    echo-pipelined) depth=16 ;;
    *) return 1 ;;
    esac
}

# --- arguments ------------------------------------------------------------------------------------

usage() {
    echo "usage: bench/run.sh [CASE] [--smoke] [--priority]"
    echo
    echo "Compares lariat with a server in C, side by side. The case is one of"
    echo "    $cases"
    echo "and echo-64 if none is given. --smoke only shows that everything works. --priority runs"
    echo "ahead of the machine's other work (chrt --rr 1, as root), when that makes the runs void."
}

fail() {
    echo "bench: $*" >&2
    exit 1
}

parse_arguments() {
    name='' smoke=no priority=no
    for argument; do
        case $argument in
        --smoke) smoke=yes ;;
        --priority) priority=yes ;;
        -h | --help) usage && exit 0 ;;
        *)
            if [ -n "$name" ] || ! choose_case "$argument"; then
                echo "bench: what is '$argument'?" >&2
                usage >&2
                exit 2
            fi
            name=$argument
            ;;
        esac
    done
    name=${name:-echo-64}
    if [ "$smoke" = yes ]; then cycles=3; fi
}

# --- what must be there ---------------------------------------------------------------------------

check_programs() {
    if [ ! -x "$load" ] || [ ! -x "$build/bench/$reference" ]; then
        make -C "$root" bench-build >&2 || fail "'make bench-build' failed"
    fi
    for program in "$load" "$build/bench/$reference"; do
        [ -x "$program" ] || fail "$program is missing: 'make bench-build' should have made it"
    done
    [ -x "$lariat" ] || fail "$lariat is missing: run make first"
}

# The client holds the connections to all three servers, and a handful of other descriptors.
check_descriptors() {
    local needed=$((connections * 3 + 64)) limit
    limit=$(ulimit -Sn)
    if [ "$limit" = unlimited ] || [ "$limit" -ge "$needed" ]; then return; fi
    ulimit -Sn "$needed" 2>/dev/null && return
    fail "$name needs $needed open files and the limit is $(ulimit -Hn)." \
        "Raise it (ulimit -Hn, limits.conf) or choose another case."
}

check_cores() {
    on_server_core=() on_client_core=()
    if ! command -v taskset >/dev/null; then
        echo "bench: no taskset here: going on without pinning; expect more noise" >&2
    elif ! taskset -c 0 true 2>/dev/null || ! taskset -c 1 true 2>/dev/null; then
        echo "bench: there are no cores 0 and 1 here: going on without pinning" >&2
    else
        on_server_core=(taskset -c 0)
        on_client_core=(taskset -c "$client_core")
    fi
}

check_priority() {
    first=()
    if [ "$priority" = no ]; then return; fi
    chrt --rr 1 true 2>/dev/null || fail "--priority needs chrt and the right to use it (root)"
    first=(chrt --rr 1)
}

# --- the processes --------------------------------------------------------------------------------

processes=() targets=() scratch=''

end_processes() {
    trap - EXIT
    if [ "${#processes[@]}" -gt 0 ]; then
        kill -KILL "${processes[@]}" 2>/dev/null
        wait "${processes[@]}" 2>/dev/null
    fi
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
}

# start NAME COMMAND...: appends to `targets`. The fifo stays open for reading until the end, so
# that a server which prints more is not hurt by it.
start() {
    local label=$1 output=$scratch/${#processes[@]} port='' descriptor
    shift
    mkfifo "$output" || fail "cannot make a fifo in $scratch"
    "${first[@]}" "${on_server_core[@]}" "$@" 0 >"$output" </dev/null &
    processes+=("$!")
    exec {descriptor}<"$output"
    read -r -t 5 -u "$descriptor" port
    [[ $port =~ ^[0-9]+$ ]] || fail "$label printed no port within 5 s, but '$port' ($*)"
    targets+=("$label=$port:$!")
}

start_servers() {
    scratch=$(mktemp -d) || fail "cannot make a temporary directory"
    start "$reference" "$build/bench/$reference"
    start "$reference" "$build/bench/$reference" # again, to see the noise
    start lariat "$lariat" "$here/$script"
}

# In the background, because bash answers no signal while it waits for a program in the foreground.
# The load generator itself bounds how long this takes.
run_load() {
    "${first[@]}" "${on_client_core[@]}" "$load" --case "$load_case" --connections "$connections" \
        --size "$size" --depth "$depth" --slice-ms "$slice_ms" --cycles "$cycles" \
        "${targets[@]}" &
    processes+=("$!")
    wait "$!"
    status=$?
}

main() {
    parse_arguments "$@"
    check_programs
    check_descriptors
    check_cores
    check_priority
    trap end_processes EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    start_servers
    run_load
    if [ "$smoke" = yes ] && [ "$status" -eq 3 ]; then
        echo "smoke: three cycles prove nothing; that the numbers came out is enough."
        status=0
    elif [ "$status" -eq 3 ] && [ "$priority" = no ]; then
        echo "bench: if other programs are busy on this machine, --priority runs ahead of them"
    fi
    return "$status"
}

main "$@"
