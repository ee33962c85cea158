# Print the help of a Makefile: each target with the text after its `##`, then each line `#: NAME=VALUE text`.

BEGIN { width = 0; targets = 0; variables = 0 }

/^[a-z-]+:.*## / {
    target[targets] = substr($0, 1, index($0, ":") - 1)
    summary[targets++] = substr($0, index($0, "## ") + 3)
    width = longer(target[targets - 1], width)
}

/^#: / {
    variable[variables] = $2
    $1 = $2 = ""
    sub(/^ +/, "")
    meaning[variables++] = $0
    width = longer(variable[variables - 1], width)
}

END {
    form = "  %-" width "s  %s\n"
    print "Usage: make TARGET [VARIABLE=VALUE ...]"
    print "\nTargets:"
    for (i = 0; i < targets; i++) printf form, target[i], summary[i]
    print "\nVariables:"
    for (i = 0; i < variables; i++) printf form, variable[i], meaning[i]
}

function longer(word, width) {
    return length(word) > width ? length(word) : width
}
