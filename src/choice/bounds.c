/*
 * bounds.c
 *	  Bounds of the experiment's design at levels that its verdict does not need.
 */
#include "choice/choice.h"

#include <math.h>

#include "evaluate/past.h"
#include "executor/spi.h"

Evaluation *
gr_evaluate_argument(FunctionCallInfo fcinfo, MemoryContext context, char **schema)
{
	Evaluation *v = gr_evaluate(fcinfo->flinfo->fn_oid, gr_arg_text(fcinfo, 0, "experiment"),
								GR_FOR_READER, NULL, context);

	*schema = gr_schema_of(fcinfo);
	return v;
}

/* Did the last recorded look see as many units of the plan as there are now? */
static bool
is_last_look(const Evaluation *v, const char *schema)
{
	const char *args[] = {v->e->id, psprintf("%d", v->e->plan_version), psprintf("%d", v->monitor.nlooks)};
	OwnerContext saved;
	bool		same;

	gr_writer_enter(&saved, v->e->function);
	gr_spi_query(psprintf("SELECT information FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND plan_version = $2::integer AND look_no = $3::integer LIMIT 1", schema),
				 true, 3, args);
	same = SPI_processed > 0 &&
		gr_spi_float8(0, 1, -1) == (double) v->test.mature_units / (double) v->e->planned_units;
	gr_owner_leave(&saved);
	return same;
}

Bounds
gr_bounds_make(Evaluation *v, const char *schema, int levels)
{
	GrMonitor  *m = &v->monitor;
	Bounds		b = {v, 0};

	if (!gr_design_of(m->kind)->has_looks)
		return b;
	b.look = m->is_look ? m->nlooks : m->nlooks > 0 && is_last_look(v, schema) ? m->nlooks - 1 : -1;
	gr_monitor_make_room(m, levels);
	return b;
}

double
gr_bounds_multiplier(const Bounds *b, double level, double n, double df)
{
	GrMonitor  *m = &b->v->monitor;
	GrOccasion	at = {b->look, n, df, level};

	/* a fixed test proves nothing before its end */
	if (!b->v->test.over || b->look < 0 || !gr_monitor_level(m, GR_TEST_GOAL, level))
		return INFINITY;
	return gr_monitor_multiplier(m, GR_TEST_GOAL, level, &at);
}

double
gr_primary_alpha(const Evaluation *v)
{
	for (int k = 0; k < v->e->nrules; k++)
		if (v->e->rules[k].rule.role == GR_PRIMARY)
			return v->e->rules[k].rule.alpha;
	return 0.05;
}
