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

#include "catalog/pg_type.h"
#include "units/hash.h"

/* Arguments of guardrail_collect before its columns. */
#define COLLECT_ARGS 5

/* In parentheses; a comment at its end must not hide the closing one. */
static char *
parenthesise(const char *expression)
{
	if (strstr(expression, "--") != NULL)
		return psprintf("(%s\n)", expression);
	return psprintf("(%s)", expression);
}

/* The number of the column (expression, filter) in parentheses, added if it is new. */
static int
add_column(ScanPlan *plan, const Experiment *e, char *v, char *f, Oid type, bool category)
{
	CollectSpec *spec = plan->spec;
	int			k = spec->ncolumns;

	for (int i = 0; i < spec->ncolumns; i++)
		if (gr_same_text(plan->column_value[i], v) && gr_same_text(plan->column_filter[i], f) &&
			plan->column_category[i] == category)
			return i;
	if (spec->ncolumns >= GR_MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d different expressions",
						e->id, GR_MAX_COLUMNS)));
	plan->column_value[k] = v;
	plan->column_filter[k] = f;
	plan->column_type[k] = type;
	plan->column_category[k] = category;
	spec->filtered[k] = (f != NULL);
	return spec->ncolumns++;
}

/*
 * An expression of a rule over the events that "guard" and "filter" let pass.  In a
 * row without an event neither the filter nor the expression is computed.
 */
static int
plan_column(ScanPlan *plan, const Experiment *e, const Rule *rule, const char *value, const char *filter,
			const char *guard)
{
	bool		category = value == rule->value && rule->rule.kind->takes_category;
	char	   *f = filter ? parenthesise(filter) : NULL;
	Oid			type;

	if (rule->failure)
		return add_column(plan, e, "(NULL::float8)", guard ? psprintf("(%s)", guard) : NULL, FLOAT8OID, category);
	type = getBaseType(gr_expression_type(e->events, value));
	/* what was stored unchecked, or over a column that is another now */
	if (category ? !gr_type_is_hashable(type) : !gr_is_number_type(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("expression \"%s\" of experiment \"%s\" is of type %s, which %s",
						value, e->id, format_type_be(type), category ? "cannot be hashed" : "is not a number"),
				 errhint("Change the rule with guardrail_amend(), or fix the events.")));
	if (filter && getBaseType(gr_expression_type(e->events, filter)) != BOOLOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("filter \"%s\" of experiment \"%s\" is not boolean", filter, e->id),
				 errhint("Change the rule with guardrail_amend(), or fix the events.")));
	if (guard)
		f = f ? psprintf("(CASE WHEN %s THEN %s END)", guard, f) : psprintf("(%s)", guard);
	return add_column(plan, e, parenthesise(value), f, type, category);
}

/* A condition of our own on the row. */
static int
plan_condition(ScanPlan *plan, const Experiment *e, const char *condition)
{
	return add_column(plan, e, psprintf("(%s)", condition), NULL, BOOLOID, false);
}

static Metric
plan_metric(ScanPlan *plan, const Experiment *e, const Rule *rule)
{
	CollectSpec *spec = plan->spec;
	char	   *guard = gr_sql_counts_for(e, rule);
	char	   *mature = gr_sql_is_mature(e, rule);
	int			column = plan_column(plan, e, rule, rule->value, rule->filter, guard);
	bool		averaged = strcmp(rule->unit_aggregate, "avg") == 0;
	const GrKind *kind = rule->rule.kind;
	const Shape *shape = gr_shape(gr_kind_shape(kind, rule->over_units, averaged));
	Metric		m = gr_metric_make(shape->letter, -1, -1);

	m.cap_quantile = rule->cap_quantile;
	m.cap_value = rule->cap_value;
	m.a = gr_spec_fold(spec, shape->list ? shape->list :
					   gr_kind_allows(kind, GR_COLUMN_UNIT_AGGREGATE) ? gr_fold_of_aggregate(rule->unit_aggregate) :
					   FOLD_SUM, column);
	if (shape->has_b)
		m.b = gr_kind_allows(kind, GR_COLUMN_DENOMINATOR) && rule->denominator ?
			gr_spec_fold(spec, FOLD_SUM, plan_column(plan, e, rule, rule->denominator, rule->filter, guard)) :
			gr_spec_fold(spec, FOLD_COUNT, column);
	if (shape->is_zero_or_one)
		m.at_least = rule->at_least;
	m.is_flag = shape->keeps_flags && plan->column_type[column] == BOOLOID &&
		strcmp(rule->unit_aggregate, "count") != 0;
	/* constant per unit, so its largest value is its value */
	if (rule->covariate)
		m.covariate = gr_spec_fold(spec, FOLD_MAX, plan_column(plan, e, rule, rule->covariate, NULL,
															gr_sql_is_event(e)));
	if (mature)
		m.mature = gr_spec_fold(spec, FOLD_MAX, plan_condition(plan, e, mature));
	return m;
}

ScanPlan *
gr_plan_make(Experiment *e)
{
	ScanPlan	   *plan = palloc0(sizeof(ScanPlan));
	CollectSpec *spec = palloc0(sizeof(CollectSpec));
	char	   *is_event = gr_sql_is_event(e);

	if (e->nrules == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has no rules", e->id),
				 errhint("Insert its metrics and guardrails into guardrail_rule.")));
	if (e->nrules > GR_MAX_METRICS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d rules", e->id, GR_MAX_METRICS)));
	plan->spec = spec;
	plan->column_value = palloc0(sizeof(char *) * GR_MAX_COLUMNS);
	plan->column_filter = palloc0(sizeof(char *) * GR_MAX_COLUMNS);
	plan->column_type = palloc0(sizeof(Oid) * GR_MAX_COLUMNS);
	plan->column_category = palloc0(sizeof(bool) * GR_MAX_COLUMNS);
	plan->column_failed = palloc0(sizeof(bool) * GR_MAX_COLUMNS);
	spec->filtered = palloc0(GR_MAX_COLUMNS);
	spec->folds = palloc0(sizeof(Fold) * GR_MAX_FOLDS);
	spec->metrics = palloc0(sizeof(Metric) * e->nrules);
	for (int i = 0; i < e->nrules; i++)
	{
		Metric		m = plan_metric(plan, e, &e->rules[i]);
		int			k;

		for (k = 0; k < spec->nmetrics; k++)
			if (gr_metric_same(&spec->metrics[k], &m))
				break;
		if (k == spec->nmetrics)
			spec->metrics[spec->nmetrics++] = m;
		e->rules[i].metric = k;
	}
	/* of those that restores and earlier versions let in */
	if (spec->nmetrics > GR_MAX_RULES && !gr_fast_shape_fits(plan))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d rules", e->id, GR_MAX_RULES),
				 errhint("Remove rules with guardrail_amend(), or divide them among several experiments over the same events.")));
	spec->events = -1;
	if (is_event)
		spec->events = gr_spec_fold(spec, FOLD_SUM, plan_condition(plan, e, is_event));
	gr_spec_number(spec);
	for (int i = 0; i < e->nsegments && e->segments_failure == NULL; i++)
		(void) gr_segment_type(e->events, e->segments[i]);
	return plan;
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

const char *
gr_column_value(const ScanPlan *plan, int k)
{
	return plan->column_failed[k] ? "(NULL::float8)" : plan->column_value[k];
}

const char *
gr_column_filter(const ScanPlan *plan, int k)
{
	return plan->column_failed[k] && plan->column_filter[k] ? "(false)" : plan->column_filter[k];
}

char *
gr_sql_category(const ScanPlan *plan, int k, const char *schema)
{
	/* a literal has no type before it is given one */
	return psprintf("%s.guardrail_category(%s%s)", schema, gr_column_value(plan, k),
					plan->column_type[k] == TEXTOID ? "::text" : "");
}

/*
 * A column's value where its filter lets the row pass: the filter guards its
 * expression, and there is no division by zero behind it.
 */
static char *
guarded_value(const ScanPlan *plan, int k, const char *schema)
{
	const char *value = plan->column_category[k] ? gr_sql_category(plan, k, schema) : gr_column_value(plan, k);

	if (plan->column_filter[k])
		return psprintf("CASE WHEN %s THEN %s END", gr_column_filter(plan, k), value);
	return pstrdup(value);
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
					 memory, gr_sql_variant(e, false), gr_sql_unit(e));
	for (int k = 0; k < plan->spec->ncolumns; k++)
	{
		appendStringInfo(&buf, ", %s", guarded_value(plan, k, schema));
		if (plan->column_filter[k])
			appendStringInfo(&buf, ", %s", gr_column_filter(plan, k));
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

char *
gr_sql_probe(const Experiment *e, const ScanPlan *plan, const char *schema, const int *columns, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "SELECT count(%s), count(%s)", gr_sql_variant(e, false), gr_sql_unit(e));
	for (int i = 0; i < n; i++)
	{
		appendStringInfo(&buf, ", count(%s)", guarded_value(plan, columns[i], schema));
		if (plan->column_filter[columns[i]])
			appendStringInfo(&buf, ", count(%s)", gr_column_filter(plan, columns[i]));
	}
	appendStringInfo(&buf, "\n%s", gr_sql_from(e));
	return buf.data;
}

char *
gr_sql_probe_segments(const Experiment *e)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < e->nsegments; i++)
		appendStringInfo(&buf, "%scount(%s::text)", i ? ", " : "SELECT ", parenthesise(e->segments[i]));
	appendStringInfo(&buf, "\n%s", gr_sql_from(e));
	return buf.data;
}

char *
gr_sql_arms(const Experiment *e, const char *known, int n)
{
	char	   *arm = gr_sql_variant(e, true);

	return psprintf("SELECT arm FROM (SELECT %s AS arm\n%s) AS rows WHERE %s\nGROUP BY arm"
					" ORDER BY arm COLLATE \"C\" = %s COLLATE \"C\" DESC,"
					" arm COLLATE \"C\" = ANY (%s::text[]) DESC, count(*) DESC, arm COLLATE \"C\" LIMIT %d",
					arm, gr_sql_from(e), gr_sql_known_arms(e, "arm"), quote_literal_cstr(e->control),
					quote_literal_cstr(known), n);
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
