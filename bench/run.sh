#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The benchmark's runner: starts the servers of a case, has build/bench/load drive them in turn, and
# ends them, whatever happens. It owns the processes; how to measure is the business of load.c, what
# the numbers mean that of table.lua, which makes the table, bench/RESULTS.md and docs/bench.svg.
#
#   run_cases.sh    the cases that load drives: what is compared, and what the client does
#   run_gauges.sh   what load cannot measure: memory, start-up, pauses, instructions, redis
#   run_growth.sh   the same with more and more connections, tasks, bytes
#
# Every server takes a port (0: any) and prints the port it got on its first line of stdout. What is
# missing here is said, in a line that begins with "skipped", and the rest is measured.
#
# Usage: bench/run.sh [CASE... | all | peers | growth | smoke] [--priority] [--write]
# LARIAT=PROGRAM measures another binary, BUILD=DIR takes the C programs from DIR/bench.
# Exit status: 0 measured, 1 could not measure, 2 wrong arguments, 3 measured but void.

set -u
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
build=${BUILD:-$root/build}
lariat=${LARIAT:-$root/lariat}
load=$build/bench/load
server=$build/bench/server

# shellcheck source-path=SCRIPTDIR
. "$here/run_cases.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/run_gauges.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/run_growth.sh"

# --- arguments ------------------------------------------------------------------------------------

usage() {
    echo "usage: bench/run.sh [CASE... | all | peers | growth | smoke] [--priority] [--write]"
    echo
    echo "Compares lariat with servers in C, side by side. The cases are"
    echo "    $cases"
    echo "    $gauges"
    echo "and others with a heap or idle tasks, as echo-64+300k+10000t (bench/run_cases.sh says how)."
    echo "echo-64 is measured if none is given. all measures them all and prints one table,"
    echo "peers adds other runtimes, growth shows how costs grow, smoke only shows that everything"
    echo "works."
    echo
    echo "  --priority  run ahead of the machine's other work (chrt --rr 1, as root)"
    echo "  --write     write the table to bench/RESULTS.md and docs/bench.svg"
}

fail() {
    echo "bench: $*" >&2
    exit 1
}

skip() {
    echo "skipped: $*"
    skipped=$((skipped + 1))
}

parse_arguments() {
    smoke=no priority=no peers=no growth=no write=no
    chosen=()
    for argument; do
        case $argument in
        --smoke | smoke) smoke=yes ;;
        --priority) priority=yes ;;
        --write) write=yes ;;
        -h | --help) usage && exit 0 ;;
        all) read -ra chosen <<<"$cases $gauges" ;;
        peers) peers=yes ;;
        growth) growth=yes ;;
        *)
            if [[ " $gauges " != *" $argument "* ]] && ! is_case "$argument"; then
                echo "bench: what is '$argument'?" >&2
                usage >&2
                exit 2
            fi
            chosen+=("$argument")
            ;;
        esac
    done
    if [ "${#chosen[@]}" -gt 0 ]; then return; fi
    if [ "$smoke" = yes ] && [ "$growth" = no ]; then
        read -ra chosen <<<"$cases $gauges"
        growth=yes
    elif [ "$peers" = yes ]; then
        read -ra chosen <<<"$peer_cases"
    elif [ "$growth" = no ]; then
        chosen=(echo-64)
    fi
}

# --- what must be there ---------------------------------------------------------------------------

check_programs() {
    local program
    for program in load server idle startup empty; do
        if [ ! -x "$build/bench/$program" ]; then
            make -C "$root" bench-build >&2 || fail "'make bench-build' failed"
        fi
        [ -x "$build/bench/$program" ] || fail "'make bench-build' made no $build/bench/$program"
    done
    [ -x "$lariat" ] || fail "$lariat is missing: run make first"
}

# enough_descriptors NEEDED: raises the soft limit if it has to and can.
enough_descriptors() {
    local limit
    limit=$(ulimit -Sn)
    if [ "$limit" = unlimited ] || [ "$limit" -ge "$1" ]; then return 0; fi
    ulimit -Sn "$1" 2>/dev/null
}

check_cores() {
    on_server_core=() on_client_core=() on_same_core=()
    if ! command -v taskset >/dev/null; then
        echo "bench: no taskset here: going on without pinning; expect more noise" >&2
    elif ! taskset -c 0 true 2>/dev/null || ! taskset -c 1 true 2>/dev/null; then
        echo "bench: there are no cores 0 and 1 here: going on without pinning" >&2
    else
        on_server_core=(taskset -c 0)
        on_client_core=(taskset -c 1)
        on_same_core=(taskset -c 0)
    fi
}

check_priority() {
    first=()
    if [ "$priority" = no ]; then return; fi
    chrt --rr 1 true 2>/dev/null || fail "--priority needs chrt and the right to use it (root)"
    first=(chrt --rr 1)
}

# --- the processes --------------------------------------------------------------------------------

processes=() targets=() scratch='' descriptors=()

end_servers() {
    local descriptor
    if [ "${#processes[@]}" -gt 0 ]; then
        kill -KILL "${processes[@]}" 2>/dev/null
        wait "${processes[@]}" 2>/dev/null
    fi
    for descriptor in "${descriptors[@]}"; do exec {descriptor}<&-; done
    processes=() targets=() descriptors=()
}

end_everything() {
    trap - EXIT
    end_servers
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
}

# start NAME COMMAND...: appends to `targets`, and leaves `port` and `pid`. The fifo stays open for
# reading until the end, so that a server which prints more is not hurt by it. `core` says where.
core=()
start() {
    local label=$1 output descriptor
    shift
    output=$(mktemp -u -p "$scratch")
    mkfifo "$output" || fail "cannot make a fifo in $scratch"
    "${first[@]}" "${core[@]}" "$@" >"$output" </dev/null &
    pid=$!
    processes+=("$pid")
    exec {descriptor}<"$output"
    descriptors+=("$descriptor")
    port=
    read -r -t 15 -u "$descriptor" port
    port=${port##* } # redis_server.lua says "listening on HOST PORT"
    [[ $port =~ ^[0-9]+$ ]] || fail "$label printed no port within 15 s, but '$port' ($*)"
    targets+=("$label=$port:$pid")
}

# In the background, because bash answers no signal while it waits for a program in the foreground.
in_background() {
    "$@" &
    processes+=("$!")
    wait "$!"
}

main() {
    parse_arguments "$@"
    check_programs
    check_cores
    check_priority
    trap end_everything EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    scratch=$(mktemp -d) || fail "cannot make a temporary directory"
    results=$scratch/results skipped=0 measured=0 status=0
    : >"$results"
    for name in "${chosen[@]}"; do
        if [[ " $gauges " == *" $name "* ]]; then run_gauge "$name"; else run_case "$name"; fi
    done
    if [ "$growth" = yes ]; then run_growth; fi
    if [ "$smoke" = yes ]; then
        echo "smoke: $measured measured, $skipped skipped; so short a run proves nothing else."
    elif [ "${#chosen[@]}" -gt 1 ] || [ "$write" = yes ]; then
        show_table "$@"
    fi
    return "$status"
}

# The table of everything in $results; the command and the machine are for RESULTS.md.
show_table() {
    local options=()
    if [ "$write" = yes ]; then
        options=(--write "$root" --command "bench/run.sh $*" --machine "$(describe_machine)")
        keep_results
    fi
    "$lariat" "$here/table.lua" "$results" "${options[@]}" || status=1
}

# What was measured before and not again stays in the table: peers and growth are runs of their own.
keep_results() {
    local kept=$build/bench/results.tsv
    touch "$kept"
    awk -F '\t' 'NR == FNR { new[$1, $2] = 1; print; next } !(($1, $2) in new)' \
        "$results" "$kept" >"$scratch/merged"
    mv "$scratch/merged" "$kept"
    results=$kept
}

describe_machine() {
    local model
    model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
    echo "${model:-unknown processor}, $(nproc) cores, Linux $(uname -r)"
    "$lariat" --version 2>&1 | head -n 1
    gcc --version 2>/dev/null | head -n 1
}

main "$@"
