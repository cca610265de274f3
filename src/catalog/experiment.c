/*
 * experiment.c
 *	  Reading guardrail_experiment and guardrail_rule.
 *
 * They are read with the caller's rights: who may not select from them gets the
 * server's own error.
 */
#include "catalog/catalog.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/timestamp.h"

const char *const gr_words_role[] = {"primary", "secondary", "guardrail", NULL};
const char *const gr_words_severity[] = {"block", "hold", "warn", NULL};
const char *const gr_words_evidence[] = {"point", "breach", "safe", NULL};
const char *const gr_words_limit_kind[] = {"absolute", "difference", "relative",
"significance", NULL};
const char *const gr_words_correction[] = {"none", "bonferroni", "holm",
"hochberg", NULL};
/* the order of GrSpending */
const char *const gr_words_spending[] = {"obrien_fleming", "pocock", "power", NULL};
const char *const gr_words_unit_aggregate[] = {"sum", "count", "max", "min",
"avg", NULL};

int
gr_word(const char *word, const char *const *words)
{
	for (int i = 0; word && words[i]; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	return -1;
}

char *
gr_schema_of_function(Oid function)
{
	Oid			namespace = get_func_namespace(function);
	char	   *name = OidIsValid(namespace) ? get_namespace_name(namespace) : NULL;

	if (name == NULL)
		elog(ERROR, "cache lookup failed for function %u", function);
	return pstrdup(quote_identifier(name));
}

char *
gr_schema_of(FunctionCallInfo fcinfo)
{
	return gr_schema_of_function(fcinfo->flinfo->fn_oid);
}

/* A text[] column's elements. */
static char **
text_array(int row, int column, int *n)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
								  column, &null);
	Datum	   *elements;
	bool	   *nulls;
	char	  **out;

	*n = 0;
	if (null)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(d), TEXTOID, -1, false, TYPALIGN_INT,
					  &elements, &nulls, n);
	out = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		out[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
	return out;
}

/* A text that no row lacks, unless somebody else than guardrail wrote it. */
static char *
required_text(int row, int column)
{
	char	   *text = gr_spi_text(row, column);

	if (text == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored plan has no %s", SPI_fname(SPI_tuptable->tupdesc, column)),
				 errhint("Restore the rows of guardrail_plan from a backup; guardrail_verify() shows which versions are intact.")));
	return text;
}

/* A word of a list likewise. */
static int
required_word(int row, int column, const char *const *words)
{
	char	   *word = required_text(row, column);
	int			n = gr_word(word, words);

	if (n < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a stored plan has \"%s\" for %s", word, SPI_fname(SPI_tuptable->tupdesc, column)),
				 errhint("Restore the rows of guardrail_plan from a backup; guardrail_verify() shows which versions are intact.")));
	return n;
}

static Experiment *
read_experiment(void)
{
	Experiment *e = palloc0(sizeof(Experiment));
	char	  **shares;
	int			nshares;
	int			monitoring;

	e->id = required_text(0, 1);
	e->events = (Oid) gr_spi_int8(0, 2, 0);
	e->experiment_column = gr_spi_text(0, 3);
	e->unit_column = required_text(0, 4);
	e->variant_column = required_text(0, 5);
	e->time_column = gr_spi_text(0, 6);
	e->control = required_text(0, 7);
	e->arms = text_array(0, 8, &e->narms);
	shares = text_array(0, 9, &nshares);
	e->shares = palloc0(sizeof(double) * Max(nshares, 1));
	for (int i = 0; i < nshares; i++)
		e->shares[i] = strtod(shares[i], NULL);
	e->starts_at = gr_spi_text(0, 10);
	e->ends_at = gr_spi_text(0, 11);
	e->ended = gr_spi_bool(0, 12);
	e->planned_units = gr_spi_int8(0, 13, 0);
	e->correction = (GrAdjust) required_word(0, 14, gr_words_correction);
	e->srm_alpha = gr_spi_float8(0, 15, 0.001);
	e->max_crossover = gr_spi_float8(0, 16, 0.01);
	e->min_units = gr_spi_int8(0, 17, 100);
	e->owner = (Oid) gr_spi_int8(0, 18, 0);
	e->state = gr_spi_text(0, 19);
	e->plan_version = (int) gr_spi_int8(0, 20, 0);
	monitoring = gr_design_named(gr_spi_text(0, 21));
	e->monitoring = monitoring < 0 ? gr_design_by_default(e->planned_units > 0) : (GrMonitoring) monitoring;
	e->spending = (GrSpending) Max(0, gr_word(gr_spi_text(0, 22), gr_words_spending));
	e->spending_phi = gr_spi_float8(0, 23, 1);
	e->launched_at = gr_spi_text(0, 24);
	e->cursor_column = gr_spi_text(0, 25);
	e->exposures = (Oid) gr_spi_int8(0, 26, 0);
	e->exposed_at_column = required_text(0, 27);
	e->as_of = gr_spi_text(0, 28);
	e->segments = text_array(0, 29, &e->nsegments);
	return e;
}

/* An interval, whatever IntervalStyle the session has; NULL stays NULL. */
static char *
interval_text(int row, int column)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
	const Interval *i;
	StringInfoData buf;

	if (null)
		return NULL;
	i = DatumGetIntervalP(d);
	initStringInfo(&buf);
	if (i->month != 0)
		appendStringInfo(&buf, "%d months ", i->month);
	if (i->day != 0)
		appendStringInfo(&buf, "%d days ", i->day);
	if (i->time % USECS_PER_SEC != 0)
		appendStringInfo(&buf, INT64_FORMAT " microseconds ", i->time);
	else if (i->time != 0 || buf.len == 0)
		appendStringInfo(&buf, INT64_FORMAT " seconds ", i->time / USECS_PER_SEC);
	return pnstrdup(buf.data, Max(buf.len - 1, 0));
}

static void
read_rule(Rule *r, int row)
{
	const char *kinds[GR_KINDS + 1];

	gr_kind_names(kinds);
	r->rule.metric = required_text(row, 1);
	r->rule.role = (GrRole) required_word(row, 2, gr_words_role);
	r->north_star = gr_spi_bool(row, 3);
	r->rule.severity = (GrSeverity) required_word(row, 4, gr_words_severity);
	r->rule.kind = &gr_kinds[required_word(row, 5, kinds)];
	r->value = gr_spi_text(row, 6);
	/* any event at all is activity */
	if (r->value == NULL)
		r->value = pstrdup("true");
	r->denominator = gr_spi_text(row, 7);
	r->filter = gr_spi_text(row, 8);
	r->unit_aggregate = required_text(row, 9);
	(void) required_word(row, 9, gr_words_unit_aggregate);
	r->rule.quantile = gr_spi_float8(row, 10, 0);
	r->over_units = strcmp(required_text(row, 11), "units") == 0;
	r->rule.worse_is_higher = strcmp(required_text(row, 12), "higher") == 0;
	r->rule.limit_kind = (GrLimitKind) required_word(row, 13, gr_words_limit_kind);
	r->rule.limit_value = gr_spi_float8(row, 14, 0);
	r->rule.evidence = (GrEvidence) required_word(row, 15, gr_words_evidence);
	r->rule.alpha = gr_spi_float8(row, 16, 0.05);
	r->rule.display_unit = gr_spi_text(row, 17);
	r->covariate = gr_spi_text(row, 18);
	r->cap_quantile = gr_spi_float8(row, 19, 0);
	r->cap_value = gr_spi_float8(row, 20, get_float8_nan());
	r->at_least = gr_spi_float8(row, 21, get_float8_nan());
	r->retention_day = (int) gr_spi_int8(row, 22, -1);
	r->retention_time_zone = gr_spi_text(row, 23);
	r->window_length = interval_text(row, 24);
	r->segment_veto = gr_spi_bool(row, 25);
	r->rule.is_proportion = r->rule.kind->is_share ||
		(r->rule.display_unit && strcmp(r->rule.display_unit, "%") == 0);
}

/*
 * What a running minimum rests on: a result of the same name that was about
 * something else says nothing.
 */
static int64
fingerprint(const Experiment *e, const Rule *r)
{
	char	   *text = psprintf("%s|%s|%s|%s|%s|%s|%.17g|%d|%s|%.17g|%.17g|%d|%d|%.17g|%d|%d|%.17g|%d|%d|%.17g|"
								INT64_FORMAT "|%s|%s|%s",
								r->rule.kind->name, r->value, r->denominator ? r->denominator : "",
								r->filter ? r->filter : "", r->unit_aggregate,
								r->covariate ? r->covariate : "", r->rule.quantile, r->over_units,
								e->control, r->cap_quantile, r->cap_value, r->rule.role,
								r->rule.limit_kind, r->rule.limit_value, r->rule.worse_is_higher,
								r->rule.evidence, r->rule.alpha, e->monitoring, e->spending,
								e->spending_phi, e->planned_units, e->unit_column, e->variant_column,
								get_rel_name(e->events) ? get_rel_name(e->events) : "");

	if (!isnan(r->at_least))
		text = psprintf("%s|at_least %.17g", text, r->at_least);
	if (r->retention_day >= 0)
		text = psprintf("%s|day %d %s", text, r->retention_day,
						r->retention_time_zone ? r->retention_time_zone : "");
	if (r->window_length)
		text = psprintf("%s|window %s", text, r->window_length);
	if (OidIsValid(e->exposures))
		text = psprintf("%s|exposures %s %s", text, e->exposed_at_column,
						get_rel_name(e->exposures) ? get_rel_name(e->exposures) : "");
	return (int64) hash_bytes_extended((unsigned char *) text, strlen(text), 0);
}

/* Columns that read_experiment and read_rule take, in their order. */
static const char *const experiment_columns =
	"experiment_id, events::oid::bigint, experiment_column, unit_column,"
	" variant_column, time_column, control,"
	" (SELECT array_agg(key ORDER BY key COLLATE \"C\") FROM pg_catalog.jsonb_each_text(shares)),"
	" (SELECT array_agg(value ORDER BY key COLLATE \"C\") FROM pg_catalog.jsonb_each_text(shares)),"
	/* times as JSON writes them, whatever DateStyle the session has */
	" pg_catalog.to_jsonb(starts_at) #>> '{}', pg_catalog.to_jsonb(ends_at) #>> '{}',"
	" COALESCE(ends_at <= pg_catalog.now(), false), planned_units,"
	" correction, srm_alpha, max_crossover, min_units, owner::oid::bigint, state,"
	" plan_version::bigint, monitoring, spending, spending_phi,"
	" pg_catalog.to_jsonb(launched_at) #>> '{}', cursor_column, exposures::oid::bigint, exposed_at_column,"
	" pg_catalog.to_jsonb(LEAST(pg_catalog.now(), ends_at)) #>> '{}', segments";

static const char *const rule_columns =
	"metric, role, north_star, severity, kind, value, denominator, filter,"
	" unit_aggregate, quantile, quantile_over, worse, limit_kind, limit_value,"
	" evidence, alpha, display_unit, covariate, cap_quantile, cap_value, at_least,"
	" retention_day::bigint, retention_time_zone, window_length, segment_veto";

static const char *const rule_order =
	" ORDER BY CASE role WHEN 'primary' THEN 1 WHEN 'guardrail' THEN 2 ELSE 3 END,"
	" metric COLLATE \"C\"";

/* The rows of the last query as rules. */
static void
take_rules(Experiment *e, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);

	e->nrules = (int) SPI_processed;
	e->rules = palloc0(sizeof(Rule) * Max(e->nrules, 1));
	for (int i = 0; i < e->nrules; i++)
	{
		read_rule(&e->rules[i], i);
		e->rules[i].fingerprint = fingerprint(e, &e->rules[i]);
	}
	MemoryContextSwitchTo(old);
}

static Experiment *
take_experiment(MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Experiment *e = read_experiment();

	MemoryContextSwitchTo(old);
	return e;
}

/* The library may be newer than the extension's objects, after an upgrade of the package. */
static void
require_version(void)
{
	gr_spi_query("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'guardrail'", true, 0, NULL);
	if (SPI_processed > 0 && strcmp(gr_spi_text(0, 1), GUARDRAIL_VERSION) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension guardrail has version %s, but its library has version %s",
						gr_spi_text(0, 1), GUARDRAIL_VERSION),
				 errhint("Run ALTER EXTENSION guardrail UPDATE in every database that uses it.")));
}

/* It may well exist where row-level security is on: others see it. */
GR_NORETURN static void
refuse_missing(const char *schema, const char *id)
{
	gr_spi_query(psprintf("SELECT pg_catalog.row_security_active(%s)",
						  quote_literal_cstr(psprintf("%s.guardrail_experiment", schema))), true, 0, NULL);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("experiment \"%s\" does not exist", id),
			 gr_spi_bool(0, 1) ?
			 errhint("Correct the name. Row-level security shows role %s only the experiments whose owner it is a member of.",
					 quote_identifier(GetUserNameFromId(GetUserId(), false))) :
			 errhint("Insert it into %s.guardrail_experiment first, or correct the name.", schema)));
}

Experiment *
gr_experiment_load(const char *schema, const char *id, MemoryContext context)
{
	const char *args[] = {id};
	Experiment *e;

	require_version();
	gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_experiment WHERE experiment_id = $1",
						  experiment_columns, schema), true, 1, args);
	if (SPI_processed == 0)
		refuse_missing(schema, id);
	e = take_experiment(context);
	if (e->state == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column \"state\" of experiment \"%s\" is NULL", id),
				 errhint("Restore the row from a backup.")));
	gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_rule WHERE experiment_id = $1%s",
						  rule_columns, schema, rule_order), true, 1, args);
	take_rules(e, context);
	return e;
}

Experiment *
gr_experiment_load_plan(const char *schema, const char *id, int version, MemoryContext context)
{
	const char *args[] = {id, psprintf("%d", version)};
	Experiment *e;

	gr_spi_query(psprintf("SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(plan, 'UTF8')), 'hex') = plan_hash"
						  " FROM %s.guardrail_plan WHERE experiment_id = $1 AND version = $2::integer", schema), true, 2, args);
	if (SPI_processed > 0 && !gr_spi_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("version %d of the plan of experiment \"%s\" differs from the text that was registered", version, id),
				 errdetail("The SHA-256 of its text differs from plan_hash."),
				 errhint("Restore the rows of guardrail_plan from a backup; guardrail_verify() shows which versions are intact.")));
	/* the events and the owner may be gone, and neither is needed */
	gr_spi_query(psprintf("SELECT %s FROM (SELECT (pg_catalog.jsonb_populate_record(NULL::%s.guardrail_experiment,"
						  " (plan::jsonb -> 'experiment') - '{events,exposures,owner}'::text[])).* FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1 AND version = $2::integer) AS planned",
						  experiment_columns, schema, schema), true, 2, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("version %d of the plan of experiment \"%s\" is missing", version, id),
				 errhint("Restore the rows of guardrail_plan from a backup; guardrail_verify() shows which versions are intact.")));
	e = take_experiment(context);
	e->plan_version = version;
	gr_spi_query(psprintf("SELECT %s FROM (SELECT (pg_catalog.jsonb_populate_record(NULL::%s.guardrail_rule,"
						  " r.value || pg_catalog.jsonb_build_object('metric', r.key))).* FROM %s.guardrail_plan p,"
						  " LATERAL pg_catalog.jsonb_each(p.plan::jsonb -> 'rules') AS r"
						  " WHERE p.experiment_id = $1 AND p.version = $2::integer) AS planned%s",
						  rule_columns, schema, schema, rule_order), true, 2, args);
	take_rules(e, context);
	return e;
}

char **
gr_experiments_running(const char *schema, int *n, MemoryContext context)
{
	MemoryContext old;
	char	  **ids;

	gr_spi_query(psprintf("SELECT experiment_id FROM %s.guardrail_experiment"
						  " WHERE state = 'running' ORDER BY experiment_id COLLATE \"C\"", schema),
				 true, 0, NULL);
	old = MemoryContextSwitchTo(context);
	*n = (int) SPI_processed;
	ids = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		ids[i] = gr_spi_text(i, 1);
	MemoryContextSwitchTo(old);
	return ids;
}

char *
gr_owner_name(const Experiment *e)
{
	char	   *name = GetUserNameFromId(e->owner, true);

	return name ? name : pstrdup("a role that no longer exists");
}

void
gr_require_ownership(const Experiment *e)
{
	if (!member_can_set_role(GetUserId(), e->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of experiment \"%s\"", e->id),
				 errhint("Its owner is %s.", gr_owner_name(e))));
}

void
gr_require_member(Oid owner)
{
	if (!member_can_set_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be member of role \"%s\" to make it the owner of an experiment",
						GetUserNameFromId(owner, false)),
				 errhint("Choose a role of which you are a member: the experiment's expressions run with the owner's rights.")));
}
