/*
 * two_level.c
 *	  The statements of the two-level shape: GROUP BY unit in the server's
 *	  executor, which spills.
 *
 * Level 1 folds a unit's events in plain SQL, level 2 summarises units by arm
 * and batch; a second, small statement counts rows.
 */
#include "query/query.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_type.h"

StaticAssertDecl(4 + METRIC_COLUMNS * GR_MAX_RULES <= MaxTupleAttributeNumber, "a rule too many");

/* A column of the plan as float8; NULL when the filter refuses the row. */
static char *
column_as_float8(const ScanPlan *plan, int k, const char *schema)
{
	const char *value = gr_column_value(plan, k);
	char	   *number;

	if (plan->column_failed[k])
		number = pstrdup(value);
	else if (plan->column_category[k])
		number = gr_sql_category(plan, k, schema);
	else if (plan->column_type[k] == BOOLOID)
		number = psprintf("%s::int::float8", value);
	else if (plan->column_type[k] == NUMERICOID)
		number = psprintf("%s.guardrail_number(%s)", schema, value);
	else
		number = psprintf("%s::float8", value);
	if (plan->column_filter[k])
		return psprintf("CASE WHEN %s THEN %s END", gr_column_filter(plan, k), number);
	return number;
}

/* Level 0: the rows, with variant, unit and columns under plain names. */
static char *
sql_rows(const Experiment *e, const ScanPlan *plan, const char *schema, bool filters)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s AS arm, %s AS unit", gr_sql_variant(e, true),
					 gr_sql_unit(e));
	for (int k = 0; k < plan->spec->ncolumns; k++)
	{
		appendStringInfo(&buf, ", %s AS v%d", column_as_float8(plan, k, schema), k);
		if (filters && plan->column_filter[k])
			appendStringInfo(&buf, ", %s AS f%d", gr_column_filter(plan, k), k);
	}
	appendStringInfo(&buf, "\n%s", gr_sql_from(e));
	return buf.data;
}

/* The denominator, or the observation itself, not above its cap. */
static char *
capped(const Metric *m, int number, int variable, const char *schema)
{
	char	   *x = gr_metric_sql(m, variable, schema);
	char	   *cap = NULL;

	if (m->cap_quantile > 0)
		cap = psprintf("cap%d_%d", number, variable);
	else if (!isnan(m->cap_value) && variable == 0)
		cap = psprintf("'%.17g'::float8", m->cap_value);
	if (cap == NULL)
		return x;
	/* LEAST would take the cap for a NULL */
	return psprintf("(CASE WHEN %s > %s THEN %s ELSE %s END)", x, cap, cap, x);
}

static void
append_immature(StringInfo buf, const Metric *m)
{
	if (m->mature >= 0)
		appendStringInfo(buf, ", count(*) FILTER (WHERE (x%d > 0) IS NOT TRUE)", m->mature);
	else
		appendStringInfoString(buf, ", 0::bigint");
}

/* METRIC_COLUMNS: summary or histogram, units that are not 0, summary of the units
 * with covariate, the two caps, units whose window is open, and ties over units. */
static void
append_metric(StringInfo buf, const Metric *m, int number, const char *schema)
{
	char	   *x = capped(m, number, 0, schema);
	char	   *y = m->shape->dim > 1 ? psprintf(", %s", capped(m, number, 1, schema)) : "";
	char	   *u = m->covariate >= 0 ? psprintf("x%d", m->covariate) : NULL;
	char	   *without = u ? psprintf(" FILTER (WHERE %s IS NULL)", u) : "";

	if (m->shape->has_histogram)
	{
		appendStringInfo(buf, ", %s.%s(%s), 0::bigint, NULL, NULL::float8, NULL::float8", schema,
						 m->shape->sql_summary, x);
		append_immature(buf, m);
		if (m->shape->over_events)
			appendStringInfoString(buf, ", NULL::bytea");
		else
			appendStringInfo(buf, ", %s.guardrail_ties(%s)", schema, x);
		return;
	}
	appendStringInfo(buf, ", %s.%s(%s%s)%s, count(*) FILTER (WHERE %s <> 0)",
					 schema, m->shape->sql_summary, x, y, without, x);
	if (u)
		appendStringInfo(buf, ", %s.%s(%s%s, %s) FILTER (WHERE %s IS NOT NULL)",
						 schema, m->shape->sql_summary, x, y, u, u);
	else
		appendStringInfoString(buf, ", NULL");
	for (int i = 0; i < 2; i++)
	{
		if (m->cap_quantile > 0 && i < m->shape->dim)
			appendStringInfo(buf, ", max(cap%d_%d)", number, i);
		else if (!isnan(m->cap_value) && i == 0)
			appendStringInfo(buf, ", '%.17g'::float8", m->cap_value);
		else
			appendStringInfoString(buf, ", NULL::float8");
	}
	append_immature(buf, m);
	appendStringInfoString(buf, ", NULL::bytea");
}

/* The pooled quantiles that metrics are winsorised at, as one row. */
static char *
sql_caps(const ScanPlan *plan, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int k = 0; k < plan->spec->nmetrics; k++)
	{
		const Metric *m = &plan->spec->metrics[k];

		for (int i = 0; m->cap_quantile > 0 && i < m->shape->dim; i++)
		{
			char	   *x = gr_metric_sql(m, i, schema);
			char	   *all = psprintf("percentile_cont(%.17g) WITHIN GROUP (ORDER BY %s)"
									   " FILTER (WHERE arm IS NOT NULL%%s)", m->cap_quantile, x);

			appendStringInfoString(&buf, buf.len ? ", " : "SELECT ");
			if (m->shape->caps_zeros)
				appendStringInfo(&buf, all, "");
			else
			{
				appendStringInfo(&buf, "CASE WHEN min(%s) FILTER (WHERE arm IS NOT NULL) >= 0 THEN ", x);
				appendStringInfo(&buf, all, psprintf(" AND %s > 0", x));
				appendStringInfoString(&buf, " ELSE ");
				appendStringInfo(&buf, all, "");
				appendStringInfoString(&buf, " END");
			}
			appendStringInfo(&buf, " AS cap%d_%d", k, i);
		}
	}
	if (buf.len > 0)
		appendStringInfoString(&buf, " FROM units");
	return buf.data;
}

char *
gr_sql_two_level(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	StringInfoData buf;
	char	   *caps = sql_caps(plan, schema);

	/* a unit of two arms has none */
	initStringInfo(&buf);
	appendStringInfo(&buf, "WITH units AS %s (SELECT CASE WHEN min(arm COLLATE \"C\") = max(arm COLLATE \"C\")"
					 " THEN min(arm COLLATE \"C\") END AS arm,"
					 " %s.guardrail_batch(unit) AS batch, %s AS events",
					 caps[0] ? "MATERIALIZED" : "NOT MATERIALIZED", schema,
					 plan->spec->events < 0 ? "count(*)" :
					 psprintf("sum(v%d)", plan->spec->folds[plan->spec->events].column));
	for (int f = 0; f < plan->spec->nfolds; f++)
		appendStringInfo(&buf, ", %s AS x%d", gr_fold_sql(&plan->spec->folds[f], schema), f);
	appendStringInfo(&buf, "\nFROM (%s) AS rows\nWHERE unit IS NOT NULL AND %s\nGROUP BY unit)\n",
					 sql_rows(e, plan, schema, false), gr_sql_known_arms(e, "arm"));
	appendStringInfoString(&buf, "SELECT arm, batch, count(*), sum(events)::bigint");
	for (int m = 0; m < plan->spec->nmetrics; m++)
		append_metric(&buf, &plan->spec->metrics[m], m, schema);
	appendStringInfoString(&buf, "\nFROM units");
	if (caps[0])
		appendStringInfo(&buf, ", (%s) AS caps", caps);
	appendStringInfoString(&buf, "\nGROUP BY arm, batch ORDER BY arm COLLATE \"C\", batch");
	return buf.data;
}

char *
gr_sql_counts(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT CASE WHEN %s THEN arm END AS arm, %s.guardrail_batch(unit) AS batch, count(*)",
					 gr_sql_known_arms(e, "arm"), schema);
	/* of a known unit and arm only events count */
	if (plan->spec->events >= 0)
		appendStringInfo(&buf, " FILTER (WHERE v%d > 0 OR unit IS NULL OR (%s) IS NOT TRUE)",
						 plan->spec->folds[plan->spec->events].column, gr_sql_known_arms(e, "arm"));
	for (int k = 0; k < plan->spec->ncolumns; k++)
		appendStringInfo(&buf, ", count(*) FILTER (WHERE v%d IS NULL%s)"
						 ", count(*) FILTER (WHERE v%d IN ('NaN', 'Infinity', '-Infinity'))",
						 k, plan->column_filter[k] ? psprintf(" AND f%d", k) : "", k);
	for (int f = 0; f < plan->spec->nfolds; f++)
		if (plan->spec->folds[f].kind->in_bins)
			appendStringInfo(&buf, ", %s.guardrail_ties(v%d)", schema, plan->spec->folds[f].column);
	appendStringInfo(&buf, "\nFROM (%s) AS rows\nGROUP BY 1, 2", sql_rows(e, plan, schema, true));
	return buf.data;
}
