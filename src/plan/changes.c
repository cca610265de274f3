/*
 * changes.c
 *	  What one version of a plan changed of the last one, in words.
 */
#include "plan/plan.h"

#include "executor/spi.h"

/* A value that is longer is cut. */
#define MOST_SHOWN 60

/*
 * For the experiment (metric NULL) and each rule that differs: was it there, is it
 * there, and the columns.  A definition that a plan depends on is named when it differs; those that
 * come and go do so with a rule or a relation.
 */
static const char *const changes_query =
	"WITH f AS (SELECT p.version, NULL::text AS metric, c.key, c.value #>> '{}' AS value"
	"  FROM %s.guardrail_plan p, pg_catalog.jsonb_each(p.plan::jsonb -> 'experiment') c"
	"  WHERE p.experiment_id = $1 AND p.version BETWEEN $2::integer - 1 AND $2::integer"
	" UNION ALL SELECT p.version, NULL, 'definition of ' || d.key, d.value::text"
	"  FROM %s.guardrail_plan p, pg_catalog.jsonb_each(p.plan::jsonb -> 'definitions') d"
	"  WHERE p.experiment_id = $1 AND p.version BETWEEN $2::integer - 1 AND $2::integer"
	" UNION ALL SELECT p.version, r.key, c.key, c.value #>> '{}'"
	"  FROM %s.guardrail_plan p, pg_catalog.jsonb_each(p.plan::jsonb -> 'rules') r, pg_catalog.jsonb_each(r.value) c"
	"  WHERE p.experiment_id = $1 AND p.version BETWEEN $2::integer - 1 AND $2::integer),"
	" o AS (SELECT * FROM f WHERE version = $2::integer - 1), n AS (SELECT * FROM f WHERE version = $2::integer)"
	" SELECT d.metric, EXISTS (SELECT FROM o WHERE o.metric = d.metric), EXISTS (SELECT FROM n WHERE n.metric = d.metric),"
	"  pg_catalog.string_agg(CASE WHEN d.key LIKE 'definition of %%' THEN d.key || ' changed'"
	"   ELSE pg_catalog.format('%%s from %%s to %%s', d.key, COALESCE(pg_catalog.\"left\"(d.was, %d), 'NULL'),"
	"   COALESCE(pg_catalog.\"left\"(d.becomes, %d), 'NULL')) END, ', ' ORDER BY d.key COLLATE \"C\")"
	" FROM (SELECT COALESCE(o.metric, n.metric) AS metric, COALESCE(o.key, n.key) AS key, o.value AS was, n.value AS becomes"
	"  FROM o FULL JOIN n ON COALESCE(o.metric, '') = COALESCE(n.metric, '') AND o.key = n.key"
	"  AND (o.metric IS NULL) = (n.metric IS NULL) WHERE o.value IS DISTINCT FROM n.value"
	"  AND (o.value <> n.value OR COALESCE(o.key, n.key) NOT LIKE 'definition of %%')) d"
	" GROUP BY d.metric ORDER BY d.metric COLLATE \"C\" NULLS FIRST";

char *
gr_plan_changes(FunctionCallInfo fcinfo, const char *schema, const char *id, int version)
{
	const char *args[] = {id, psprintf("%d", version)};
	OwnerContext saved;
	StringInfoData buf;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf(changes_query, schema, schema, schema, MOST_SHOWN, MOST_SHOWN), true, 2, args);
	gr_owner_leave(&saved);
	initStringInfo(&buf);
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		char	   *metric = gr_spi_text(i, 1);

		if (buf.len > 0)
			appendStringInfoString(&buf, "; ");
		if (metric && !gr_spi_bool(i, 2))
			appendStringInfo(&buf, "%s added", gr_plainly(metric));
		else if (metric && !gr_spi_bool(i, 3))
			appendStringInfo(&buf, "%s removed", gr_plainly(metric));
		else
			appendStringInfo(&buf, "%s%s%s", metric ? gr_plainly(metric) : "", metric ? ": " : "", gr_spi_text(i, 4));
	}
	return buf.len > 0 ? buf.data : pstrdup("nothing changed");
}
