/*
 * evaluate.c
 *	  One evaluation: who may, what to read, what a fixed test has decided before, and
 *	  the decision.
 *
 * The experiment is loaded with the rights of the extension's owner for checks, and
 * with the reader's for live calls.  A plan that was tampered with is not scanned for.
 */
#include "evaluate/past.h"
#include "base/rights.h"
#include "catalog/expression.h"

#include "catalog/objectaddress.h"
#include "miscadmin.h"
#include "utils/syscache.h"

/* Who reads the events, and why. */
typedef struct Reader
{
	Oid			relation;
	Oid			role;
	bool		is_owner;		/* of the experiment: columns are enough */
} Reader;

static void
hint_at_events(void *arg)
{
	Reader	   *r = arg;

	gr_hint_events(gr_relation_name(r->relation), r->role, r->is_owner);
}

static void
require_select(Oid relation, Oid role, bool is_owner)
{
	Reader		reader = {relation, role, is_owner};
	ErrorContextCallback callback = {error_context_stack, hint_at_events, &reader};
	char		relkind = get_rel_relkind(relation);

	/* a dump may bring an index, which nobody has rights on: reading it fails */
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
		return;
	error_context_stack = &callback;
	if (pg_class_aclcheck(relation, role, ACL_SELECT) != ACLCHECK_OK &&
		!(is_owner && pg_attribute_aclcheck_all(relation, role, ACL_SELECT, ACLMASK_ANY) == ACLCHECK_OK))
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(relkind),
					   get_rel_name(relation));
	error_context_stack = callback.previous;
}

/* Of the events and the exposures. */
static void
require_selects(const Experiment *e, Oid role, bool is_owner)
{
	require_select(e->events, role, is_owner);
	if (OidIsValid(e->exposures))
		require_select(e->exposures, role, is_owner);
}

/* Which arms are those that are not planned?  Looked up where they may be what is wrong. */
static void
name_unknown_arms(Evaluation *v)
{
	bool		asked = v->control.units == 0;

	for (int a = 0; a < v->narms; a++)
		asked |= v->arms[a].units == 0 || v->verdicts[a].verdict == GR_VERDICT_INVALID;
	/* where there are too many to compare, those that are left out are the rarest */
	if (v->c->unknown_arm_rows == 0 || v->test.surplus_arms || !asked)
		return;
	v->test.unknown_arms = gr_unknown_arms(v->e);
	if (v->test.unknown_arms)
		gr_evaluation_verdicts(v);
}

static Evaluation *
evaluate(Oid function, const char *id, GrPurpose purpose,
		 const Shared *shared, MemoryContext context)
{
	char	   *schema = gr_schema_of_function(function);
	Experiment *e;
	OwnerContext saved;
	MemoryContext old;
	Evaluation *v;
	char	   *note;

	if (purpose != GR_FOR_READER)
		gr_writer_enter(&saved, function);
	e = gr_experiment_load(schema, id, context);
	if (purpose != GR_FOR_READER)
		gr_owner_leave(&saved);
	gr_require_existing(e, function);
	/* live results are only for who may read the events himself */
	if (purpose == GR_FOR_READER)
		require_selects(e, GetUserId(), false);
	old = MemoryContextSwitchTo(context);
	v = palloc0(sizeof(Evaluation));
	v->e = e;
	v->rows_read = -1;
	e->function = function;
	if (purpose != GR_FOR_PLAN)
	{
		v->test.plan_broken = gr_plan_broken(schema, e, context, &note);
		v->test.plan_note = note;
	}
	if (purpose == GR_FOR_LOG && v->test.plan_broken)
	{
		/* what such rows say is not worth a scan, and must not enter the log */
		MemoryContextSwitchTo(old);
		return v;
	}
	/* an owner that was dropped has an error of its own */
	if (SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(e->owner)))
		require_selects(e, e->owner, true);
	gr_rescue_plan(v);
	gr_rescue_collect(v, schema, shared, purpose == GR_FOR_LOG, context);
	v->scanned = v->plan;
	if (purpose != GR_FOR_PLAN)
		gr_fixed_recall(v, schema);
	/* a fixed test that is decided rests on the past that its check had */
	if (v->test.decided == NULL)
		v->past = gr_past_load(schema, e, context);
	gr_evaluation_decide(v, schema);
	if (purpose != GR_FOR_PLAN)
		name_unknown_arms(v);
	MemoryContextSwitchTo(old);
	return v;
}

Evaluation *
gr_evaluate(Oid function, const char *id, GrPurpose purpose,
			const Shared *shared, MemoryContext context)
{
	List	   *locks = gr_session_locks();
	Evaluation *volatile v = NULL;

	PG_TRY();
	{
		v = evaluate(function, id, purpose, shared, context);
	}
	PG_FINALLY();
	{
		gr_restore_session_locks(locks);
	}
	PG_END_TRY();
	return v;
}

typedef struct TryWork
{
	Oid			function;
	const char *id;
	GrPurpose	purpose;
	MemoryContext context;
	Evaluation *v;
} TryWork;

static void
try_evaluate(void *arg)
{
	TryWork    *w = arg;

	w->v = gr_evaluate(w->function, w->id, w->purpose, NULL, w->context);
}

ErrorData *
gr_try_evaluate(Oid function, const char *id, GrPurpose purpose, MemoryContext context, Evaluation **v)
{
	TryWork		work = {function, id, purpose, context};
	ErrorData  *error = gr_attempt(try_evaluate, &work);

	*v = work.v;
	return error;
}

const char *
gr_worst_status(const Evaluation *v)
{
	static const char *const order[] = {"INVALID", "BLOCK", "NO DATA", "UNMEASURED", "WATCH", "OK", NULL};

	for (int k = 0; order[k]; k++)
		for (int a = 0; a < v->narms; a++)
			if (strncmp(v->verdicts[a].status, order[k], strlen(order[k])) == 0)
				return v->verdicts[a].status;
	return "NO DATA";
}
