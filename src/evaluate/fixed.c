/*
 * fixed.c
 *	  A fixed test is one test: the first recorded check after the end decides.
 *
 * That check is marked as look 1 in the log.  Those after it, and live calls, decide
 * again from what it stored, and so show its decision whatever came later; they count
 * that.  What came before the end, was INVALID, or could not evaluate a rule decides
 * nothing, but what was BREACHED in it stands.  An amendment of what is tested
 * begins anew, and one of a note does not.
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"

#include "executor/spi.h"

bool
gr_fixed_decides(const Evaluation *v)
{
	char		why[GR_REASON_SIZE];
	bool		enough = false;

	if (!gr_design_of(v->e->monitoring)->once || !v->test.over || v->test.decided || gr_test_invalid(&v->test, why, sizeof(why)))
		return false;
	for (int i = 0; i < v->e->nrules; i++)
	{
		const Rule *rule = &v->e->rules[i];

		if (rule->failure && rule->rule.role != GR_SECONDARY && rule->rule.severity != GR_WARN)
			return false;
	}
	for (int a = 0; a < v->narms; a++)
		enough |= v->arms[a].units >= v->test.min_units && v->control.units >= v->test.min_units;
	return enough && gr_segments_unjudged(v) == NULL;
}

static bool
same_texts(char *const *a, int na, char *const *b, int nb)
{
	for (int i = 0; na == nb && i < na; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return na == nb;
}

/* Did another version of the plan, whose check stored this row, ask for the same test? */
static bool
is_same_test(const Experiment *e, const InputRow *row, const char *schema)
{
	const Experiment *was = gr_experiment_load_plan(schema, e->id, row->plan_version, CurrentMemoryContext);
	const int64 *fingerprints = (const int64 *) ARR_DATA_PTR(row->fingerprints);

	if (was->nrules != e->nrules || ARR_HASNULL(row->fingerprints) ||
		ArrayGetNItems(ARR_NDIM(row->fingerprints), ARR_DIMS(row->fingerprints)) != e->nrules)
		return false;
	for (int i = 0; i < e->nrules; i++)
		if (fingerprints[i] != e->rules[i].fingerprint || was->rules[i].rule.severity != e->rules[i].rule.severity ||
			was->rules[i].segment_veto != e->rules[i].segment_veto ||
			strcmp(was->rules[i].rule.metric, e->rules[i].rule.metric) != 0)
			return false;
	for (int i = 0; was->narms == e->narms && i < e->narms; i++)
		if (was->shares[i] != e->shares[i])
			return false;
	return same_texts(was->arms, was->narms, e->arms, e->narms) &&
		same_texts(was->segments, was->nsegments, e->segments, e->nsegments) &&
		gr_same_text(was->starts_at, e->starts_at) && gr_same_text(was->ends_at, e->ends_at) &&
		gr_same_text(was->experiment_column, e->experiment_column) && gr_same_text(was->time_column, e->time_column) &&
		was->correction == e->correction && was->srm_alpha == e->srm_alpha &&
		was->max_crossover == e->max_crossover && was->min_units == e->min_units;
}

/* The check that decided the present plan, and what it stored; 0: none has. */
static int64
deciding_check(const Evaluation *v, const char *schema, InputRow *row)
{
	const Experiment *e = v->e;
	const char *args[] = {e->id, e->launched_at};
	int64	   *ids;
	int			n;

	/* of each version the first, the present one's before others */
	gr_spi_query(psprintf("SELECT min(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND checked_at >= $2::timestamptz AND look_no IS NOT NULL"
						  " GROUP BY plan_version ORDER BY plan_version DESC", schema), true, 2, args);
	n = (int) SPI_processed;
	ids = palloc(sizeof(int64) * Max(n, 1));
	for (int i = 0; i < n; i++)
		ids[i] = gr_spi_int8(i, 1, 0);
	for (int i = 0; i < n; i++)
		if (gr_input_read(schema, ids[i], row) &&
			(row->plan_version == e->plan_version || is_same_test(e, row, schema)))
			return ids[i];
	return 0;
}

static void
count_all(const Collection *c, int64 *units, int64 *events)
{
	*units = *events = 0;
	for (int a = 0; a < c->narms; a++)
	{
		*units += c->arms[a].units;
		*events += c->arms[a].events;
	}
}

void
gr_fixed_recall(Evaluation *v, const char *schema)
{
	OwnerContext saved;
	InputRow	row;
	int64		check_id;
	int64		units[2],
				events[2];
	StringInfoData note;

	if (!gr_design_of(v->e->monitoring)->once || v->e->plan_version == 0)
		return;
	gr_writer_enter(&saved, v->e->function);
	check_id = deciding_check(v, schema, &row);
	if (check_id > 0)
	{
		count_all(v->c, &units[0], &events[0]);
		for (int i = 0; i < v->e->nrules; i++)
			v->e->rules[i].failure = NULL;
		v->segments = NULL;
		gr_input_restore(v, schema, check_id, &row);
		count_all(v->c, &units[1], &events[1]);
		initStringInfo(&note);
		appendStringInfo(&note, "decided by check " INT64_FORMAT, check_id);
		if (units[0] > units[1] || events[0] > events[1])
			appendStringInfo(&note, "; " INT64_FORMAT " units and " INT64_FORMAT " events came later and do not count",
							 Max(units[0] - units[1], 0), Max(events[0] - events[1], 0));
		v->test.decided = note.data;
	}
	gr_owner_leave(&saved);
}
