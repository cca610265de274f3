/*
 * shape.c
 *	  The tables of folds and of metric shapes, and what follows from them.
 */
#include "spec/shape.h"

#include <math.h>

#include "numeric/numeric.h"

/* ---- folds ---------------------------------------------------------------------- */

static double
add(double x, double y)
{
	return x + y;
}

static double
larger(double x, double y)
{
	return isnan(x) || y > x ? y : x;
}

static double
smaller(double x, double y)
{
	return isnan(x) || y < x ? y : x;
}

#define TOTAL (*(double *) (entry[i] + offset))
#define VALUE (*(const double *) (value + step * i))

/* A sum never is -0, so adding 0 for a missing value changes nothing. */
static void
add_sums(char *const *entry, size_t offset, const char *value, size_t step, int n)
{
	for (int i = 0; i < n; i++)
		TOTAL += isnan(VALUE) ? 0 : VALUE;
}

static void
add_counts(char *const *entry, size_t offset, const char *value, size_t step, int n)
{
	for (int i = 0; i < n; i++)
		TOTAL += !isnan(VALUE);
}

static void
add_largest(char *const *entry, size_t offset, const char *value, size_t step, int n)
{
	for (int i = 0; i < n; i++)
		if (VALUE > TOTAL || isnan(TOTAL))
			TOTAL = VALUE;
}

static void
add_smallest(char *const *entry, size_t offset, const char *value, size_t step, int n)
{
	for (int i = 0; i < n; i++)
		if (VALUE < TOTAL || isnan(TOTAL))
			TOTAL = VALUE;
}

static const FoldKind folds[] = {
	{FOLD_SUM,.aggregate = "sum",.sql_before = "COALESCE(",.sql_name = "sum",.sql_after = ", 0)",
	.merge = add,.add_rows = add_sums},
	{FOLD_COUNT,.aggregate = "count",.sql_before = "(",.sql_name = "count",.sql_after = ")::float8",
	.merge = add,.add_rows = add_counts},
	{FOLD_MAX,.aggregate = "max",.starts_unknown = true,.sql_name = "max",.merge = larger,.add_rows = add_largest},
	{FOLD_MIN,.aggregate = "min",.starts_unknown = true,.sql_name = "min",.merge = smaller,.add_rows = add_smallest},
	{FOLD_EVENTS,.is_list = true,.in_bins = true,.sql_name = "guardrail_histogram",.sql_is_ours = true},
	{FOLD_VALUES,.is_list = true,.sql_name = "array_agg"}
};

const FoldKind *
gr_fold_kind(char letter)
{
	for (int i = 0; i < (int) lengthof(folds); i++)
		if ((char) folds[i].letter == letter)
			return &folds[i];
	return NULL;
}

FoldLetter
gr_fold_of_aggregate(const char *aggregate)
{
	for (int i = 0; i < (int) lengthof(folds); i++)
		if (folds[i].aggregate && strcmp(folds[i].aggregate, aggregate) == 0)
			return folds[i].letter;
	return FOLD_SUM;
}

int
gr_spec_fold(CollectSpec *spec, FoldLetter letter, int column)
{
	for (int i = 0; i < spec->nfolds; i++)
		if (spec->folds[i].kind->letter == letter && spec->folds[i].column == column)
			return i;
	if (spec->nfolds >= GR_MAX_FOLDS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rules need more than %d numbers per unit", GR_MAX_FOLDS),
				 errhint("Split the metrics between two experiments.")));
	spec->folds[spec->nfolds].kind = gr_fold_kind(letter);
	spec->folds[spec->nfolds].column = column;
	return spec->nfolds++;
}

char *
gr_fold_sql(const Fold *fold, const char *schema)
{
	const FoldKind *kind = fold->kind;

	return psprintf("%s%s%s%s(v%d) FILTER (WHERE v%d > '-Infinity' AND v%d < 'Infinity')%s",
					kind->sql_before ? kind->sql_before : "", kind->sql_is_ours ? schema : "",
					kind->sql_is_ours ? "." : "", kind->sql_name, fold->column, fold->column, fold->column,
					kind->sql_after ? kind->sql_after : "");
}

/* ---- shapes --------------------------------------------------------------------- */

static bool
observe_number(const Metric *metric pg_attribute_unused(), double a, double b pg_attribute_unused(), double *x)
{
	x[0] = a;
	return !isnan(a);
}

static bool
observe_pair(const Metric *metric pg_attribute_unused(), double a, double b, double *x)
{
	x[0] = a;
	x[1] = b;
	return true;
}

static bool
observe_average(const Metric *metric pg_attribute_unused(), double a, double b, double *x)
{
	x[0] = a / b;
	return b != 0;
}

static bool
observe_positive(const Metric *metric, double a, double b pg_attribute_unused(), double *x)
{
	x[0] = (isnan(metric->at_least) ? a > 0 : a >= metric->at_least) ? 1 : 0;
	return true;
}

static char *
sql_average(const Metric *metric, const char *schema pg_attribute_unused())
{
	return psprintf("(x%d / NULLIF(x%d, 0))", metric->a, metric->b);
}

static char *
sql_positive(const Metric *metric, const char *schema pg_attribute_unused())
{
	return isnan(metric->at_least) ? psprintf("(x%d > 0)::int::float8", metric->a) :
		psprintf("(x%d >= '%.17g'::float8)::int::float8", metric->a, metric->at_least);
}

static char *
sql_distinct(const Metric *metric, const char *schema)
{
	return psprintf("COALESCE(%s._guardrail_distinct(x%d), 0)", schema, metric->a);
}

static char *
sql_entropy(const Metric *metric, const char *schema)
{
	return psprintf("%s._guardrail_entropy(x%d)", schema, metric->a);
}

#define A_QUANTILE "a quantile has no joint covariance with another metric"
#define A_CATEGORY "metrics of this kind have no joint covariance with another metric"

static const Shape shapes[] = {
	{SHAPE_VALUE, 1,.is_folds = true,.keeps_flags = true,
	.sql_summary = "guardrail_summarize",.observe = observe_number},
	{SHAPE_POSITIVE, 1,.is_zero_or_one = true,
	.sql_summary = "guardrail_summarize",.observe = observe_positive,.sql = sql_positive},
	{SHAPE_AVERAGE, 1,.has_b = true,.keeps_flags = true,.may_lack = true,
	.sql_summary = "guardrail_summarize",.observe = observe_average,.sql = sql_average},
	{SHAPE_RATIO, 2,.has_b = true,.is_folds = true,.keeps_flags = true,.caps_zeros = true,
	.sql_summary = "guardrail_summarize",.observe = observe_pair},
	{SHAPE_EVENTS, 1,.list = FOLD_EVENTS,.over_events = true,.has_histogram = true,
	.sql_summary = "guardrail_rollup",.unjoined = A_QUANTILE},
	{SHAPE_UNITS, 1,.is_folds = true,.has_histogram = true,
	.sql_summary = "guardrail_histogram",.unjoined = A_QUANTILE,.observe = observe_number},
	{SHAPE_UNITS_AVERAGE, 1,.has_b = true,.may_lack = true,.has_histogram = true,
	.sql_summary = "guardrail_histogram",.unjoined = A_QUANTILE,.observe = observe_average,.sql = sql_average},
	{SHAPE_DISTINCT, 1,.list = FOLD_VALUES,
	.sql_summary = "guardrail_summarize",.unjoined = A_CATEGORY,.observe_values = gr_distinct,.sql = sql_distinct},
	{SHAPE_ENTROPY, 1,.list = FOLD_VALUES,.may_lack = true,
	.sql_summary = "guardrail_summarize",.unjoined = A_CATEGORY,.observe_values = gr_entropy,.sql = sql_entropy}
};

const Shape *
gr_shape(char letter)
{
	for (int i = 0; i < (int) lengthof(shapes); i++)
		if ((char) shapes[i].letter == letter)
			return &shapes[i];
	return NULL;
}

Metric
gr_metric_make(char shape, int a, int b)
{
	return (Metric) {.shape = gr_shape(shape), .a = a, .b = b, .covariate = -1, .mature = -1,
		.at_least = NAN, .cap_value = NAN};
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
gr_metric_is_capped(const Metric *metric)
{
	return metric->cap_quantile > 0 || !isnan(metric->cap_value);
}

bool
gr_metric_leaves_nulls_out(const CollectSpec *spec, const Metric *metric)
{
	const Fold *a = &spec->folds[metric->a];

	return metric->shape->over_events || metric->shape->may_lack || a->kind->starts_unknown ||
		/* divided by the number of its values */
		(metric->b >= 0 && spec->folds[metric->b].column == a->column);
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
	return metric->shape->observe && metric->shape->observe(metric, a, b, x);
}

bool
gr_metric_complete(const CollectSpec *spec, const Metric *metric, const double *slots,
				   const double *cap, double *x)
{
	int			dim = metric->shape->dim;
	double		covariate = gr_metric_covariate(spec, metric, slots);

	for (int i = 0; i < dim; i++)
		x[i] = Min(x[i], cap[i]);
	if (isnan(covariate))
		return false;
	x[dim] = covariate;
	return true;
}

char *
gr_metric_sql(const Metric *metric, int variable, const char *schema)
{
	char	   *x = metric->shape->sql ? metric->shape->sql(metric, schema) :
		psprintf("x%d", variable == 0 ? metric->a : metric->b);

	if (metric->mature >= 0)
		x = psprintf("CASE WHEN x%d > 0 THEN %s END", metric->mature, x);
	return x;
}
