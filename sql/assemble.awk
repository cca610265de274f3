# sql/assemble.awk: makes the scripts of the extension, so that each thing stands in one place.
#
#   awk -f sql/assemble.awk sql/columns/* sql/parts/*.sql                  prints the script of CREATE EXTENSION
#   awk -f sql/assemble.awk sql/columns/* sql/parts/*.sql sql/NAME.sql.in  prints a script of ALTER EXTENSION UPDATE
#
# A file of sql/columns is a list of columns, one a line: "name type -- comment". Lists that a later version adds to have
# files of their own, since a view and a table get new columns at their end. In sql/parts and in NAME.sql.in stand for
#
#   @columns LIST ...@         the names and types of the lists, for a table or a function
#   @fields ALIAS LIST ...@    the names, as columns of ALIAS, for a view
#   @finite ALIAS LIST ...@    the same, with NULL in place of an infinite bound: of columns whose comment says Infinity
#   @add LIST ...@             ADD COLUMN with name and type, for a table
#   @comments TABLE LIST ...@  a COMMENT ON COLUMN for each column
#   @notes VIEW LIST ...@      the same, for a view that has the columns from @finite@
#   @last TABLE@               FROM the rows of TABLE, a log, that the last check of each experiment wrote
#   @integers@                 for each function in C for users whose first argument is "experiment text", the same with
#                              "experiment bigint", its comment, and what is revoked of it
#
# and in NAME.sql.in also
#
#   @copy BEGINNING@           the statement of sql/parts that begins so, such as CREATE FUNCTION guardrail_evaluate
#   @replace BEGINNING@        the same, as CREATE OR REPLACE
#   @comments@                 every COMMENT ON of sql/parts
#
# What does not exist, or is not one statement, is an error.

BEGIN { upgrade = ARGV[ARGC - 1] ~ /\.sql\.in$/ }

function fail(what) {
  print FILENAME ":" FNR ": " what | "cat 1>&2"
  failed = 1
  exit 1
}

# adds a line of sql/parts to the statement it belongs to
function collect(line) {
  if (inside && !body && line ~ /^(CREATE|COMMENT|ALTER) /)
    fail("the statement before this one does not end with a line that ends with ;")
  if (!inside) {
    if (line !~ /^[A-Z]/) return
    inside = 1
    body = 0
    statement[++statements] = ""
  }
  statement[statements] = statement[statements] line "\n"
  if (line ~ /^BEGIN ATOMIC$/ || line ~ /\$\$ BEGIN$/) body = 1
  if (line ~ /;$/ && (!body || line ~ /^END/)) inside = 0
}

function copied(beginning,    i, found) {
  for (i = 1; i <= statements; i++)
    if (index(statement[i], beginning) == 1 && index(statement[i], "(experiment bigint") == 0 && substr(statement[i], length(beginning) + 1, 1) !~ /[A-Za-z0-9_]/) {
      if (found) fail("several statements of sql/parts begin with \"" beginning "\"")
      found = i
    }
  if (!found) fail("no statement of sql/parts begins with \"" beginning "\"")
  return substr(statement[found], 1, length(statement[found]) - 1)
}

# the twins, for ids that are integers, of the functions above
function integers(    i, text, body, name, twin) {
  for (i = 1; i <= statements; i++) {
    body = statement[i]
    if (body !~ /^CREATE (FUNCTION|PROCEDURE) guardrail_[a-z_]+\(experiment text/ || body !~ /LANGUAGE C/) continue
    name = body
    sub(/^CREATE [A-Z]+ /, "", name)
    sub(/\(.*/, "", name)
    if (name ~ /^guardrail_plan_/) continue
    sub(/experiment text( DEFAULT NULL)?/, "experiment bigint", body)
    text = text body
    twin[name] = 1
  }
  for (i = 1; i <= statements; i++) {
    body = statement[i]
    if (body !~ /^(COMMENT ON|REVOKE [A-Z]+ ON|GRANT [A-Z]+ ON) (FUNCTION|PROCEDURE) guardrail_[a-z_]+\(text[,)]/) continue
    name = body
    sub(/^[A-Z ]+ (FUNCTION|PROCEDURE) /, "", name)
    sub(/\(.*/, "", name)
    if (!(name in twin)) continue
    sub(/\(text/, "(bigint", body)
    text = text body
  }
  return substr(text, 1, length(text) - 1)
}

function all_comments(    i, text) {
  for (i = 1; i <= statements; i++)
    if (statement[i] ~ /^COMMENT ON /) text = text statement[i]
  return substr(text, 1, length(text) - 1)
}

# a bound, as a view shows it
function finite(column) {
  return "nullif(nullif(" column ", 'Infinity'::double precision), '-Infinity'::double precision)"
}

# what a comment on a bound says of it in a view
function noted(comment) {
  if (match(comment, /-?Infinity: [^;]*; NULL: /))
    comment = substr(comment, 1, RSTART - 1) "NULL: " substr(comment, index(comment, "Infinity: ") + 10, RSTART + RLENGTH - index(comment, "Infinity: ") - 18) \
      ", or " substr(comment, RSTART + RLENGTH)
  return comment
}

# what a directive with lists stands for; word[from] is the name of the first list
function listed(kind, of, word, from, words, indent,    w, i, text, piece, comment, width) {
  if (from > words) fail("@" kind "@ names no list of sql/columns")
  for (w = from; w <= words; w++) {
    if (!(word[w] in columns)) fail("there is no list sql/columns/" word[w])
    for (i = 1; i <= columns[word[w]]; i++) {
      comment = told[word[w], i]
      if (kind == "comments" || kind == "notes") {
        text = text (text == "" ? "" : "\n") "COMMENT ON COLUMN " of "." name[word[w], i] " IS '" (kind == "notes" ? noted(comment) : comment) "';"
        continue
      }
      if (kind == "finite" && noted(comment) != comment) piece = finite(of "." name[word[w], i]) " AS " name[word[w], i]
      else piece = kind == "fields" || kind == "finite" ? of "." name[word[w], i] : name[word[w], i] " " type[word[w], i]
      if (kind == "add") piece = "ADD COLUMN " piece
      width += length(piece) + 2
      if (text != "") text = text (kind == "columns" ? ",\n" indent : width > 100 ? ",\n  " indent : ", ")
      if (width > 100) width = length(piece) + 2
      text = text piece
    }
  }
  return text
}

# the check is found first, by an index, and then its rows
function last(table, indent) {
  return "FROM guardrail_experiment e\n" indent "CROSS JOIN LATERAL (\n" \
    indent "  SELECT m.check_id FROM guardrail_check_log m\n" \
    indent "  WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at\n" \
    indent "  ORDER BY m.check_id DESC LIMIT 1) last\n" \
    indent "JOIN " table " l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id"
}

function meaning(directive, indent,    word, words, text) {
  words = split(directive, word, " ")
  if (word[1] == "columns" || word[1] == "add") return listed(word[1], "", word, 2, words, indent)
  if (word[1] == "integers") return integers()
  if (word[1] ~ /^(fields|finite|notes)$/ || word[1] == "comments" && words > 1) return listed(word[1], word[2], word, 3, words, indent)
  if (upgrade && word[1] == "comments") return all_comments()
  if (word[1] == "last" && words == 2) return last(word[2], indent)
  text = directive
  sub(/^[a-z]+ +/, "", text)
  if (upgrade && word[1] == "copy") return copied(text)
  if (upgrade && word[1] == "replace") {
    text = copied(text)
    sub(/^CREATE /, "CREATE OR REPLACE ", text)
    return text
  }
  fail("there is no directive @" directive "@ here")
}

function expanded(line,    indent, done, directive) {
  indent = line
  sub(/[^ ].*/, "", indent)
  if (indent == "") indent = "  "
  while (match(line, /@[a-z]+( [^@]*)?@/)) {
    done = done substr(line, 1, RSTART - 1)
    directive = substr(line, RSTART + 1, RLENGTH - 2)
    line = substr(line, RSTART + RLENGTH)
    done = done meaning(directive, indent)
  }
  return done line
}

FILENAME ~ /(^|\/)columns\/[^\/]*$/ {
  list = FILENAME
  sub(/.*\//, "", list)
  comment = index($0, " -- ")
  if (comment == 0) fail("a line holds: name type -- comment")
  n = ++columns[list]
  name[list, n] = $1
  type[list, n] = substr($0, 1, comment - 1)
  sub(/^[^ ]+ +/, "", type[list, n])
  sub(/ +$/, "", type[list, n])
  told[list, n] = substr($0, comment + 4)
  gsub(/'/, "''", told[list, n])
  next
}

{ text = expanded($0) }

FILENAME !~ /\.sql\.in$/ {
  rows = split(text, row, "\n")
  for (i = 1; i <= rows; i++) collect(row[i])
  if (upgrade) next
}

{ print text }

END { if (failed) exit 1 }
