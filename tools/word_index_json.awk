# Makes the index from sorted lines of document, term and occurrences: {"documents": n, "terms": {term: {document: n}}}.
BEGIN { FS = "\t" }

function quoted(text) {
    gsub(/\\/, "\\\\", text)
    gsub(/"/, "\\\"", text)
    return "\"" text "\""
}

{
    entry = quoted($1) ": " $3
    if ($2 in places) places[$2] = places[$2] ", " entry
    else { places[$2] = entry; terms++ }
}

END {
    printf "{\"documents\": %d, \"terms\": {", documents
    fflush()
    for (term in places) print quoted(term) ": {" places[term] "}" | "sort | awk '{ printf \"%s\\n  %s\", (NR > 1 ? \",\" : \"\"), $0 }'"
    close("sort | awk '{ printf \"%s\\n  %s\", (NR > 1 ? \",\" : \"\"), $0 }'")
    print "\n}}"
}
