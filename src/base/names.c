/*
 * names.c
 *	  Names and numbers as messages write them, and which of several names somebody
 *	  may have meant.
 */
#include "base/guardrail.h"

#include <ctype.h>

#include "mb/pg_wchar.h"
#include "utils/varlena.h"

/* What of a name is compared, and shown, in bytes. */
#define MOST_COMPARED 100
#define MOST_SHOWN 63

/* The distance of names that have nothing in common. */
#define FAR 1

char *
gr_thousands(int64 n)
{
	char	   *digits = psprintf(UINT64_FORMAT, n < 0 ? -(uint64) n : (uint64) n);
	int			length = (int) strlen(digits);
	StringInfoData buf;

	initStringInfo(&buf);
	if (n < 0)
		appendStringInfoChar(&buf, '-');
	for (int i = 0; i < length; i++)
	{
		if (i > 0 && (length - i) % 3 == 0)
			appendStringInfoChar(&buf, ',');
		appendStringInfoChar(&buf, digits[i]);
	}
	return buf.data;
}

char *
gr_shown(const char *name)
{
	int			length = pg_mbcliplen(name, (int) strlen(name), MOST_SHOWN);

	return name[length] ? psprintf("\"%.*s...\"", length, name) : psprintf("\"%s\"", name);
}

char *
gr_plainly(const char *name)
{
	for (const char *p = name; *p; p++)
		if (!(isalnum((unsigned char) *p) || *p == '_' || *p == '-' || *p == '.' || IS_HIGHBIT_SET(*p)))
			return gr_shown(name);
	return name[0] && strlen(name) <= MOST_SHOWN ? pstrdup(name) : gr_shown(name);
}

/* Letters and digits, small ones: what differs else is how a name is written. */
static char *
plain(const char *name)
{
	int			length = pg_mbcliplen(name, (int) strlen(name), MOST_COMPARED);
	char	   *plain = palloc(length + 1);
	int			n = 0;

	for (int i = 0; i < length; i++)
	{
		char		c = pg_ascii_tolower((unsigned char) name[i]);

		if (!(c == '_' || c == '-' || c == '.' || c == ' ' || c == '/'))
			plain[n++] = c;
	}
	plain[n] = '\0';
	return plain;
}

/*
 * How far is a name from the one wanted?  0: but for its writing it is the same; below FAR:
 * one of them is part of the other, or few letters differ.
 */
static double
distance(const char *wanted, const char *name)
{
	char	   *a = plain(wanted),
			   *b = plain(name);
	int			n = (int) strlen(a),
				m = (int) strlen(b);
	int			shorter = Min(n, m),
				longer = Max(n, m);
	int			edits;

	if (shorter == 0)
		return FAR;
	edits = varstr_levenshtein(a, n, b, m, 1, 1, 1, true);
	if (edits > 0 && shorter >= 3 && (strstr(a, b) || strstr(b, a)))
		return 0.5 + 0.4 * edits / longer;
	return edits <= (longer + 2) / 3 && edits < shorter ? 0.9 * edits / longer : FAR;
}

typedef struct Likeness
{
	double		distance;
	int			at;				/* in the order given: the more frequent first */
	const char *name;
} Likeness;

static int
compare_likeness(const void *a, const void *b)
{
	const Likeness *x = a,
			   *y = b;

	return x->distance != y->distance ? (x->distance < y->distance ? -1 : 1) : x->at - y->at;
}

const char *
gr_sort_by_likeness(const char *wanted, const char **names, int n)
{
	Likeness   *likeness = palloc(sizeof(Likeness) * Max(n, 1));

	for (int i = 0; i < n; i++)
		likeness[i] = (Likeness) {distance(wanted, names[i]), i, names[i]};
	qsort(likeness, n, sizeof(Likeness), compare_likeness);
	for (int i = 0; i < n; i++)
		names[i] = likeness[i].name;
	return n > 0 && likeness[0].distance < FAR ? names[0] : NULL;
}

char *
gr_name_list(const char *const *names, int n, int most)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n && i < most; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", gr_shown(names[i]));
	if (n > most)
		appendStringInfo(&buf, " and %d more", n - most);
	return buf.data;
}
