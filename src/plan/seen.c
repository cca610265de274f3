/*
 * seen.c
 *	  Do the events know the names of a plan?
 *
 * An experiment whose identifier, control or variants are written otherwise in the
 * events would be launched, frozen, and never find a unit.  So launching looks, where
 * there is something to look at.  Data that have begun to come in may lack an arm by
 * chance or because it starts later: that is said, and refused only where other names
 * stand in the data instead.
 */
#include "plan/plan.h"

#include <math.h>

#include "executor/spi.h"

/* An arm that as few units as this lack has not been missed by chance. */
#define CHANCE 0.001

/* Names that a message has. */
#define MOST_NAMES 10

/* What is seen of one experiment. */
typedef struct Look
{
	FunctionCallInfo fcinfo;
	const char *schema;
	const Experiment *e;
	int			level;			/* of what is wrong: ERROR, or WARNING */
	SeenNames  *arms;
	List	   *missing;		/* names of planned arms that no row has */
	Oid			relation;		/* whose rows belong to other experiments; InvalidOid: none */
	SeenNames  *ids;
} Look;

/* What to do when the names are right. */
static char *
say_unseen(const Look *l, const char *what)
{
	return l->level == ERROR ? psprintf(" If its %s are still to come, call guardrail_launch(%s, unseen => true).",
										what, quote_literal_cstr(l->e->id)) : pstrdup("");
}

/* ---- identifiers ----------------------------------------------------------- */

/* Has a relation, exposures or events, rows of other experiments alone? */
static bool
belongs_to_others(Look *l, Oid relation)
{
	const Experiment *e = l->e;
	const char *column = e->experiment_column;
	OwnerContext saved;

	if (column == NULL || !OidIsValid(relation) || !OidIsValid(gr_column_type(relation, column)))
		return false;
	gr_owner_enter(&saved, e->owner);
	gr_spi_query(psprintf("SELECT 1 FROM %s WHERE %s = %s LIMIT 1", gr_relation_name(relation),
						  quote_identifier(column), quote_literal_cstr(e->id)), true, 0, NULL);
	gr_owner_leave(&saved);
	if (SPI_processed > 0)
		return false;
	l->relation = relation;
	l->ids = gr_seen_values(e, relation, column);
	return l->ids->n > 0;
}

/* Is there an experiment of this name, so that its rows are none of this one? */
static bool
is_registered(const Look *l, const char *id)
{
	OwnerContext saved;
	const char *args[] = {id};

	gr_writer_enter(&saved, l->fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_experiment WHERE experiment_id = $1", l->schema), true, 1, args);
	gr_owner_leave(&saved);
	return SPI_processed > 0;
}

/* The rows of identifiers that are no experiment's may be those that are missing. */
static void
tell_of_ids(const Look *l)
{
	const char **names = palloc(sizeof(char *) * Max(l->ids->n, 1));
	const char *likeliest;
	SeenNames	ordered = {0};
	int			n = 0;

	for (int i = 0; i < l->ids->n; i++)
		if (!is_registered(l, l->ids->seen[i].name))
			names[n++] = l->ids->seen[i].name;
	if (n == 0)
		return;
	likeliest = gr_sort_by_likeness(l->e->id, names, n);
	ordered.seen = palloc(sizeof(SeenName) * n);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < l->ids->n; k++)
			if (l->ids->seen[k].name == names[i])
				ordered.seen[ordered.n++] = l->ids->seen[k];
	ereport(l->level,
			(errcode(l->level == ERROR ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_WARNING),
			 errmsg("no row of %s belongs to experiment \"%s\"", gr_relation_name(l->relation), l->e->id),
			 errdetail("%s of column \"%s\" that belong to no experiment: %s.",
					   l->ids->whole ? "Values" : "Among the first rows, values",
					   l->e->experiment_column, gr_seen_list(&ordered, false, MOST_NAMES)),
			 errhint("%sexperiment_id must be written as in the events.%s",
					 likeliest ? psprintf("Did you mean %s? ", gr_shown(likeliest)) : "", say_unseen(l, "rows"))));
}

/* ---- arms ------------------------------------------------------------------ */

static bool
is_planned(const Experiment *e, const char *arm)
{
	for (int i = 0; i < e->narms; i++)
		if (strcmp(e->arms[i], arm) == 0)
			return true;
	return e->narms == 0 || strcmp(e->control, arm) == 0;
}

static int64
units_of(const SeenNames *arms, const char *arm)
{
	for (int i = 0; i < arms->n; i++)
		if (strcmp(arms->seen[i].name, arm) == 0)
			return arms->seen[i].units;
	return 0;
}

/* The share of an arm in the plan; of two arms where it names none. */
static double
share_of(const Experiment *e, const char *arm)
{
	double		share = 0,
				sum = 0;

	for (int i = 0; i < e->narms; i++)
	{
		sum += e->shares[i];
		if (strcmp(e->arms[i], arm) == 0)
			share = e->shares[i];
	}
	return sum > 0 ? share / sum : 0.5;
}

/* An arm that no unit is in, beside other names that are none of the plan. */
static void
tell_of_arm(const Look *l, const char *arm)
{
	const Experiment *e = l->e;
	bool		control = strcmp(arm, e->control) == 0;
	const char **others = palloc(sizeof(char *) * Max(l->arms->n, 1));
	const char *likeliest;
	int			n = 0;
	int64		units = 0;

	for (int i = 0; i < l->arms->n; i++)
	{
		units += l->arms->seen[i].units;
		/* without planned shares any may be the control */
		if (e->narms == 0 || !is_planned(e, l->arms->seen[i].name))
			others[n++] = l->arms->seen[i].name;
	}
	likeliest = gr_sort_by_likeness(arm, others, n);
	if (e->narms > 0 ? n == 0 : n < 2 && likeliest == NULL)
		if (!control || pow(1 - share_of(e, arm), (double) units) > CHANCE)
		{
			ereport(NOTICE,
					(errmsg("no unit of experiment \"%s\" is in its %s \"%s\" yet", e->id, control ? "control" : "variant", arm),
					 errdetail("Units seen: %s.", gr_seen_list(l->arms, true, MOST_NAMES))));
			return;
		}
	ereport(l->level,
			(errcode(l->level == ERROR ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_WARNING),
			 errmsg("no unit of experiment \"%s\" is in its %s \"%s\"", e->id, control ? "control" : "variant", arm),
			 errdetail("Units seen%s: %s.", l->arms->whole ? "" : " in the first rows", gr_seen_list(l->arms, true, MOST_NAMES)),
			 errhint("%s%s must be written as in the events.%s",
					 likeliest ? psprintf("Did you mean %s? ", gr_shown(likeliest)) : "",
					 control && e->narms == 0 ? "control" : control ? "control and shares" : "The names in shares",
					 say_unseen(l, "units"))));
}

/* Without a row to look at. */
static void
tell_of_nothing(const Look *l)
{
	ereport(NOTICE,
			(errmsg("experiment \"%s\" has no events yet", l->e->id),
			 errdetail("%sguardrail could not check that they have %s.",
					   l->ids ? psprintf("Column \"%s\" of %s has %s. ", l->e->experiment_column, gr_relation_name(l->relation),
										 gr_seen_list(l->ids, false, MOST_NAMES)) : "",
					   l->e->narms > 0 ? psprintf("the variants %s", gr_name_list((const char *const *) l->e->arms, l->e->narms, MOST_NAMES)) :
					   psprintf("the control %s", gr_shown(l->e->control)))));
}

/* ---- all of it ------------------------------------------------------------- */

static void
look_for(Look *l, const char *arm)
{
	/* rows beyond the first are looked at for what is missing among these */
	if (units_of(l->arms, arm) == 0 && (l->arms->whole || !gr_is_arm_seen(l->e, arm)))
		l->missing = lappend(l->missing, (char *) arm);
}

static void
look(void *arg)
{
	Look	   *l = arg;
	const Experiment *e = l->e;

	l->arms = gr_seen_arms(e);
	look_for(l, e->control);
	for (int i = 0; i < e->narms; i++)
		if (strcmp(e->arms[i], e->control) != 0)
			look_for(l, e->arms[i]);
	if (!belongs_to_others(l, e->exposures) && !belongs_to_others(l, e->events))
		l->ids = NULL;
}

static int
compare_seen(const void *a, const void *b)
{
	return strcmp(((const SeenName *) a)->name, ((const SeenName *) b)->name);
}

/* The control, then the others by name. */
static char *
list_arms(const Look *l)
{
	SeenNames  *arms = l->arms;
	int			first = 0;

	qsort(arms->seen, arms->n, sizeof(SeenName), compare_seen);
	while (first < arms->n && strcmp(arms->seen[first].name, l->e->control) != 0)
		first++;
	if (first < arms->n)
	{
		SeenName	control = arms->seen[first];

		memmove(&arms->seen[1], &arms->seen[0], sizeof(SeenName) * first);
		arms->seen[0] = control;
	}
	return psprintf("arms seen%s: %s", arms->whole ? "" : psprintf(" in the first %s rows", gr_thousands(arms->rows)),
					gr_seen_list(arms, true, MOST_NAMES));
}

char *
gr_plan_seen(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, bool refuse)
{
	Look		l = {.fcinfo = fcinfo,.schema = schema,.e = e,.level = refuse ? ERROR : WARNING};
	ErrorData  *failure = gr_attempt(look, &l);
	ListCell   *cell;

	if (failure)
		return psprintf("arms not seen: %s", failure->message);
	if (l.ids)
		tell_of_ids(&l);
	if (l.arms->n == 0)
	{
		tell_of_nothing(&l);
		return pstrdup("no events yet");
	}
	foreach(cell, l.missing)
		tell_of_arm(&l, lfirst(cell));
	return list_arms(&l);
}
