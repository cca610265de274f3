/*
 * glance.c
 *	  A glance at the first events that are there, when a rule over them is written.
 *
 * What it finds is good for refusing a mistake, and for nothing else: a unit has more
 * events than those that were read.
 */
#include "catalog/expression.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"

#define MOST_ROWS 100000

typedef struct Glance
{
	const Experiment *e;
	const Rule *rule;
	double		share;
	double		units;
} Glance;

static void
look(void *arg)
{
	Glance	   *g = arg;
	const Experiment *e = g->e;
	const Rule *rule = g->rule;
	OwnerContext saved;
	StringInfoData value;
	const char *of = e->experiment_column ? psprintf(" WHERE %s = %s", quote_identifier(e->experiment_column),
													 quote_literal_cstr(e->id)) : "";
	bool		flag;

	gr_owner_enter(&saved, e->owner);
	flag = getBaseType(gr_expression_type(e->events, rule->value)) == BOOLOID;
	initStringInfo(&value);
	appendStringInfo(&value, "(\n%s\n)::%s", rule->value, flag ? "integer" : "float8");
	gr_spi_query(psprintf("SELECT avg((%s)::integer)::float8, count(*) FROM ("
						  "SELECT sum(v) AS total FROM ("
						  "SELECT %s AS u, %s::text AS arm, CASE WHEN (\n%s\n) THEN %s END AS v FROM (SELECT * FROM %s LIMIT %d) AS %s%s) AS r"
						  " WHERE arm COLLATE \"C\" = %s AND u IS NOT NULL GROUP BY u) AS s",
						  isnan(rule->at_least) ? "COALESCE(total, 0) > 0" : psprintf("COALESCE(total, 0) >= %.17g", rule->at_least),
						  quote_identifier(e->unit_column), quote_identifier(e->variant_column),
						  rule->filter ? rule->filter : "true", value.data, gr_relation_name(e->events), MOST_ROWS,
						  quote_identifier(get_rel_name(e->events)), of, quote_literal_cstr(e->control)), true, 0, NULL);
	g->share = gr_spi_float8(0, 1, NAN);
	g->units = (double) gr_spi_int8(0, 2, 0);
	gr_owner_leave(&saved);
}

double
gr_glance_share(const Experiment *e, const Rule *rule)
{
	Glance		g = {.e = e,.rule = rule,.share = NAN};

	/* anything else would be read in full */
	if (OidIsValid(e->exposures) || rule->window_length || rule->retention_day >= 0 || gr_attempt(look, &g) != NULL || g.units < 100)
		return NAN;
	return fmax(0, g.share - 4 * sqrt(g.share * (1 - g.share) / g.units));
}
