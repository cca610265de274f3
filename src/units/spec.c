/*
 * spec.c
 *	  The text form of a collection's spec, and what its metrics mean.
 */
#include "units/spec.h"

#include <math.h>

char *
gr_spec_print(const CollectSpec *spec)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "columns=%d filters=", spec->ncolumns);
	for (int i = 0; i < spec->ncolumns; i++)
		appendStringInfoChar(&buf, spec->filtered[i] ? 'f' : '.');
	appendStringInfoString(&buf, " folds=");
	for (int i = 0; i < spec->nfolds; i++)
		appendStringInfo(&buf, "%s%c%d", i ? "," : "",
						 (char) spec->folds[i].kind, spec->folds[i].column);
	appendStringInfoString(&buf, " metrics=");
	for (int i = 0; i < spec->nmetrics; i++)
	{
		const Metric *m = &spec->metrics[i];

		appendStringInfo(&buf, "%s%c%d", i ? "," : "", (char) m->shape, m->a);
		if (m->b >= 0)
			appendStringInfo(&buf, "/%d", m->b);
		if (m->covariate >= 0)
			appendStringInfo(&buf, "@%d", m->covariate);
		if (m->mature >= 0)
			appendStringInfo(&buf, "?%d", m->mature);
		if (!isnan(m->at_least))
			appendStringInfo(&buf, ">%.17g", m->at_least);
		if (m->is_flag)
			appendStringInfoChar(&buf, '!');
		if (m->cap_quantile > 0)
			appendStringInfo(&buf, "^q%.17g", m->cap_quantile);
		if (!isnan(m->cap_value))
			appendStringInfo(&buf, "^v%.17g", m->cap_value);
	}
	if (spec->events >= 0)
		appendStringInfo(&buf, " events=%d", spec->events);
	return buf.data;
}

static void
bad_spec(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid specification of a collection: \"%.200s\"", text),
			 errhint("Use guardrail_summarize() to summarise your own table; "
					 "only guardrail_evaluate() calls guardrail_collect().")));
}

/* Skip a word, or fail. */
static const char *
expect(const char *p, const char *word, const char *text)
{
	if (strncmp(p, word, strlen(word)) != 0)
		bad_spec(text);
	return p + strlen(word);
}

static const char *
scan_number(const char *p, int limit, int *value, const char *text)
{
	int64		v = 0;

	if (*p < '0' || *p > '9')
		bad_spec(text);
	while (*p >= '0' && *p <= '9')
	{
		v = v * 10 + (*p++ - '0');
		if (v >= limit)
			bad_spec(text);
	}
	*value = (int) v;
	return p;
}

static const char *
scan_double(const char *p, double *value, const char *text)
{
	char	   *end;

	if (*p != '-' && (*p < '0' || *p > '9'))
		bad_spec(text);
	*value = strtod(p, &end);
	if (end == p || !isfinite(*value))
		bad_spec(text);
	return end;
}

void
gr_spec_number(CollectSpec *spec)
{
	spec->nslots = spec->nlists = 0;
	for (int i = 0; i < spec->nfolds; i++)
		spec->folds[i].slot = gr_fold_is_list(spec->folds[i].kind) ?
			spec->nlists++ : spec->nslots++;
}

static bool
needs_two(MetricShape shape)
{
	return shape == SHAPE_AVERAGE || shape == SHAPE_RATIO ||
		shape == SHAPE_UNITS_AVERAGE;
}

/* Is there such a fold, of one number? */
static bool
is_number(const CollectSpec *spec, int fold)
{
	return fold < spec->nfolds && !gr_fold_is_list(spec->folds[fold].kind);
}

/* Do the metric's folds exist and fit its shape? */
static bool
metric_fits(const CollectSpec *spec, const Metric *m)
{
	if (strchr("vpareuwdy", m->shape) == NULL || m->shape == '\0')
		return false;
	if (m->a >= spec->nfolds || m->b >= spec->nfolds)
		return false;
	if (needs_two(m->shape) != (m->b >= 0))
		return false;
	if ((spec->folds[m->a].kind == FOLD_EVENTS) != (m->shape == SHAPE_EVENTS) ||
		(spec->folds[m->a].kind == FOLD_VALUES) != gr_metric_has_values(m))
		return false;
	if (m->covariate >= 0 && (gr_metric_has_histogram(m) || !is_number(spec, m->covariate)))
		return false;
	if (m->mature >= 0 && !is_number(spec, m->mature))
		return false;
	if (!isnan(m->at_least) && m->shape != SHAPE_POSITIVE)
		return false;
	if (gr_metric_is_capped(m) &&
		(gr_metric_has_histogram(m) || gr_metric_has_values(m) || m->cap_quantile >= 1))
		return false;
	return m->b < 0 || is_number(spec, m->b);
}

Metric
gr_metric_make(MetricShape shape, int a, int b)
{
	return (Metric) {.shape = shape, .a = a, .b = b, .covariate = -1, .mature = -1,
		.at_least = NAN, .cap_value = NAN};
}

static const char *
scan_metric(const char *p, const CollectSpec *spec, Metric *m, const char *text)
{
	if (*p == '\0')
		bad_spec(text);
	*m = gr_metric_make((MetricShape) *p++, -1, -1);
	p = scan_number(p, spec->nfolds, &m->a, text);
	if (*p == '/')
		p = scan_number(p + 1, spec->nfolds, &m->b, text);
	if (*p == '@')
		p = scan_number(p + 1, spec->nfolds, &m->covariate, text);
	if (*p == '?')
		p = scan_number(p + 1, spec->nfolds, &m->mature, text);
	if (*p == '>')
		p = scan_double(p + 1, &m->at_least, text);
	m->is_flag = (*p == '!');
	p += m->is_flag;
	if (p[0] == '^' && p[1] == 'q')
		p = scan_double(p + 2, &m->cap_quantile, text);
	else if (p[0] == '^' && p[1] == 'v')
		p = scan_double(p + 2, &m->cap_value, text);
	if (!metric_fits(spec, m))
		bad_spec(text);
	return p;
}

CollectSpec *
gr_spec_parse(const char *text)
{
	CollectSpec *spec = palloc0(sizeof(CollectSpec));
	const char *p = expect(text, "columns=", text);

	p = scan_number(p, GR_MAX_COLUMNS + 1, &spec->ncolumns, text);
	p = expect(p, " filters=", text);
	spec->filtered = palloc0(spec->ncolumns + 1);
	for (int i = 0; i < spec->ncolumns; i++, p++)
	{
		if (*p != 'f' && *p != '.')
			bad_spec(text);
		spec->filtered[i] = (*p == 'f');
	}
	p = expect(p, " folds=", text);
	spec->folds = palloc0(sizeof(Fold) * GR_MAX_FOLDS);
	do
	{
		Fold	   *fold = &spec->folds[spec->nfolds];

		if (spec->nfolds++ >= GR_MAX_FOLDS || *p == '\0' ||
			strchr("scxnhk", *p) == NULL)
			bad_spec(text);
		fold->kind = (FoldKind) *p++;
		p = scan_number(p, spec->ncolumns, &fold->column, text);
	} while (*p == ',' && p++);
	p = expect(p, " metrics=", text);
	spec->metrics = palloc0(sizeof(Metric) * GR_MAX_METRICS);
	do
	{
		if (spec->nmetrics++ >= GR_MAX_METRICS)
			bad_spec(text);
		p = scan_metric(p, spec, &spec->metrics[spec->nmetrics - 1], text);
	} while (*p == ',' && p++);
	spec->events = -1;
	if (*p == ' ')
		p = scan_number(expect(p, " events=", text), spec->nfolds, &spec->events, text);
	if (spec->events >= 0 && spec->folds[spec->events].kind != FOLD_SUM)
		bad_spec(text);
	if (*p != '\0')
		bad_spec(text);
	gr_spec_number(spec);
	return spec;
}

bool
gr_fold_is_list(FoldKind kind)
{
	return kind == FOLD_EVENTS || kind == FOLD_VALUES;
}

bool
gr_metric_has_values(const Metric *metric)
{
	return metric->shape == SHAPE_DISTINCT || metric->shape == SHAPE_ENTROPY;
}

static bool
same_number(double a, double b)
{
	return a == b || (isnan(a) && isnan(b));
}

bool
gr_metric_same(const Metric *a, const Metric *b)
{
	return a->shape == b->shape && a->a == b->a && a->b == b->b &&
		a->covariate == b->covariate && a->mature == b->mature &&
		same_number(a->at_least, b->at_least) && a->is_flag == b->is_flag && a->cap_quantile == b->cap_quantile &&
		same_number(a->cap_value, b->cap_value);
}

bool
gr_metric_has_histogram(const Metric *metric)
{
	return metric->shape == SHAPE_EVENTS || metric->shape == SHAPE_UNITS ||
		metric->shape == SHAPE_UNITS_AVERAGE;
}

int
gr_metric_dim(const Metric *metric)
{
	return metric->shape == SHAPE_RATIO ? 2 : 1;
}

bool
gr_metric_is_capped(const Metric *metric)
{
	return metric->cap_quantile > 0 || !isnan(metric->cap_value);
}

bool
gr_spec_has_pooled_cap(const CollectSpec *spec)
{
	for (int m = 0; m < spec->nmetrics; m++)
		if (spec->metrics[m].cap_quantile > 0)
			return true;
	return false;
}

double
gr_metric_covariate(const CollectSpec *spec, const Metric *metric, const double *slots)
{
	return metric->covariate < 0 ? NAN : slots[spec->folds[metric->covariate].slot];
}

bool
gr_metric_is_immature(const CollectSpec *spec, const Metric *metric, const double *slots)
{
	/* NaN: the unit has no time, so no window that could close */
	return metric->mature >= 0 && !(slots[spec->folds[metric->mature].slot] > 0);
}

bool
gr_metric_looks_at(const CollectSpec *spec, const Metric *metric, const double *slots)
{
	return metric->mature < 0 || slots[spec->folds[metric->mature].slot] > 0;
}

bool
gr_metric_observe(const CollectSpec *spec, const Metric *metric,
				  const double *slots, double *x)
{
	double		a = slots[spec->folds[metric->a].slot];
	double		b = metric->b >= 0 ? slots[spec->folds[metric->b].slot] : 0;

	if (!gr_metric_looks_at(spec, metric, slots))
		return false;
	switch (metric->shape)
	{
		case SHAPE_POSITIVE:
			x[0] = (isnan(metric->at_least) ? a > 0 : a >= metric->at_least) ? 1 : 0;
			return true;
		case SHAPE_RATIO:
			x[0] = a;
			x[1] = b;
			return true;
		case SHAPE_AVERAGE:
		case SHAPE_UNITS_AVERAGE:
			x[0] = a / b;
			return b != 0;
		case SHAPE_VALUE:
		case SHAPE_UNITS:
			x[0] = a;
			return !isnan(a);
		case SHAPE_EVENTS:
		case SHAPE_DISTINCT:
		case SHAPE_ENTROPY:
			break;
	}
	return false;
}

bool
gr_metric_complete(const CollectSpec *spec, const Metric *metric, const double *slots,
				   const double *cap, double *x)
{
	int			dim = gr_metric_dim(metric);
	double		covariate = gr_metric_covariate(spec, metric, slots);

	for (int i = 0; i < dim; i++)
		x[i] = Min(x[i], cap[i]);
	if (isnan(covariate))
		return false;
	x[dim] = covariate;
	return true;
}
