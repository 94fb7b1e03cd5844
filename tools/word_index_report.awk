# Makes the report from lines of document, term and occurrences: the most frequent terms, and what each document is
# about by tf-idf, that is, by what is frequent in it and rare elsewhere.
BEGIN { FS = "\t" }

{
    if (!($1 in words)) names[++documents_seen] = $1
    words[$1] += $3
    all += $3
    if (!($2 in overall)) terms++
    overall[$2] += $3
    occurs_in[$2]++
    here[$1, $2] = $3
}

# The best `wanted` keys of `score`, highest first, equal ones in alphabetical order, into `best`; answers how many.
function select(score, wanted, best,    key, found, pick) {
    for (found = 0; found < wanted; found++) {
        pick = ""
        for (key in score)
            if (pick == "" || score[key] > score[pick] || (score[key] == score[pick] && key < pick)) pick = key
        if (pick == "") break
        best[found + 1] = pick
        delete score[pick]
    }
    return found
}

END {
    printf "# Term index of %d documents\n\n%d words, %d terms.\n\n", documents, all, terms
    print "| term | occurrences | documents |\n|---|---:|---:|"
    for (term in overall) score[term] = overall[term]
    found = select(score, top, best)
    for (i = 1; i <= found; i++) printf "| %s | %d | %d |\n", best[i], overall[best[i]], occurs_in[best[i]]

    print "\n## What each document is about\n"
    for (d = 1; d <= documents_seen; d++) {
        name = names[d]
        for (key in score) delete score[key]
        for (pair in here) {
            split(pair, part, SUBSEP)
            if (part[1] == name)
                score[part[2]] = here[pair] / words[name] * log((1 + documents) / (1 + occurs_in[part[2]]))
        }
        found = select(score, 6, best)
        about = ""
        for (i = 1; i <= found; i++) about = about (i > 1 ? ", " : "") best[i]
        printf "- **%s**: %s\n", name, about
    }
}
