# Counts the terms of one document: prints the document ($NAME), the term and its occurrences, between tabs.
BEGIN {
    common = "a about after all also an and any are as at be because been before being both but by can could did do does " \
        "down each few for from had has have he her here his how i if in into is it its may more most no nor not now of " \
        "off on once one only or other our out over own same she should so some such than that the their them then there " \
        "these they this those through to too two under until up was we were what when where which while who why will " \
        "with would you"
    split(common, list, " ")
    for (i in list) is_common[list[i]] = 1
}

{
    line = tolower($0)
    while (match(line, /[a-z\200-\377]+(['-][a-z\200-\377]+)*/)) {
        word = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (length(word) >= min_length && !(word in is_common)) count[word]++
    }
}

END { for (word in count) print ENVIRON["NAME"] "\t" word "\t" count[word] | "sort" }
