/*
 * build.c
 *	  From an experiment and its rules to what is collected, and the statement.
 *
 * Identifiers are quoted by the server's functions, values become literals.
 * Rules that share an expression and a filter share a column; metrics that need
 * the same number per unit share the fold.
 */
#include "query/query.h"

#include <math.h>

#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "units/collect.h"
#include "utils/syscache.h"

/* Arguments of guardrail_collect before its columns. */
#define COLLECT_ARGS 5

static bool
same_text(const char *a, const char *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return strcmp(a, b) == 0;
}

/* In parentheses; a comment at its end must not hide the closing one. */
static char *
parenthesise(const char *expression)
{
	if (strstr(expression, "--") != NULL)
		return psprintf("(%s\n)", expression);
	return psprintf("(%s)", expression);
}

/* The number of the column (expression, filter), added if it is new. */
static int
plan_column(ScanPlan *plan, const Experiment *e, const char *value, const char *filter)
{
	CollectSpec *spec = plan->spec;
	char	   *v = parenthesise(value);
	char	   *f = filter ? parenthesise(filter) : NULL;
	int			k = spec->ncolumns;

	for (int i = 0; i < spec->ncolumns; i++)
		if (same_text(plan->column_value[i], v) && same_text(plan->column_filter[i], f))
			return i;
	if (spec->ncolumns >= GR_MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d different expressions",
						e->id, GR_MAX_COLUMNS)));
	plan->column_value[k] = v;
	plan->column_filter[k] = f;
	plan->column_type[k] = getBaseType(gr_expression_type(e->events, value));
	/* what was stored unchecked, or over a column that is another now */
	if (!gr_is_number_type(plan->column_type[k]))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("expression \"%s\" of experiment \"%s\" is of type %s, which is no number",
						value, e->id, format_type_be(plan->column_type[k])),
				 errhint("Amend the rule, or mend the events.")));
	if (filter && getBaseType(gr_expression_type(e->events, filter)) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("filter \"%s\" of experiment \"%s\" is not boolean", filter, e->id),
				 errhint("Amend the rule, or mend the events.")));
	spec->filtered[k] = (f != NULL);
	return spec->ncolumns++;
}

static int
plan_fold(CollectSpec *spec, FoldKind kind, int column)
{
	for (int i = 0; i < spec->nfolds; i++)
		if (spec->folds[i].kind == kind && spec->folds[i].column == column)
			return i;
	spec->folds[spec->nfolds].kind = kind;
	spec->folds[spec->nfolds].column = column;
	return spec->nfolds++;
}

/* Fold of a unit's events by unit_aggregate; *b >= 0: the average a/b. */
static void
plan_unit_value(CollectSpec *spec, const Rule *rule, int column, int *a, int *b)
{
	*b = -1;
	switch (gr_word(rule->unit_aggregate, gr_words_unit_aggregate))
	{
		case 1:
			*a = plan_fold(spec, FOLD_COUNT, column);
			break;
		case 2:
			*a = plan_fold(spec, FOLD_MAX, column);
			break;
		case 3:
			*a = plan_fold(spec, FOLD_MIN, column);
			break;
		case 4:
			*a = plan_fold(spec, FOLD_SUM, column);
			*b = plan_fold(spec, FOLD_COUNT, column);
			break;
		default:
			*a = plan_fold(spec, FOLD_SUM, column);
			break;
	}
}

static Metric
plan_metric(ScanPlan *plan, const Experiment *e, const Rule *rule)
{
	CollectSpec *spec = plan->spec;
	int			column = plan_column(plan, e, rule->value, rule->filter);
	Metric		m = {SHAPE_VALUE, -1, -1, -1, rule->cap_quantile, rule->cap_value};

	if (strcmp(rule->kind, "proportion") == 0)
	{
		m.shape = SHAPE_POSITIVE;
		m.a = plan_fold(spec, FOLD_SUM, column);
	}
	else if (strcmp(rule->kind, "ratio") == 0)
	{
		m.shape = SHAPE_RATIO;
		m.a = plan_fold(spec, FOLD_SUM, column);
		m.b = rule->denominator ?
			plan_fold(spec, FOLD_SUM, plan_column(plan, e, rule->denominator, rule->filter)) :
			plan_fold(spec, FOLD_COUNT, column);
	}
	else if (strcmp(rule->kind, "quantile") == 0 && !rule->over_units)
	{
		m.shape = SHAPE_EVENTS;
		m.a = plan_fold(spec, FOLD_EVENTS, column);
	}
	else if (strcmp(rule->kind, "quantile") == 0)
	{
		plan_unit_value(spec, rule, column, &m.a, &m.b);
		m.shape = m.b >= 0 ? SHAPE_UNITS_AVERAGE : SHAPE_UNITS;
	}
	else if (strcmp(rule->kind, "mean") == 0)
	{
		plan_unit_value(spec, rule, column, &m.a, &m.b);
		m.shape = m.b >= 0 ? SHAPE_AVERAGE : SHAPE_VALUE;
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("rule \"%s\" is of kind \"%s\", which this version does not evaluate",
						rule->rule.metric, rule->kind)));
	/* constant per unit, so its largest value is its value */
	if (rule->covariate)
		m.covariate = plan_fold(spec, FOLD_MAX, plan_column(plan, e, rule->covariate, NULL));
	return m;
}

static bool
same_metric(const Metric *a, const Metric *b)
{
	return a->shape == b->shape && a->a == b->a && a->b == b->b &&
		a->covariate == b->covariate && a->cap_quantile == b->cap_quantile &&
		(a->cap_value == b->cap_value || (isnan(a->cap_value) && isnan(b->cap_value)));
}

ScanPlan *
gr_plan_make(Experiment *e)
{
	ScanPlan	   *plan = palloc0(sizeof(ScanPlan));
	CollectSpec *spec = palloc0(sizeof(CollectSpec));

	if (e->nrules == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has no rules", e->id),
				 errhint("Write what is measured, and what must not break, into guardrail_rule.")));
	if (e->nrules > GR_MAX_METRICS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d rules", e->id, GR_MAX_METRICS)));
	plan->spec = spec;
	plan->column_value = palloc0(sizeof(char *) * GR_MAX_COLUMNS);
	plan->column_filter = palloc0(sizeof(char *) * GR_MAX_COLUMNS);
	plan->column_type = palloc0(sizeof(Oid) * GR_MAX_COLUMNS);
	spec->filtered = palloc0(GR_MAX_COLUMNS);
	spec->folds = palloc0(sizeof(Fold) * 3 * GR_MAX_METRICS);
	spec->metrics = palloc0(sizeof(Metric) * e->nrules);
	for (int i = 0; i < e->nrules; i++)
	{
		Metric		m = plan_metric(plan, e, &e->rules[i]);
		int			k;

		for (k = 0; k < spec->nmetrics; k++)
			if (same_metric(&spec->metrics[k], &m))
				break;
		if (k == spec->nmetrics)
			spec->metrics[spec->nmetrics++] = m;
		e->rules[i].metric = k;
	}
	gr_spec_number(spec);
	for (int i = 0; i < e->nsegments; i++)
		(void) gr_segment_type(e->events, e->segments[i]);
	return plan;
}

/* The type of a column of the events, or InvalidOid. */
static Oid
column_type(Oid relation, const char *column)
{
	AttrNumber	number = get_attnum(relation, column);

	return number > 0 ? getBaseType(get_atttype(relation, number)) : InvalidOid;
}

char *
gr_sql_variant(const Experiment *e, bool as_text)
{
	Oid			type = column_type(e->events, e->variant_column);
	const char *column = quote_identifier(e->variant_column);
	bool		direct = type == TEXTOID || type == VARCHAROID || type == BOOLOID ||
		type == INT2OID || type == INT4OID || type == INT8OID || type_is_enum(type);

	if (as_text || !direct)
		return psprintf("%s::text", column);
	return pstrdup(column);
}

char *
gr_sql_condition(const Experiment *e)
{
	StringInfoData buf;

	/* the triggers refuse it, but they can be switched off */
	if ((e->starts_at || e->ends_at) && e->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has starts_at or ends_at and no time_column", e->id),
				 errhint("Set guardrail_experiment.time_column.")));
	initStringInfo(&buf);
	if (e->experiment_column)
		appendStringInfo(&buf, "%s = %s", quote_identifier(e->experiment_column),
						 quote_literal_cstr(e->id));
	if (e->starts_at)
		appendStringInfo(&buf, "%s%s >= %s::timestamptz", buf.len ? " AND " : "",
						 quote_identifier(e->time_column), quote_literal_cstr(e->starts_at));
	if (e->ends_at)
		appendStringInfo(&buf, "%s%s < %s::timestamptz", buf.len ? " AND " : "",
						 quote_identifier(e->time_column), quote_literal_cstr(e->ends_at));
	if (e->range)
		appendStringInfo(&buf, "%s%s", buf.len ? " AND " : "", e->range);
	return buf.data;
}

char *
gr_sql_from(const Experiment *e)
{
	char	   *condition = gr_sql_condition(e);

	return psprintf("FROM %s%s%s", gr_relation_name(e->events), condition[0] ? " WHERE " : "",
					condition);
}

bool
gr_fast_shape_fits(const ScanPlan *plan)
{
	int			arguments = COLLECT_ARGS;

	for (int k = 0; k < plan->spec->ncolumns; k++)
		arguments += plan->spec->filtered[k] ? 2 : 1;
	/* the transition has one more: its state */
	return arguments < FUNC_MAX_ARGS;
}

/* The planned arms as an array literal, or NULL. */
static char *
arms_literal(const Experiment *e)
{
	StringInfoData buf;

	if (e->narms == 0)
		return pstrdup("NULL::text[]");
	initStringInfo(&buf);
	appendStringInfoString(&buf, "ARRAY[");
	for (int i = 0; i < e->narms; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", quote_literal_cstr(e->arms[i]));
	appendStringInfoString(&buf, "]::text[]");
	return buf.data;
}

/* The call of one of the aggregates that take guardrail_collect's arguments. */
static char *
sql_collect(const Experiment *e, const ScanPlan *plan, const char *schema,
			const char *aggregate, int memory)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s.%s(%s, %s, %d, %s, %s", schema, aggregate,
					 quote_literal_cstr(gr_spec_print(plan->spec)), arms_literal(e),
					 memory, gr_sql_variant(e, false),
					 quote_identifier(e->unit_column));
	for (int k = 0; k < plan->spec->ncolumns; k++)
	{
		/* a filter guards its expression: no division by zero behind it */
		if (plan->column_filter[k])
			appendStringInfo(&buf, ", CASE WHEN %s THEN %s END, %s", plan->column_filter[k],
							 plan->column_value[k], plan->column_filter[k]);
		else
			appendStringInfo(&buf, ", %s", plan->column_value[k]);
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

char *
gr_sql_fast(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	return psprintf("SELECT %s\n%s", sql_collect(e, plan, schema, "guardrail_collect", guardrail_unit_memory),
					gr_sql_from(e));
}

char *
gr_sql_units(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	return psprintf("SELECT %s\n%s", sql_collect(e, plan, schema, "guardrail_collect_units", guardrail_unit_memory),
					gr_sql_from(e));
}

char *
gr_sql_shared(Experiment *const *e, ScanPlan *const *plan, int n, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s FILTER (WHERE %s)", i ? ",\n" : "SELECT ",
						 sql_collect(e[i], plan[i], schema, "guardrail_collect",
									 Max(64, guardrail_unit_memory / n)), gr_sql_condition(e[i]));
	appendStringInfo(&buf, "\nFROM %s WHERE %s IN (", gr_relation_name(e[0]->events),
					 quote_identifier(e[0]->experiment_column));
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", quote_literal_cstr(e[i]->id));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

char *
gr_sql_segments(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	/* each has its share of the memory; all values of one expression are about as many units as the whole has */
	int			memory = Max(64, guardrail_unit_memory / (e->nsegments + 1));
	StringInfoData values,
				sets;

	initStringInfo(&values);
	initStringInfo(&sets);
	for (int i = 0; i < e->nsegments; i++)
	{
		char	   *value = psprintf("(%s.guardrail_segment_value(%s::text, %d) COLLATE pg_catalog.\"C\")",
									 schema, parenthesise(e->segments[i]), GR_MAX_SEGMENT_VALUES);

		appendStringInfo(&values, "%s%s", i ? ", " : "", value);
		appendStringInfo(&sets, ", (%s)", value);
	}
	return psprintf("SELECT GROUPING(%s), %s,\n%s\n%s\nGROUP BY GROUPING SETS (()%s)", values.data, values.data,
					sql_collect(e, plan, schema, "guardrail_collect_segment", memory), gr_sql_from(e),
					sets.data);
}
