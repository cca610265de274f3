/*
 * spec.c
 *	  The text form of a collection's spec.
 */
#include "spec/spec.h"

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
						 (char) spec->folds[i].kind->letter, spec->folds[i].column);
	appendStringInfoString(&buf, " metrics=");
	for (int i = 0; i < spec->nmetrics; i++)
	{
		const Metric *m = &spec->metrics[i];

		appendStringInfo(&buf, "%s%c%d", i ? "," : "", (char) m->shape->letter, m->a);
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
					 "only guardrail_evaluate() calls _guardrail_collect().")));
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
		spec->folds[i].slot = spec->folds[i].kind->is_list ?
			spec->nlists++ : spec->nslots++;
}

/* Is there such a fold, of one number? */
static bool
is_number(const CollectSpec *spec, int fold)
{
	return fold < spec->nfolds && !spec->folds[fold].kind->is_list;
}

/* Do the metric's folds exist and fit its shape? */
static bool
metric_fits(const CollectSpec *spec, const Metric *m)
{
	const FoldKind *of_a;

	if (m->shape == NULL || m->a >= spec->nfolds || m->b >= spec->nfolds || m->shape->has_b != (m->b >= 0))
		return false;
	of_a = spec->folds[m->a].kind;
	if ((of_a->is_list ? of_a->letter : 0) != m->shape->list)
		return false;
	if (m->covariate >= 0 && (m->shape->has_histogram || !is_number(spec, m->covariate)))
		return false;
	if (m->mature >= 0 && !is_number(spec, m->mature))
		return false;
	if (!isnan(m->at_least) && !m->shape->is_zero_or_one)
		return false;
	if (gr_metric_is_capped(m) && (m->shape->has_histogram || m->shape->list || m->cap_quantile >= 1))
		return false;
	return m->b < 0 || is_number(spec, m->b);
}

static const char *
scan_metric(const char *p, const CollectSpec *spec, Metric *m, const char *text)
{
	if (*p == '\0')
		bad_spec(text);
	*m = gr_metric_make(*p++, -1, -1);
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

		if (spec->nfolds++ >= GR_MAX_FOLDS || (fold->kind = gr_fold_kind(*p)) == NULL)
			bad_spec(text);
		p++;
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
	if (spec->events >= 0 && spec->folds[spec->events].kind->letter != FOLD_SUM)
		bad_spec(text);
	if (*p != '\0')
		bad_spec(text);
	gr_spec_number(spec);
	return spec;
}
