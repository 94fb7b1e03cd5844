#!/bin/sh
# Builds a term index over a folder of text documents.
#
# Arguments: folder (a relative one starts beside this script), terms in the report, shortest word, milliseconds to rest
# after each document. Writes `index.json` (term -> document -> occurrences) and `report.md` (the terms that characterise
# the collection and each document) into the current folder. Needs a POSIX shell and awk, nothing else.
set -eu
# Bytes, so that every awk counts alike; letters beyond ASCII are part of words as they stand.
export LC_ALL=C
tools=$(cd "$(dirname "$0")" && pwd)
case $1 in /*) folder=$1 ;; *) folder=$tools/$1 ;; esac
top=$2 min_length=$3 pace=$(awk -v ms="$4" 'BEGIN { print ms / 1000 }')

say() { # percent, message
    printf '{"progress": %s, "message": "%s"}\n' "$1" "$2"
}

[ -d "$folder" ] || { echo "$folder is not a folder" >&2; exit 1; }
find "$folder" -type f \( -name '*.md' -o -name '*.txt' \) | sort > documents.list
total=$(awk 'END { print NR }' documents.list)
[ "$total" -gt 0 ] || { echo "no .md or .txt files in $folder" >&2; exit 1; }

number=0
: > terms.tsv
while IFS= read -r file; do
    number=$((number + 1))
    name=${file#"$folder"/}
    # The name goes through the environment: awk would read escapes in an assignment.
    NAME=$name awk -v min_length="$min_length" -f "$tools/word_index_terms.awk" < "$file" > document.tsv
    cat document.tsv >> terms.tsv
    printf '%s: %s\n' "$name" "$(awk -F '\t' '{ n += $3 } END { print n + 0 " words, " NR " terms" }' document.tsv)"
    say $((90 * number / total)) "read $number of $total documents"
    sleep "$pace"
done < documents.list

say 92 "building the index"
sort terms.tsv | awk -v documents="$total" -f "$tools/word_index_json.awk" > index.json
say 97 "writing the report"
awk -v documents="$total" -v top="$top" -f "$tools/word_index_report.awk" terms.tsv > report.md
say 100 "indexed $(cut -f 2 terms.tsv | sort -u | awk 'END { print NR }') terms in $total documents"
