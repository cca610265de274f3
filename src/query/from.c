/*
 * from.c
 *	  The rows that are scanned: events as they are, events with the time at which
 *	  their unit was exposed, or exposures with the events that came after.
 *
 * Without an assignment table a unit's first event is its exposure, which a window
 * function finds in the same scan; it is looked for only when a rule has a window.
 * With one, the first exposure of a unit to an arm counts, and a left join brings
 * the unit's later events: a unit without any is one row without an event.  A unit
 * exposed to two arms comes under both and is told as such where units are
 * collected.
 *
 * The session's time zone is UTC (owner.c), so a day has 24 hours.
 *
 * An event that has only a date, beside exposures that have a time, lies somewhere in
 * its day: days are compared with days.  It came after the exposure unless its day is
 * an earlier one; a window of so many days has the exposure's own and those that follow.
 */
#include "query/query.h"

#include "catalog/pg_type.h"

/* Names that no column of the events should have. */
#define EXPOSURE "guardrail_exposure"
#define UNIT "guardrail_unit"
#define VARIANT "guardrail_variant"
#define EXPOSED_AT "guardrail_exposed_at"

static bool
has_window(const Rule *rule)
{
	return rule->window_length != NULL || rule->retention_day >= 0;
}

bool
gr_needs_exposure_time(const Experiment *e)
{
	for (int i = 0; i < e->nrules; i++)
		if (has_window(&e->rules[i]))
			return true;
	return false;
}

/* The triggers refuse it, but they can be switched off. */
static void
require_time(const Experiment *e)
{
	if (e->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" needs a time_column", e->id),
				 errdetail("starts_at, ends_at, exposures, window_length and retention_day compare with the time of the event."),
				 errhint("Set guardrail_experiment.time_column.")));
}

/* The name that expressions know the events by. */
static const char *
events_name(const Experiment *e)
{
	/* an error when they are gone */
	(void) gr_relation_name(e->events);
	return quote_identifier(get_rel_name(e->events));
}

/* The time of the event at hand; NULL in a row that is an exposure without one. */
static char *
event_time(const Experiment *e)
{
	require_time(e);
	return psprintf("%s.%s", events_name(e), quote_identifier(e->time_column));
}

static bool
compares_days(const Experiment *e)
{
	return gr_compares_days(e->events, e->time_column, e->exposures, e->exposed_at_column);
}

/* The time of the exposure, or its day where days are compared. */
static const char *
exposure_time(const Experiment *e)
{
	return compares_days(e) ? EXPOSED_AT "::date" : EXPOSED_AT;
}

/*
 * May an event count that comes a day before the exposure's?  In the calendar of a
 * retention's zone the exposure's day may be the one before that in UTC.
 */
static bool
has_calendar(const Experiment *e)
{
	for (int i = 0; i < e->nrules; i++)
		if (e->rules[i].retention_day >= 0 && e->rules[i].retention_time_zone)
			return true;
	return false;
}

char *
gr_sql_unit(const Experiment *e)
{
	return pstrdup(OidIsValid(e->exposures) ? UNIT : quote_identifier(e->unit_column));
}

char *
gr_sql_variant(const Experiment *e, bool as_text)
{
	bool		exposures = OidIsValid(e->exposures);
	Oid			type = gr_column_type(exposures ? e->exposures : e->events, e->variant_column);
	const char *column = exposures ? VARIANT : quote_identifier(e->variant_column);
	bool		direct = type == TEXTOID || type == VARCHAROID || type == BOOLOID ||
		type == INT2OID || type == INT4OID || type == INT8OID || type_is_enum(type);

	if (as_text || !direct)
		return psprintf("%s::text", column);
	return pstrdup(column);
}

char *
gr_sql_known_arms(const Experiment *e, const char *arm)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s IS NOT NULL", arm);
	for (int i = 0; i < e->narms; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : psprintf(" AND %s COLLATE \"C\" IN (", arm),
						 quote_literal_cstr(e->arms[i]));
	if (e->narms > 0)
		appendStringInfoChar(&buf, ')');
	else
		appendStringInfo(&buf, " AND octet_length(%s) <= %d", arm, GR_MAX_ARM_NAME);
	return buf.data;
}

/* "WHERE a AND b", conditions added one by one after the first word. */
static void
add_condition(StringInfo buf, const char **word, const char *condition)
{
	appendStringInfo(buf, "%s%s", *word, condition);
	*word = " AND ";
}

/* starts_at and ends_at, of the time in a column. */
static void
add_period(StringInfo buf, const char **word, const Experiment *e, const char *time)
{
	if (e->starts_at)
		add_condition(buf, word, psprintf("%s >= %s::timestamptz", time, quote_literal_cstr(e->starts_at)));
	if (e->ends_at)
		add_condition(buf, word, psprintf("%s < %s::timestamptz", time, quote_literal_cstr(e->ends_at)));
}

char *
gr_sql_condition(const Experiment *e)
{
	StringInfoData buf;
	const char *word = "";

	if (e->starts_at || e->ends_at)
		require_time(e);
	initStringInfo(&buf);
	if (e->experiment_column)
		add_condition(&buf, &word, psprintf("%s = %s", quote_identifier(e->experiment_column),
											quote_literal_cstr(e->id)));
	if (e->time_column)
		add_period(&buf, &word, e, quote_identifier(e->time_column));
	if (e->range)
		add_condition(&buf, &word, e->range);
	return buf.data;
}

/* The experiment's events, without a word on exposures. */
static char *
events_of(const Experiment *e)
{
	char	   *condition = gr_sql_condition(e);

	return psprintf("FROM %s%s%s", gr_relation_name(e->events), condition[0] ? " WHERE " : "",
					condition);
}

/* The exposures that count. */
static char *
exposures_of(const Experiment *e)
{
	const char *exposed_at = quote_identifier(e->exposed_at_column);
	StringInfoData buf;
	const char *word = " WHERE ";

	initStringInfo(&buf);
	appendStringInfo(&buf, "FROM %s", gr_relation_name(e->exposures));
	if (e->experiment_column)
		add_condition(&buf, &word, psprintf("%s = %s", quote_identifier(e->experiment_column),
											quote_literal_cstr(e->id)));
	add_condition(&buf, &word, psprintf("%s IS NOT NULL", exposed_at));
	add_period(&buf, &word, e, exposed_at);
	return buf.data;
}

char *
gr_sql_assignments(const Experiment *e)
{
	return OidIsValid(e->exposures) ? exposures_of(e) : events_of(e);
}

/* Exposures, one row per unit and arm, with the unit's events. */
static char *
exposures_with_events(const Experiment *e)
{
	StringInfoData buf;
	const char *events = events_name(e);
	const char *unit = quote_identifier(e->unit_column);
	const char *variant = quote_identifier(e->variant_column);
	const char *exposed_at = quote_identifier(e->exposed_at_column);
	char	   *time = event_time(e);
	const char *word = " ON ";

	initStringInfo(&buf);
	appendStringInfo(&buf, "FROM (SELECT %s AS %s, %s AS %s, min(%s) AS %s %s GROUP BY %s, %s) AS %s\nLEFT JOIN %s",
					 unit, UNIT, variant, VARIANT, exposed_at, EXPOSED_AT, exposures_of(e), unit, variant, EXPOSURE,
					 gr_relation_name(e->events));
	add_condition(&buf, &word, psprintf("%s.%s = %s.%s", events, unit, EXPOSURE, UNIT));
	add_condition(&buf, &word, psprintf("%s >= %s.%s%s", time, EXPOSURE, exposure_time(e),
										compares_days(e) && has_calendar(e) ? " - 1" : ""));
	/* events of a shared table may be tagged, others belong to all experiments */
	if (e->experiment_column && OidIsValid(gr_column_type(e->events, e->experiment_column)))
		add_condition(&buf, &word, psprintf("%s.%s = %s", events, quote_identifier(e->experiment_column),
					  quote_literal_cstr(e->id)));
	if (e->ends_at)
		add_condition(&buf, &word, psprintf("%s < %s::timestamptz", time, quote_literal_cstr(e->ends_at)));
	return buf.data;
}

bool
gr_rows_are_events(const Experiment *e)
{
	return !OidIsValid(e->exposures) && !gr_needs_exposure_time(e);
}

char *
gr_sql_from(const Experiment *e)
{
	if (OidIsValid(e->exposures))
		return exposures_with_events(e);
	if (gr_rows_are_events(e))
		return events_of(e);
	/* under the events' own name, which an expression may use */
	return psprintf("FROM (SELECT *, min(%s) FILTER (WHERE %s) OVER (PARTITION BY %s) AS %s\n%s) AS %s",
					quote_identifier(e->time_column),
					gr_sql_known_arms(e, gr_sql_variant(e, true)),
					quote_identifier(e->unit_column), EXPOSED_AT, events_of(e), events_name(e));
}

char *
gr_sql_is_event(const Experiment *e)
{
	if (!OidIsValid(e->exposures))
		return NULL;
	/* the join lets more through, for calendars west of Greenwich */
	if (compares_days(e) && has_calendar(e))
		return psprintf("COALESCE(%s >= %s, false)", event_time(e), exposure_time(e));
	return psprintf("%s IS NOT NULL", event_time(e));
}

/* The day of a time in the calendar of a zone. */
static char *
local_day(const char *time, const char *zone)
{
	return psprintf("(%s::timestamptz AT TIME ZONE %s)::date", time, quote_literal_cstr(zone));
}

char *
gr_sql_counts_for(const Experiment *e, const Rule *rule)
{
	const char *exposed = exposure_time(e);
	char	   *time;

	if (!has_window(rule))
		return gr_sql_is_event(e);
	time = event_time(e);
	if (rule->window_length && compares_days(e))
		return psprintf("%s AND %s < %s + interval %s", gr_sql_is_event(e), time, exposed,
						quote_literal_cstr(rule->window_length));
	if (rule->window_length)
		return psprintf("%s < %s + interval %s", time, exposed,
						quote_literal_cstr(rule->window_length));
	/* a date is one of that calendar already */
	if (rule->retention_time_zone)
		return psprintf("%s = %s + %d", compares_days(e) ? time : local_day(time, rule->retention_time_zone),
						local_day(EXPOSED_AT, rule->retention_time_zone), rule->retention_day);
	return psprintf("%s >= %s + interval '%d days' AND %s < %s + interval '%d days'",
					time, exposed, rule->retention_day, time, exposed, rule->retention_day + 1);
}

char *
gr_sql_is_mature(const Experiment *e, const Rule *rule)
{
	char	   *now = psprintf("%s::timestamptz", quote_literal_cstr(e->as_of));
	const char *exposed = exposure_time(e);

	if (!has_window(rule))
		return NULL;
	if (rule->window_length)
		return psprintf("%s + interval %s <= %s", exposed,
						quote_literal_cstr(rule->window_length), now);
	if (rule->retention_time_zone)
		return psprintf("%s + %d < %s", local_day(EXPOSED_AT, rule->retention_time_zone),
						rule->retention_day, local_day(now, rule->retention_time_zone));
	return psprintf("%s + interval '%d days' <= %s", exposed, rule->retention_day + 1, now);
}

char *
gr_sql_seen(const Experiment *e)
{
	char	   *is_event = gr_sql_is_event(e);

	return psprintf("SELECT 1 %s%s%s LIMIT 1", is_event ? gr_sql_from(e) : events_of(e),
					is_event ? " WHERE " : "", is_event ? is_event : "");
}

char *
gr_sql_unit_count(const Experiment *e)
{
	return psprintf("SELECT count(DISTINCT %s) %s", gr_sql_unit(e), gr_sql_from(e));
}
