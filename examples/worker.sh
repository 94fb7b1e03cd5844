#!/bin/sh
# Runs a command for each task of a Trackside queue, one at a time: a POSIX shell, awk and curl are all it needs.
usage() {
  cat >&2 <<'USAGE'
usage: worker.sh [-u URL] [-l LEASE_S] [-w WAIT_S] [-d DRAIN_S] QUEUE COMMAND [ARGUMENT...]

  worker.sh exports sh render.sh

The payload is the command's standard input; what it prints is the result (JSON, or else text). Exit code 0 completes
the task, 65 fails it for good, any other one is tried again as the task says. TRACKSIDE_TASK_ID, TRACKSIDE_TASK_KIND
and TRACKSIDE_TASK_ATTEMPT are set. The lease is extended while the command runs; the command is ended (SIGTERM) when
its task is called off or braked, out of time, or another worker's by now. With the service away, the worker waits.
SIGTERM or SIGINT: the running command has DRAIN_S seconds to end, else its task is given back.

  -u  the service [env: TRACKSIDE_URL] [default: http://127.0.0.1:8080]
  -l  seconds that a lease lasts, extended at every third of it [default: 30]
  -w  seconds of the long poll [default: 20]
  -d  seconds that a running command has at the end [default: 20]
USAGE
  exit 2
}

url=${TRACKSIDE_URL:-http://127.0.0.1:8080} lease_s=30 wait_s=20 drain_s=20
while getopts u:l:w:d:h option; do
  case $option in
    u) url=$OPTARG ;; l) lease_s=$OPTARG ;; w) wait_s=$OPTARG ;; d) drain_s=$OPTARG ;; *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
queue=$1; shift
[ "$1" = -- ] && shift
lease_ms=$((lease_s * 1000)) every=$((lease_s / 3)); [ "$every" -ge 1 ] || every=1
tab=$(printf '\t') stopping=0 poll='' child='' reaper=''
# A new name at each start: what an earlier process held is not this one's.
worker_id="sh-$(uname -n)-$$-$(date +%s)"
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT

log() { echo "worker: $*" >&2; }

# post PATH BODY NAME SECONDS: the status on standard output (000: no answer), the answer in the file NAME.
post() {
  printf '%s' "$2" > "$folder/$3.body"
  curl -s -o "$folder/$3" -w '%{http_code}' -m "$4" -H 'Content-Type: application/json' \
    --data-binary "@$folder/$3.body" "$url$1" 2> /dev/null
}

# The members of the first task of a lease answer, a line for each: its name, a tab, and its value as JSON.
first_task() {
  LC_ALL=C awk '
    { text = text $0 " " }
    END {
      for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (inside) {
          if (c == "\\") i++
          else if (c == "\"") { inside = 0; if (!start) key = substr(text, from, i - from) }
        } else if (c == "\"") { inside = 1; from = i + 1 }
        else if (c == ":" && depth == 3 && !start) start = i + 1
        else if (c == "{" || c == "[") depth++
        else if (c == "," || c == "}" || c == "]") {
          if (depth == 3 && start && c != "]") { print key "\t" substr(text, start, i - start); start = 0 }
          if (c != "," && --depth == 2) exit
        }
      }
    }' "$folder/lease"
}

# field NAME: its value of the current task, without quotes.
field() { sed -n "s/^$1$tab//p" "$folder/task" | sed 's/^"//; s/"$//'; }

# Standard input as a JSON string.
quoted() {
  LC_ALL=C tr '\n\t\r' '   ' | LC_ALL=C tr -d '\000-\037\177' | sed 's/[\\"]/\\&/g' |
    awk '{ text = text $0 } END { print "\"" text "\"" }'
}

# Extends the lease until it is ended; ends the command when it has to stop, with the reason in the file `order`.
keep() {
  failed=0 lasted=0
  while sleep "$every"; do
    lasted=$((lasted + every)) reason=''
    # $$ is the worker, also in here: nobody would settle the task of a worker that was killed.
    kill -0 "$$" 2> /dev/null || { kill "$child"; exit; }
    case $(post "/v1/tasks/$id/extend" "{\"fence\": $fence, \"lease_ms\": $lease_ms}" extend "$every") in
      200) failed=0; grep -q '"orders":\[\]' "$folder/extend" || reason='stopped as ordered' ;;
      404 | 409) reason=lost ;;
      *) failed=$((failed + 1)); [ "$failed" -lt 3 ] || reason=lost ;;
    esac
    [ "$timeout_ms" = null ] || [ $((lasted * 1000)) -lt "$timeout_ms" ] || reason="timed out after $timeout_ms ms"
    [ -z "$reason" ] || { echo "$reason" > "$folder/order"; kill "$child"; exit; }
  done < /dev/null > /dev/null 2>&1
}

# settle VERB BODY: says it until it is heard, which is safe to repeat; the status is in $status.
settle() {
  tries=0
  while :; do
    status=$(post "/v1/tasks/$id/$1" "$2" settle 15)
    case $status in
      000 | 429 | 5??) ;;
      200) return ;;
      *) log "$id: $1: HTTP $status $(cat "$folder/settle")"; return ;;
    esac
    tries=$((tries + 1))
    [ "$tries" -eq 1 ] && log "cannot settle, trying again: HTTP $status"
    if [ "$stopping" = 1 ] && [ "$tries" -ge 5 ]; then return; fi
    sleep $((tries < 10 ? tries : 10))
  done
}

# Runs the command for the current task, and settles it.
work() {
  rm -f "$folder/order"
  sed -n "s/^payload$tab//p" "$folder/task" > "$folder/payload"
  TRACKSIDE_TASK_ID=$id TRACKSIDE_TASK_KIND=$(field kind) TRACKSIDE_TASK_ATTEMPT=$(field attempt) \
    "$@" < "$folder/payload" > "$folder/result" 2> "$folder/error" &
  child=$!
  keep &
  keeper=$!
  while :; do
    wait "$child"; code=$?
    # A signal of our own ends the wait as well.
    if [ "$code" -gt 128 ] && kill -0 "$child" 2> /dev/null; then continue; fi
    break
  done
  kill "$keeper" 2> /dev/null; wait "$keeper" 2> /dev/null
  [ -z "$reaper" ] || kill "$reaper" 2> /dev/null
  child=''
  order=''; [ ! -f "$folder/order" ] || order=$(cat "$folder/order")
  # Whoever ends the worker may have ended the command as well, as systemd does.
  if [ -z "$order" ] && [ "$stopping" = 1 ] && [ "$code" -gt 128 ]; then order='the worker ends'; fi
  case $order in
    lost) log "$id: the lease is lost" ;;
    'the worker ends') settle release "{\"fence\": $fence}" ;;
    ?*) settle fail "{\"fence\": $fence, \"error\": \"$order\"}" ;;
    *) if [ "$code" -eq 0 ]; then completed; else failed; fi ;;
  esac
}

completed() {
  [ -s "$folder/result" ] || { settle ack "{\"fence\": $fence}"; return; }
  result=$(cat "$folder/result")
  # Not JSON: then it is text.
  [ "$(post "/v1/tasks/$id/ack" "{\"fence\": $fence, \"result\": $result}" settle 15)" != 200 ] || return 0
  result=$(printf '%s' "$result" | quoted)
  settle ack "{\"fence\": $fence, \"result\": $result}"
  case $status in
    4??) settle fail "{\"fence\": $fence, \"retryable\": false, \"error\": \"the result was refused\"}" ;;
  esac
}

failed() {
  reason=$(LC_ALL=C tr -cd '\n\040-\176' < "$folder/error" | tail -c 1000)
  reason=$(printf '%s' "${reason:-exit code $code}" | quoted)
  retryable=true; [ "$code" -ne 65 ] || retryable=false
  settle fail "{\"fence\": $fence, \"retryable\": $retryable, \"error\": $reason}"
}

stop() {
  stopping=1
  [ -z "$poll" ] || kill "$poll" 2> /dev/null
  [ -z "$child" ] || {
    (sleep "$drain_s" && echo 'the worker ends' > "$folder/order" && kill "$child") < /dev/null > /dev/null 2>&1 &
    reaper=$!
  }
}
trap stop TERM INT

log "$worker_id takes tasks of $queue at $url"
away=0
while [ "$stopping" = 0 ]; do
  wanted="{\"worker_id\": \"$worker_id\", \"max_tasks\": 1, \"lease_ms\": $lease_ms, \"wait_ms\": $((wait_s * 1000))}"
  rm -f "$folder/lease"
  # Not by `post`: what is to be ended by a signal is curl itself. The service then hands the task to somebody else.
  curl -s -o "$folder/lease" -w '%{http_code}' -m $((wait_s + 15)) -H 'Content-Type: application/json' \
    --data-binary "$wanted" "$url/v1/queues/$queue/lease" > "$folder/status" 2> /dev/null &
  poll=$!
  [ "$stopping" = 0 ] || kill "$poll" 2> /dev/null
  # Twice: a signal of our own ends the first one.
  wait "$poll" 2> /dev/null; wait "$poll" 2> /dev/null
  poll=''
  status=$(cat "$folder/status" 2> /dev/null)
  case $status in
    200)
      [ "$away" -eq 0 ] || log 'the service is back'
      away=0
      first_task > "$folder/task"
      id=$(field task_id) fence=$(field fence) timeout_ms=$(field timeout_ms)
      [ -n "$id" ] || continue
      if [ "$stopping" = 1 ]; then settle release "{\"fence\": $fence}"; else work "$@"; fi
      ;;
    4??) [ "$status" = 429 ] || { log "lease refused: $(cat "$folder/lease")"; exit 1; } ;;
    *)
      [ "$stopping" = 0 ] || break
      [ "$away" -gt 0 ] || log "cannot lease, trying again: HTTP ${status:-000}"
      away=$((away < 10 ? away + 1 : 10))
      sleep "$away"
      ;;
  esac
done
log stopped
