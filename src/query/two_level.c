/*
 * two_level.c
 *	  The two-level shape: GROUP BY unit in the server's executor, which spills.
 *
 * Level 1 folds a unit's events in plain SQL, level 2 summarises units by arm
 * and batch; a second, small statement counts rows.  Both run in one snapshot.
 */
#include "query/query.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "types/histogram.h"
#include "types/summary.h"

/* A column of the plan as float8; NULL when the filter refuses the row. */
static char *
column_as_float8(const ScanPlan *plan, int k, const char *schema)
{
	const char *value = plan->column_value[k];
	char	   *number;

	if (plan->column_type[k] == BOOLOID)
		number = psprintf("%s::int::float8", value);
	else if (plan->column_type[k] == NUMERICOID)
		number = psprintf("%s.guardrail_number(%s)", schema, value);
	else
		number = psprintf("%s::float8", value);
	if (plan->column_filter[k])
		return psprintf("CASE WHEN %s THEN %s END", plan->column_filter[k], number);
	return number;
}

/* Level 0: the rows, with variant, unit and columns under plain names. */
static char *
sql_rows(const Experiment *e, const ScanPlan *plan, const char *schema, bool filters)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT %s AS arm, %s AS unit", gr_sql_variant(e, true),
					 quote_identifier(e->unit_column));
	for (int k = 0; k < plan->spec->ncolumns; k++)
	{
		appendStringInfo(&buf, ", %s AS v%d", column_as_float8(plan, k, schema), k);
		if (filters && plan->column_filter[k])
			appendStringInfo(&buf, ", %s AS f%d", plan->column_filter[k], k);
	}
	appendStringInfo(&buf, "\n%s", gr_sql_from(e));
	return buf.data;
}

/* "AND arm IN (...)" when the plan names its arms. */
static char *
sql_known_arms(const Experiment *e)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "arm IS NOT NULL");
	for (int i = 0; i < e->narms; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : " AND arm COLLATE \"C\" IN (",
						 quote_literal_cstr(e->arms[i]));
	if (e->narms > 0)
		appendStringInfoChar(&buf, ')');
	return buf.data;
}

static void
append_fold(StringInfo buf, const Fold *fold, int number, const char *schema)
{
	const char *finite = psprintf("FILTER (WHERE v%d > '-Infinity' AND v%d < 'Infinity')",
								  fold->column, fold->column);

	switch (fold->kind)
	{
		case FOLD_SUM:
			appendStringInfo(buf, ", COALESCE(sum(v%d) %s, 0) AS x%d", fold->column, finite, number);
			break;
		case FOLD_COUNT:
			appendStringInfo(buf, ", (count(v%d) %s)::float8 AS x%d", fold->column, finite, number);
			break;
		case FOLD_MAX:
			appendStringInfo(buf, ", max(v%d) %s AS x%d", fold->column, finite, number);
			break;
		case FOLD_MIN:
			appendStringInfo(buf, ", min(v%d) %s AS x%d", fold->column, finite, number);
			break;
		case FOLD_EVENTS:
			appendStringInfo(buf, ", %s.guardrail_histogram(v%d) AS x%d", schema, fold->column, number);
			break;
	}
}

/* A unit's observation of a metric, as an expression over its folds. */
static char *
observation(const Metric *m)
{
	switch (m->shape)
	{
		case SHAPE_POSITIVE:
			return psprintf("(x%d > 0)::int::float8", m->a);
		case SHAPE_AVERAGE:
		case SHAPE_UNITS_AVERAGE:
			return psprintf("(x%d / NULLIF(x%d, 0))", m->a, m->b);
		case SHAPE_VALUE:
		case SHAPE_RATIO:
		case SHAPE_UNITS:
		case SHAPE_EVENTS:
			break;
	}
	return psprintf("x%d", m->a);
}

/* Two columns a metric: its summary or histogram, and its units that are not 0. */
static void
append_metric(StringInfo buf, const Metric *m, const char *schema)
{
	char	   *x = observation(m);

	if (m->shape == SHAPE_EVENTS)
		appendStringInfo(buf, ", %s.guardrail_rollup(%s), 0::bigint", schema, x);
	else if (gr_metric_has_histogram(m))
		appendStringInfo(buf, ", %s.guardrail_histogram(%s), 0::bigint", schema, x);
	else if (m->shape == SHAPE_RATIO)
		appendStringInfo(buf, ", %s.guardrail_summarize(%s, x%d), count(*) FILTER (WHERE %s <> 0)",
						 schema, x, m->b, x);
	else
		appendStringInfo(buf, ", %s.guardrail_summarize(%s), count(*) FILTER (WHERE %s <> 0)",
						 schema, x, x);
}

char *
gr_sql_two_level(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT arm, batch, count(*), sum(events)::bigint");
	for (int m = 0; m < plan->spec->nmetrics; m++)
		append_metric(&buf, &plan->spec->metrics[m], schema);
	/* a unit of two arms has none */
	appendStringInfo(&buf, "\nFROM (SELECT CASE WHEN min(arm COLLATE \"C\") = max(arm COLLATE \"C\")"
					 " THEN min(arm COLLATE \"C\") END AS arm,"
					 " %s.guardrail_batch(unit) AS batch, count(*) AS events", schema);
	for (int f = 0; f < plan->spec->nfolds; f++)
		append_fold(&buf, &plan->spec->folds[f], f, schema);
	appendStringInfo(&buf, "\nFROM (%s) AS rows\nWHERE unit IS NOT NULL AND %s\nGROUP BY unit) AS units\n"
					 "GROUP BY arm, batch ORDER BY arm COLLATE \"C\", batch",
					 sql_rows(e, plan, schema, false), sql_known_arms(e));
	return buf.data;
}

char *
gr_sql_counts(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT CASE WHEN %s THEN arm END AS arm, %s.guardrail_batch(unit) AS batch, count(*)",
					 sql_known_arms(e), schema);
	for (int k = 0; k < plan->spec->ncolumns; k++)
		appendStringInfo(&buf, ", count(*) FILTER (WHERE v%d IS NULL%s)"
						 ", count(*) FILTER (WHERE v%d IN ('NaN', 'Infinity', '-Infinity'))",
						 k, plan->column_filter[k] ? psprintf(" AND f%d", k) : "", k);
	appendStringInfo(&buf, "\nFROM (%s) AS rows\nGROUP BY 1, 2", sql_rows(e, plan, schema, true));
	return buf.data;
}

/* Arms in the order they are met; crossover units have none. */
static ArmData *
arm_of_row(Collection *c, const CollectSpec *spec, const char *name)
{
	ArmData    *arm = gr_collection_arm(c, name);
	Collection *fresh;

	if (arm)
		return arm;
	if (c->narms >= GR_MAX_ARMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment has more than %d arms", GR_MAX_ARMS),
				 errhint("Is variant_column the right column? "
						 "The planned arms can be named in shares.")));
	fresh = gr_collection_make(spec, 1);
	c->arms = repalloc(c->arms, sizeof(ArmData) * (c->narms + 1));
	c->arms[c->narms] = fresh->arms[0];
	c->arms[c->narms].name = pstrdup(name);
	return &c->arms[c->narms++];
}

/* A summary or histogram column of the current row. */
static void
read_metric(MetricData *data, int row, int column, int batch)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	int64		skipped;

	if (null)
		return;
	if (data->batch)
	{
		const GrBin *bins = gr_histogram_read((Histogram *) PG_DETOAST_DATUM(d),
											  &data->batch[batch].nbins, &skipped);

		data->batch[batch].bins = palloc_extended(sizeof(GrBin) * Max(data->batch[batch].nbins, 1),
												  MCXT_ALLOC_HUGE);
		memcpy(data->batch[batch].bins, bins, sizeof(GrBin) * data->batch[batch].nbins);
	}
	else
	{
		GrMoments	m;

		gr_summary_read((Summary *) PG_DETOAST_DATUM(d), &m, &skipped);
		(void) gr_moments_merge(&data->moments, &m);
	}
	data->skipped += skipped;
	data->nonzero += gr_spi_int8(row, column + 1, 0);
}

static int
read_batch(int row)
{
	char	   *text = gr_spi_text(row, 2);
	int			batch = text ? atoi(text) : 0;

	if (batch < 0 || batch >= GR_BATCHES)
		elog(ERROR, "batch %d is out of range", batch);
	return batch;
}

static void
read_units(Collection *c, const CollectSpec *spec)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *name = gr_spi_text(row, 1);
		int64		units = gr_spi_int8(row, 3, 0);
		ArmData    *arm;

		CHECK_FOR_INTERRUPTS();
		if (name == NULL)
		{
			c->crossover_units += units;
			continue;
		}
		arm = arm_of_row(c, spec, name);
		arm->units += units;
		arm->events += gr_spi_int8(row, 4, 0);
		for (int m = 0; m < spec->nmetrics; m++)
			read_metric(&arm->metrics[m], row, 5 + 2 * m, read_batch(row));
	}
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < spec->nmetrics; m++)
			if (c->arms[a].metrics[m].batch)
				gr_metric_pool(&c->arms[a].metrics[m]);
}

static void
read_counts(Collection *c, const CollectSpec *spec)
{
	for (uint64 row = 0; row < SPI_processed; row++)
	{
		char	   *name = gr_spi_text(row, 1);
		int64		rows = gr_spi_int8(row, 3, 0);
		int			batch = read_batch(row);
		ArmData    *arm;

		if (gr_spi_text(row, 2) == NULL)
		{
			c->null_unit_rows += rows;
			continue;
		}
		if (name == NULL)
		{
			c->unknown_arm_rows += rows;
			continue;
		}
		arm = arm_of_row(c, spec, name);
		arm->counts.rows[batch] += rows;
		for (int k = 0; k < spec->ncolumns; k++)
		{
			arm->counts.nulls[k * GR_BATCHES + batch] += gr_spi_int8(row, 4 + 2 * k, 0);
			arm->counts.nonfinite[k * GR_BATCHES + batch] += gr_spi_int8(row, 5 + 2 * k, 0);
		}
	}
}

Collection *
gr_collect_two_level(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	Collection *c = gr_collection_make(plan->spec, 0);

	gr_spi_query(gr_sql_counts(e, plan, schema), true, 0, NULL);
	read_counts(c, plan->spec);
	gr_spi_query(gr_sql_two_level(e, plan, schema), true, 0, NULL);
	read_units(c, plan->spec);
	return c;
}
