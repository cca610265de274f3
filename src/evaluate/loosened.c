/*
 * loosened.c
 *	  What amendments loosened after data had come, and what was waived.
 *
 * Every version of the plan from the one that was in force when the first event came is
 * held against the present one: who loosens a guardrail after a look at the data holds
 * the arms until somebody waives it by name.  A waiver covers what the plan was like
 * when it was given, or anything stricter.  Nothing of this is stored but the plans and
 * the waivers, so a check that is replayed finds the same.
 */
#include "evaluate/loosened.h"
#include "evaluate/looser.h"

#include "decide/words.h"
#include "executor/spi.h"
#include "utils/builtins.h"

typedef struct Versions
{
	int			n;
	Version    *v;				/* by number, from the one in force when data came */
} Versions;

/* ---- all versions --------------------------------------------------------------- */

/* Those up to "last", from the one that was in force when the first event came. */
static Versions
load_versions(const char *schema, const Experiment *e, int last, const char *as_of)
{
	const char *args[] = {e->id, psprintf("%d", last), as_of};
	Versions	out = {0};
	StringInfoData sql;
	int			first = 0;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT version::bigint, after_data, units_seen, plan::jsonb ->> 'definitions',"
						   " plan::jsonb ->> 'server_version'");
	for (int c = 0; c < GR_GUARDING_COLUMNS; c++)
		appendStringInfo(&sql, ", plan::jsonb -> 'experiment' ->> '%s'", gr_guarding_column(c));
	/* an experiment of the same name may have been deleted before this one was launched */
	appendStringInfo(&sql, " FROM %s.guardrail_plan WHERE experiment_id = $1 AND version <= $2::integer"
					 " AND made_at >= COALESCE((SELECT x.launched_at FROM %s.guardrail_experiment x WHERE x.experiment_id = $1"
					 " AND x.launched_at <= COALESCE($3::timestamptz, 'infinity')), '-infinity') ORDER BY version",
					 schema, schema);
	gr_spi_query(sql.data, true, 3, args);
	out.n = (int) SPI_processed;
	out.v = palloc0(sizeof(Version) * Max(out.n, 1));
	for (int i = 0; i < out.n; i++)
	{
		Version    *v = &out.v[i];

		v->number = (int) gr_spi_int8(i, 1, 0);
		if (!gr_spi_bool(i, 2))
			first = i;
		v->units = gr_spi_int8(i, 3, -1);
		v->definitions = gr_spi_text(i, 4);
		v->server_version = gr_spi_text(i, 5);
		for (int c = 0; c < GR_GUARDING_COLUMNS; c++)
			v->value[c] = gr_spi_text(i, 6 + c);
	}
	out.v += first;
	out.n = Max(out.n - first, 0);
	for (int i = 0; out.n > 1 && i < out.n; i++)
		out.v[i].e = gr_experiment_load_plan(schema, e->id, out.v[i].number, CurrentMemoryContext);
	return out;
}

/* Add the name if it is looser now than in any version. */
static void
find_loosening(Loosenings *out, const Versions *all, const char *name, bool is_rule)
{
	const Version *now = &all->v[all->n - 1];
	int			first = 0;

	/* what is merely another is held against the first version that has it */
	while (is_rule && gr_rule_named(all->v[first].e, name) == NULL)
		first++;
	for (int i = 0; i < out->n; i++)
		if (out->row[i].is_rule == is_rule && strcmp(out->row[i].name, name) == 0)
			return;
	for (int w = first; w + 1 < all->n; w++)
	{
		char	   *text = gr_what_is_looser(&all->v[w], now, name, is_rule, w == first);
		int			v = w + 1;

		if (text == NULL)
			continue;
		/* said of the amendment that began it */
		while (gr_what_is_looser(&all->v[w], &all->v[v], name, is_rule, w == first) == NULL)
			v++;
		out->row[out->n++] = (Loosening) {name, is_rule, text, all->v[v].number, all->v[v].units};
		return;
	}
}

static void
find_loosenings(Loosenings *out, const Versions *all)
{
	int			most = GR_GUARDING_COLUMNS + 1;

	for (int w = 0; w < all->n; w++)
		most += all->v[w].e->nrules;
	out->row = palloc(sizeof(Loosening) * most);
	for (int w = 0; w < all->n; w++)
		for (int k = 0; k < all->v[w].e->nrules; k++)
			find_loosening(out, all, all->v[w].e->rules[k].rule.metric, true);
	for (int c = 0; c < GR_GUARDING_COLUMNS; c++)
		find_loosening(out, all, gr_guarding_column(c), false);
	find_loosening(out, all, GR_DEFINITIONS, false);
}

/* "limit of load 200 -> 250 ms after 14,003 units" */
static char *
in_words(const Loosening *l)
{
	char		units[NUMBER_SIZE];

	if (l->units < 0)
		return psprintf("%s after data", l->text);
	gr_format_whole((double) l->units, units, sizeof(units));
	return psprintf("%s after %s unit%s", l->text, units, l->units == 1 ? "" : "s");
}

/* ---- waivers ---------------------------------------------------------------------- */

typedef struct Waiver
{
	char	   *variant;
	char	   *metric;
	char	   *words;			/* "anna, until 2027-01-31" */
	int			version;		/* of the plan, when it was given */
	bool		veto;			/* what the metric was found to be then is lifted too */
} Waiver;

typedef struct Waivers
{
	int			n;
	Waiver	   *w;
} Waivers;

static Waivers
load_waivers(const char *schema, const Experiment *e, const char *as_of)
{
	const char *args[] = {e->id, as_of};
	Waivers		out;

	gr_spi_query(psprintf("SELECT w.variant, w.metric, w.made_by || CASE WHEN w.until IS NULL THEN '' ELSE ', until ' ||"
						  " pg_catalog.to_char(w.until AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI \"UTC\"') END, w.plan_version::bigint, w.lifts_veto"
						  " FROM %s.guardrail_waiver w WHERE w.experiment_id = $1"
						  " AND w.made_at >= COALESCE((SELECT x.launched_at FROM %s.guardrail_experiment x WHERE x.experiment_id = $1"
						  " AND x.launched_at <= COALESCE($2::timestamptz, 'infinity')), '-infinity')"
						  " AND w.made_at <= COALESCE($2::timestamptz, 'infinity')"
						  " AND (w.until IS NULL OR w.until > COALESCE($2::timestamptz, pg_catalog.clock_timestamp()))"
						  " ORDER BY w.waiver_no DESC", schema, schema), true, 2, args);
	out.n = (int) SPI_processed;
	out.w = palloc0(sizeof(Waiver) * Max(out.n, 1));
	for (int i = 0; i < out.n; i++)
		out.w[i] = (Waiver) {gr_spi_text(i, 1), gr_spi_text(i, 2), gr_spi_text(i, 3), (int) gr_spi_int8(i, 4, 0),
		gr_spi_bool(i, 5)};
	return out;
}

/* Is the plan, of what a waiver names, no looser now than when it was given? */
static bool
covers(const Waiver *w, const Versions *all)
{
	for (int i = 0; i < all->n; i++)
		if (all->v[i].number == w->version && i + 1 < all->n)
			return gr_what_is_looser(&all->v[i], &all->v[all->n - 1], w->metric, true, true) == NULL &&
				gr_what_is_looser(&all->v[i], &all->v[all->n - 1], w->metric, false, true) == NULL;
	return true;
}

/* The newest waiver of a name that holds for an arm, or NULL. */
static const Waiver *
waiver_of(const Waivers *waivers, const Versions *all, const char *variant, const char *name)
{
	for (int i = 0; i < waivers->n; i++)
	{
		const Waiver *w = &waivers->w[i];

		if (strcmp(w->variant, variant) == 0 && strcmp(w->metric, name) == 0 && covers(w, all))
			return w;
	}
	return NULL;
}

/* ---- for others --------------------------------------------------------------------- */

Loosenings *
gr_loosenings(const char *schema, const Experiment *e, int version)
{
	Loosenings *out = palloc0(sizeof(Loosenings));
	OwnerContext saved;
	Versions	all;

	gr_writer_enter(&saved, e->function);
	all = load_versions(schema, e, version, NULL);
	gr_owner_leave(&saved);
	if (all.n > 1)
		find_loosenings(out, &all);
	return out;
}

char *
gr_loosened_in_words(const Loosenings *l, int from)
{
	StringInfoData out;

	initStringInfo(&out);
	for (int i = 0; i < l->n; i++)
		if (l->row[i].version >= from)
			appendStringInfo(&out, "%s%s", out.len ? "; " : "", in_words(&l->row[i]));
	return out.len ? out.data : NULL;
}

/* Add a name to a list with commas. */
static void
add_name(StringInfo list, const char *name)
{
	appendStringInfo(list, "%s%.*s", list->len ? ", " : "", gr_fitting(name, 100), name);
}

static void
apply_to_arm(Evaluation *v, int a, const Versions *all, const Waivers *waivers)
{
	GrArm	   *arm = &v->arms[a];
	StringInfoData held,
				waived;

	initStringInfo(&held);
	initStringInfo(&waived);
	for (int i = 0; i < v->loosened->n; i++)
		if (waiver_of(waivers, all, arm->name, v->loosened->row[i].name) == NULL)
			add_name(&held, v->loosened->row[i].name);
	for (int k = 0; k < v->e->nrules; k++)
	{
		GrResult   *r = &v->results[a * v->e->nrules + k];
		const Waiver *w = waiver_of(waivers, all, arm->name, r->rule->metric);

		r->waived = w && w->veto && r->rule->role == GR_GUARDRAIL;
	}
	for (int i = 0; i < waivers->n; i++)
	{
		const Waiver *w = &waivers->w[i];

		if (strcmp(w->variant, arm->name) == 0 && w == waiver_of(waivers, all, arm->name, w->metric))
		{
			add_name(&waived, w->metric);
			appendStringInfo(&waived, " (%.*s)", gr_fitting(w->words, 150), w->words);
		}
	}
	arm->loosened = gr_loosened_in_words(v->loosened, 0);
	arm->held = held.len ? held.data : NULL;
	arm->waived = waived.len ? waived.data : NULL;
}

void
gr_loosened_apply(Evaluation *v, const char *schema)
{
	OwnerContext saved;
	Versions	all;
	Waivers		waivers;

	v->loosened = palloc0(sizeof(Loosenings));
	/* a plan that was tampered with says nothing, and is INVALID */
	if (v->e->plan_version == 0 || v->test.plan_broken)
		return;
	gr_writer_enter(&saved, v->e->function);
	all = load_versions(schema, v->e, v->e->plan_version, v->as_of);
	waivers = load_waivers(schema, v->e, v->as_of);
	gr_owner_leave(&saved);
	if (all.n > 1)
		find_loosenings(v->loosened, &all);
	for (int a = 0; a < v->narms && (v->loosened->n > 0 || waivers.n > 0); a++)
		apply_to_arm(v, a, &all, &waivers);
}
