/*
 * rescue.c
 *	  Evaluations that one rule, or the names of arms, would keep from all the others.
 *
 * What an expression does at run time (it divides by zero, overflows, its column is gone)
 * must not silence the other rules.  When a scan fails, expressions are evaluated
 * apart, halves of them at a time, to find those that fail; the scan is made again with
 * NULL in their place, and their rules are UNMEASURED.  Nothing of such a scan is stored.
 *
 * Where arms are not planned, more names than there may be arms are a fault of the
 * events: the control, the arms that earlier checks saw and those with most rows are
 * collected, the rows of all others are those of unknown arms, and the test is INVALID.
 */
#include "evaluate/source.h"

#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "units/units.h"

/* What a reason shows of an expression, in bytes. */
#define MOST_SHOWN 120

typedef struct Work
{
	Evaluation *v;
	Experiment *e;				/* whose plan is made */
	ScanPlan   *plan;
	const char *schema;
	const char *sql;
	SourceRequest request;
	MemoryContext context;
} Work;

/* Could an expression have raised it?  Not what ends or stops the server's work. */
static bool
may_be_expression(const ErrorData *error)
{
	/* a cancel of the session never comes here (attempt.c) */
	return error->sqlerrcode != ERRCODE_ADMIN_SHUTDOWN && error->sqlerrcode != ERRCODE_CRASH_SHUTDOWN &&
		error->sqlerrcode != ERRCODE_CANNOT_CONNECT_NOW &&
		ERRCODE_TO_CATEGORY(error->sqlerrcode) != ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR);
}

static char *
shown(const char *expression)
{
	int			length = (int) strlen(expression);

	if (length <= MOST_SHOWN)
		return psprintf("\"%s\"", expression);
	return psprintf("\"%.*s...\"", pg_mbcliplen(expression, length, MOST_SHOWN), expression);
}

/* A rule's expressions fail, the message says how. */
static void
fail_rule(const Experiment *e, Rule *rule, const char *expression, const char *filter, const ErrorData *error)
{
	rule->failure = filter ? psprintf("evaluating %s where %s failed: %s", shown(expression), shown(filter), error->message) :
		psprintf("evaluating %s failed: %s", shown(expression), error->message);
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("rule \"%s\" of experiment \"%s\" is UNMEASURED: %s", rule->rule.metric, e->id, rule->failure),
			 errhint("Fix the events, or guard the expression with NULLIF() or a filter through guardrail_amend(). The other rules are still evaluated.")));
}

/* ---- the plan ------------------------------------------------------------------------- */

static void
make_plan(void *arg)
{
	Work	   *w = arg;
	OwnerContext saved;

	gr_owner_enter(&saved, w->e->owner);
	w->plan = gr_plan_make(w->e);
	gr_owner_leave(&saved);
}

typedef struct Expression
{
	const Experiment *e;
	const char *text;
} Expression;

static void
find_type(void *arg)
{
	const Expression *x = arg;
	OwnerContext saved;

	gr_owner_enter(&saved, x->e->owner);
	(void) gr_expression_type(x->e->events, x->text);
	gr_owner_leave(&saved);
}

/* The first of a rule's expressions that has no type; its value where all have one. */
static const char *
untyped_expression(const Experiment *e, const Rule *rule)
{
	const char *texts[] = {rule->value, rule->denominator, rule->filter, rule->covariate};

	for (int i = 0; i < (int) lengthof(texts); i++)
	{
		Expression	x = {e, texts[i]};

		if (texts[i] && gr_attempt(find_type, &x) != NULL)
			return texts[i];
	}
	return rule->value;
}

/* Which rules cannot be planned alone? */
static bool
find_unplannable(Evaluation *v)
{
	bool		any = false;

	for (int k = 0; k < v->e->nrules; k++)
	{
		Rule	   *rule = &v->e->rules[k];
		Experiment	one = *v->e;
		Work		w = {.e = &one};
		ErrorData  *error;

		one.rules = rule;
		one.nrules = 1;
		one.nsegments = 0;
		error = gr_attempt(make_plan, &w);
		if (error)
			fail_rule(v->e, rule, untyped_expression(v->e, rule), NULL, error);
		any = any || error;
	}
	return any;
}

/* Can the events be read at all, as far as planning tells? */
static bool
can_be_read(const Experiment *e)
{
	Expression	x = {e, "true"};

	return gr_attempt(find_type, &x) == NULL;
}

void
gr_rescue_plan(Evaluation *v)
{
	Work		w = {.v = v,.e = v->e};
	ErrorData  *error = gr_attempt(make_plan, &w);

	if (error && may_be_expression(error) && can_be_read(v->e) && find_unplannable(v))
		error = gr_attempt(make_plan, &w);
	if (error && v->e->nsegments > 0)
	{
		v->e->segments_failure = error->message;
		error = gr_attempt(make_plan, &w);
	}
	if (error)
		ReThrowError(error);
	v->plan = w.plan;
}

/* ---- the scan ------------------------------------------------------------------------- */

static void
collect(void *arg)
{
	Work	   *w = arg;

	gr_source_collect(w->v, &w->request);
}

static void
run_statement(void *arg)
{
	Work	   *w = arg;
	OwnerContext saved;

	gr_owner_enter(&saved, w->v->e->owner);
	gr_spi_query(w->sql, true, 0, NULL);
	gr_owner_leave(&saved);
}

/* Do these columns, evaluated in every row, fail?  NULL: no. */
static ErrorData *
probe(Work *w, const int *columns, int n)
{
	w->sql = gr_sql_probe(w->v->e, w->v->plan, w->schema, columns, n);
	return gr_attempt(run_statement, w);
}

/* Find the failing ones among columns that fail together. */
static void
find_failing(Work *w, const int *columns, int n, ErrorData *error, ErrorData **failure)
{
	int			half = n / 2;

	if (n == 1)
	{
		failure[columns[0]] = error;
		return;
	}
	for (int part = 0; part < 2; part++)
	{
		const int  *first = part ? columns + half : columns;
		int			m = part ? n - half : half;
		ErrorData  *e = probe(w, first, m);

		if (e)
			find_failing(w, first, m, e, failure);
	}
}

/* The first of a metric's columns that fails, or -1. */
static int
failing_column(const CollectSpec *spec, const Metric *m, ErrorData *const *failure)
{
	const int	folds[] = {m->a, m->b, m->covariate};

	for (int i = 0; i < (int) lengthof(folds); i++)
		if (folds[i] >= 0 && failure[spec->folds[folds[i]].column])
			return spec->folds[folds[i]].column;
	return -1;
}

/* Is it a column of one of these rules? */
static bool
is_column_of(const Evaluation *v, const bool *rules, int column)
{
	const CollectSpec *spec = v->plan->spec;

	for (int k = 0; k < v->e->nrules; k++)
	{
		const Metric *m = &spec->metrics[v->e->rules[k].metric];
		const int	folds[] = {m->a, m->b, m->covariate};

		for (int i = 0; rules[k] && i < (int) lengthof(folds); i++)
			if (folds[i] >= 0 && spec->folds[folds[i]].column == column)
				return true;
	}
	return false;
}

/*
 * Which expressions fail, of some rules (NULL: of all)?  False: none of those that did
 * not before.
 */
static bool
find_failures(Work *w, const bool *rules)
{
	Evaluation *v = w->v;
	const CollectSpec *spec = v->plan->spec;
	ErrorData **failure = palloc0(sizeof(ErrorData *) * Max(spec->ncolumns, 1));
	int		   *columns = palloc(sizeof(int) * Max(spec->ncolumns, 1));
	int			n = 0;
	ErrorData  *error;
	bool		any = false;

	/* without any expression it must run */
	if (rules == NULL && probe(w, NULL, 0) != NULL)
		return false;
	for (int k = 0; k < spec->ncolumns; k++)
		if (!v->plan->column_failed[k] && (rules == NULL || is_column_of(v, rules, k)))
			columns[n++] = k;
	error = n > 0 ? probe(w, columns, n) : NULL;
	if (error)
		find_failing(w, columns, n, error, failure);
	for (int k = 0; k < v->e->nrules; k++)
	{
		Rule	   *rule = &v->e->rules[k];
		const Metric *m = &spec->metrics[rule->metric];
		int			column = failing_column(spec, m, failure);

		if (column < 0 || rule->failure)
			continue;
		if (m->covariate >= 0 && column == spec->folds[m->covariate].column)
			fail_rule(v->e, rule, rule->covariate, NULL, failure[column]);
		else
			fail_rule(v->e, rule, m->b >= 0 && rule->denominator && column == spec->folds[m->b].column ?
					  rule->denominator : rule->value, rule->filter, failure[column]);
		any = true;
	}
	for (int k = 0; k < spec->ncolumns; k++)
		v->plan->column_failed[k] |= failure[k] != NULL;
	return any;
}

/*
 * The arms of the recorded checks that saw no more than there may be, as an array.
 * A check with another set of arms than the one before stores its inputs.
 */
static char *
known_arms(const Work *w)
{
	const Experiment *e = w->v->e;
	const char *args[] = {e->id, e->launched_at};
	OwnerContext saved;
	char	   *known;

	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT COALESCE(pg_catalog.array_agg(DISTINCT l.variant), '{}')::text"
						  " FROM %s.guardrail_check_log l JOIN %s.guardrail_check_input i USING (check_id)"
						  " WHERE l.experiment_id = $1 AND l.checked_at >= $2::timestamptz AND l.variant IS NOT NULL"
						  " AND i.surplus_arms IS NOT TRUE", w->schema, w->schema), true, 2, args);
	known = gr_spi_text(0, 1);
	gr_owner_leave(&saved);
	return known;
}

/* Let the experiment have the arms that are known, or most rows have, until it is collected. */
static void
choose_arms(Work *w)
{
	Experiment *e = w->v->e;
	int			n;
	ErrorData  *error;

	w->sql = gr_sql_arms(e, known_arms(w), GR_MAX_ARMS);
	error = gr_attempt(run_statement, w);
	if (error)
		ReThrowError(error);
	n = (int) SPI_processed;
	e->arms = MemoryContextAlloc(w->context, sizeof(char *) * n);
	e->shares = MemoryContextAlloc(w->context, sizeof(double) * n);
	for (int i = 0; i < n; i++)
	{
		e->arms[i] = gr_spi_text(i, 1);
		e->shares[i] = 1;
	}
	e->narms = n;
	w->v->test.surplus_arms = true;
}

/* Is it the expressions of the segments that fail? */
static bool
segments_fail(Work *w)
{
	Experiment *e = w->v->e;
	ErrorData  *error;

	if (e->nsegments == 0 || e->segments_failure)
		return false;
	w->sql = gr_sql_probe_segments(e);
	error = gr_attempt(run_statement, w);
	e->segments_failure = error ? error->message : NULL;
	return error != NULL;
}

/*
 * What failed at the last check fails again, more often than not: it is tried first, and by itself.
 * A check in which other rules failed than before stores its inputs, so that the last inputs tell.
 */
static void
recall_failures(Work *w)
{
	const Experiment *e = w->v->e;
	const char *args[] = {e->id, psprintf("%d", e->plan_version)};
	OwnerContext saved;
	bool	   *failed = palloc0(sizeof(bool) * Max(e->nrules, 1));
	bool		any;

	if (e->plan_version == 0)
		return;
	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT f.n FROM %s.guardrail_check_input i, pg_catalog.unnest(i.failures) WITH ORDINALITY AS f (why, n)"
						  " WHERE i.check_id = (SELECT max(check_id) FROM %s.guardrail_check_input WHERE experiment_id = $1)"
						  " AND i.plan_version = $2::integer AND f.why IS NOT NULL",
						  w->schema, w->schema), true, 2, args);
	any = SPI_processed > 0;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		int64		n = gr_spi_int8((int) i, 1, 0);

		if (n >= 1 && n <= e->nrules)
			failed[n - 1] = true;
	}
	gr_owner_leave(&saved);
	if (any)
		(void) find_failures(w, failed);
}

static void
collect_surely(Work *w)
{
	Evaluation *v = w->v;
	ErrorData  *error = NULL;

	recall_failures(w);
	for (int k = 0; k < v->e->nrules; k++)
		w->request.recorded = w->request.recorded && v->e->rules[k].failure == NULL;
	/* once for arms, once for expressions, once for segments */
	for (int i = 0; i < 4; i++)
	{
		error = gr_attempt(collect, w);
		if (error == NULL)
			break;
		w->request.recorded = false;
		if (error->sqlerrcode == GR_ERRCODE_ARMS && v->e->narms == 0)
			choose_arms(w);
		else if (!may_be_expression(error))
			break;
		else if (find_failures(w, NULL))
			continue;
		else if (!segments_fail(w))
			break;
	}
	if (error)
		ReThrowError(error);
	if (v->test.surplus_arms)
		v->e->narms = 0;
}

void
gr_rescue_collect(Evaluation *v, const char *schema, const Shared *shared, bool recorded, MemoryContext context)
{
	static bool at_work = false;
	Work		w = {.v = v,.schema = schema,.request = {schema, shared, recorded, context},.context = context};

	/* an expression that evaluates an experiment is not tried again and again at every depth */
	if (at_work)
	{
		collect(&w);
		return;
	}
	at_work = true;
	PG_TRY();
	{
		collect_surely(&w);
	}
	PG_FINALLY();
	{
		at_work = false;
	}
	PG_END_TRY();
}
