/*
 * two_level_read.c
 *	  Run the statements of the two-level shape and read their rows.
 *
 * Both run in one snapshot, so that the counts are of the rows that were folded.
 */
#include "query/query.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "types/histogram.h"
#include "types/summary.h"
#include "utils/float.h"

/* Arms in the order they are met; crossover units have none. */
static ArmData *
arm_of_row(Collection *c, const CollectSpec *spec, const char *name)
{
	ArmData    *arm = gr_collection_arm(c, name);
	Collection *fresh;

	if (arm)
		return arm;
	if (c->narms >= GR_MAX_ARMS)
		gr_refuse_arms();
	fresh = gr_collection_make(spec, 1);
	c->arms = repalloc(c->arms, sizeof(ArmData) * (c->narms + 1));
	c->arms[c->narms] = fresh->arms[0];
	c->arms[c->narms].name = pstrdup(name);
	return &c->arms[c->narms++];
}

/* A summary column of the current row into moments. */
static void
read_summary(int row, int column, GrMoments *moments, int64 *skipped)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	GrMoments	m;
	int64		left_out;

	if (null)
		return;
	gr_summary_read((Summary *) PG_DETOAST_DATUM(d), &m, &left_out);
	*skipped += left_out;
	if (!gr_moments_merge(moments, &m))
		*skipped += m.n;
}

static void
read_histogram(int row, int column, BinList *list, int64 *skipped)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	const GrBin *bins;
	int64		left_out;

	if (null)
		return;
	bins = gr_histogram_read((Histogram *) PG_DETOAST_DATUM(d), &list->nbins, &left_out);
	list->bins = palloc_extended(sizeof(GrBin) * Max(list->nbins, 1), MCXT_ALLOC_HUGE);
	memcpy(list->bins, bins, sizeof(GrBin) * list->nbins);
	*skipped += left_out;
}

/* The result of guardrail_ties. */
static TieList
read_ties(int row, int column)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	bytea	   *bytes = null ? NULL : DatumGetByteaPP(d);
	const char *p = bytes ? VARDATA_ANY(bytes) : NULL;
	TieList		list = {false, 0, NULL};

	if (bytes && !gr_ties_decode(&list, &p, p + VARSIZE_ANY_EXHDR(bytes)))
		elog(ERROR, "invalid result of _guardrail_ties");
	return list;
}

/* The columns of one metric in the current row. */
static void
read_metric(MetricData *data, int row, int column, int batch)
{
	double		infinity = get_float8_infinity();

	data->immature += gr_spi_int8(row, column + 5, 0);
	if (data->batch)
	{
		TieList		ties = read_ties(row, column + 6);

		data->ties = gr_ties_union(&data->ties, &ties);
		read_histogram(row, column, &data->batch[batch], &data->skipped);
		return;
	}
	read_summary(row, column, &data->moments, &data->skipped);
	data->nonzero += gr_spi_int8(row, column + 1, 0);
	if (data->adjusted.dim > 0)
		read_summary(row, column + 2, &data->adjusted, &data->skipped);
	data->cap[0] = gr_spi_float8(row, column + 3, infinity);
	data->cap[1] = gr_spi_float8(row, column + 4, infinity);
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
			read_metric(&arm->metrics[m], row, 5 + METRIC_COLUMNS * m, read_batch(row));
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
		for (int f = 0, column = 4 + 2 * spec->ncolumns; f < spec->nfolds; f++)
			if (spec->folds[f].kind->in_bins)
			{
				TieList		ties = read_ties(row, column++);

				gr_ties_merge_list(&arm->counts.ties[spec->folds[f].column], &ties);
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
	gr_collection_take_ties(c, plan->spec);
	return c;
}
