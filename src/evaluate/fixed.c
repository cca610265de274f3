/*
 * fixed.c
 *	  A fixed test is one test: the first recorded check after the end decides.
 *
 * That check is marked as look 1 in the log.  Those after it, and live calls, decide
 * again from what it stored, and so show its decision whatever came later; they count
 * that.  What came before the end, was INVALID, or could not evaluate a rule decides
 * nothing; an amendment begins anew.
 */
#include "evaluate/input.h"

#include "executor/spi.h"

bool
gr_fixed_decides(const Evaluation *v)
{
	char		why[GR_REASON_SIZE];
	bool		enough = false;

	if (v->e->monitoring != GR_FIXED || !v->test.over || v->test.decided || gr_test_invalid(&v->test, why, sizeof(why)))
		return false;
	for (int i = 0; i < v->e->nrules; i++)
		if (v->e->rules[i].failure)
			return false;
	for (int a = 0; a < v->narms; a++)
	{
		enough |= v->arms[a].units >= v->test.min_units && v->control.units >= v->test.min_units;
		if (gr_waits_for_windows(v->results + a * v->e->nrules, v->e->nrules, &v->control))
			return false;
	}
	return enough;
}

/* The check that decided the present plan; 0: none has. */
static int64
deciding_check(const Evaluation *v, const char *schema)
{
	const Experiment *e = v->e;
	const char *args[] = {e->id, psprintf("%d", e->plan_version), e->launched_at};

	gr_spi_query(psprintf("SELECT min(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND plan_version = $2::integer AND checked_at >= $3::timestamptz AND look_no IS NOT NULL",
						  schema), true, 3, args);
	return gr_spi_int8(0, 1, 0);
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

	if (v->e->monitoring != GR_FIXED || v->e->plan_version == 0)
		return;
	gr_writer_enter(&saved, v->e->function);
	check_id = deciding_check(v, schema);
	if (check_id > 0 && gr_input_read(schema, check_id, &row))
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
