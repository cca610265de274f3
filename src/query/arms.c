/*
 * arms.c
 *	  Which arms, and which experiments, the events or exposures have.
 *
 * What is found is for messages, and for refusing a plan that names others: so it looks
 * at the first rows only, and says whether there are more.
 */
#include "query/query.h"

#include "executor/spi.h"

#define MOST_ROWS 1000000

/* Names that are read, and names of unplanned arms that a reason has. */
#define MOST_NAMES 200
#define MOST_UNKNOWN 3

/* The rows of the last query: name, units, rows, and how many rows there were in all. */
static SeenNames *
take_names(void)
{
	SeenNames  *names = palloc0(sizeof(SeenNames));

	names->seen = palloc(sizeof(SeenName) * Max((int) SPI_processed, 1));
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		SeenName	seen = {gr_spi_text(i, 1), gr_spi_int8(i, 2, 0), gr_spi_int8(i, 3, 0)};

		names->rows = gr_spi_int8(i, 4, 0);
		if (seen.name)
			names->seen[names->n++] = seen;
	}
	names->whole = names->rows < MOST_ROWS && SPI_processed < MOST_NAMES;
	return names;
}

static void
query_as_owner(const Experiment *e, const char *sql)
{
	OwnerContext saved;

	gr_owner_enter(&saved, e->owner);
	gr_spi_query(sql, true, 0, NULL);
	gr_owner_leave(&saved);
}

SeenNames *
gr_seen_arms(const Experiment *e)
{
	query_as_owner(e, psprintf("SELECT CASE WHEN octet_length(arm) <= %d THEN arm END, count(u), sum(n)::bigint, (sum(sum(n)) OVER ())::bigint"
							   " FROM (SELECT arm, u, count(*) AS n FROM (SELECT %s::text AS arm, %s AS u\n%s LIMIT %d) AS r"
							   " GROUP BY arm, u) AS s GROUP BY arm ORDER BY 2 DESC, arm COLLATE \"C\" LIMIT %d",
							   GR_MAX_ARM_NAME, quote_identifier(e->variant_column), quote_identifier(e->unit_column),
							   gr_sql_assignments(e), MOST_ROWS, MOST_NAMES));
	return take_names();
}

bool
gr_is_arm_seen(const Experiment *e, const char *arm)
{
	query_as_owner(e, psprintf("SELECT 1 FROM (SELECT %s::text AS arm\n%s) AS r WHERE arm COLLATE \"C\" = %s LIMIT 1",
							   quote_identifier(e->variant_column), gr_sql_assignments(e), quote_literal_cstr(arm)));
	return SPI_processed > 0;
}

SeenNames *
gr_seen_values(const Experiment *e, Oid relation, const char *column)
{
	query_as_owner(e, psprintf("SELECT v::text, count(*), count(*), (sum(count(*)) OVER ())::bigint"
							   " FROM (SELECT %s AS v FROM %s LIMIT %d) AS r GROUP BY v"
							   " ORDER BY 2 DESC, 1 LIMIT %d",
							   quote_identifier(column), gr_relation_name(relation), MOST_ROWS, MOST_NAMES));
	return take_names();
}

char *
gr_seen_list(const SeenNames *names, bool units, int most)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < names->n && i < most; i++)
		appendStringInfo(&buf, "%s%s %s", i ? ", " : "", gr_plainly(names->seen[i].name),
						 gr_thousands(units ? names->seen[i].units : names->seen[i].rows));
	if (names->n > most)
		appendStringInfo(&buf, " and %d more", names->n - most);
	return buf.data;
}

typedef struct UnknownWork
{
	const Experiment *e;
	char	   *text;
} UnknownWork;

static void
find_unknown(void *arg)
{
	UnknownWork *w = arg;
	const Experiment *e = w->e;
	StringInfoData buf;
	int			n;

	query_as_owner(e, psprintf("SELECT COALESCE(arm, ''), arm IS NULL, count(*) FROM (SELECT %s::text AS arm\n%s LIMIT %d) AS r"
							   " WHERE (%s) IS NOT TRUE GROUP BY arm ORDER BY 3 DESC, 1 LIMIT %d",
							   quote_identifier(e->variant_column), gr_sql_assignments(e), MOST_ROWS,
							   gr_sql_known_arms(e, "arm"), MOST_UNKNOWN + 1));
	n = (int) SPI_processed;
	initStringInfo(&buf);
	for (int i = 0; i < n && i < MOST_UNKNOWN; i++)
		appendStringInfo(&buf, "%s%s %s%s", i ? ", " : "", gr_spi_bool(i, 2) ? "NULL" : gr_shown(gr_spi_text(i, 1)),
						 gr_thousands(gr_spi_int8(i, 3, 0)), i ? "" : gr_spi_int8(i, 3, 0) == 1 ? " row" : " rows");
	if (n > MOST_UNKNOWN)
		appendStringInfoString(&buf, " and others");
	w->text = n > 0 ? buf.data : NULL;
}

char *
gr_unknown_arms(const Experiment *e)
{
	UnknownWork w = {e};

	/* whatever keeps it from looking again, the verdict does not need it */
	return gr_attempt(find_unknown, &w) ? NULL : w.text;
}
