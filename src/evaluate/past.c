/*
 * past.c
 *	  The recorded checks as the state of a sequential design.
 *
 * The looks are the checks that were recorded as looks,
 * the running minimum of a p-value stands in the last check's row, and the check
 * that set it (its witness) has the estimates from which its bound is computed;
 * what it saw stands in guardrail_witness.
 * Checks of other plan versions do not count, nor do those of an experiment that
 * had the same name and was deleted.
 */
#include "evaluate/input.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"

/* A look must have brought this much information. */
#define LEAST_STEP (1.0 / 200)

static bool
has_segment_veto(const Experiment *e)
{
	for (int k = 0; k < e->nrules; k++)
		if (e->rules[k].segment_veto)
			return true;
	return false;
}

static void
load_looks(Past *past, const char *schema, const Experiment *e, MemoryContext context)
{
	const char *args[] = {e->id, psprintf("%d", e->plan_version), e->launched_at};

	/* as gr_monitor_setup took it: one that could not judge all came before the end */
	gr_spi_query(psprintf("SELECT max(CASE WHEN i.failures IS NOT NULL%s THEN LEAST(l.information, 1 - %.17g) ELSE l.information END)"
						  " FROM %s.guardrail_check_log l LEFT JOIN %s.guardrail_check_input i USING (check_id)"
						  " WHERE l.experiment_id = $1 AND l.plan_version = $2::integer AND l.checked_at >= $3::timestamptz"
						  " AND l.look_no IS NOT NULL GROUP BY l.look_no ORDER BY l.look_no",
						  has_segment_veto(e) ? psprintf(" OR EXISTS (SELECT FROM %s.guardrail_segment_input s"
														 " WHERE s.check_id = l.check_id AND s.why IS NOT NULL)", schema) : "",
						  LEAST_STEP, schema, schema), true, 3, args);
	past->nlooks = (int) Min(SPI_processed, GR_MAX_LOOKS - 1);
	past->fraction = MemoryContextAlloc(context, sizeof(double) * Max(past->nlooks, 1));
	for (int i = 0; i < past->nlooks; i++)
		past->fraction[i] = Min(1, gr_spi_float8(i, 1, 0));

	gr_spi_query(psprintf("SELECT min(srm_p) FROM %s.guardrail_check_log"
						  " WHERE experiment_id = $1 AND check_id = (SELECT max(check_id) FROM %s.guardrail_check_log"
						  "  WHERE experiment_id = $1 AND plan_version = $2::integer AND checked_at >= $3::timestamptz"
						  "  AND srm_p IS NOT NULL)",
						  schema, schema), true, 3, args);
	past->srm_p = gr_spi_float8(0, 1, NAN);
}

/* Columns of a witness. */
#define WITNESS_COLUMNS 8

/* What a witness saw, in the columns from "column" on. */
static void
read_witness(PastResult *r, int kind, int row, int column, double p, double alpha, MemoryContext context)
{
	GrPast	   *test = &r->test[kind];
	int64		witness = gr_spi_int8(row, column, 0);
	double		t_se = gr_spi_float8(row, column + 2, NAN);
	double		c_se = gr_spi_float8(row, column + 4, NAN);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool		null;
	Datum		samples = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 7, &null);

	r->witness[kind] = witness;
	test->known = !isnan(p) && witness != 0 && (!null || !isnan(t_se));
	test->p = p;
	if (test->known && !null)
		gr_samples_decode(DatumGetByteaPP(samples), witness, r->variant, r->metric, &test->treatment,
						  &test->control);
	else if (test->known)
	{
		/* as versions before 0.3.0 recorded it */
		test->treatment = gr_sample_from(gr_spi_float8(row, column + 1, NAN), t_se * t_se, INFINITY);
		test->control = gr_sample_from(gr_spi_float8(row, column + 3, NAN), c_se * c_se, INFINITY);
	}
	MemoryContextSwitchTo(old);
	test->at.n = gr_spi_float8(row, column + 5, 0);
	test->at.look = (int) gr_spi_int8(row, column + 6, 0) - 1;
	test->at.alpha = alpha;
	test->at.df = INFINITY;
}

static void
load_results(Past *past, const char *schema, const Experiment *e, MemoryContext context)
{
	static const char *const kinds[GR_TEST_KINDS] = {"breach", "safe", "goal"};
	const char *args[] = {e->id, psprintf("%d", e->plan_version), e->launched_at};
	StringInfoData buf;

	initStringInfo(&buf);
	/*
	 * Each arm and metric's last row: an arm may be missing from a check.  The
	 * arms are found by skipping through the index, so that the cost does not
	 * grow with the number of checks.
	 */
	appendStringInfo(&buf, "WITH RECURSIVE arms AS ("
					 "(SELECT min(variant) AS variant FROM %s.guardrail_result_log WHERE experiment_id = $1)"
					 " UNION ALL SELECT (SELECT min(n.variant) FROM %s.guardrail_result_log n"
					 "  WHERE n.experiment_id = $1 AND n.variant > arms.variant) FROM arms WHERE arms.variant IS NOT NULL)"
					 " SELECT r.variant, r.metric, r.status = 'BREACHED', r.alpha,"
					 " r.p_breach, r.p_safe, r.p_value", schema, schema);
	for (int k = 0; k < GR_TEST_KINDS; k++)
		appendStringInfo(&buf, ", w%d.check_id, w%d.treatment_value, w%d.treatment_se, w%d.control_value,"
						 " w%d.control_se, w%d.n_compared, w%d.look_no::bigint, s%d.samples::bytea", k, k, k, k, k, k, k, k);
	appendStringInfoString(&buf, ", r.fingerprint");
	appendStringInfo(&buf, " FROM arms CROSS JOIN (SELECT metric FROM %s.guardrail_rule WHERE experiment_id = $1) m"
					 " CROSS JOIN LATERAL (SELECT * FROM %s.guardrail_result_log l WHERE l.experiment_id = $1"
					 "  AND l.variant = arms.variant AND l.metric = m.metric ORDER BY l.check_id DESC LIMIT 1) r",
					 schema, schema);
	for (int k = 0; k < GR_TEST_KINDS; k++)
		appendStringInfo(&buf, " LEFT JOIN %s.guardrail_result_log w%d ON w%d.check_id = r.%s_check"
						 " AND w%d.variant = r.variant AND w%d.metric = r.metric"
						 " LEFT JOIN %s.guardrail_witness s%d ON s%d.experiment_id = $1 AND s%d.variant = r.variant"
						 " AND s%d.metric = r.metric AND s%d.test = %d AND s%d.check_id = r.%s_check",
						 schema, k, k, kinds[k], k, k, schema, k, k, k, k, k, k, k, kinds[k]);
	appendStringInfoString(&buf, " WHERE r.plan_version = $2::integer AND r.checked_at >= $3::timestamptz"
						   " ORDER BY r.variant, r.metric");
	gr_spi_query(buf.data, true, 3, args);

	past->nresults = (int) SPI_processed;
	past->results = MemoryContextAllocZero(context, sizeof(PastResult) * Max(past->nresults, 1));
	for (int i = 0; i < past->nresults; i++)
	{
		PastResult *r = &past->results[i];
		double		alpha = gr_spi_float8(i, 4, 0.1);

		r->variant = MemoryContextStrdup(context, gr_spi_text(i, 1));
		r->metric = MemoryContextStrdup(context, gr_spi_text(i, 2));
		r->breached = gr_spi_bool(i, 3);
		r->fingerprint = gr_spi_int8(i, 8 + WITNESS_COLUMNS * GR_TEST_KINDS, 0);
		for (int k = 0; k < GR_TEST_KINDS; k++)
			read_witness(r, k, i, 8 + WITNESS_COLUMNS * k, gr_spi_float8(i, 5 + k, NAN), alpha, context);
	}
}

Past *
gr_past_load(const char *schema, const Experiment *e, MemoryContext context)
{
	Past	   *past = MemoryContextAllocZero(context, sizeof(Past));
	bool		once = gr_design_of(e->monitoring)->once;
	OwnerContext saved;

	past->srm_p = NAN;
	if (e->plan_version == 0)
		return past;
	gr_writer_enter(&saved, e->function);
	if (!once)
		load_looks(past, schema, e, context);
	load_results(past, schema, e, context);
	gr_owner_leave(&saved);
	/* of a fixed test that no check has decided only what was BREACHED stands */
	for (int i = 0; once && i < past->nresults; i++)
		memset(past->results[i].test, 0, sizeof(past->results[i].test));
	return past;
}

const PastResult *
gr_past_result(const Past *past, const char *variant, const Rule *rule)
{
	for (int i = 0; i < past->nresults; i++)
		if (strcmp(past->results[i].variant, variant) == 0 &&
			strcmp(past->results[i].metric, rule->rule.metric) == 0)
			return past->results[i].fingerprint == rule->fingerprint ? &past->results[i] : NULL;
	return NULL;
}

static int
distinct_alphas(const Experiment *e)
{
	int			n = 0;

	for (int i = 0; i < e->nrules; i++)
	{
		bool		seen = false;

		for (int k = 0; k < i; k++)
			seen = seen || e->rules[k].rule.alpha == e->rules[i].rule.alpha;
		n += !seen;
	}
	return n;
}

/* Let a cancel through between two steps of the recursion. */
static void
breathe(void)
{
	CHECK_FOR_INTERRUPTS();
}

void
gr_monitor_setup(GrMonitor *m, const char *schema, const Experiment *e, const Past *past,
				 const GrTestState *test, bool enough, bool incomplete, int narms)
{
	double		last = past->nlooks > 0 ? past->fraction[past->nlooks - 1] : 0;
	double		t = e->planned_units > 0 ?
		(double) test->mature_units / (double) e->planned_units : 0;

	memset(m, 0, sizeof(*m));
	m->kind = e->monitoring;
	m->n_star = e->planned_units > 0 ? Max(1, (double) e->planned_units / 4) : 5000;
	m->spending = e->spending;
	m->phi = e->spending_phi;
	if (!gr_design_of(m->kind)->has_looks)
		return;
	m->nlooks = past->nlooks;
	m->fraction = past->fraction;
	/* what was not judged has the last look before it */
	m->now = Min(incomplete ? 1 - LEAST_STEP : 1, t);
	/* a fraction can only grow; the last look comes at 1 whatever the step */
	m->is_look = enough && past->nlooks < GR_MAX_LOOKS - 1 &&
		(m->now >= last + LEAST_STEP || (m->now >= 1 && last < 1));
	m->breathe = breathe;
	gr_monitor_make_room(m, gr_levels_needed(distinct_alphas(e), e->nrules, narms));
	m->scratch = palloc(sizeof(GrLookState));
	if (m->nlooks > 0 && schema)
		gr_look_state_load(m, schema, e);
}
