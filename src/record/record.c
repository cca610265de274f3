/*
 * record.c
 *	  A check into the logs, and word of what it changed to who listens.
 */
#include "choice/choice.h"
#include "evaluate/input.h"
#include "record/record.h"
#include "evaluate/segment.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

/* One check of one experiment on its way into the log. */
typedef struct Check
{
	const char *schema;
	const char *id;
	int64		check_id;
	TimestampTz checked_at;
	int			plan_version;
	const char *error;			/* NULL: it worked */
	int			look_no;		/* 0: it is no look */
	bool		has_effort;		/* the log has columns for these two, as it has since version 0.3.0 */
	Interval	duration;
	int64		rows_read;		/* -1: not known */
} Check;

/* The columns of a check that all its rows have. */
static void
put_check(Writer *w, const Check *check)
{
	put_count(w, "check_id", check->check_id);
	put(w, "checked_at", TIMESTAMPTZOID, TimestampTzGetDatum(check->checked_at), false);
	put_int(w, "plan_version", check->plan_version);
}

/* NULL: the check is no look */
static void
put_look(Writer *w, const Check *check)
{
	put(w, "look_no", INT4OID, Int32GetDatum(check->look_no), check->look_no == 0);
}

/* w: the verdict's columns */
static void
insert_verdict(const Check *check, int arm_no, const char *cannibalization, Writer *w)
{
	put_check(w, check);
	put_look(w, check);
	put_int(w, "arm_no", arm_no);
	put_text(w, "error", check->error);
	put_text(w, "cannibalization", cannibalization);
	if (check->has_effort)
	{
		put(w, "duration", INTERVALOID, IntervalPGetDatum(&check->duration), false);
		put(w, "rows_read", INT8OID, Int64GetDatum(check->rows_read), check->rows_read < 0);
	}
	gr_insert_row(check->schema, "guardrail_check_log", w);
}

/* The check that set each test's running minimum: this one, or an earlier one. */
static void
insert_result(const Check *check, const Evaluation *v, int arm, int k)
{
	static const char *const witnesses[GR_TEST_KINDS] = {"breach_check", "safe_check", "goal_check"};
	const Rule *rule = &v->e->rules[k];
	const GrResult *r = &v->results[arm * v->e->nrules + k];
	const PastResult *past = gr_past_result(v->past, r->arm->name, rule);
	bytea	   *samples = NULL;
	bool		needed = false;
	Writer		w = {0};

	gr_result_row(v, arm, k, &w);
	put_check(&w, check);
	put_look(&w, check);
	put(&w, "n_compared", FLOAT8OID, Float8GetDatum(r->at.n), false);
	put_count(&w, "fingerprint", rule->fingerprint);
	for (int kind = 0; kind < GR_TEST_KINDS; kind++)
	{
		int64		witness = r->is_witness[kind] ? check->check_id :
			past && past->test[kind].known ? past->witness[kind] : 0;

		put(&w, witnesses[kind], INT8OID, Int64GetDatum(witness), witness == 0);
		needed |= r->is_witness[kind];
	}
	/* later checks show the bounds of the one that set a least p-value */
	if (needed)
		samples = gr_samples_encode(r->treatment_sample, r->control_sample, check->check_id, r->arm->name,
									rule->rule.metric);
	put(&w, "samples", BYTEAOID, PointerGetDatum(samples), !needed);
	gr_insert_row(check->schema, "guardrail_result_log", &w);
}

static void
insert_segments(const Check *check, const Evaluation *v)
{
	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		Writer		w = {0};
		int64		fingerprint;

		CHECK_FOR_INTERRUPTS();
		(void) gr_segment_row(v, i, &w, &fingerprint);
		put_check(&w, check);
		put_int(&w, "row_no", i + 1);
		put_count(&w, "fingerprint", fingerprint);
		gr_insert_row(check->schema, "guardrail_segment_log", &w);
	}
}

/*
 * Tell who listens about every arm whose verdict in this check is not the one
 * that its last check gave it.  A payload is at most 8000 bytes long, a name has
 * no limit, and JSON makes six bytes of one: what is too long is cut.
 */
static void
notify_changes(const Check *check)
{
	const char *args[] = {psprintf(INT64_FORMAT, check->check_id), check->id};

	gr_spi_query(psprintf(
						  "SELECT pg_catalog.pg_notify('guardrail', (SELECT json.payload"
						  " FROM (VALUES (1500), (300)) AS longest(size), LATERAL (SELECT pg_catalog.json_build_object("
						  "'experiment_id', pg_catalog.\"left\"(n.experiment_id, size),"
						  " 'variant', pg_catalog.\"left\"(n.variant, size), 'was', o.verdict, 'verdict', n.verdict,"
						  " 'status', pg_catalog.\"left\"(n.status, size), 'reason', pg_catalog.\"left\"(n.reason, size),"
						  " 'check_id', n.check_id, 'checked_at', n.checked_at)::text) AS json(payload)"
						  " WHERE pg_catalog.octet_length(json.payload) < 8000 ORDER BY size DESC LIMIT 1))"
						  " FROM %s.guardrail_check_log n LEFT JOIN LATERAL ("
						  "  SELECT l.verdict FROM %s.guardrail_check_log l"
						  "  WHERE l.experiment_id = n.experiment_id AND l.check_id < n.check_id"
						  "  AND l.variant IS NOT DISTINCT FROM n.variant"
						  "  ORDER BY l.check_id DESC LIMIT 1) o ON true"
						  " WHERE n.check_id = $1::bigint AND n.experiment_id = $2"
						  " AND n.verdict IS DISTINCT FROM o.verdict ORDER BY n.arm_no",
						  check->schema, check->schema),
				 false, 2, args);
}

/* A row without numbers. */
static void
insert_bare_verdict(const Check *check, int arm_no, const char *variant, const char *verdict,
					const char *status, const char *reason)
{
	Writer		w = {0};

	put_text(&w, "experiment_id", check->id);
	put_text(&w, "variant", variant);
	put_text(&w, "verdict", verdict);
	put_text(&w, "status", status);
	put_text(&w, "reason", reason);
	insert_verdict(check, arm_no, NULL, &w);
}

/*
 * A check that found out nothing, for every arm that the last check of this plan
 * knew, or for the experiment as a whole.  A BLOCK or INVALID stands until a check
 * that works says otherwise: a column that is dropped lets nothing ship.
 */
static void
record_nothing_new(const Check *check, const char *status, const char *reason)
{
	const char *args[] = {check->id, psprintf("%d", check->plan_version)};
	char	   *cell[GR_MAX_ARMS][3];
	int			n;

	gr_spi_query(psprintf("SELECT l.variant, CASE WHEN l.verdict IN ('BLOCK', 'INVALID') THEN l.verdict END, l.status"
						  " FROM %s.guardrail_check_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
						  " WHERE experiment_id = $1 AND l.plan_version = $2::integer AND l.checked_at >= e.launched_at"
						  " AND l.check_id = (SELECT max(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1)"
						  " ORDER BY arm_no", check->schema, check->schema, check->schema), false, 2, args);
	n = Min((int) SPI_processed, GR_MAX_ARMS);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < 3; k++)
			cell[i][k] = gr_spi_text(i, k + 1);
	if (n == 0)
		insert_bare_verdict(check, 0, NULL, gr_verdict_word(GR_VERDICT_HOLD), status, reason);
	for (int i = 0; i < n; i++)
		if (cell[i][1])
			insert_bare_verdict(check, i, cell[i][0], cell[i][1], cell[i][2],
								psprintf("%s; %s stands", reason, cell[i][1]));
		else
			insert_bare_verdict(check, i, cell[i][0], gr_verdict_word(GR_VERDICT_HOLD), status, reason);
}

/* The rows are not those of the plan: no number is recorded. */
static void
record_broken_plan(const Check *check, const Evaluation *v)
{
	char		why[GR_REASON_SIZE];
	const char *args[] = {check->id};
	char	   *variant[GR_MAX_ARMS] = {NULL};
	int			n;

	(void) gr_test_invalid(&v->test, why, sizeof(why));
	gr_spi_query(psprintf("SELECT DISTINCT variant FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND variant IS NOT NULL ORDER BY 1", check->schema), false, 1, args);
	n = Min((int) SPI_processed, GR_MAX_ARMS);
	for (int i = 0; i < n; i++)
		variant[i] = gr_spi_text(i, 1);
	for (int i = 0; i < Max(n, 1); i++)
		insert_bare_verdict(check, n ? i + 1 : 0, variant[i], gr_verdict_word(GR_VERDICT_INVALID),
							"INVALID: plan changed after launch", why);
}

static void
record_evaluation(const Check *check, const Evaluation *v)
{
	if (v->narms == 0)
		record_nothing_new(check, "NO DATA", "the events contain no unit of a treatment variant");
	for (int a = 0; a < v->narms; a++)
	{
		Writer		w = {0};

		gr_verdict_row(v, a, &w);
		insert_verdict(check, a + 1, gr_cannibalization_flag(v, a), &w);
		for (int k = 0; k < v->e->nrules; k++)
			insert_result(check, v, a, k);
	}
	insert_segments(check, v);
}

/*
 * A number above those of all checks that the statement's snapshot sees.  Logical
 * replication and restores of single tables leave a sequence behind its table.
 */
static int64
next_check_id(const char *schema)
{
	gr_spi_query(psprintf("SELECT n.id, EXISTS (SELECT FROM %s.guardrail_check_log l WHERE l.check_id >= n.id)"
						  " FROM (SELECT pg_catalog.nextval(%s) AS id OFFSET 0) AS n", schema,
						  quote_literal_cstr(psprintf("%s.guardrail_check_id", schema))),
				 false, 0, NULL);
	if (gr_spi_bool(0, 2))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sequence %s.guardrail_check_id is behind guardrail_check_log", schema),
				 errhint("Run SELECT setval('%s.guardrail_check_id', max(check_id)) FROM %s.guardrail_check_log;",
						 schema, schema)));
	return gr_spi_int8(0, 1, 0);
}

void
gr_record(FunctionCallInfo fcinfo, const char *schema, const char *id,
		  const Evaluation *v, const char *error, TimestampTz began)
{
	OwnerContext saved;
	Check		check = {schema, id};
	const char *args[] = {id};
	const char *snapshot = NULL;

	/* the one that the evaluation read in, not one of the statements to come */
	if (v && v->snapshot)
		snapshot = v->snapshot;
	else if (v)
	{
		gr_spi_query("SELECT pg_catalog.pg_current_snapshot()", true, 0, NULL);
		snapshot = gr_spi_text(0, 1);
	}
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT plan_version::bigint FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1", schema), false, 1, args);
	if (SPI_processed == 0)
	{
		/* deleted meanwhile */
		gr_owner_leave(&saved);
		return;
	}
	check.plan_version = (int) gr_spi_int8(0, 1, 0);
	check.check_id = next_check_id(schema);
	check.checked_at = GetCurrentTimestamp();
	check.error = error;
	/* the clock may have been set back */
	check.duration.time = Max(check.checked_at - began, 0);
	check.has_effort = get_attnum(get_relname_relid("guardrail_check_log", get_func_namespace(fcinfo->flinfo->fn_oid)),
								  "duration") != InvalidAttrNumber;
	check.rows_read = v ? v->rows_read : -1;
	check.look_no = v == NULL || v->test.plan_broken ? 0 : v->monitor.is_look ? v->monitor.nlooks + 1 : gr_fixed_decides(v);
	if (error)
		record_nothing_new(&check, "NO DATA: the check failed", psprintf("the check failed: %s", error));
	else if (v->test.plan_broken)
		record_broken_plan(&check, v);
	else
	{
		record_evaluation(&check, v);
		gr_input_store(v, schema, check.check_id, check.checked_at, snapshot);
	}
	if (check.look_no > 0 && gr_design_of(v->e->monitoring)->has_looks)
		gr_look_state_store(&v->monitor, schema, v->e);
	notify_changes(&check);
	gr_owner_leave(&saved);
	if (v)
		gr_segments_notice(v);
	if (check.look_no > 0 && gr_design_of(v->e->monitoring)->has_looks && v->test.mature_units > v->e->planned_units)
		ereport(NOTICE,
				(errmsg("experiment \"%s\" has " INT64_FORMAT " units, which is more than the " INT64_FORMAT " planned",
						id, v->test.mature_units, v->e->planned_units),
				 errdetail("This look spends the rest of alpha, so it is the last one.")));
}
