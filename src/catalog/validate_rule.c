/*
 * validate_rule.c
 *	  The trigger on guardrail_rule: does the row ask for something that can be
 *	  measured and decided?
 */
#include "catalog/validate.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "catalog/expression.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_rule_check);

/* What a limit rests on. */
static const char *const limit_columns[] = {"role", "kind", "value", "denominator", "filter", "at_least",
"unit_aggregate", "worse", "limit_kind", "limit_value", NULL};

Oid
gr_check_expressions(Oid owner, Oid events, const char *metric, const GrKind *kind,
					 const char *value, const char *denominator, const char *filter,
					 const char *covariate)
{
	OwnerContext saved;
	Oid			type = InvalidOid;

	gr_owner_enter(&saved, owner);
	if (value)
		type = gr_expression_check(events, value, "value", metric,
								   kind && kind->takes_category ? EXPRESSION_CATEGORY : EXPRESSION_NUMBER);
	if (denominator)
		gr_expression_check(events, denominator, "denominator", metric, EXPRESSION_NUMBER);
	if (covariate)
		gr_expression_check(events, covariate, "covariate", metric, EXPRESSION_NUMBER);
	if (filter)
		gr_expression_check(events, filter, "filter", metric, EXPRESSION_CONDITION);
	gr_owner_leave(&saved);
	return type;
}

/* Are the metric's observations events, not totals of units? */
static bool
is_over_events(const Row *row, const GrKind *kind)
{
	return kind->of_events && !gr_row_is(row, "quantile_over", "units");
}

/* Is the metric a share of units, or of events that are boolean, whatever they hold? */
static bool
is_share(const Row *row, Oid value)
{
	const GrKind *kind = gr_row_kind(row);
	char	   *folded = gr_row_text(row, "unit_aggregate");

	if (kind->is_share)
		return true;
	if (!kind->keeps_scale || !OidIsValid(value) || getBaseType(value) != BOOLOID)
		return false;
	if (gr_kind_allows(kind, GR_COLUMN_DENOMINATOR))
		return gr_row_text(row, "denominator") == NULL;
	if (is_over_events(row, kind))
		return true;
	return strcmp(folded, "sum") != 0 && strcmp(folded, "count") != 0;
}

/* An integer divided by an integer loses its fraction: clicks / views is 0 or 1. */
static void
note_divisions(const Row *row, Oid owner, Oid events)
{
	static const char *const columns[] = {"value", "denominator", "covariate", NULL};
	OwnerContext saved;
	const char *found = NULL;

	/* a category may well be a whole number of hundreds */
	if (gr_row_kind(row)->takes_category || !gr_row_changed(row, columns))
		return;
	gr_owner_enter(&saved, owner);
	for (int i = 0; columns[i] && found == NULL; i++)
	{
		char	   *text = gr_row_text(row, columns[i]);

		if (text && gr_expression_divides_integers(events, text))
			found = columns[i];
	}
	gr_owner_leave(&saved);
	if (found)
		ereport(NOTICE,
				(errmsg("column \"%s\" of rule \"%s\" holds \"%s\", which divides an integer by an integer",
						found, gr_row_text(row, "metric"), gr_row_text(row, found)),
				 errdetail("Integer division drops the fraction: 1 / 2 is 0."),
				 errhint("Write ::float8 after the dividend to keep the fraction, as in clicks::float8 / views.")));
}

/* A column that only some kinds may set must be NULL, or its default, elsewhere. */
static void
refuse_if_unused(const Row *row, const GrKind *kind, GrRuleColumn number)
{
	const GrRuleColumnRow *column = &gr_rule_columns[number];
	char	   *value = gr_row_text(row, column->name);
	bool		used = gr_kind_allows(kind, number) &&
		!(number == GR_COLUMN_UNIT_AGGREGATE && is_over_events(row, kind));
	const char *users[GR_KINDS + 1];

	if (used || value == NULL || (column->unset && strcmp(value, column->unset) == 0))
		return;
	gr_kinds_allowing(number, users);
	gr_refuse(row, column->name, psprintf("Leave it at its default: only rules of kind %s use it.",
										  column->users ? column->users : gr_quoted_list(users)));
}

/* Must the row set a column that it leaves NULL? */
static bool
lacks(const Row *row, const GrKind *kind, GrRuleColumn number)
{
	return gr_kind_requires(kind, number) && gr_row_text(row, gr_rule_columns[number].name) == NULL;
}

/* Some time, and not more than a century of it. */
static void
check_window_length(const Row *row)
{
	bool		null;
	Datum		d = gr_row_datum(row, "window_length", &null);
	const Interval *i = DatumGetIntervalP(d);

	if (null)
		return;
	if (i->month < 0 || i->month > 1200 || i->day < 0 || i->day > 36525 ||
		i->time < 0 || i->time > 36525 * USECS_PER_DAY || (i->month == 0 && i->day == 0 && i->time == 0))
		gr_refuse(row, "window_length", "Set it to a positive time after exposure, such as 7 days.");
}

/* Windows, and what a unit must reach. */
static void
check_window(const Row *row, const GrKind *kind)
{
	bool		null;
	int			day = DatumGetInt32(gr_row_datum(row, "retention_day", &null));

	refuse_if_unused(row, kind, GR_COLUMN_RETENTION_DAY);
	refuse_if_unused(row, kind, GR_COLUMN_RETENTION_TIME_ZONE);
	if (lacks(row, kind, GR_COLUMN_RETENTION_DAY) || (!null && (day < 0 || day > 3650)))
		gr_refuse(row, "retention_day", "Set it to a number of days after exposure, from 0 to 3650.");
	if (!gr_kind_allows(kind, GR_COLUMN_WINDOW_LENGTH) && gr_row_text(row, "window_length"))
		gr_refuse(row, "window_length", "Leave it NULL: the window of a retention rule is the day in retention_day.");
	check_window_length(row);
	refuse_if_unused(row, kind, GR_COLUMN_AT_LEAST);
	gr_require_between(row, "at_least", 0, INFINITY);
}

static void
check_kind(const Row *row, const GrKind *kind)
{
	static const char *const over[] = {"events", "units", NULL};
	bool		null;

	if (lacks(row, kind, GR_COLUMN_VALUE))
		gr_refuse(row, "value", "Set it to an SQL expression over one event.");
	refuse_if_unused(row, kind, GR_COLUMN_DENOMINATOR);
	refuse_if_unused(row, kind, GR_COLUMN_QUANTILE);
	refuse_if_unused(row, kind, GR_COLUMN_QUANTILE_OVER);
	gr_require_word(row, "quantile_over", over);
	gr_require_word(row, "unit_aggregate", gr_words_unit_aggregate);
	refuse_if_unused(row, kind, GR_COLUMN_UNIT_AGGREGATE);
	refuse_if_unused(row, kind, GR_COLUMN_COVARIATE);
	refuse_if_unused(row, kind, GR_COLUMN_CAP_QUANTILE);
	refuse_if_unused(row, kind, GR_COLUMN_CAP_VALUE);
	gr_require_between(row, "cap_quantile", 0, 1);
	if (DatumGetFloat8(gr_row_datum(row, "cap_quantile", &null)) < 0.5 && !null && !gr_in_restore(row->relation))
		gr_refuse(row, "cap_quantile", "Set it to a quantile of at least 0.5; a lower one caps most units. 0.99 caps the highest 1 %.");
	gr_require_between(row, "cap_value", -INFINITY, INFINITY);
	if (gr_row_text(row, "cap_quantile") && gr_row_text(row, "cap_value"))
		gr_refuse(row, "cap_value", "Set cap_quantile or cap_value, and leave the other NULL.");
	if (lacks(row, kind, GR_COLUMN_QUANTILE))
		gr_refuse(row, "quantile", "Set it to a number between 0 and 1, such as 0.95 for p95.");
	gr_require_between(row, "quantile", 0, 1);
}

static void
check_role(Row *row)
{
	static const char *const worse[] = {"higher", "lower", NULL};
	bool		guardrail = gr_row_is(row, "role", "guardrail");

	gr_require_word(row, "role", gr_words_role);
	gr_require_word(row, "worse", worse);
	gr_require_word(row, "severity", gr_words_severity);
	gr_require_word(row, "evidence", gr_words_evidence);
	if (!guardrail && !gr_row_is(row, "severity", "block"))
		gr_refuse(row, "severity", "Leave it at its default: only rules of role \"guardrail\" use it.");
	if (!guardrail && !gr_row_is(row, "evidence", "breach"))
		gr_refuse(row, "evidence", "Leave it at its default: only rules of role \"guardrail\" use it.");
	if (gr_row_text(row, "alpha") == NULL)
		gr_row_set(row, "alpha", Float8GetDatum(guardrail ? 0.10 : 0.05));
	gr_require_between(row, "alpha", 0, 0.5);
}

/* A relative limit of 100 % or more. */
static void
check_relative(const Row *row, double limit, bool guardrail)
{
	if (gr_row_is(row, "worse", guardrail ? "lower" : "higher"))
		gr_refuse(row, "limit_value", "Set it to a fraction below 1: nothing falls by more than 100 %. 0.05 is 5 %.");
	if (gr_in_restore(row->relation) || !gr_row_changed(row, limit_columns))
		return;
	ereport(NOTICE,
			(errmsg("rule \"%s\" has a relative limit of %g, which is %g %%",
					gr_row_text(row, "metric"), limit, 100 * limit),
			 errhint("Write 0.05 for 5 %%.")));
}

/*
 * A limit that a share can be beyond: of units, or of boolean events.  What a restore
 * brings was written before this was asked.
 */
static void
check_share_limit(const Row *row, Oid value)
{
	bool		guardrail = gr_row_is(row, "role", "guardrail");
	bool		null;
	double		edge;
	GrRule		rule = {.role = guardrail ? GR_GUARDRAIL : GR_PRIMARY,
	.worse_is_higher = gr_row_is(row, "worse", "higher")};
	int			kind = gr_word(gr_row_text(row, "limit_kind"), gr_words_limit_kind);

	rule.limit_value = DatumGetFloat8(gr_row_datum(row, "limit_value", &null));
	rule.limit_kind = (GrLimitKind) kind;
	if (null || !is_share(row, value) || !gr_row_changed(row, limit_columns))
		return;
	if (rule.limit_kind == GR_LIMIT_ABSOLUTE && (rule.limit_value < 0 || rule.limit_value > 1))
		gr_refuse(row, "limit_value", "Set it to a share between 0 and 1: 0.05 is 5 %.");
	if (gr_limit_out_of_reach(&rule, NAN))
		gr_refuse(row, "limit_value", "Set it to a difference of two shares, which is at most 1: "
				  "0.05 is 5 percentage points.");
	edge = rule.limit_kind == GR_LIMIT_DIFFERENCE || (rule.worse_is_higher == guardrail) ? 1 : 0;
	if (rule.limit_kind != GR_LIMIT_RELATIVE && rule.limit_kind != GR_LIMIT_SIGNIFICANCE && rule.limit_value == edge)
		ereport(NOTICE,
				(errmsg("no share can go beyond the %s limit of %g of rule \"%s\"",
						gr_row_text(row, "limit_kind"), rule.limit_value, gr_row_text(row, "metric")),
				 errhint("Write 0.05 for 5 %s.",
						 rule.limit_kind == GR_LIMIT_DIFFERENCE ? "percentage points" : "%")));
}

static void
check_limit(Row *row)
{
	bool		guardrail = gr_row_is(row, "role", "guardrail");
	bool		null;
	double		limit;

	if (gr_row_text(row, "limit_kind") == NULL)
	{
		if (guardrail || gr_row_text(row, "limit_value"))
			gr_refuse(row, "limit_kind", psprintf("Set it to %s.",
												  gr_quoted_list(gr_words_limit_kind)));
		gr_row_set(row, "limit_kind", CStringGetTextDatum("significance"));
	}
	if (gr_row_is(row, "limit_kind", "baseline"))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"limit_kind\" of rule \"%s\" holds \"baseline\", which is not supported yet",
						gr_row_text(row, "metric")),
				 errhint("Set it to %s. A limit against the past can be written as an absolute one.",
						 gr_quoted_list(gr_words_limit_kind))));
	gr_require_word(row, "limit_kind", gr_words_limit_kind);
	limit = DatumGetFloat8(gr_row_datum(row, "limit_value", &null));
	if (gr_row_is(row, "limit_kind", "significance"))
	{
		if (!null && limit != 0)
			gr_refuse(row, "limit_value", "Leave it NULL: limit_kind \"significance\" has no margin.");
		return;
	}
	if (null && !guardrail && !gr_row_is(row, "limit_kind", "absolute"))
	{
		gr_row_set(row, "limit_value", Float8GetDatum(0));
		return;
	}
	if (null)
		gr_refuse(row, "limit_value", "Set it to a number in the metric's unit, or to a fraction of the control for limit_kind \"relative\": 0.05 is 5 %.");
	if (!isfinite(limit))
		gr_refuse(row, "limit_value", "Set it to a finite number.");
	if (limit < 0 && !gr_row_is(row, "limit_kind", "absolute"))
		gr_refuse(row, "limit_value", "Set it to a non-negative size: "
				  "column \"worse\" says in which direction harm lies.");
	if (gr_row_is(row, "limit_kind", "relative") && limit >= 1)
		check_relative(row, limit, guardrail);
}

/*
 * A relative limit of 100 % or more that no share can be beyond, as the events say that
 * are there: 5 for 5 %, of a share of 60 %.
 */
static void
check_reach(const Row *row, Experiment *e)
{
	bool		null;
	char	   *at_least = gr_row_text(row, "at_least");
	Rule		rule = {.value = gr_row_text(row, "value"),.filter = gr_row_text(row, "filter"),
		.at_least = at_least ? strtod(at_least, NULL) : get_float8_nan(),.retention_day = -1,
	.window_length = gr_row_text(row, "window_length")};
	double		share;

	rule.rule = (GrRule) {.role = gr_row_is(row, "role", "guardrail") ? GR_GUARDRAIL : GR_PRIMARY,
		.worse_is_higher = gr_row_is(row, "worse", "higher"),.limit_kind = GR_LIMIT_RELATIVE,
	.limit_value = DatumGetFloat8(gr_row_datum(row, "limit_value", &null))};
	if (null || !(rule.rule.limit_value >= 1) || !gr_row_is(row, "limit_kind", "relative") ||
		!gr_row_kind(row)->shows_early || !gr_row_changed(row, limit_columns))
		return;
	e->nrules = 1;
	e->rules = &rule;
	share = gr_glance_share(e, &rule);
	if (gr_limit_out_of_reach(&rule.rule, share))
		gr_refuse(row, "limit_value", psprintf("The control's share is already at least %.2g, and a share cannot be %g %% higher than that. "
											   "0.05 is 5 %%.", share, 100 * rule.rule.limit_value));
}

/* What can be told only beside the experiment, and its events. */
static void
check_beside(const Row *row, Experiment *e)
{
	static const char *const windows[] = {"window_length", "retention_day"};
	char	   *metric = gr_row_text(row, "metric");
	Oid			value = InvalidOid;

	/* its expressions run with the experiment's owner's rights */
	gr_require_ownership(e);
	for (int i = 0; i < (int) lengthof(windows) && e->time_column == NULL; i++)
		if (gr_row_text(row, windows[i]))
			gr_refuse(row, windows[i], "Set time_column of the experiment first: "
					  "a window needs the time of the event.");
	/* off in a restore: the events may have changed since the rule was written */
	if (check_function_bodies)
	{
		gr_check_days(row, e->events, e->time_column, e->exposures, e->exposed_at_column);
		gr_note_zone_of_rule(row, e);
		value = gr_check_expressions(e->owner, e->events, metric, gr_row_kind(row), gr_row_text(row, "value"),
									 gr_row_text(row, "denominator"), gr_row_text(row, "filter"),
									 gr_row_text(row, "covariate"));
		note_divisions(row, e->owner, e->events);
		check_reach(row, e);
	}
	if (!gr_in_restore(row->relation))
		check_share_limit(row, value);
}

static const char *const experiment_columns =
	"events::oid::bigint, owner::oid::bigint, time_column, exposures::oid::bigint, exposed_at_column,"
	" experiment_column, unit_column, variant_column, control,"
	" pg_catalog.to_jsonb(starts_at) #>> '{}', pg_catalog.to_jsonb(ends_at) #>> '{}'";

/* The row of those, without what no check of a rule needs. */
static Experiment
take_experiment(char *id)
{
	return (Experiment)
	{
		.id = id,.events = (Oid) gr_spi_int8(0, 1, 0),.owner = (Oid) gr_spi_int8(0, 2, 0),
		.time_column = gr_spi_text(0, 3),.exposures = (Oid) gr_spi_int8(0, 4, 0),.exposed_at_column = gr_spi_text(0, 5),
		.experiment_column = gr_spi_text(0, 6),.unit_column = gr_spi_text(0, 7),.variant_column = gr_spi_text(0, 8),
		.control = gr_spi_text(0, 9),.starts_at = gr_spi_text(0, 10),.ends_at = gr_spi_text(0, 11)
	};
}

/* More would be refused at every check. */
static void
refuse_rule_too_many(const Row *row, const char *schema)
{
	static const char *const columns[] = {"experiment_id", NULL};
	const char *args[] = {gr_row_text(row, "experiment_id"), gr_row_text(row, "metric")};

	if (!gr_row_changed(row, columns) || gr_in_restore(row->relation))
		return;
	gr_spi_query(psprintf("SELECT count(*) FROM %s.guardrail_rule WHERE experiment_id = $1 AND metric <> $2", schema),
				 false, 2, args);
	if (gr_spi_int8(0, 1, 0) >= GR_MAX_RULES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("rule \"%s\" would be one too many: experiment \"%s\" already has %d rules", args[1], args[0], GR_MAX_RULES),
				 errhint("One statement over the events cannot hold more. Divide the rules among several experiments over the same events.")));
}

Datum
guardrail_rule_check(PG_FUNCTION_ARGS)
{
	Row			row = gr_trigger_row(fcinfo, "rule", "metric");
	char	   *schema = gr_schema_of(fcinfo);
	char	   *id,
			   *metric,
			   *display_unit;
	const char *args[1];
	const GrKind *kind;
	Experiment	owned;

	id = gr_row_text(&row, "experiment_id");
	metric = gr_row_text(&row, "metric");
	if (id == NULL)
		gr_refuse(&row, "experiment_id", "Set it to the experiment_id of an experiment in guardrail_experiment.");
	if (metric == NULL || metric[0] == '\0' || strlen(metric) > 100)
		gr_refuse(&row, "metric", "Set it to a name of 1 to 100 characters.");
	kind = gr_row_kind(&row);
	check_kind(&row, kind);
	check_window(&row, kind);
	check_role(&row);
	check_limit(&row);
	display_unit = gr_row_text(&row, "display_unit");
	if (display_unit && pg_mbstrlen(display_unit) > 20)
		gr_refuse(&row, "display_unit", "Set it to at most 20 characters, such as ms or EUR.");
	gr_refuse_nulls(&row);

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_check_time_zone(&row);
	args[0] = id;
	gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_experiment WHERE experiment_id = $1", experiment_columns, schema),
				 true, 1, args);
	if (SPI_processed == 0)
	{
		if (row.update || !gr_in_restore(row.relation))
			gr_refuse_orphan(id, metric);
		row.tuple = SPI_copytuple(row.tuple);
		SPI_finish();
		PG_RETURN_POINTER(row.tuple);
	}
	owned = take_experiment(id);
	refuse_rule_too_many(&row, schema);
	check_beside(&row, &owned);
	row.tuple = SPI_copytuple(row.tuple);
	SPI_finish();
	PG_RETURN_POINTER(row.tuple);
}
