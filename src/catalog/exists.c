/*
 * exists.c
 *	  Are the things that an experiment names still there?
 *
 * Nothing keeps somebody from dropping the events, a column of them or the owner's role
 * under an experiment that runs.  The rows hold only the number of what is gone; the
 * registered plan has the name.
 */
#include "catalog/catalog.h"
#include "base/owner.h"

#include "executor/spi.h"
#include "utils/syscache.h"

/* What the newest registered plan calls it, or its number. */
static char *
planned_name(const Experiment *e, Oid function, const char *column, Oid object)
{
	const char *args[] = {e->id, column};
	OwnerContext saved;
	char	   *name;

	gr_writer_enter(&saved, function);
	gr_spi_query(psprintf("SELECT plan::pg_catalog.jsonb -> 'experiment' ->> $2 FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1 ORDER BY version DESC LIMIT 1",
						  gr_schema_of_function(function)), true, 2, args);
	name = SPI_processed > 0 ? gr_spi_text(0, 1) : NULL;
	gr_owner_leave(&saved);
	return name ? name : psprintf("(OID %u)", object);
}

static const char *
remedy(const Experiment *e, const char *column)
{
	if (strcmp(e->state, "running") == 0)
		return psprintf("Set \"%s\" to what replaces it with guardrail_amend(), or end the experiment with guardrail_stop().", column);
	if (strcmp(e->state, "draft") == 0)
		return psprintf("Set column \"%s\" of guardrail_experiment to what replaces it.", column);
	return "The experiment is stopped; its recorded checks stay.";
}

static void
require_relation(const Experiment *e, Oid function, const char *column, Oid relation)
{
	if (get_rel_name(relation) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("%s %s of experiment \"%s\" no longer exist", column,
						planned_name(e, function, column, relation), e->id),
				 errhint("%s", remedy(e, column))));
}

/* what: "events" or "exposures"; name: NULL where the experiment needs no such column */
static void
require_column(const Experiment *e, const char *what, Oid relation, const char *column, const char *name)
{
	if (name && get_attnum(relation, name) == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of %s %s of experiment \"%s\" no longer exists", name, what,
						quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), get_rel_name(relation)),
						e->id),
				 errhint("%s", remedy(e, column))));
}

void
gr_require_existing(const Experiment *e, Oid function)
{
	bool		exposed = OidIsValid(e->exposures);
	Oid			arms = exposed ? e->exposures : e->events;
	const char *what = exposed ? "exposures" : "events";

	require_relation(e, function, "events", e->events);
	if (exposed)
	{
		require_relation(e, function, "exposures", e->exposures);
		require_column(e, "exposures", e->exposures, "unit_column", e->unit_column);
		require_column(e, "exposures", e->exposures, "exposed_at_column", e->exposed_at_column);
	}
	require_column(e, "events", e->events, "unit_column", e->unit_column);
	require_column(e, what, arms, "variant_column", e->variant_column);
	require_column(e, what, arms, "experiment_column", e->experiment_column);
	require_column(e, "events", e->events, "time_column", e->time_column);
	require_column(e, "events", e->events, "cursor_column", e->cursor_column);
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(e->owner)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("owner %s of experiment \"%s\" no longer exists", planned_name(e, function, "owner", e->owner), e->id),
				 errhint("%s", remedy(e, "owner"))));
}
