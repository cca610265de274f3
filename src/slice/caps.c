/*
 * caps.c
 *	  Caps at a quantile of the totals of all units, stored and new.
 */
#include "slice/stored.h"

#include <math.h>

#include "utils/memutils.h"

typedef struct CapValues
{
	Stored	   *s;
	Size		limit;			/* numbers in all */
	Size		total;
	bool		fits;
	Size	   *n;				/* [nmetrics][2] */
	Size	   *capacity;
	double	  **values;
} CapValues;

static void
keep_value(CapValues *v, int k, double x)
{
	if (v->n[k] == v->capacity[k])
	{
		Size		more = Max(1024, v->capacity[k]);

		if (v->total + more > v->limit)
		{
			v->fits = false;
			return;
		}
		v->total += more;
		v->capacity[k] += more;
		v->values[k] = v->values[k] ?
			repalloc_huge(v->values[k], sizeof(double) * v->capacity[k]) :
			palloc_extended(sizeof(double) * v->capacity[k], MCXT_ALLOC_HUGE);
	}
	v->values[k][v->n[k]++] = x;
}

static void
keep_values(void *arg, const GrMergedUnit *unit)
{
	CapValues  *v = arg;
	const CollectSpec *spec = v->s->spec;
	const UnitEntry *e = unit->all;
	double		x[GR_MAX_DIM];

	if (e->arm < 0 || !v->fits)
		return;
	for (int m = 0; m < spec->nmetrics; m++)
	{
		if (spec->metrics[m].cap_quantile <= 0 || !gr_metric_observe(spec, &spec->metrics[m], e->slots, x))
			continue;
		for (int i = 0; i < spec->metrics[m].shape->dim; i++)
			if (isfinite(x[i]))
				keep_value(v, 2 * m + i, x[i]);
	}
}

CapPair *
gr_slice_caps(Stored *s, const Run *runs, int nruns, const Units *tail, bool *fits)
{
	const CollectSpec *spec = s->spec;
	CapValues	v = {.s = s, .fits = true};
	CapPair    *caps = palloc0(sizeof(CapPair) * spec->nmetrics);
	bool		any = false;

	for (int m = 0; m < spec->nmetrics; m++)
		any |= (spec->metrics[m].cap_quantile > 0);
	if (!any)
		return NULL;
	v.limit = (Size) guardrail_unit_memory * 1024 / sizeof(double);
	v.n = palloc0(sizeof(Size) * 2 * spec->nmetrics);
	v.capacity = palloc0(sizeof(Size) * 2 * spec->nmetrics);
	v.values = palloc0(sizeof(double *) * 2 * spec->nmetrics);
	gr_merge(s, runs, nruns, tail ? tail->flat : NULL, keep_values, &v);
	*fits = v.fits;
	for (int m = 0; m < spec->nmetrics; m++)
		for (int i = 0; i < 2; i++)
		{
			caps[m][i] = gr_pooled_cap(&spec->metrics[m], v.values[2 * m + i], v.n[2 * m + i]);
			if (v.values[2 * m + i])
				pfree(v.values[2 * m + i]);
		}
	return caps;
}
