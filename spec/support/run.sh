#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs a command that runs busted, shows its output as it comes, and ends with one line of its own:
#
#   spec/support/run.sh ./lariat --test spec/      ->  ...  41 passed, 0 failed
#
# The counts are those of busted's summary, errors counting as failures. A run that dies, or that
# says nothing failed and yet exits with an error (a leak found at exit, say), counts as one failure
# more. The exit status is the command's own; where that is 0 although something failed, or although
# no test ran at all, it is 1.
set -u
export LC_ALL=C.UTF-8
PATH=$PATH:/usr/sbin:/sbin # where Debian keeps servers such as nginx; users do not have it

dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkfifo "$dir/pipe" || exit 1

# tee is the one in the background: a background command would ignore Ctrl-C, and so would its children.
tee "$dir/log" <"$dir/pipe" &
tee=$!
"$@" >"$dir/pipe"
status=$?

# A process that a spec forgot may hold the pipe open; it must not hold up the result.
tries=50
while kill -0 "$tee" 2>/dev/null; do
    if [ "$tries" -eq 0 ]; then
        echo "run.sh: a process left behind by the specs still holds their output"
        kill "$tee"
        [ "$status" -ne 0 ] || status=1
        break
    fi
    tries=$((tries - 1))
    sleep 0.1
done

# Specs may print summaries of busted runs of their own; ours is the last that fits the exit status.
counts=$(sed 's/\x1b\[[0-9;]*m//g' "$dir/log" | awk -v status="$status" '
    /^[0-9]+ success(es)? \/ [0-9]+ failures? \/ [0-9]+ errors? \/ [0-9]+ pending : [0-9.]+ seconds$/ {
        last = $1 " " $4 + $7
        if ($4 + $7 == status) fits = last
    }
    END { print fits ? fits : last }')
passed=${counts% *}
failed=${counts#* }

echo
if [ -z "$counts" ]; then
    echo "run.sh: the run ended without a summary, with status $status"
    passed=0
    failed=1
elif [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    echo "run.sh: no spec failed, but the run ended with status $status"
    failed=1
elif [ $((passed + failed)) -eq 0 ]; then
    echo "run.sh: no spec ran"
    status=1
fi
[ "$status" -ne 0 ] || [ "$failed" -eq 0 ] || status=1

echo "$passed passed, $failed failed"
exit "$status"
